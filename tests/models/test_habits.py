"""Habits of turning: counted by hand, applied as the sum over all paths, and holes in turns that they fill."""

from dataclasses import replace
from itertools import pairwise, product

import numpy as np
import pytest

from models.action_schema import load_schema
from models.actions import MINECRAFT, bins_to_camera
from models.dataset import Episode
from models.habits import UNSEEN, habits_of, steadied

K = MINECRAFT.camera.bins
STILL = K // 2


def turning(yaw_bins: list[int], weight: list[int] | None = None) -> Episode:
    """One episode of these bins of yaw, and no pitch."""
    length = len(yaw_bins)
    bins = np.stack([np.full(length, STILL), np.array(yaw_bins)], axis=1)
    known = np.array(weight or [1] * length, np.float32)
    return Episode(
        "e", "w", np.zeros((length, 1, 1, 3), np.uint8), np.zeros((length, 20), bool), bins_to_camera(bins), known
    )


def test_a_habit_is_how_much_likelier_a_bin_is_after_another_than_at_large() -> None:
    """Three times 5 to 7, once 7 to 5; turned round, 5 to 3 and 3 to 5."""
    found = habits_of([turning([5, 7]), turning([5, 7]), turning([5, 7, 5])], MINECRAFT)
    assert found.shape == (2, K, K)
    counts = np.full((K, K), 2 * UNSEEN)
    counts[5, 7] = counts[5, 3] = 2 * UNSEEN + 3
    counts[7, 5] = counts[3, 5] = 2 * UNSEEN + 1
    after, at_large = counts / counts.sum(1, keepdims=True), counts.sum(0) / counts.sum()
    np.testing.assert_allclose(found[1], np.log(after / at_large), rtol=1e-5)
    np.testing.assert_allclose(found[1], found[1, ::-1, ::-1], rtol=1e-5)


def test_steps_to_or_from_unknown_frames_and_from_one_episode_to_the_next_do_not_count() -> None:
    with_gap = habits_of([turning([5, 7, 5, 2], weight=[1, 0, 1, 1])], MINECRAFT)
    np.testing.assert_array_equal(with_gap, habits_of([turning([5, 2])], MINECRAFT))
    apart = habits_of([turning([5]), turning([7])], MINECRAFT)
    np.testing.assert_array_equal(apart, habits_of([], MINECRAFT))
    assert not apart[1].any(), "nothing seen, no habit"


def test_a_game_that_cannot_be_mirrored_is_counted_as_it_is() -> None:
    schema = load_schema("desktop")
    bins = np.array([[7, 3], [7, 4]])
    episode = replace(turning([5, 5]), camera_deg=bins_to_camera(bins, schema), schema=schema)
    found = habits_of([episode], schema)
    assert found.shape == (2, 15, 15)
    assert found[1, 3, 4] > found[1, 11, 10] + 0.5


def test_each_frame_has_the_sum_over_all_paths() -> None:
    rng = np.random.default_rng(0)
    log_probs, habits = rng.normal(size=(4, 2, 3)), rng.normal(size=(2, 3, 3)).astype(np.float32)
    expected = np.zeros((4, 2, 3))
    for axis, path in product(range(2), product(range(3), repeat=4)):
        score = sum(log_probs[t, axis, b] for t, b in enumerate(path))
        score += 0.7 * sum(habits[axis, a, b] for a, b in pairwise(path))
        for t, b in enumerate(path):
            expected[t, axis, b] += np.exp(score)
    expected /= expected.sum(-1, keepdims=True)
    np.testing.assert_allclose(np.exp(steadied(log_probs, habits, 0.7)), expected, atol=1e-6)


def test_a_hole_in_a_turn_is_filled_and_a_sure_stop_stays() -> None:
    turns = habits_of([turning([5] * 30 + [9] * 30 + [5] * 30)], MINECRAFT)
    sure, unsure = np.full(K, np.log(0.01)), np.full(K, np.log(0.05))
    frames = np.stack([np.stack([sure] * 2)] * 7)
    frames[:, 1, 9], frames[3, 1] = np.log(0.9), unsure  # turns to the right, one frame of which shows nothing
    frames[3, 1, 5], frames[3, 1, 9] = np.log(0.3), np.log(0.25)
    assert steadied(frames, turns, 0.33)[3, 1].argmax() == 9
    assert frames[3, 1].argmax() == 5
    frames[3, 1] = sure
    frames[3, 1, 5] = np.log(0.999)
    assert steadied(frames, turns, 0.33)[3, 1].argmax() == 5


@pytest.mark.parametrize("length", [1, 2, 50])
def test_no_habit_or_no_weight_changes_nothing(length: int) -> None:
    log_probs = np.log(np.random.default_rng(1).dirichlet(np.ones(K), size=(length, 2))).astype(np.float32)
    habits = habits_of([turning([5, 6, 7, 8, 5])], MINECRAFT)
    np.testing.assert_allclose(steadied(log_probs, np.zeros_like(habits), 0.5), log_probs, atol=1e-4)
    np.testing.assert_allclose(steadied(log_probs, habits, 0.0), log_probs, atol=1e-4)


def test_frames_that_contradict_each_other_stay_finite() -> None:
    """Surer than a float can say, and a step that was never seen."""
    log_probs = np.full((3, 2, K), -1000.0, np.float32)
    log_probs[0, :, 0] = log_probs[1, :, K - 1] = log_probs[2, :, 0] = 0
    found = steadied(log_probs, habits_of([turning([5] * 200)], MINECRAFT), 1.0)
    assert np.isfinite(found).all()
    assert found[:, 0].argmax(-1).tolist() == [0, K - 1, 0]
