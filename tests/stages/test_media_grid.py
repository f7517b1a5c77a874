"""Exact time: no drift, repaired time stamps, pieces that keep their places."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

from stages.media_grid import (
    Clock,
    Span,
    candidates,
    count_steps,
    make_grid,
    microseconds,
    pieces,
    sample_step,
    step_ticks,
)

BASE = Fraction(1, 90_000)


def grid_of(pts: list[int | None], base: Fraction = BASE, last: int = 3000) -> tuple[list[int], bool]:
    clock = Clock(base, Fraction(30))
    ticks = [clock.push(stamp, None) for stamp in pts]
    grid = make_grid(ticks, ticks[-1] + last, clock)
    return grid.frame.tolist(), grid.is_regular


@pytest.mark.parametrize(
    "base", [Fraction(1, 30_000), Fraction(1, 90_000), Fraction(1, 2**31 - 1), Fraction(1001, 30_000)]
)
def test_no_drift_in_twelve_hours(base: Fraction) -> None:
    steps = np.arange(12 * 3600 * 20, dtype=np.int64)
    ticks = step_ticks(steps, base)
    for k in (0, 1, 86_399, 863_999):
        assert ticks[k] == (Fraction(int(steps[k]), 20) / base).__floor__()


def test_a_frame_covers_a_step_that_falls_exactly_on_it() -> None:
    frames, regular = grid_of([n * 4500 for n in range(8)], last=4500)  # 20 frames per second
    assert frames == list(range(8))
    assert regular


def test_a_step_just_before_a_frame_shows_the_frame_before() -> None:
    frames, _ = grid_of([0, 4501, 9000], last=4500)
    assert frames == [0, 0, 2]


def test_missing_time_stamps_are_estimated_from_the_neighbours() -> None:
    frames, regular = grid_of([0, 4500, None, None, 18_000], last=4500)
    assert frames == [0, 1, 2, 3, 4]
    assert not regular


def test_time_never_stands_still_or_runs_back() -> None:
    clock = Clock(BASE, Fraction(30))
    ticks = [clock.push(stamp, None) for stamp in (0, 3000, 3000, 2990, 9000)]
    assert ticks == [0, 3000, 3001, 3002, 9000]
    assert clock.repaired == 2


def test_a_stream_that_begins_again_goes_on_one_frame_later() -> None:
    clock = Clock(BASE, Fraction(30))
    ticks = [clock.push(stamp, None) for stamp in (0, 3000, 90_000, 93_000, 0, 3000, 6000)]
    assert ticks[3:] == [93_000, 96_000, 99_000, 102_000]


def test_decoding_time_stands_in_for_a_missing_presentation_time() -> None:
    clock = Clock(BASE, None)
    assert [clock.push(None, dts) for dts in (500, 3500, 6500)] == [0, 3000, 6000]


def test_whole_steps_only_with_one_tick_of_grace_for_rounding_containers() -> None:
    assert count_steps(13_053_000, BASE) == 2900  # 4351 frames at 30 fps: 2900.67 steps
    assert count_steps(4999, Fraction(1, 1000)) == 100
    assert count_steps(4998, Fraction(1, 1000)) == 99
    assert count_steps(29, Fraction(1, 30)) == 19  # a coarse tick is no rounding error


def test_microseconds_round_down_and_do_not_overflow() -> None:
    assert microseconds(1, Fraction(1, 30)) == 33_333
    ticks = np.array([12 * 3600 * (2**31 - 1)], dtype=np.int64)
    assert microseconds(ticks, Fraction(1, 2**31 - 1)).tolist() == [12 * 3600 * 1_000_000]


def test_three_samples_per_second_on_whole_steps() -> None:
    assert [sample_step(j) for j in range(7)] == [0, 6, 13, 20, 26, 33, 40]


def test_candidates_split_where_time_breaks() -> None:
    ticks = [0, 3000, 6000, 9000, 90_000, 93_000, 96_000]
    assert candidates(ticks, 99_000, BASE, 300) == [Span(0, 2), Span(20, 22)]


def test_a_silence_of_half_a_second_is_no_break_but_a_longer_one_is() -> None:
    assert candidates([0, 45_000], 48_000, BASE, 300) == [Span(0, 10)]
    assert candidates([0, 45_001, 90_002], 135_003, BASE, 300) == [Span(21, 30)]


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (Span(7, 7), []),
        (Span(0, 200), [(0, 200)]),
        (Span(0, 450), [(0, 200), (200, 400 - 75), (325, 450)]),
        (Span(0, 500), [(0, 200), (200, 400), (400, 500)]),
        (Span(3, 204), [(3, 104), (104, 204)]),
    ],
)
def test_pieces_are_as_long_as_allowed_and_a_short_tail_shares(span: Span, expected: list[tuple[int, int]]) -> None:
    assert list(pieces([span], max_clip_s=10, min_tail_s=5)) == expected


def test_pieces_cover_every_step_once_whatever_the_length() -> None:
    for length in range(1, 900, 7):
        parts = list(pieces([Span(11, 11 + length)], max_clip_s=10, min_tail_s=5))
        assert parts[0].start == 11
        assert parts[-1].end == 11 + length
        assert all(a.end == b.start for a, b in itertools.pairwise(parts))
        assert all(0 < end - start <= 200 for start, end in parts)
