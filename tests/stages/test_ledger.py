"""The ledger on both stores: one record per work key, compaction that loses nothing, pointers that cannot fork."""

import pytest

from stages import paths
from stages.errors import BadInput, ServiceError
from stages.ledger import Ledger
from stages.records import Output, Quarantined, Record
from stages.settings import Settings
from stages.storage import Store


def record(unit: str, value: int = 0) -> Record:
    return Record("toy", unit, "k" * 8, {"n": value}, (Output(f"toy/{unit}", "0" * 64, 1),), {"value": value})


@pytest.fixture
def ledger(settings: Settings) -> Ledger:
    return Ledger(Store(settings))


def test_commit_is_final(ledger: Ledger) -> None:
    assert ledger.commit(record("aa1", 1))
    assert ledger.commit(record("aa1", 1)), "the same bytes again are the same commit"
    assert not ledger.commit(record("aa1", 2)), "other bytes under the same key lose"
    found = ledger.find("toy", "aa1", "k" * 8)
    assert found == record("aa1", 1)
    assert found.output("aa1").bytes == 1
    assert ledger.find("toy", "aa1", "other") is None


def test_records_after_compaction_and_more_commits(ledger: Ledger) -> None:
    for i in range(5):
        ledger.commit(record(f"{i}b", i))
    assert ledger.compact("toy", at_least=6) == 0
    assert ledger.compact("toy", at_least=5) == 5
    assert ledger.compact("toy", at_least=1) == 0, "nothing loose is left"
    ledger.commit(record("zz", 9))
    assert {unit: r.info["value"] for (unit, _), r in ledger.records("toy").items()} == {
        **{f"{i}b": i for i in range(5)},
        "zz": 9,
    }
    assert len(ledger.committed("toy")) == 6
    assert ledger.compact("toy", at_least=1) == 1


def test_half_written_output_is_not_read(settings: Settings) -> None:
    """Data without a commit record does not exist for any reader."""
    store = Store(settings)
    store.put("toy/aa1", b"data of a worker that died before its commit")
    assert Ledger(store).records("toy") == {}


def test_quarantine_counts_attempts(ledger: Ledger) -> None:
    ledger.quarantine("toy", "aa1", "key", BadInput("bad_luck", "first"), gate="g")
    ledger.quarantine("toy", "aa1", "key", BadInput("worse_luck", "second", "rules"), gate="g")
    entry = ledger.quarantined("toy")["aa1", "key"]
    assert (entry.attempt, entry.reason, entry.message) == (2, "worse_luck", "second")
    assert (entry.again, entry.gate) == ("rules", "g")


def test_entries_from_before_there_were_classes_are_never_tried_again_unasked(ledger: Ledger) -> None:
    old = b'{"attempt":1,"key":"k","message":"m","reason":"http_404","stage":"toy","unit":"aa1"}'
    assert (Quarantined.from_bytes(old).again, Quarantined.from_bytes(old).gate) == ("never", "")


def test_pointers_move_forward_only(ledger: Ledger) -> None:
    assert ledger.pointer("idm") is None
    first = ledger.advance("idm", "a" * 64, None, {"f1": 0.5})
    second = ledger.advance("idm", "b" * 64, first, {})
    assert ledger.pointer("idm") == second
    with pytest.raises(ServiceError, match="somebody moved it"):
        ledger.advance("idm", "c" * 64, first, {})
    rollback = ledger.advance("idm", first.target, second, {"rollback": True})
    assert [p.target[0] for p in ledger.history("idm")] == ["a", "b", "a"]
    assert rollback.number == 3


def test_takedowns(ledger: Ledger) -> None:
    ledger.take_down("f" * 20, "asked")
    ledger.take_down("f" * 20, "asked again")
    assert ledger.taken_down() == {"f" * 20}


def test_split_unit_reads_back_both_kinds_of_keys() -> None:
    assert paths.split_unit(paths.commit("label", "ab-000-010", "k1")) == ("ab-000-010", "k1")
    assert paths.split_unit(paths.quarantine("label", "ab", "k1", 3)) == ("ab", "k1")
