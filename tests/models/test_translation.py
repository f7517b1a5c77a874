"""Which way did the camera move? Steps over a floor and past a wall are found, whatever turn is left beside them."""

import numpy as np
import pytest

from models.translation import (
    CELLS,
    DIRECTIONS,
    LARGEST,
    NUMBERS,
    ORDER_MIRRORED,
    SIDE,
    SPEED_UNIT,
    TURN_UNIT_DEG,
    TURNED_BY_MIRROR,
    translation,
)
from models.turns import rotation

MEANS = len(DIRECTIONS) + 1
FOCAL = np.array([64 / np.tan(np.deg2rad(36)) / (16 / 9), 64 / np.tan(np.deg2rad(36))])
"""Pixels per radian in the middle of the picture, to the right and down: 72 degrees from top to bottom, squashed."""


def points() -> np.ndarray:
    """(S, S, 2): x / z and y / z of what each cell shows."""
    places = (np.arange(CELLS) + 0.5) * (SIDE / CELLS) - SIDE / 2
    return np.dstack(np.meshgrid(places / FOCAL[0], places / FOCAL[1]))


def flow_of(step: tuple[float, float, float], turn_deg: tuple[float, float, float] = (0, 0, 0)) -> np.ndarray:
    """(S, S, 3): a step in a room, a floor 1.6 below and a wall 8 ahead, and a turn; projected point by point."""
    seen = points()
    rays = np.dstack([seen, np.ones((CELLS, CELLS))])
    distance = np.where(rays[..., 1] > 0.2, 1.6 / np.maximum(rays[..., 1], 0.2), 8.0)
    moved = rays * distance[..., None] - step
    small = np.deg2rad(turn_deg)
    moved = moved + np.cross(small, moved)
    flow = (moved[..., :2] / moved[..., 2:] - seen) * FOCAL
    return np.dstack([flow, np.zeros((CELLS, CELLS))]).astype(np.float32)


def direction(told: np.ndarray) -> np.ndarray:
    return told[MEANS : MEANS + 3]


@pytest.mark.parametrize(
    "step", [(0, 0, 0.2), (0, 0, -0.2), (0.2, 0, 0), (-0.2, 0, 0), (0, -0.2, 0), (0.14, 0, 0.14), (-0.14, 0, 0.14)]
)
@pytest.mark.parametrize("turn_deg", [(0, 0, 0), (0.8, -1.2, 0.3)])
def test_the_way_of_a_step_is_found_beside_a_turn(step: tuple, turn_deg: tuple) -> None:
    told = translation(flow_of(step, turn_deg), 0)
    assert told.shape == (NUMBERS,)
    cosine = direction(told) @ step / np.linalg.norm(step) / np.linalg.norm(direction(told))
    assert cosine > 0.9  # 26 degrees; directions are 32 apart
    np.testing.assert_allclose(told[MEANS + 3 : MEANS + 6] * TURN_UNIT_DEG, turn_deg, atol=0.7)


@pytest.mark.parametrize("tilt", [-25, 40, 70])
@pytest.mark.parametrize("step", [(0, 0, 0.2), (0.2, 0, 0)], ids=["ahead", "right"])
def test_who_looks_down_steps_ahead_all_the_same(step: tuple, tilt: float) -> None:
    as_seen = rotation(np.deg2rad([tilt, 0.0, 0.0])) @ step
    told = translation(flow_of(tuple(as_seen)), tilt)
    assert direction(told) @ step / np.linalg.norm(step) / np.linalg.norm(direction(told)) > 0.9
    for velocity in (told[MEANS + 6 : MEANS + 9], told[MEANS + 9 :]):
        assert velocity @ step / np.linalg.norm(step) / np.linalg.norm(velocity) > 0.9


def test_a_longer_step_is_faster_and_the_wall_is_slower_than_the_floor() -> None:
    slow, fast = (translation(flow_of((0, 0, length)), 0) for length in (0.1, 0.2))
    whole, lower = (slice(MEANS + 6, MEANS + 9), slice(MEANS + 9, NUMBERS))
    assert fast[lower][2] == pytest.approx(2 * slow[lower][2], rel=0.25)
    assert fast[lower][2] > 1.3 * fast[whole][2]
    assert 0.2 / 8 < fast[lower][2] * SPEED_UNIT < 0.2 / 1.6, "between that at the wall and that at the feet"


def test_standing_fits_every_direction() -> None:
    told = translation(np.zeros((CELLS, CELLS, 3), np.float32), 0)
    assert not told[:MEANS].any()
    np.testing.assert_allclose(told[MEANS:], 0, atol=1e-6)


def test_a_turn_alone_is_no_step() -> None:
    told = translation(flow_of((0, 0, 0), (1, -2, 0)), 0)
    np.testing.assert_allclose(told[MEANS + 3 : MEANS + 5] * TURN_UNIT_DEG, (1, -2), atol=0.3)
    assert np.abs(told[MEANS + 6 :]).max() < 0.05


def test_what_disagrees_both_ways_counts_little() -> None:
    flow = flow_of((0.2, 0, 0))
    flow[2:9, 2:9, :2] = (5, -5)
    lost = flow.copy()
    lost[2:9, 2:9, 2] = 8
    true = direction(translation(flow_of((0.2, 0, 0)), 0))
    np.testing.assert_allclose(direction(translation(lost, 0)), true, atol=0.1)
    assert translation(flow, 0)[MEANS - 1] > 3 * translation(lost, 0)[MEANS - 1], "the least misfit"


def test_a_mirrored_flow_has_these_numbers_at_these_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no hand at one side counts less."""
    monkeypatch.setattr("models.translation._TRUST", np.ones(CELLS * CELLS, np.float32))
    rng = np.random.default_rng(0)
    flow = flow_of((0.1, 0.05, 0.2)) + rng.normal(size=(CELLS, CELLS, 3)).astype(np.float32) * 0.2
    mirrored = flow[:, ::-1] * np.array([-1, 1, 1], np.float32)
    expected = translation(flow, 0)[ORDER_MIRRORED]
    expected[list(TURNED_BY_MIRROR)] *= -1
    np.testing.assert_allclose(translation(mirrored, 0), expected, atol=1e-3)
    assert sorted(ORDER_MIRRORED) == list(range(NUMBERS))


def test_wild_flow_has_finite_numbers() -> None:
    wild = translation(np.full((CELLS, CELLS, 3), 1e4, np.float32), 0)
    assert np.isfinite(wild).all()
    assert np.abs(wild).max() <= LARGEST
