"""Metrics on small arrays whose figures can be worked out by hand."""

import numpy as np
import pytest

from models import metrics
from models.actions import BUTTONS

ATTACK, FORWARD = BUTTONS.index("attack"), BUTTONS.index("forward")


def presses(length: int, button: int, *frames: int) -> np.ndarray:
    buttons = np.zeros((length, len(BUTTONS)), dtype=bool)
    buttons[list(frames), button] = True
    return buttons


def test_precision_recall_and_f1() -> None:
    predicted, true = np.array([1, 1, 0, 0, 1], bool), np.array([1, 0, 1, 0, 1], bool)
    row = metrics.prf(predicted, true)
    assert row == {
        "precision": pytest.approx(2 / 3),
        "recall": pytest.approx(2 / 3),
        "f1": pytest.approx(2 / 3),
        "hits": 2,
        "predicted": 3,
        "count": 3,
    }


def test_nothing_claimed_and_nothing_there_is_zero_not_an_error() -> None:
    assert metrics.prf(np.zeros(3, bool), np.zeros(3, bool))["f1"] == 0.0


def test_events_are_press_and_release_on_the_exact_frame() -> None:
    press, release = metrics.events(presses(6, ATTACK, 2, 3), np.zeros(6, int))
    assert np.argwhere(press).tolist() == [[2, ATTACK]]
    assert np.argwhere(release).tolist() == [[4, ATTACK]]


def test_no_event_crosses_recordings() -> None:
    """Held at the end of one and not in the next: that is no release."""
    press, release = metrics.events(presses(4, ATTACK, 0, 1), np.array([0, 0, 1, 1]))
    assert not press.any()
    assert not release.any()


def test_a_label_one_frame_late_keeps_its_frame_score_and_loses_its_event_score() -> None:
    true = presses(400, FORWARD, *[t for t in range(400) if t % 4 < 2])
    rows = metrics.button_metrics(np.roll(true, 1, axis=0), true, np.zeros(400, int))
    assert rows["forward"]["frames"]["f1"] == pytest.approx(0.5)
    assert rows["forward"]["events"]["f1"] == 0.0


def test_macro_f1_leaves_out_rare_buttons() -> None:
    true = presses(200, FORWARD, *range(0, 200, 2)) | presses(200, ATTACK, 5)
    rows = metrics.button_metrics(presses(200, FORWARD, *range(0, 200, 2)), true, np.zeros(200, int))
    assert metrics.macro_f1(rows, "events") == 1.0
    assert rows["all"]["events"]["count"] == 199 + 2  # forward toggles on every frame but the first, attack twice
    assert metrics.macro_f1(metrics.button_metrics(true[:9], true[:9], np.zeros(9, int)), "events") is None


def test_keypress_accuracy_micro_and_joint() -> None:
    true = presses(10, ATTACK, 0, 1)
    accuracy = metrics.keypress_accuracy(np.zeros_like(true), true)
    assert accuracy == {"micro": pytest.approx(1 - 2 / 200), "joint": pytest.approx(0.8)}


def test_camera_r2_clips_to_ten_degrees() -> None:
    """A flick of 90 degrees counts as 10: beyond that the bins cannot follow."""
    true = np.array([[0.0, 90.0], [0.0, -3.0], [0.0, 0.0]])
    assert metrics.camera_r2(np.clip(true, -10, 10), true)["yaw"] == 1.0
    assert metrics.camera_r2(true, true)["pitch"] is None
    assert metrics.camera_r2(np.zeros_like(true), true)["mean"] < 0


def test_camera_metrics_of_perfect_bins_reach_the_ceiling() -> None:
    true = np.random.default_rng(0).normal(0, 4, (500, 2))
    centres = metrics.bins_to_camera(metrics.camera_to_bins(true))
    row = metrics.camera_metrics(centres, true, true)
    assert row["r2"] == row["r2_ceiling"]
    assert 0.9 < row["r2"]["mean"] < 1.0
    assert row["r2_expected"]["mean"] == 1.0
    assert np.array(row["confusion"]["yaw"]).trace() == 500
    assert row["bin_accuracy"] == {"pitch": 1.0, "yaw": 1.0}


def test_null_share_needs_no_button_and_a_still_camera() -> None:
    camera = np.array([[0.0, 0.0], [0.2, 0.0], [0.3, 0.0], [0.0, 0.0]])
    assert metrics.null_share(presses(4, ATTACK, 3), camera) == 0.5


def test_calibration_error_of_an_honest_and_of_a_boastful_model() -> None:
    correct = np.arange(1000) % 10 < 7
    assert metrics.calibration_error(np.full(1000, 0.7), correct) == pytest.approx(0.0)
    assert metrics.calibration_error(np.full(1000, 1.0), correct) == pytest.approx(0.3)


def test_reliability_tells_where_the_confidence_is_wrong() -> None:
    rows = metrics.reliability(np.repeat([0.2, 0.9], [300, 100]), np.repeat([False, True, False], [240, 60, 100]))
    assert [(r["confidence"], r["accuracy"], r["share"]) for r in rows] == [
        (pytest.approx(0.2), pytest.approx(0.2), 0.75),
        (pytest.approx(0.9), 0.0, 0.25),
    ]


def test_presses_and_releases_are_told_apart() -> None:
    """Pressed on time and let go one frame late: the presses are perfect, the releases all wrong."""
    true = presses(60, FORWARD, *[t for t in range(60) if t % 6 in (1, 2)])
    late = presses(60, FORWARD, *[t for t in range(60) if t % 6 in (1, 2, 3)])
    row = metrics.button_metrics(late, true, np.zeros(60, int))["forward"]
    assert (row["presses"]["f1"], row["releases"]["f1"], row["events"]["f1"]) == (1.0, 0.0, 0.5)


def test_the_headline_names_which_camera_figure_is_which() -> None:
    """Labels are the likeliest bins; the expected degrees are beside them under their own name."""
    true = np.random.default_rng(0).normal(0, 4, (500, 2))
    nothing = np.zeros((500, 20), bool)
    centres = metrics.bins_to_camera(metrics.camera_to_bins(true))
    row = metrics.headline(metrics.summary(nothing, nothing, centres, true, np.zeros(500, int), true, np.ones(500)))
    assert row["camera_r2_expected_yaw"] == 1.0
    assert 0.9 < row["camera_r2_yaw"] < 1.0
    assert row["camera_bin_accuracy_pitch"] == row["joint_accuracy"] == 1.0
    assert row["calibration_error"] == 0.0


def test_summary_of_the_truth_is_perfect() -> None:
    rng = np.random.default_rng(1)
    true, camera = rng.random((600, 20)) < 0.3, rng.normal(0, 3, (600, 2))
    row = metrics.summary(true, true, camera, camera, np.zeros(600, int), camera, np.ones(600))
    assert row["event_f1"] == row["frame_f1"] == row["exact_action_accuracy"] == 1.0
    assert row["confidence"]["expected_calibration_error"] == 0.0
    assert row["null_share"]["true"] == row["null_share"]["predicted"]


def test_baselines_score_high_per_key_and_nothing_on_events() -> None:
    """The reason why accuracy never stands alone: holding a key for 20 frames makes persistence 95 % right."""
    true = presses(2000, FORWARD, *[t for t in range(2000) if t % 40 < 20])
    rows = metrics.baselines(true, np.zeros((2000, 2)), np.zeros(2000, int))
    assert rows["persistence"]["keypress_accuracy"]["joint"] == pytest.approx(0.95, abs=0.001)
    assert rows["persistence"]["event_f1"] == 0.0
    assert rows["always_released"]["keypress_accuracy"]["micro"] == pytest.approx(0.975)
    assert rows["always_released"]["event_f1"] == 0.0


def test_no_frames_are_an_error() -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        metrics.summary(
            np.zeros((0, 20), bool), np.zeros((0, 20), bool), np.zeros((0, 2)), np.zeros((0, 2)), np.zeros(0, int)
        )
