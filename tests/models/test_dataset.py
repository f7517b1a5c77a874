"""Episodes, windows in a fixed order, splits by world."""

from pathlib import Path

import numpy as np
import pytest

from models.dataset import (
    Batch,
    Episode,
    EpisodeStreams,
    RandomWindows,
    load_recordings,
    split_by_world,
    split_three_ways,
)
from tests.models.game import line, write_jsonl, write_recording


def episode(number: int, length: int, world: str = "w") -> Episode:
    """Frames of one pixel value: number * 1000 + index is told by camera_deg, so windows can be recognised."""
    frames = np.zeros((length, 2, 2, 3), dtype=np.uint8)
    camera = np.stack([np.full(length, number), np.arange(length)], axis=1).astype(np.float32)
    return Episode(f"e{number}", world, frames, np.zeros((length, 20), bool), camera, np.ones(length, np.float32))


def seen(batch: Batch) -> list[tuple[int, int]]:
    """(episode, first frame) of each window."""
    return [(int(window[0, 0]), int(window[0, 1])) for window in batch.camera_deg]


def test_the_same_seed_gives_the_same_batches_and_another_does_not() -> None:
    episodes = [episode(i, 100) for i in range(4)]
    order = [
        [seen(next(source)) for _ in range(8)]
        for source in (RandomWindows(episodes, 10, 4, seed) for seed in (1, 1, 2))
    ]
    assert order[0] == order[1]
    assert order[0] != order[2]


def test_an_epoch_covers_every_episode_with_disjoint_windows() -> None:
    episodes = [episode(0, 95), episode(1, 40)]
    source = RandomWindows(episodes, 10, 13, seed=0)
    windows = sorted(seen(next(source)))
    assert len(windows) == 9 + 4
    for number, length in ((0, 95), (1, 40)):
        starts = [start for e, start in windows if e == number]
        assert np.diff(starts).tolist() == [10] * (len(starts) - 1)
        assert starts[0] >= 0
        assert starts[-1] + 10 <= length


def test_random_windows_resume_from_their_position() -> None:
    episodes = [episode(i, 57) for i in range(3)]
    source = RandomWindows(episodes, 8, 4, seed=3)
    for _ in range(11):
        next(source)
    resumed = RandomWindows(episodes, 8, 4, seed=3, position=source.position)
    assert [seen(next(source)) for _ in range(9)] == [seen(next(resumed)) for _ in range(9)]


def test_a_short_episode_is_padded_without_weight() -> None:
    batch = next(RandomWindows([episode(0, 6)], 10, 1, seed=0))
    assert batch.weight[0].tolist() == [1] * 6 + [0] * 4
    assert batch.camera_deg[0, -1].tolist() == [0, 5]


def test_a_stream_plays_an_episode_from_start_to_end() -> None:
    source = EpisodeStreams([episode(0, 25)], 10, 1, seed=0)
    batches = [next(source) for _ in range(4)]
    assert [seen(b)[0][1] for b in batches] == [0, 10, 20, 0]
    assert [bool(b.first[0, 0]) for b in batches] == [True, False, False, True]
    assert not any(b.first[0, 1:].any() for b in batches)
    assert batches[2].weight[0].tolist() == [1] * 5 + [0] * 5


def test_lanes_play_all_episodes_once_an_epoch() -> None:
    source = EpisodeStreams([episode(i, 10) for i in range(6)], 10, 2, seed=5)
    played = [window[0] for _ in range(3) for window in seen(next(source))]
    assert sorted(played) == list(range(6))


def test_streams_resume_from_their_position() -> None:
    episodes = [episode(i, 20 + 7 * i) for i in range(5)]
    source = EpisodeStreams(episodes, 8, 3, seed=3)
    for _ in range(7):
        next(source)
    resumed = EpisodeStreams(episodes, 8, 3, seed=3, position=source.position)
    assert [seen(next(source)) for _ in range(9)] == [seen(next(resumed)) for _ in range(9)]


def test_rows_leave_frames_out() -> None:
    source = EpisodeStreams([episode(0, 20)], 4, 1, seed=0, rows=[np.array([1, 3, 8, 9, 15])])
    assert next(source).camera_deg[0, :, 1].tolist() == [1, 3, 8, 9]


@pytest.mark.parametrize("source", [RandomWindows, EpisodeStreams])
def test_nothing_to_train_on_is_an_error(source: type[RandomWindows] | type[EpisodeStreams]) -> None:
    unknown = episode(0, 20)
    unknown.weight[:] = 0
    for episodes in ([], [unknown]):
        with pytest.raises(ValueError, match="known actions"):
            source(episodes, 10, 1, 0)


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
