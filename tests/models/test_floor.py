"""Turn and step over a floor and past a wall, found together, where a turn alone is deceived."""

import cv2
import numpy as np
import pytest

from models.alignment import Pair, pyramid
from models.ego_motion import TURN_UNIT_DEG, upright_turns
from models.floor import (
    ANSWERS,
    EYES,
    FRAME_S,
    LARGEST,
    NUMBERS,
    REFINED,
    STEP_UNIT,
    TURNED_BY_MIRROR,
    WALL_DOUBTED,
    Floor,
    Walk,
    Wall,
    best_walk,
    walk_motion,
)
from models.turns import Upright
from models.view import SIDE, VIEWS

FAR = 0.06
"""Slope below the horizon up to which hills are seen instead of floor."""
STAND, WALK, SPRINT = 0.0, 3.9 * FRAME_S / EYES, 5.15 * FRAME_S / EYES


def noise(seed: int) -> np.ndarray:
    """Smooth grey levels that repeat, (512, 512)."""
    coarse = np.random.default_rng(seed).normal(128, 50, (64, 64)).astype(np.float32)
    return cv2.resize(np.tile(coarse, (2, 2)), (512, 512), interpolation=cv2.INTER_CUBIC)


def view(tilt_deg: float, yaw_deg: float = 0.0, place: tuple[float, float, float] = (0, 0, 0)) -> np.ndarray:
    """What is seen of a floor and of hills far behind it, from a place ahead, to the right and up, in eye heights."""
    tilt, (ahead, right, up) = np.deg2rad(tilt_deg), place
    rows, columns = np.indices((SIDE, SIDE))
    x, y, z = VIEWS[SIDE].inverse @ np.stack([columns.ravel(), rows.ravel(), np.ones(SIDE * SIDE)])
    level, down = z * np.cos(tilt) - y * np.sin(tilt), y * np.cos(tilt) + z * np.sin(tilt)
    angle = np.deg2rad(yaw_deg)
    forward, sideways = level * np.cos(angle) - x * np.sin(angle), x * np.cos(angle) + level * np.sin(angle)
    near = np.maximum(down, FAR) / (1 + up)
    floor = 24 * np.stack([ahead + forward / near, right + sideways / near])
    hills = np.rad2deg(np.stack([np.arctan2(down, np.hypot(forward, sideways)), np.arctan2(sideways, forward)])) * 3
    seen = [
        cv2.remap(noise(seed), *(256 + at[::-1]).astype(np.float32), cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
        for seed, at in ((1, floor), (2, hills))
    ]
    grey = np.where(down > FAR, seen[0].ravel(), seen[1].ravel()).reshape(SIDE, SIDE)
    return np.repeat(grey.clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


def pair_of(tilt_deg: float, turn_deg: tuple[float, float], step: tuple[float, float, float]) -> Pair:
    """The player steps and turns, down and to the right."""
    pitch, yaw = turn_deg
    return Pair(pyramid(view(tilt_deg)), pyramid(view(tilt_deg + pitch, yaw, step)))


@pytest.mark.parametrize("tilt", [5, 30])
@pytest.mark.parametrize(
    ("turn", "step"),
    [
        ((0, 0), (STAND, 0, 0)),
        ((0, 0), (WALK, 0, 0)),
        ((0, 0), (SPRINT, 0, 0)),
        ((0, 4), (WALK, 0, 0)),
        ((-2, 0), (SPRINT, 0, 0)),
        ((1, -3), (0, WALK, 0)),
        ((0, 0), (WALK, 0, 0.1)),
    ],
)
def test_turn_and_step_are_found_together(
    tilt: float, turn: tuple[float, float], step: tuple[float, float, float]
) -> None:
    pair = pair_of(tilt, turn, step)
    motion = walk_motion(pair, tilt, [alone.numbers for alone in upright_turns(pair, tilt)])
    np.testing.assert_allclose(motion.numbers[:2] * TURN_UNIT_DEG, turn, atol=0.15)
    np.testing.assert_allclose(motion.numbers[2:5] * STEP_UNIT, step, atol=0.015)
    np.testing.assert_allclose(motion.turn, Upright(np.deg2rad(tilt)).matrix(np.deg2rad(turn)), atol=0.003)


def test_a_walk_deceives_a_turn_alone() -> None:
    """A view of floor alone, from above: the best turn without a step lifts the view by more than a degree."""
    pair = pair_of(50, (0, 0), (SPRINT, 0, 0))
    alone = upright_turns(pair, 50)
    assert np.abs(alone[0].degrees).max() > 1
    starts = [np.append(turn.numbers, (0, 0, 0)) for turn in alone]
    best = best_walk(pair, Floor(np.deg2rad(50)), starts, REFINED)
    assert np.abs(np.rad2deg(best.numbers[:2])).max() < 0.15
    assert best.misfit < alone[0].misfit


def past_a_wall(turn_deg: tuple[float, float], step: tuple[float, float, float]) -> Pair:
    """A level view of nothing but a wall, past which a player steps, in distances of the wall."""
    image = VIEWS[SIDE].turned_back(noise(3)[:SIDE, :SIDE].clip(0, 255), np.eye(3), 128)
    (pitch, yaw), ways = np.deg2rad(turn_deg), Wall(0.0).ways
    plane = np.eye(3) - np.outer(np.array(step) @ ways, Wall(0.0).normal)
    after = VIEWS[SIDE].turned_back(image, np.linalg.inv(Upright(0.0).matrix(np.array([pitch, yaw])) @ plane))
    return Pair(*(pyramid(np.repeat(grey[..., None], 3, axis=2).astype(np.uint8)) for grey in (image, after)))


@pytest.mark.parametrize(
    ("turn", "step"),
    [((0, 0), (0, 0.08, 0)), ((0, 3), (0.05, -0.08, 0)), ((2, 0), (0.04, 0, 0.03)), ((0, -2), (0, 0, 0))],
)
def test_past_a_wall_a_step_is_no_turn(turn: tuple[float, float], step: tuple[float, float, float]) -> None:
    pair = past_a_wall(turn, step)
    alone = upright_turns(pair, 0)
    motion = walk_motion(pair, 0, [found.numbers for found in alone])
    np.testing.assert_allclose(motion.turn, Upright(0.0).matrix(np.deg2rad(turn)), atol=0.006)
    np.testing.assert_allclose(motion.numbers[:2] * TURN_UNIT_DEG, turn, atol=0.3)
    if any(step):
        np.testing.assert_allclose(motion.numbers[2:5] * STEP_UNIT, step, atol=0.01)
    if step[1]:
        assert abs(alone[0].degrees[1] - turn[1]) > 1, "the turn alone takes the step for one"


def test_the_wall_is_believed_where_it_explains_clearly_more(monkeypatch: pytest.MonkeyPatch) -> None:
    over, past = np.array([0, 0.05, 0, 0, 0]), np.array([0, -0.05, 0, 0, 0])
    for saved, believed in ((0.5 * WALL_DOUBTED, over), (1.5 * WALL_DOUBTED, past)):
        answers = {Floor: Walk(0.5, over), Wall: Walk(0.5 - saved, past)}
        monkeypatch.setattr("models.floor.best_walk", lambda _, family, *__, answers=answers: answers[type(family)])
        motion = walk_motion(pair_of(10, (0, 0), (0, 0, 0)), 10, [])
        np.testing.assert_allclose(motion.turn, Upright(np.deg2rad(10)).matrix(believed[:2]))
        other = -believed[1]
        assert motion.numbers[[1, 7]].tolist() == pytest.approx(np.rad2deg([believed[1], other]) / TURN_UNIT_DEG)
        assert motion.numbers[-1] == (believed is past), "which of them comes first is told"


def test_of_the_sky_no_step_is_told() -> None:
    pair = pair_of(-60, (0, 3), (0, 0, 0))
    told = walk_motion(pair, -60, [np.deg2rad([0, 3])]).numbers
    np.testing.assert_allclose(told[:5], [0, 3 / 4, 0, 0, 0], atol=0.03)
    assert told[-2] == 0


def test_of_the_dark_nothing_is_told() -> None:
    black = pyramid(np.zeros((SIDE, SIDE, 3), np.uint8))
    assert not np.delete(walk_motion(Pair(black, black), 10, [np.zeros(2)]).numbers, -2).any()  # but what may be floor


def test_numbers_are_told_in_their_units_and_mirrored_by_their_signs() -> None:
    before, after = view(20), view(20, 3, (WALK, 0.06, 0))
    told, mirrored = (
        walk_motion(Pair(pyramid(b), pyramid(a)), 20, [np.deg2rad([0, about])]).numbers
        for b, a, about in ((before, after, 2.5), (before[:, ::-1], after[:, ::-1], -2.5))
    )
    assert told.shape == (NUMBERS,)
    np.testing.assert_allclose(told[:5], [0, 3 / 4, WALK / STEP_UNIT, 0.06 / STEP_UNIT, 0], atol=0.1)
    assert 0.5 < told[-2] < 0.9, "the horizon is in the upper third"
    signs = np.ones(NUMBERS)
    signs[list(TURNED_BY_MIRROR)] = -1
    np.testing.assert_allclose(mirrored[:5], (told * signs)[:5], atol=0.1)


def test_no_step_is_told_larger_than_the_largest(monkeypatch: pytest.MonkeyPatch) -> None:
    far = Walk(0.5, np.array([0, 0, 99.0, -99.0, 0]))
    monkeypatch.setattr("models.floor.best_walk", lambda *_: far)
    told = walk_motion(pair_of(10, (0, 0), (0, 0, 0)), 10, []).numbers
    assert np.delete(told, -2).tolist() == [0, 0, LARGEST, -LARGEST, 0, 0.5] * ANSWERS + [0]


def test_above_the_horizon_a_step_moves_nothing() -> None:
    floor, image = Floor(0.0), np.random.default_rng(0).random((64, 64)).astype(np.float32)
    stood, walked = (floor.back(image, np.array([0, 0.02, *step])) for step in ((0, 0, 0), (WALK, 0, 0)))
    np.testing.assert_array_equal(stood[:32], walked[:32])
    assert np.abs(stood[40:] - walked[40:]).max() > 0.1
    np.testing.assert_array_equal(stood, Upright(0.0).back(image, np.array([0, 0.02])))
