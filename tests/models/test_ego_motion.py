"""The turn of the camera between two pictures: is it found, and told right?"""

import cv2
import numpy as np
import pytest

from models.ego_motion import (
    JUDGED_AT,
    KEPT,
    NUMBERS,
    SIDE,
    SIZES,
    TRIALS,
    TURN_UNIT_DEG,
    TURNED_BY_MIRROR,
    VIEWS,
    EgoMotion,
    ego_motion,
    misfit_map,
    misfits_of_trials,
    pyramid,
)


def world(seed: int = 0) -> np.ndarray:
    """A frame of blocks of several sizes: uint8 (128, 128, 3)."""
    draw, frame = np.random.default_rng(seed), np.zeros((SIDE, SIDE, 3))
    for side in (8, 16, 32):
        blocks = draw.normal(0, 30, (side, side, 3))
        frame += cv2.resize(blocks, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    return (frame + 128).clip(0, 255).astype(np.uint8)


def matrix(*degrees: float) -> np.ndarray:
    return cv2.Rodrigues(np.deg2rad(degrees))[0]


def turned(frame: np.ndarray, *degrees: float) -> np.ndarray:
    """What the camera sees after a turn: directions of the first frame, turned by `degrees`, are those of this one."""
    return VIEWS[SIDE].turned_back(frame, matrix(*degrees).T)


def found(before: np.ndarray, after: np.ndarray) -> EgoMotion:
    return ego_motion(pyramid(before), pyramid(after))


@pytest.mark.parametrize("light", [1.0, 0.4], ids=["same light", "darker"])
@pytest.mark.parametrize("degrees", [(0, 0, 0), (0.2, 0, 0), (0, -0.2, 0), (5, -3, 1), (-9, 9, 0), (0, 15, 0)])
def test_a_turn_is_found_to_a_tenth_of_a_degree(degrees: tuple[float, ...], light: float) -> None:
    frame = world()
    motion = found(frame, (turned(frame, *degrees) * light).astype(np.uint8))
    np.testing.assert_allclose(motion.turns[0].degrees, degrees, atol=0.1)
    assert motion.turns[0].misfit < 0.4  # a blurred copy, and replicated pixels beyond the edge


def test_all_trials_at_once_are_the_trials_one_by_one() -> None:
    before, after = pyramid(world()), pyramid(turned(world(), 3, -6, 1))
    maps = [misfit_map(before, after, turn, SIZES[0], JUDGED_AT[SIZES[0]]) for turn in TRIALS]
    one_by_one = [(unexplained * weight).sum() / (weight.sum() + 1) for unexplained, weight in maps]
    np.testing.assert_allclose(misfits_of_trials(before, after), one_by_one, atol=1e-5)
    assert np.ptp(one_by_one) > 0.2


def test_to_the_right_and_down_are_told_apart() -> None:
    """Directions move against the camera: a look to the right (yaw) takes what is ahead to the left."""
    frame = world()
    left, up = (np.roll(frame, -4, axis=axis) for axis in (1, 0))
    assert -5 < found(frame, left).turns[0].degrees[1] < -2  # 4 pixels are 4.6 degrees in the middle, less at the sides
    assert 2 < found(frame, up).turns[0].degrees[0] < 3  # 2.6 degrees


def test_a_moving_part_does_not_turn_the_camera() -> None:
    frame, other = world(), world(1)
    after = turned(frame, 2, 3, 0)
    after[20:60, 10:60] = other[20:60, 10:60]  # a tenth of the picture is something else
    after[112:, 30:98] = frame[112:, 30:98]  # bars stay
    np.testing.assert_allclose(found(frame, after).turns[0].degrees, (2, 3, 0), atol=0.1)


def test_numbers_are_the_turns_best_first_and_no_turn() -> None:
    frame = world()
    motion = found(frame, turned(frame, 4, 0, 0))
    numbers = motion.numbers
    assert numbers.shape == (NUMBERS,) == (4 * KEPT + 1,)
    np.testing.assert_allclose(numbers[:3] * TURN_UNIT_DEG, motion.turns[0].degrees, rtol=1e-6)
    assert numbers[3] == np.float32(motion.turns[0].misfit)
    assert numbers[3] < 0.3 < numbers[-1]
    assert [t.price for t in motion.turns] == sorted(t.price for t in motion.turns)


def test_a_repeating_wall_turns_as_little_as_it_may() -> None:
    stripes = np.repeat(np.tile([40, 200], 8), 8).astype(np.uint8)
    wall = np.repeat(np.tile(stripes[:, None], (1, SIDE))[..., None], 3, axis=2)  # rows repeat after 16 pixels
    motion = found(wall, np.roll(wall, 4, axis=0))
    assert abs(motion.turns[0].degrees[0]) == pytest.approx(np.rad2deg(4 / VIEWS[SIDE].camera[1, 1]), abs=0.4)


@pytest.mark.parametrize("level", [0, 255])
def test_an_even_picture_does_not_turn(level: int) -> None:
    frame = np.full((SIDE, SIDE, 3), level, np.uint8)
    motion = found(frame, frame)
    assert motion.still.misfit == 0
    np.testing.assert_allclose(motion.numbers[:4], 0, atol=1e-6)


def test_mirrored_pictures_turn_the_other_way() -> None:
    frame = world()
    after = turned(frame, 3, -4, 1)
    straight = found(frame, after).numbers
    turned_round = found(frame[:, ::-1].copy(), after[:, ::-1].copy()).numbers
    straight[list(TURNED_BY_MIRROR)] *= -1
    np.testing.assert_allclose(turned_round[:4], straight[:4], atol=0.03)
