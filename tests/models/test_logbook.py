"""TensorBoard events, read back from the bytes that TensorBoard would read."""

import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from tensorboardX.proto.event_pb2 import Event

from models.logbook import EVENTS_FILE, Logbook, write_events

HISTORY = [{"step": 10, "loss": 3.0, "seconds": 1.0}, {"step": 20, "loss": 2.5, "seconds": 2.0}]


def scalars(path: Path) -> Iterator[tuple[int, str, float]]:
    """(step, name, value) of every scalar: records of length, checksum, payload, checksum."""
    data, place = path.read_bytes(), 0
    while place < len(data):
        (length,) = struct.unpack_from("<Q", data, place)
        event = Event.FromString(data[place + 12 : place + 12 + length])
        yield from ((event.step, value.tag, value.simple_value) for value in event.summary.value)
        place += 16 + length


def test_a_history_becomes_one_file(tmp_path: Path) -> None:
    path = write_events(HISTORY, tmp_path)
    assert [p.name for p in tmp_path.iterdir()] == [EVENTS_FILE] == [path.name]
    assert list(scalars(path)) == [
        (10, "train/loss", 3.0),
        (10, "train/seconds", 1.0),
        (20, "train/loss", 2.5),
        (20, "train/seconds", 2.0),
    ]


def test_a_run_that_resumes_writes_on(tmp_path: Path) -> None:
    """Rows beyond the checkpoint are written again; TensorBoard is told to forget the first ones."""
    for rows in (HISTORY, HISTORY[1:]):
        with Logbook(tmp_path) as logbook:
            for row in rows:
                logbook(row)
    found = sorted(row for path in tmp_path.iterdir() for row in scalars(path) if row[1] == "train/loss")
    assert found == [(10, "train/loss", 3.0), (20, "train/loss", 2.5), (20, "train/loss", 2.5)]


def test_a_run_without_rows_leaves_nothing(tmp_path: Path) -> None:
    with Logbook(tmp_path / "tensorboard"):
        pass
    assert not (tmp_path / "tensorboard").exists()
    with pytest.raises(FileNotFoundError):
        write_events([], tmp_path)
