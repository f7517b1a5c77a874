"""Motion computed ahead is that of each whole episode. Who shares the work is in `test_parallel.py`."""

import numpy as np

from models.maps_ahead import with_maps
from models.motion import episode_maps, half_size
from tests.models.game import episode


def test_episodes_come_back_in_order_at_half_size_with_their_maps() -> None:
    play, told = (
        [episode(str(length), length, seed=length) for length in (9, 5)],
        list[tuple[int, int, dict[str, float]]](),
    )
    ready = with_maps(play, progress=lambda *step: told.append(step))
    for before, after in zip(play, ready, strict=True):
        assert after.id == before.id
        np.testing.assert_array_equal(after.frames, half_size(before.frames))
        np.testing.assert_array_equal(after.maps, episode_maps(before.frames))
    assert told == [(9, 14, {}), (14, 14, {})]
