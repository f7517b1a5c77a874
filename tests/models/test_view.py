"""The geometry of a picture, and which of its pixels count."""

import cv2
import numpy as np
import pytest

from models.view import ASPECT, HAND, HAND_TURNING, SIDE, SIZES, VIEW_DEG, VIEWS, View, weights


def test_the_top_of_the_picture_is_half_the_field_of_view_up() -> None:
    view = View(SIDE)
    x, y, z = view.inverse @ [(SIDE - 1) / 2, -0.5, 1]
    assert x == pytest.approx(0)
    assert np.rad2deg(np.arctan2(-y, z)) == pytest.approx(VIEW_DEG / 2)
    x, y, z = view.inverse @ [SIDE - 0.5, (SIDE - 1) / 2, 1]
    assert x / z == pytest.approx(ASPECT * np.tan(np.deg2rad(VIEW_DEG / 2)))
    assert y == pytest.approx(0)


@pytest.mark.parametrize("axis", [0, 1, 2], ids=["pitch", "yaw", "roll"])
@pytest.mark.parametrize("side", SIZES)
def test_pixels_move_with_a_small_turn_as_its_derivative_says(side: int, axis: int) -> None:
    view, small = VIEWS[side], 1e-4
    turn = cv2.Rodrigues(small * np.eye(3)[axis])[0]
    here = np.indices((side, side))[::-1].transpose(1, 2, 0).astype(float)
    moved = (cv2.perspectiveTransform(here, view.moved(turn)) - here) / small
    expected = np.stack([view.rightward[axis], view.downward[axis]], axis=-1)
    np.testing.assert_allclose(moved, expected, atol=0.01 * side)
    assert np.abs(expected).max() > 0.2 * side


def test_a_picture_is_turned_back_and_says_what_it_did_not_show() -> None:
    picture, turn = np.full((SIDE, SIDE), 7, np.float32), cv2.Rodrigues(np.deg2rad([0.0, 10.0, 0.0]))[0]
    assert (VIEWS[SIDE].turned_back(picture, turn) == 7).all()
    unseen = VIEWS[SIDE].turned_back(picture, turn, outside=1e4) > 7
    assert 0.05 < unseen.mean() < 0.2  # 10 of some 104 degrees across
    assert unseen.any(axis=0)[[0, -1]].sum() == 1  # on one side


@pytest.mark.parametrize("side", SIZES)
def test_bars_and_crosshair_do_not_count_and_the_hand_little(side: int) -> None:
    scale, turning = SIDE // side, weights(np.ones((SIDE, SIDE), np.float32))[side]
    for weight, hand in ((VIEWS[side].weight, HAND), (turning, HAND_TURNING)):
        assert (weight[-(-106 // scale) :, 32 // scale : 88 // scale] == 0).all()
        assert weight[64 // scale - 1, 64 // scale - 1] < 0.5 or side == SIDE
        assert weight[80 // scale + 1, 100 // scale] == pytest.approx(hand)
        assert weight[20 // scale, 20 // scale] == 1


def test_a_place_counts_as_much_as_is_said_on_all_sizes() -> None:
    counts = np.full((SIDE, SIDE), 0.1, np.float32)
    counts[:64] = 0.8
    found = weights(counts)
    assert list(found) == list(SIZES)
    for side, weight in found.items():
        assert weight.shape == (side, side)
        assert weight[side // 4, side // 4] == pytest.approx(0.8)
        assert weight[side * 3 // 4, side // 4] == pytest.approx(0.1)
