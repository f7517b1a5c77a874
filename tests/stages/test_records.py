"""Records: canonical bytes, round trips."""

import pytest

from stages.records import Output, Quarantined, Record, canonical_json, digest


def test_bytes_do_not_depend_on_order() -> None:
    assert canonical_json({"b": 1, "a": [1, 2]}) == canonical_json({"a": [1, 2], "b": 1}) == b'{"a":[1,2],"b":1}'
    assert digest({"b": 1, "a": 2}) == digest({"a": 2, "b": 1}) != digest({"a": 2, "b": 3})


def test_not_a_number_is_refused() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical_json({"loss": float("nan")})


def test_round_trips() -> None:
    record = Record("cut", "u", "k", {"x": [1]}, (Output("4_clips/a.mp4", "0" * 64, 5),), {"é": "ü"})
    assert Record.from_bytes(record.to_bytes()) == record
    entry = Quarantined("cut", "u", "k", "truncated", "expected ...", 2)
    assert Quarantined.from_bytes(entry.to_bytes()) == entry
