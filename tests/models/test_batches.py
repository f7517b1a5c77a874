"""Windows in a fixed order that covers everything and can be resumed."""

from dataclasses import replace

import numpy as np
import pytest

from models.batches import Batch, EpisodeStreams, RandomWindows
from tests.models.test_dataset import episode


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


def test_each_member_sees_its_episodes_in_epochs_of_its_own() -> None:
    """Windows of a batch go round: 40 frames are four windows, so a member that sees one episode has it four times."""
    episodes = [episode(i, 40) for i in range(3)]
    members = [[0], [1, 2]]
    source = RandomWindows(episodes, 10, 4, seed=3, seen=members)
    batches = [seen(next(source)) for _ in range(6)]
    for member, chosen in enumerate(members):
        windows = [window for batch in batches for window in batch[member::2]]
        assert {e for e, _ in windows} == set(chosen)
        epoch = 4 * len(chosen)
        for start in range(0, len(windows) - epoch + 1, epoch):
            assert len(set(windows[start : start + epoch])) == epoch
    resumed = RandomWindows(episodes, 10, 4, seed=3, position=2, seen=members)
    assert [seen(next(resumed)) for _ in range(4)] == batches[2:]


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


def test_the_walk_comes_along_where_every_window_knows_it() -> None:
    known = replace(episode(0, 40), walk=np.arange(160, dtype=np.float32).reshape(40, 4))
    batch = next(RandomWindows([known], 8, 2, seed=0))
    assert batch.walk is not None
    np.testing.assert_array_equal(batch.walk[..., 0], 4 * batch.camera_deg[..., 1])
    assert next(RandomWindows([known, episode(1, 40)], 8, 8, seed=0)).walk is None
