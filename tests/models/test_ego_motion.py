"""The turn of the camera between two pictures: is it found, and told right?"""

from collections.abc import Sequence

import cv2
import numpy as np
import pytest

from models.alignment import CONTRAST_SOFTNESS, EVEN, Pair, pyramid
from models.ego_motion import (
    ANSWERS,
    KEPT,
    NUMBERS,
    TURN_UNIT_DEG,
    TURNED_BY_MIRROR,
    EgoMotion,
    ego_motions,
    free_turn,
    upright_turns,
)
from models.turns import Upright, rotation
from models.view import SIDE, SIZES, VIEWS, weights


def world(seed: int = 0) -> np.ndarray:
    """A frame of blocks of several sizes: uint8 (128, 128, 3)."""
    draw, frame = np.random.default_rng(seed), np.zeros((SIDE, SIDE, 3))
    for side in (8, 16, 32):
        blocks = draw.normal(0, 30, (side, side, 3))
        frame += cv2.resize(blocks, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    return (frame + 128).clip(0, 255).astype(np.uint8)


def matrix(*degrees: float) -> np.ndarray:
    return rotation(np.deg2rad(degrees))


def turned(frame: np.ndarray, *degrees: float) -> np.ndarray:
    """What the camera sees after a turn: directions of the first frame, turned by `degrees`, are those of this one."""
    return VIEWS[SIDE].turned_back(frame, matrix(*degrees).T)


def looks(tilt_deg: float, ways: Sequence[tuple[float, float]]) -> np.ndarray:
    """What a player sees who looks down by `tilt_deg`, and from there turns down and to the right, degrees."""
    family = Upright(np.deg2rad(tilt_deg))
    return np.stack([VIEWS[SIDE].turned_back(world(), family.matrix(np.deg2rad(way)).T) for way in ways])


def pair_of(before: np.ndarray, after: np.ndarray) -> Pair:
    return Pair(pyramid(before), pyramid(after))


def found(before: np.ndarray, after: np.ndarray) -> EgoMotion:
    return next(ego_motions(np.stack([before, after])))[1]


@pytest.mark.parametrize("light", [1.0, 0.4], ids=["same light", "darker"])
@pytest.mark.parametrize("degrees", [(0, 0, 0), (0.2, 0, 0), (0, -0.2, 0), (5, -3, 1), (-9, 9, 0), (0, 15, 0)])
def test_any_turn_is_found_to_a_tenth_of_a_degree(degrees: tuple[float, ...], light: float) -> None:
    frame = world()
    turn = free_turn(pair_of(frame, (turned(frame, *degrees) * light).astype(np.uint8)))
    np.testing.assert_allclose(turn.degrees, degrees, atol=0.1)
    assert turn.misfit < 0.4  # a blurred copy, and replicated pixels beyond the edge
    assert turn.seen == (turn.degrees[0], -turn.degrees[1], -turn.degrees[2], turn.misfit)


@pytest.mark.parametrize("way", [(0, 0), (0.3, 0), (0, -0.3), (5, -3), (-8, 9)])
@pytest.mark.parametrize("tilt", [-30, 0, 35, 70])
def test_a_player_who_looks_down_turns_about_the_upright_axis(tilt: float, way: tuple[float, float]) -> None:
    turns = upright_turns(pair_of(*looks(tilt, [(0, 0), way])), tilt)
    np.testing.assert_allclose(turns[0].degrees, way, atol=0.1)
    assert len(turns) == KEPT
    prices = [turn.price for turn in turns[1:] if turn is not turns[0]]  # where fewer are found, the best again
    assert [turns[0].price, *prices] == sorted([turns[0].price, *prices])


@pytest.mark.parametrize("tilt", [-20, 0, 45, 65])
def test_turns_to_the_side_say_how_far_the_view_looks_down(tilt: float) -> None:
    """It is 6 degrees farther after the fifth frame; before any turn, it is what it will be."""
    ways = [(0, 0), (0, 0), (0, 5), (0, -1), (0, 4), (6, 4), (6, -2), (6, 3)]
    motions = [motion for _, motion in ego_motions(looks(tilt, ways))]
    np.testing.assert_allclose([motion.tilt for motion in motions], [*[tilt] * 5, tilt + 6, tilt + 6], atol=2)
    turns = np.diff(np.array(ways), axis=0)
    np.testing.assert_allclose([motion.turns[0].degrees for motion in motions], turns, atol=0.2)


def test_to_the_right_and_down_are_told_apart() -> None:
    """The picture moves against the camera: a look to the right takes what is ahead to the left."""
    frame = world()
    left, up = (np.roll(frame, -4, axis=axis) for axis in (1, 0))
    assert 2 < found(frame, left).turns[0].degrees[1] < 5  # 4 pixels are 4.6 degrees in the middle, less at the sides
    assert 2 < found(frame, up).turns[0].degrees[0] < 3  # 2.6 degrees


def test_a_moving_part_does_not_turn_the_camera() -> None:
    frame, other = world(), world(1)
    after = turned(frame, 2, 3, 0)
    after[20:60, 10:60] = other[20:60, 10:60]  # a tenth of the picture is something else
    after[112:, 30:98] = frame[112:, 30:98]  # bars stay
    pair = pair_of(frame, after)
    np.testing.assert_allclose(free_turn(pair).degrees, (2, 3, 0), atol=0.1)
    np.testing.assert_allclose(upright_turns(pair, 0)[0].degrees, (2, -3), atol=0.1)


def test_the_horizon_turns_the_camera_though_compression_keeps_the_sand_still() -> None:
    """Two thirds of the picture are noise of a few grey levels that stays where it was; the rest turns by 6 degrees."""
    noise = cv2.resize(np.random.default_rng(2).normal(0, 6, (32, 32)), (SIDE, SIDE))[..., None]
    before = world()
    after = turned(before, 0, 6, 0)
    sand = (200 + noise).astype(np.uint8).repeat(3, axis=2)
    for frame in (before, after):
        frame[44:] = sand[44:]
    pair = pair_of(before, after)
    contrast = cv2.cvtColor(before, cv2.COLOR_RGB2GRAY)[98:103, 18:23].var()
    seen = contrast / (contrast + CONTRAST_SOFTNESS**2)
    assert pair.weight[SIDE][100, 20] == pytest.approx(EVEN + (1 - EVEN) * seen, rel=1e-3)
    sand, horizon = pair.weight[SIDE][60:106].mean(), pair.weight[SIDE][:40].mean()
    assert horizon > 5 * sand
    assert sand < 0.07
    np.testing.assert_allclose(upright_turns(pair, 0)[0].degrees, (0, -6), atol=0.5)
    pair.weight = {side: np.ones((side, side), np.float32) for side in SIZES}
    assert abs(upright_turns(pair, 0)[0].degrees[1]) < 1  # where all of the picture counts alike, it stands still


def test_hills_that_stay_say_that_nothing_turns_though_what_is_near_moves() -> None:
    """A player walks sideways past a wall: what he passes moves by 5 pixels, the hills behind it by none."""
    before, wall = world(), world(1)
    before[:24] = 200  # sky
    after = before.copy()
    before[76:], after[76:] = wall[76:], np.roll(wall, -5, axis=1)[76:]
    pair = pair_of(before, after)
    assert np.abs(upright_turns(pair, 0)[0].degrees).max() < 0.3
    step = cv2.absdiff(pair.before.grey, pair.after.grey)
    pair.weight = weights(np.where(cv2.blur(step, (5, 5)) > 0, 1, 0.1).astype(np.float32))
    assert abs(upright_turns(pair, 0)[0].degrees[1]) > 3  # where only what changes counts, he turns


def test_numbers_are_the_turns_best_first_any_turn_and_no_turn() -> None:
    motion = found(*looks(50, [(0, 0), (2, -7)]))
    numbers = motion.numbers
    assert numbers.shape == (NUMBERS,) == (3 * ANSWERS + 1,)
    answers = numbers[: 3 * ANSWERS].reshape(ANSWERS, 3)
    for turn, (pitch, yaw, misfit) in zip(motion.turns, answers, strict=False):
        np.testing.assert_allclose((pitch, yaw), turn.degrees / TURN_UNIT_DEG, rtol=1e-6)
        assert misfit == np.float32(turn.misfit)
    np.testing.assert_allclose(answers[-1, :2] * TURN_UNIT_DEG, (2, -7), atol=0.2)
    assert answers[-1, 2] == np.float32(motion.free.misfit)
    assert answers[0, 2] < 0.3 < numbers[-1] == np.float32(motion.still)
    assert motion.tilt == pytest.approx(50, abs=3)


def test_a_repeating_wall_turns_as_little_as_it_may() -> None:
    stripes = np.repeat(np.tile([40, 200], 8), 8).astype(np.uint8)
    wall = np.repeat(np.tile(stripes[:, None], (1, SIDE))[..., None], 3, axis=2)  # rows repeat after 16 pixels
    motion = found(wall, np.roll(wall, 4, axis=0))
    assert abs(motion.turns[0].degrees[0]) == pytest.approx(np.rad2deg(4 / VIEWS[SIDE].camera[1, 1]), abs=0.4)


@pytest.mark.parametrize("level", [0, 255])
def test_an_even_picture_does_not_turn(level: int) -> None:
    frame = np.full((SIDE, SIDE, 3), level, np.uint8)
    motion = found(frame, frame)
    assert motion.still == 0
    np.testing.assert_allclose(motion.numbers[[0, 1, 2, 12, 13, 14, 15]], 0, atol=1e-6)


def test_mirrored_pictures_turn_the_other_way() -> None:
    frames = looks(30, [(0, 0), (3, -4), (1, 2)])
    straight, turned_round = (
        [motion.numbers for _, motion in ego_motions(seen)] for seen in (frames, frames[:, :, ::-1].copy())
    )
    for one, other in zip(straight, turned_round, strict=True):
        one[list(TURNED_BY_MIRROR)] *= -1
        np.testing.assert_allclose(other[[0, 1, 2, 12, 13, 14, 15]], one[[0, 1, 2, 12, 13, 14, 15]], atol=0.03)


@pytest.mark.parametrize("length", [0, 1])
def test_a_single_frame_has_no_motion(length: int) -> None:
    assert list(ego_motions(np.stack([world()] * 2)[:length])) == []
