"""Episodes, how recordings become some, splits by world."""

from pathlib import Path

import numpy as np
import pytest

from models.dataset import Episode, load_recordings, split_by_world, split_three_ways
from tests.models.game import line, write_jsonl, write_recording


def episode(number: int, length: int, world: str = "w") -> Episode:
    """Frames of one pixel value: number * 1000 + index is told by camera_deg, so windows can be recognised."""
    frames = np.zeros((length, 2, 2, 3), dtype=np.uint8)
    camera = np.stack([np.full(length, number), np.arange(length)], axis=1).astype(np.float32)
    return Episode(f"e{number}", world, frames, np.zeros((length, 20), bool), camera, np.ones(length, np.float32))


def test_split_is_by_world_and_takes_the_beginning_of_a_name() -> None:
    episodes = [episode(i, 5, world) for i, world in enumerate(["elk-a-1", "elk-b-2", "owl-a-3", "owl-a-3"])]
    train, test = split_by_world(episodes, ["owl-a-3"])
    assert ([e.id for e in train], [e.id for e in test]) == (["e0", "e1"], ["e2", "e3"])
    train, test = split_by_world(episodes, ["elk"])
    assert ([e.id for e in train], [e.id for e in test]) == (["e2", "e3"], ["e0", "e1"])
    assert split_by_world(episodes, [])[1] == []


def test_three_ways_no_world_is_in_two_parts() -> None:
    episodes = [episode(i, 5, world) for i, world in enumerate(["elk", "owl-a", "owl-b", "pike"])]
    parts = split_three_ways(episodes, ["owl"], ["pike"])
    assert [[e.world for e in part] for part in parts] == [["elk"], ["pike"], ["owl-a", "owl-b"]]
    assert [len(part) for part in split_three_ways(episodes, ["owl"], [])] == [2, 0, 2]
    assert [len(part) for part in split_three_ways(episodes, [], ["owl"])] == [2, 2, 0]
    assert [len(part) for part in split_three_ways(episodes, ["owl"], ["owl-b"])] == [2, 1, 1]
    with pytest.raises(ValueError, match="beside those that fit the confidence, got owl-a, owl-b for both"):
        split_three_ways(episodes, ["owl-a"], ["owl"])


def test_an_unknown_world_or_an_empty_side_is_an_error() -> None:
    episodes = [episode(0, 5, "elk"), episode(1, 5, "owl")]
    with pytest.raises(ValueError, match="'cat' is not among the recordings; there are elk, owl"):
        split_by_world(episodes, ["cat"])
    with pytest.raises(ValueError, match="0 training"):
        split_by_world(episodes, ["elk", "owl"])


def test_lengths_that_differ_are_an_error() -> None:
    with pytest.raises(ValueError, match="one action per frame"):
        Episode("a", "w", np.zeros((4, 2, 2, 3)), np.zeros((3, 20)), np.zeros((4, 2)), np.ones(4))


def test_bad_recordings_are_named_and_the_others_read(tmp_path: Path) -> None:
    write_recording(tmp_path, "elk-aaaaaaaaaaaa-20260101-000000", length=12, seed=0)
    write_recording(tmp_path, "owl-bbbbbbbbbbbb-20260101-000000", length=12, seed=1)
    write_jsonl(tmp_path / "owl-bbbbbbbbbbbb-20260101-000000.jsonl", [line()] * 40)
    episodes, refused = load_recordings(tmp_path)
    assert [e.world for e in episodes] == ["elk-aaaaaaaaaaaa"]
    assert {name: error.reason for name, error in refused.items()} == {
        "owl-bbbbbbbbbbbb-20260101-000000": "count_mismatch"
    }


def test_a_folder_without_recordings_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="found no pair"):
        load_recordings(tmp_path)
