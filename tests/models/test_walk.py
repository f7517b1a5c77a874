"""The player's walk out of positions: directions, units, both habits of the x axis, and lines that do not say."""

from typing import Any

import numpy as np
import pytest

from models.walk import FASTEST, walk
from tests.models.game import line

WALKING = 4.0 / 20
"""Blocks a frame at the speed that counts as 1."""


def moved(steps: int, yaw: float, step: tuple[float, float, float], pitch: float = 0) -> list[dict[str, Any]]:
    x, y, z = step
    return [line(xpos=x * i, ypos=y * i, zpos=z * i, yaw=yaw, pitch=pitch) for i in range(steps)]


@pytest.mark.parametrize(
    ("yaw", "step"),
    [(0, (0, 0, 1)), (90, (-1, 0, 0)), (180, (0, 0, -1)), (-90, (1, 0, 0)), (90, (1, 0, 0)), (-90, (-1, 0, 0))],
)
def test_who_goes_where_he_looks_goes_forward_whichever_way_the_x_axis_runs(yaw: float, step: Any) -> None:
    found = walk(moved(12, yaw, tuple(WALKING * s for s in step)))
    np.testing.assert_allclose(found, np.tile([1, 0, 0, 0], (12, 1)), atol=1e-5)


@pytest.mark.parametrize("mirrored", [1, -1])
def test_to_the_right_is_positive_in_minecrafts_world_and_in_a_mirrored_one(mirrored: int) -> None:
    """Minecraft: yaw 0 looks along z, and 90 along -x, which is to the right."""
    ahead = moved(40, 90, (-WALKING * mirrored, 0, 0))
    start = ahead[-1]["xpos"]
    aside = [line(xpos=start, ypos=0, zpos=-WALKING * i, yaw=90, pitch=0) for i in range(40)]
    np.testing.assert_allclose(walk(ahead + aside)[45:70], np.tile([0, 1, 0, 0], (25, 1)), atol=1e-5)


def test_up_and_the_way_the_view_looks_count_in_their_units() -> None:
    found = walk(moved(20, 30, (0, 0.1, 0), pitch=45))
    np.testing.assert_allclose(found, np.tile([0, 0, 0.5, 1], (20, 1)), atol=1e-5)


def test_late_positions_count_for_the_frames_that_moved() -> None:
    """He stands, then walks from frame 20 on, and the recorder writes each position three frames late."""
    late = [max(0, i - 23) * WALKING for i in range(60)]
    found = walk([line(xpos=0, ypos=0, zpos=z, yaw=0, pitch=0) for z in late])[:, 0]
    assert not found[:17].any()
    assert (0.2 < found[20] < 0.8, found[30]) == (True, pytest.approx(1))


def test_a_line_without_a_position_says_nothing_and_a_teleport_is_bounded() -> None:
    lines: list[dict[str, Any] | None] = [*moved(30, 0, (0, 0, WALKING))]
    lines[10], lines[20] = None, line(xpos="far", ypos=0, zpos=0, yaw=0, pitch=0)
    found = walk(lines)
    unknown = np.isnan(found).all(axis=1)
    assert np.isnan(found).any(axis=1).tolist() == unknown.tolist()
    assert np.flatnonzero(unknown).tolist() == [4, 10, 11, 14, 21]
    far = walk([*moved(10, 0, (0, 0, WALKING)), line(xpos=0, ypos=0, zpos=1e8, yaw=0, pitch=0)])
    assert far[-2, 0] == FASTEST


def test_recordings_without_positions_and_empty_ones_teach_no_walk() -> None:
    assert np.isnan(walk([line(), None, line()])).all()
    for nonsense in (10**400, float("inf"), float("nan"), None, [1]):
        assert np.isnan(walk([line(xpos=0, ypos=0, zpos=nonsense, yaw=0, pitch=0)] * 3)).all()
    assert walk([]).shape == (0, 4)
