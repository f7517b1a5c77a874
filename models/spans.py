"""The paper's rule from scores to clean spans (Appendix A.2): gate the video, smooth, keep runs of at least 5 seconds.

In: a clean score per sampled frame (3 per second). Out: spans in steps of the 20 Hz grid, and where every second of the
video went. In VPT segments fall out of the filter, so the rule sees the whole video: a span may be part of a candidate
clip, and candidate clips that touch are joined. Time that breaks is never bridged.

A step belongs to its nearest sample (ties: the later one), so a boundary lies midway between a clean and an unclean
sample. That is right on average and at most 1/6 s wrong at 3 samples per second.
"""

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

STEPS_PER_S = 20

CLEAN = "clean"
UNCLEAN_FRAMES = "unclean_frames"
RUN_TOO_SHORT = "run_too_short"
BELOW_CLEAN_SHARE = "below_clean_share"
NO_SAMPLES = "no_samples"
NO_CLEAN_RUN = "no_clean_run"
TIME_GAP = "time_gap"
FATES = (CLEAN, UNCLEAN_FRAMES, RUN_TOO_SHORT, BELOW_CLEAN_SHARE, NO_SAMPLES, TIME_GAP)
"""Where a second of video can go. `below_clean_share` counts what would have been clean but for the gate; `time_gap` is
a frozen picture between two candidate clips; `no_samples` is a candidate clip too short to hold a sample."""


@dataclass(frozen=True, kw_only=True)
class SpanRule:
    """The paper's numbers (reference: VPT, Appendix A.2)."""

    threshold: float = 0.5
    """Score, 0 to 1, from which a sample counts as clean."""
    median_kernel: int = 7
    """Samples under the median filter, odd; 1 means no smoothing."""
    min_run_s: float = 5.0
    """Shortest clean run that is kept, in seconds."""
    min_clean_share: float = 0.8
    """Share of the video's samples that must be clean before smoothing; 0 turns the gate off."""

    def __post_init__(self) -> None:
        for name in ("threshold", "min_clean_share"):
            if not 0 <= (value := getattr(self, name)) <= 1:
                raise ValueError(f"{name}: expected 0 to 1, got {value}")
        if self.median_kernel < 1 or self.median_kernel % 2 == 0:
            raise ValueError(f"median_kernel: expected an odd number from 1, got {self.median_kernel}")
        if self.min_run_s < 0:
            raise ValueError(f"min_run_s: expected 0 or more seconds, got {self.min_run_s}")


@dataclass(frozen=True)
class Verdict:
    """What the rule says of one video."""

    spans: tuple[tuple[int, int], ...]
    """Clean spans, [start, end) in 20 Hz steps, in order."""
    reason: str
    """Why there is no span: `below_clean_share`, `no_clean_run`, `no_samples`; empty if there is one."""
    clean_share: float
    """Share of samples that are clean before smoothing, 0 to 1."""
    seconds: Mapping[str, float] = field(default_factory=dict)
    """Seconds of the video by fate (`FATES`); they add up to its length."""


def clean_spans(
    scores: np.ndarray,
    sample_steps: np.ndarray,
    steps: int,
    rule: SpanRule,
    candidates: Sequence[tuple[int, int]] | None = None,
) -> Verdict:
    """Judge one video.

    Args:
        scores: (N,) clean score of each sample, 0 to 1.
        sample_steps: (N,) the step at which each sample was taken, increasing.
        steps: length of the video in steps.
        candidates: candidate clips, [start, end) in steps, in order; None means the whole video is one.

    Raises:
        ValueError: scores and steps do not belong together.
    """
    scores, sample_steps = np.asarray(scores), np.asarray(sample_steps)
    if scores.shape != sample_steps.shape or (np.diff(sample_steps) <= 0).any():
        raise ValueError(f"expected one increasing step per score, got {scores.shape} and {sample_steps.shape}")
    is_clean = scores >= rule.threshold
    stretches = join([(0, steps)] if candidates is None else candidates)
    inside = np.zeros(len(scores), bool)
    spans: list[tuple[int, int]] = []
    counts = dict.fromkeys(FATES, 0)
    counts[TIME_GAP] = steps - sum(end - start for start, end in stretches)
    for start, end in stretches:
        mine = (sample_steps >= start) & (sample_steps < end)
        inside |= mine
        for (a, b), fate in _judge_stretch(is_clean[mine], sample_steps[mine], start, end, rule):
            counts[fate] += b - a
            if fate == CLEAN:
                spans.append((a, b))
    share = float(is_clean[inside].mean()) if inside.any() else 0.0
    return _gate(spans, counts, share, bool(inside.any()), rule)


def _gate(
    spans: list[tuple[int, int]], counts: dict[str, int], share: float, has_samples: bool, rule: SpanRule
) -> Verdict:
    reason = ""
    if not has_samples:
        reason = NO_SAMPLES
    elif share < rule.min_clean_share:
        reason = BELOW_CLEAN_SHARE
        counts[BELOW_CLEAN_SHARE], counts[CLEAN], spans = counts[CLEAN], 0, []
    elif not spans:
        reason = NO_CLEAN_RUN
    seconds = {fate: count / STEPS_PER_S for fate, count in counts.items()}
    return Verdict(tuple(spans), reason, round(share, 6), seconds)


def _judge_stretch(
    is_clean: np.ndarray, sample_steps: np.ndarray, start: int, end: int, rule: SpanRule
) -> list[tuple[tuple[int, int], str]]:
    """Cut one stretch of continuous time into pieces with a fate each; the pieces cover it."""
    if len(is_clean) == 0:
        return [((start, end), NO_SAMPLES)]
    pieces = []
    shortest = rule.min_run_s * STEPS_PER_S
    for first, last, clean in runs(median_filter(is_clean, rule.median_kernel)):
        a = start if first == 0 else _midway(sample_steps[first - 1], sample_steps[first])
        b = end if last == len(is_clean) else _midway(sample_steps[last - 1], sample_steps[last])
        fate = UNCLEAN_FRAMES if not clean else CLEAN if b - a >= shortest else RUN_TOO_SHORT
        pieces.append(((a, b), fate))
    return pieces


def _midway(before: int, after: int) -> int:
    """The first step that is nearer to `after`, or as near."""
    return int(-(-(int(before) + int(after)) // 2))


def median_filter(is_clean: np.ndarray, kernel: int) -> np.ndarray:
    """Majority of each sample's `kernel` neighbours, (N,) bool. The ends repeat, so a video's first seconds survive."""
    half = kernel // 2
    padded = np.pad(np.asarray(is_clean, bool), half, mode="edge")
    votes = np.convolve(padded.astype(np.int64), np.ones(kernel, np.int64), mode="valid")
    return votes > half


def runs(values: np.ndarray) -> list[tuple[int, int, bool]]:
    """Runs of equal values as (first, one past the last, value)."""
    edges = np.flatnonzero(np.diff(np.asarray(values).astype(np.int8))) + 1
    bounds = [0, *edges.tolist(), len(values)]
    return [(a, b, bool(values[a])) for a, b in itertools.pairwise(bounds) if b > a]


def join(candidates: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Candidate clips that touch become one stretch; a gap between two keeps them apart."""
    stretches: list[tuple[int, int]] = []
    for start, end in candidates:
        if stretches and stretches[-1][1] == start:
            stretches[-1] = (stretches[-1][0], end)
        else:
            stretches.append((start, end))
    return stretches
