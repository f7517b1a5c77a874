"""Two pictures and a turn between them: what fits, what counts, what many trials at once say."""

import cv2
import numpy as np
import pytest

from models.alignment import CONTRAST_SOFTNESS, EVEN, JUDGED_AT, pyramid
from models.turns import Free, Upright, trials
from models.view import SIDE, SIZES, VIEWS
from tests.models.test_ego_motion import matrix, pair_of, turned, world


def test_a_frame_is_seen_in_grey_and_in_even_contrast_on_all_sizes() -> None:
    frame = world()
    dark = (frame * 0.5).astype(np.uint8)
    bright, dim = pyramid(frame), pyramid(dark)
    np.testing.assert_array_equal(bright.grey, cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY))
    for side in SIZES:
        assert bright.even[side].shape == (side, side)
        assert np.abs(bright.even[side] - dim.even[side]).mean() < 0.1 * bright.even[side].std()


def test_the_true_turn_fits_and_no_turn_does_not() -> None:
    pair = pair_of(world(), turned(world(), 4, -6, 0))
    for side in SIZES:
        assert pair.misfit(matrix(4, -6, 0), side) < 0.3 < 0.4 < pair.misfit(np.eye(3), side)
    unexplained, weight = pair.misfit_map(matrix(4, -6, 0), SIDE, JUDGED_AT[SIDE])
    assert unexplained.shape == weight.shape == (SIDE, SIDE)
    assert pair.misfit(matrix(4, -6, 0)) == pytest.approx((unexplained * weight).sum() / (weight.sum() + 1), rel=1e-6)
    unseen = VIEWS[SIDE].turned_back(np.ones((SIDE, SIDE), np.float32), matrix(4, -6, 0), outside=1e4) > 5e3
    assert unseen.any()
    assert not weight[unseen].any(), "beyond the edge nothing counts"


@pytest.mark.parametrize("tilt_deg", [0, 50])
def test_all_trials_at_once_are_the_trials_one_by_one(tilt_deg: float) -> None:
    pair, tried = pair_of(world(), turned(world(), 3, -6, 1)), trials(np.deg2rad(tilt_deg))
    one_by_one = [pair.misfit(Upright(np.deg2rad(tilt_deg)).matrix(turn), SIZES[0]) for turn in tried.numbers]
    np.testing.assert_allclose(pair.misfits(tried), one_by_one, atol=1e-5)
    assert np.ptp(one_by_one) > 0.2


def test_a_place_counts_by_its_contrast_whether_it_changes_or_not() -> None:
    """Stripes of 3 pixels, by as much darker and brighter than their mean as counts half; below them it grows dark."""
    frame = np.full((SIDE, SIDE, 3), 100, np.uint8)
    frame[:60] += (CONTRAST_SOFTNESS * np.sign(np.sin(np.arange(SIDE) * np.pi / 3 + 0.1))).astype(np.uint8)[:, None]
    darker = frame.copy()
    darker[60:] -= 50
    for after in (frame, darker):
        weight = pair_of(frame, after).weight[SIDE]
        assert weight[20, 20] == pytest.approx(EVEN + (1 - EVEN) / 2, abs=0.02)
        assert weight[80, 20] == pytest.approx(EVEN)


def test_refinement_comes_nearer_and_stays_in_its_family() -> None:
    pair = pair_of(world(), turned(world(), 2, -3, 0))
    true, far = np.deg2rad([2.0, 3.0]), np.deg2rad([1.0, 1.5])
    upright = pair.refined(Upright(0.0), far, SIDE)
    assert np.abs(upright - true).max() < 0.5 * np.abs(far - true).max()
    free = pair.refined(Free(), np.deg2rad([1.5, -2.5, 0.5]), SIDE)
    np.testing.assert_allclose(np.rad2deg(free), (2, -3, 0), atol=0.3)


def test_an_even_picture_says_nothing_and_stays_where_it_was() -> None:
    grey = np.full((SIDE, SIDE, 3), 90, np.uint8)
    pair, start = pair_of(grey, grey), np.deg2rad([3.0, -2.0])
    np.testing.assert_array_equal(pair.refined(Upright(0.3), start, SIDE), start)
