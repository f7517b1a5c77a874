"""Families of turns: do their numbers turn the camera as a player's mouse does?"""

import numpy as np
import pytest

from models.turns import SEARCHED_DEG, TILTS_APART_DEG, Family, Free, Upright, rotation, trials, vector
from models.view import SIZES, VIEWS


@pytest.mark.parametrize("tilt", [-60, 0, 25, 80])
def test_an_upright_camera_stays_upright(tilt: float) -> None:
    """A direction on the horizon stays on it, and the view then looks down by tilt + pitch."""
    pitch, yaw = 7.0, 12.0
    turn = Upright(np.deg2rad(tilt)).matrix(np.deg2rad([pitch, yaw]))

    def seen(direction: np.ndarray, down: float) -> np.ndarray:
        return rotation(np.deg2rad([down, 0.0, 0.0])) @ direction

    for bearing in (0, 40, 200):
        ahead = np.array([np.sin(np.deg2rad(bearing)), 0.3, np.cos(np.deg2rad(bearing))])
        later = np.array([np.sin(np.deg2rad(bearing - yaw)), 0.3, np.cos(np.deg2rad(bearing - yaw))])
        np.testing.assert_allclose(turn @ seen(ahead, tilt), seen(later, tilt + pitch), atol=1e-9)


@pytest.mark.parametrize(
    ("family", "numbers"),
    [(Free(), [0.0, 0.0, 0.0]), (Upright(0.7), [0.2, -0.3]), (Upright(-0.4), [-0.1, 0.25])],
    ids=["free", "down", "up"],
)
def test_a_small_step_turns_about_the_axes(family: Family, numbers: list[float]) -> None:
    start = np.array(numbers)
    for step in 1e-4 * np.eye(len(start)):
        expected = family.matrix(start) @ rotation(family.axes(start).T.astype(float) @ step)
        np.testing.assert_allclose(family.matrix(family.stepped(start, step)), expected, atol=1e-7)


def test_free_turns_go_on_from_where_they_are() -> None:
    start, step = np.array([0.2, -0.1, 0.3]), np.array([0.05, 0.02, -0.04])
    after = Free().stepped(start, step)
    np.testing.assert_allclose(rotation(after), rotation(start) @ rotation(step), atol=1e-12)
    np.testing.assert_allclose(vector(rotation(start)), start, atol=1e-12)


@pytest.mark.parametrize("tilt_deg", [0, 40, -87])
def test_trials_place_each_pixel_where_the_turn_takes_it(tilt_deg: float) -> None:
    tried = trials(np.deg2rad(tilt_deg))
    side, view = SIZES[0], VIEWS[SIZES[0]]
    assert tried.numbers.shape == (np.prod([len(degrees) for degrees in SEARCHED_DEG]), 2)
    assert tried.places[0].shape == (len(tried.numbers) * side, side)
    nearest = round(tilt_deg / TILTS_APART_DEG) * TILTS_APART_DEG
    for i in (0, 30, 84, 168):
        there = view.moved(Upright(np.deg2rad(nearest)).matrix(tried.numbers[i])) @ [5, 20, 1]
        np.testing.assert_allclose(tried.places[0][i * side + 20, 5], there[0] / there[2], rtol=1e-4)
        np.testing.assert_allclose(tried.places[1][i * side + 20, 5], there[1] / there[2], rtol=1e-4)


def test_trials_of_one_tilt_are_made_once() -> None:
    assert trials(0.5) is trials(0.5 + np.deg2rad(TILTS_APART_DEG / 10))
