"""The paper's rule: exact boundaries, reasons and an account that adds up."""

import numpy as np
import pytest

from models.spans import SpanRule, clean_spans, join, median_filter

RULE = SpanRule()


def samples(pattern: str) -> tuple[np.ndarray, np.ndarray, int]:
    """Scores, steps and length of a video: one letter per second, c for clean and u for unclean, 3 samples each."""
    scores = np.repeat([0.9 if letter == "c" else 0.1 for letter in pattern], 3)
    return scores, np.arange(len(scores)) * 20 // 3, 20 * len(pattern)


def test_a_clean_video_is_one_span_from_its_first_step_to_its_last() -> None:
    verdict = clean_spans(*samples("c" * 10), RULE)
    assert verdict.spans == ((0, 200),)
    assert (verdict.reason, verdict.clean_share, verdict.seconds["clean"]) == ("", 1.0, 10.0)


def test_boundaries_lie_midway_between_a_clean_and_an_unclean_sample() -> None:
    verdict = clean_spans(*samples("u" * 3 + "c" * 20), RULE)
    # Samples 8 and 9 are taken at steps 53 and 60; the first step nearer to 60 is 57.
    assert verdict.spans == ((57, 460),)
    assert verdict.seconds["unclean_frames"] == 57 / 20


def test_a_video_below_the_share_is_gated_and_its_clean_time_counted_apart() -> None:
    verdict = clean_spans(*samples("c" * 7 + "u" * 3), RULE)
    assert (verdict.spans, verdict.reason, verdict.clean_share) == ((), "below_clean_share", 0.7)
    assert verdict.seconds["below_clean_share"] == pytest.approx(7.0, abs=0.2)
    assert verdict.seconds["clean"] == 0


def test_the_gate_reads_raw_labels_and_keeps_exactly_80_percent() -> None:
    scores, steps, length = samples("c" * 20)
    scores[2::5] = 0.0  # one in five: 80 % clean before smoothing, all clean after it
    assert clean_spans(scores, steps, length, RULE).spans == ((0, length),)
    scores[1] = 0.0
    assert clean_spans(scores, steps, length, RULE).reason == "below_clean_share"


def test_the_gate_can_be_turned_off() -> None:
    verdict = clean_spans(*samples("c" * 7 + "u" * 30), SpanRule(min_clean_share=0))
    assert verdict.spans == ((0, 137),)


def test_runs_shorter_than_5_seconds_are_dropped() -> None:
    verdict = clean_spans(*samples("cccc" + "uu" + "c" * 20), RULE)
    assert verdict.seconds["run_too_short"] == pytest.approx(4.0, abs=0.2)
    assert len(verdict.spans) == 1
    only_short = clean_spans(*samples("ccccu" * 4), SpanRule(min_clean_share=0.5, median_kernel=1))
    assert (only_short.spans, only_short.reason) == ((), "no_clean_run")


def test_a_run_of_exactly_5_seconds_is_kept() -> None:
    scores = np.full(15, 0.9)
    steps = np.arange(15) * 20 // 3
    assert clean_spans(scores, steps, 100, RULE).spans == ((0, 100),)
    assert clean_spans(scores, steps, 99, RULE).reason == "no_clean_run"


def test_the_median_filter_removes_blips_of_up_to_three_samples() -> None:
    line = np.ones(30, bool)
    line[10:13] = False
    assert median_filter(line, 7).all()
    line[13] = False
    assert (~median_filter(line, 7)).sum() == 4
    assert median_filter(np.ones(5, bool), 7).all(), "the ends of a clean video must survive"


def test_touching_candidates_join_and_gaps_do_not() -> None:
    scores, steps, length = samples("c" * 20)
    assert join([(0, 100), (100, 220), (240, 400)]) == [(0, 220), (240, 400)]
    verdict = clean_spans(scores, steps, length, RULE, [(0, 100), (100, 220), (240, 400)])
    assert verdict.spans == ((0, 220), (240, 400))
    assert verdict.seconds["time_gap"] == 1.0


def test_samples_in_a_gap_do_not_vote() -> None:
    scores, steps, length = samples("c" * 10 + "u" * 10 + "c" * 10)
    verdict = clean_spans(scores, steps, length, RULE, [(0, 200), (400, 600)])
    assert (verdict.clean_share, verdict.spans) == (1.0, ((0, 200), (400, 600)))


def test_no_samples_is_a_reason_of_its_own() -> None:
    verdict = clean_spans(np.empty(0), np.empty(0, int), 3, RULE)
    assert (verdict.reason, verdict.seconds["no_samples"]) == ("no_samples", 0.15)


def test_every_second_is_accounted_for_once() -> None:
    rng = np.random.default_rng(0)
    for _ in range(50):
        length = int(rng.integers(1, 4000))
        steps = np.arange(0, length * 3 // 20 + 1) * 20 // 3
        steps = steps[steps < length]
        scores = np.repeat(rng.random(len(steps)), rng.integers(1, 30, len(steps)))[: len(steps)]
        cut = sorted(set(rng.integers(0, length + 1, 4).tolist()))
        candidates = [(a, b) for a, b in zip(cut[::2], cut[1::2], strict=False) if b > a]
        verdict = clean_spans(scores, steps, length, SpanRule(min_clean_share=float(rng.random())), candidates)
        assert sum(verdict.seconds.values()) == pytest.approx(length / 20)
        assert verdict.seconds["clean"] == pytest.approx(sum(b - a for a, b in verdict.spans) / 20)


@pytest.mark.parametrize(
    "wrong", [{"threshold": 1.5}, {"median_kernel": 6}, {"min_run_s": -1.0}, {"min_clean_share": 80}]
)
def test_wrong_rules_are_refused_by_field(wrong: dict[str, float]) -> None:
    with pytest.raises(ValueError, match=next(iter(wrong))):
        SpanRule(**wrong)  # type: ignore[arg-type]


def test_scores_must_fit_steps() -> None:
    with pytest.raises(ValueError, match="increasing"):
        clean_spans(np.zeros(3), np.array([0, 7, 7]), 20, RULE)
