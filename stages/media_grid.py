"""Exact time: the 20 Hz grid, samples at 3 per second, candidate clips. Integers only, so nothing drifts.

The IDM saw 20 Hz video only (reference: paper, Appendix B and D), so every source is resampled: step k stands for the
time k/20 s after the first frame, and shows the last source frame whose time stamp is not later.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

STEPS_PER_S = 20
"""Steps of the grid per second: the rate of contractor recordings."""
SAMPLES_PER_S = 3
"""Frames per second that the clean filter looks at (paper, Appendix A.2)."""
GAP_S = Fraction(1, 2)
"""A longer silence between two frames is a break in time: no clip may run across it."""
_MILLISECOND = Fraction(1, 1000)


class Span(NamedTuple):
    """Steps start (included) to end (excluded) of a video's grid."""

    start: int
    end: int


@dataclass(frozen=True)
class Grid:
    """Which source frame stands for each 1/20 s of a video.

    frame: int32 (S,) index of the source frame in presentation order.
    pts_us: int64 (S,) time of that frame in microseconds from the first frame, rounded down.
    first_pts, time_base: raw time stamp of the first frame, in units of `time_base` seconds.
    is_regular: every packet decoded, no picture was marked as corrupt, and every raw time stamp was present and later
        than the one before, so that a frame found by its time after a seek is the frame that was found by counting.
    """

    frame: np.ndarray[Any, np.dtype[np.int32]]
    pts_us: np.ndarray[Any, np.dtype[np.int64]]
    first_pts: int
    time_base: Fraction
    is_regular: bool

    def __len__(self) -> int:
        return len(self.frame)


class Clock:
    """Repairs time stamps as frames come: missing ones are estimated, and time always moves forward."""

    def __init__(self, time_base: Fraction, rate: Fraction | None) -> None:
        self.time_base = time_base
        self.first_pts = 0
        self.repaired = 0
        self.gap = int(GAP_S / time_base)
        """Ticks in `GAP_S`; 0 where a tick is longer, so that no two frames are continuous."""
        claimed = round(1 / ((rate or Fraction(30)) * time_base))
        self._nominal = max(1, min(claimed, self.gap))
        self._offset = 0
        self._last: int | None = None

    @property
    def nominal(self) -> int:
        """Length of a frame in ticks, by the latest two frames that were close together."""
        return self._nominal

    def push(self, pts: int | None, dts: int | None) -> int:
        """Ticks of the next frame since the first frame; strictly later than the frame before."""
        raw = pts if pts is not None else dts
        if self._last is None:
            self.first_pts, self._last = raw or 0, 0
            self.repaired += pts is None
            return 0
        expected = self._last + self._nominal
        ticks = raw - self.first_pts + self._offset if raw is not None else expected
        if ticks <= self._last:
            if self._last - ticks > self.gap:  # time began again, as in a joined stream: go on from here
                self._offset += expected - ticks
                ticks = expected
            else:
                ticks = self._last + 1
            self.repaired += 1
        else:
            self.repaired += pts is None
            if ticks - self._last <= self.gap:
                self._nominal = ticks - self._last
        self._last = ticks
        return ticks


def step_ticks(steps: Any, time_base: Fraction) -> Any:
    """Ticks of steps, rounded down: a frame covers a step if its ticks are not more. Works on int and int64 arrays."""
    return steps * time_base.denominator // (STEPS_PER_S * time_base.numerator)


def count_steps(duration_ticks: int, time_base: Fraction) -> int:
    """Whole steps in a duration. Where ticks are 1 ms or finer, one tick may be missing: containers round time."""
    slack = 1 if time_base <= _MILLISECOND else 0
    return (duration_ticks + slack) * time_base.numerator * STEPS_PER_S // time_base.denominator


def make_grid(ticks: Any, duration_ticks: int, clock: Clock, is_whole: bool = True) -> Grid:
    """The grid of a video from the ticks of all its frames, int64 (F,), strictly increasing from 0.

    `is_whole`: every packet of the video decoded, and none to a corrupt picture.
    """
    base = clock.time_base
    times = np.asarray(ticks, dtype=np.int64)
    steps = np.arange(count_steps(duration_ticks, base), dtype=np.int64)
    frame = np.searchsorted(times, step_ticks(steps, base), side="right") - 1
    return Grid(
        frame=frame.astype(np.int32),
        pts_us=microseconds(times[frame], base),
        first_pts=clock.first_pts,
        time_base=base,
        is_regular=clock.repaired == 0 and is_whole,
    )


def microseconds(ticks: Any, time_base: Fraction) -> Any:
    """Ticks to microseconds, rounded down, without overflow for any sane time base (int or int64 array)."""
    seconds, rest = ticks * time_base.numerator // time_base.denominator, ticks * time_base.numerator
    return seconds * 1_000_000 + (rest - seconds * time_base.denominator) * 1_000_000 // time_base.denominator


def sample_step(sample: int) -> int:
    """The step at which a 3 Hz sample is taken."""
    return sample * STEPS_PER_S // SAMPLES_PER_S


def samples_before(ticks: int, time_base: Fraction) -> int:
    """How many samples are taken before a time."""
    sample = max(0, ticks * time_base.numerator * SAMPLES_PER_S // time_base.denominator - 1)
    while step_ticks(sample_step(sample), time_base) < ticks:
        sample += 1
    return sample


def candidates(ticks: Any, duration_ticks: int, time_base: Fraction, max_clip_s: float) -> list[Span]:
    """Stretches of continuous time, split where time breaks and at `max_clip_s`.

    A stretch ends with the last whole step before the silence; the frozen picture in it belongs to no candidate.
    """
    times, gap = np.asarray(ticks, dtype=np.int64), int(GAP_S / time_base)
    stops = [*(np.flatnonzero(np.diff(times) > gap) + 1).tolist(), len(times)]
    last_shown = min(duration_ticks - int(times[-1]), gap)
    spans, begin = [], 0
    for stop in stops:
        usual = int(times[stop - 1] - times[stop - 2]) if stop - begin > 1 else 0
        end = int(times[stop - 1]) + (last_shown if stop == len(times) else usual)
        spans.append(Span(_first_step(int(times[begin]), time_base), count_steps(end, time_base)))
        begin = stop
    return [piece for span in spans for piece in pieces([span], max_clip_s)]


def _first_step(ticks: int, time_base: Fraction) -> int:
    """The first step at or after a time."""
    return -(-ticks * time_base.numerator * STEPS_PER_S // time_base.denominator)


def pieces(spans: Iterable[Span], max_clip_s: float, min_tail_s: float = 5.0) -> Iterator[Span]:
    """Cut spans into pieces of at most `max_clip_s`. Empty spans vanish.

    All pieces but the last two are as long as allowed, so a longer video keeps its first pieces. A tail shorter than
    `min_tail_s` (the paper's shortest clip) shares evenly with the piece before it.
    """
    longest, tail = int(max_clip_s * STEPS_PER_S), int(min_tail_s * STEPS_PER_S)
    for start, end in spans:
        while end - start > longest:
            rest = end - start - longest
            stop = start + (longest if rest >= min(tail, longest) else (end - start + 1) // 2)
            yield Span(start, stop)
            start = stop
        if end > start:
            yield Span(start, end)
