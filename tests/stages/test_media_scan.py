"""One pass over videos of every rate, time base and damage: the right frame for each step, or the right reason."""

import itertools
import math
import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest

from stages.errors import BadInput
from stages.media import MediaLimits, Scan, ScanOptions, Span, scan
from tests import videos

BASE = Fraction(1, 90_000)


def expected_frames(pts: list[int], base: Fraction, steps: int) -> list[int]:
    """The last frame whose time is not after k/20 s, found one by one."""
    times = [(stamp - pts[0]) * base for stamp in pts]
    return [max(i for i, t in enumerate(times) if t <= Fraction(k, 20)) for k in range(steps)]


def stored_pts(path: Path) -> tuple[list[int], Fraction]:
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        return sorted(p.pts for p in container.demux(stream) if p.pts is not None), Fraction(stream.time_base)


def samples(found: Scan, spool: Path) -> list[np.ndarray[Any, Any]]:
    data, ends = spool.read_bytes(), [0, *found.sample_ends.tolist()]
    return [cv2.imdecode(np.frombuffer(data[a:b], np.uint8), cv2.IMREAD_COLOR) for a, b in itertools.pairwise(ends)]


@pytest.mark.parametrize("fps", [10, 20, 24, 25, Fraction(30_000, 1001), 30, 60, 144])
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_constant_rates(tmp_path: Path, fps: Fraction | int, suffix: str) -> None:
    path = videos.constant_rate(tmp_path / f"v.{suffix}", fps, 3.0)
    found = scan(path, tmp_path / "spool")
    pts, base = stored_pts(path)
    assert found.frames == int(3 * fps)
    assert len(found.grid) in (59, 60)  # 59 where 3 s is no whole number of frames
    assert len(found.grid) == math.floor(found.frames / Fraction(fps) * 20)
    assert found.grid.frame.tolist() == expected_frames(pts, base, len(found.grid))
    assert found.grid.is_regular
    assert found.candidates == (Span(0, len(found.grid)),)
    assert found.fps == pytest.approx(float(fps), rel=0.02)


def test_each_sample_shows_the_frame_of_its_step(tmp_path: Path) -> None:
    found = scan(videos.constant_rate(tmp_path / "v.mp4", 60, 5.0), tmp_path / "spool")
    assert found.sample_steps.tolist() == [j * 20 // 3 for j in range(15)]
    shown = [videos.read_number(picture) for picture in samples(found, tmp_path / "spool")]
    assert shown == found.grid.frame[found.sample_steps].tolist()


def test_samples_have_the_short_side_asked_for_and_never_grow(tmp_path: Path) -> None:
    path = videos.constant_rate(tmp_path / "v.mp4", 30, 1.0, size=(640, 360))
    scan(path, tmp_path / "spool", options=ScanOptions(sample_side=256))
    found = scan(path, tmp_path / "spool", options=ScanOptions(sample_side=256))
    assert {p.shape for p in samples(found, tmp_path / "spool")} == {(256, 455, 3)}
    found = scan(path, tmp_path / "spool", options=ScanOptions(sample_side=500))
    assert {p.shape for p in samples(found, tmp_path / "spool")} == {(360, 640, 3)}


@pytest.mark.parametrize("start", [-45_000, 0, 450_000])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_time_starts_at_the_first_frame(tmp_path: Path, start: int, suffix: str) -> None:
    path = videos.constant_rate(tmp_path / f"v.{suffix}", 30, 2.0, start=start)
    found = scan(path, tmp_path / "spool")
    hidden = 15 if (suffix, start) == ("mp4", -45_000) else 0  # an mp4 with an edit list hides what is before zero
    assert found.grid.frame.tolist() == [k * 30 // 20 for k in range(40 - hidden * 20 // 30)]
    assert found.grid.pts_us[0] == 0
    assert videos.read_number(samples(found, tmp_path / "spool")[0]) == hidden


@pytest.mark.parametrize("base", [Fraction(1, 12_345), Fraction(7, 1000), Fraction(1, 1_000_000)])
def test_odd_time_bases(tmp_path: Path, base: Fraction) -> None:
    path = videos.constant_rate(tmp_path / "v.mp4", 30, 4.0, time_base=base)
    found = scan(path, tmp_path / "spool")
    pts, stored = stored_pts(path)
    assert found.grid.frame.tolist() == expected_frames(pts, stored, len(found.grid))
    assert abs(len(found.grid) - 80) <= 1


def test_variable_rate(tmp_path: Path) -> None:
    chance = random.Random(5)
    pts = [0]
    while pts[-1] < 6 * 90_000:
        pts.append(pts[-1] + chance.randint(300, 40_000))
    path = videos.write_video(tmp_path / "v.mp4", pts)
    found = scan(path, tmp_path / "spool")
    assert found.frames == len(pts)
    assert found.grid.frame.tolist() == expected_frames(pts, BASE, len(found.grid))
    assert found.grid.pts_us.tolist() == [
        math.floor((pts[i] - pts[0]) * BASE * 1_000_000) for i in found.grid.frame.tolist()
    ]


def test_an_avi_without_time_stamps_is_read_by_its_order(tmp_path: Path) -> None:
    path = videos.constant_rate(
        tmp_path / "v.avi", 30, 2.0, codec="mpeg4", time_base=Fraction(1, 30), options={"bf": "0"}
    )
    found = scan(path, tmp_path / "spool")
    assert found.frames == 60
    assert found.grid.frame.tolist() == [k * 30 // 20 for k in range(40)]


def test_a_gap_splits_candidates_and_its_frozen_picture_belongs_to_none(tmp_path: Path) -> None:
    pts = [n * 3000 for n in range(60)] + [360_000 + n * 3000 for n in range(60)]  # 0-2 s, then 4-6 s
    found = scan(videos.write_video(tmp_path / "v.mp4", pts), tmp_path / "spool")
    assert len(found.grid) == 120
    assert found.candidates == (Span(0, 40), Span(80, 120))
    assert set(found.grid.frame[40:80].tolist()) == {59}


def test_candidates_are_no_longer_than_allowed(tmp_path: Path) -> None:
    path = videos.constant_rate(tmp_path / "v.mp4", 30, 12.0)
    found = scan(path, tmp_path / "spool", options=ScanOptions(max_clip_s=5))
    assert found.candidates == (Span(0, 100), Span(100, 170), Span(170, 240))


def test_sound_that_outlasts_the_picture_is_no_damage(tmp_path: Path) -> None:
    path = videos.constant_rate(tmp_path / "v.mkv", 30, 1.0, with_audio_s=4.0)
    assert scan(path, tmp_path / "spool").frames == 30


def test_size_is_upright(tmp_path: Path) -> None:
    path = videos.constant_rate(tmp_path / "v.mp4", 30, 1.0, rotation=90)
    found = scan(path, tmp_path / "spool")
    assert (found.width, found.height) == (180, 320)
    assert samples(found, tmp_path / "spool")[0].shape == (320, 180, 3)


def reason(path: Path, tmp_path: Path, limits: MediaLimits | None = None) -> str:
    with pytest.raises(BadInput) as caught:
        scan(path, tmp_path / "spool", limits or MediaLimits())
    return caught.value.reason


def test_what_is_no_video_is_refused_with_its_reason(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    whole = videos.constant_rate(tmp_path / "whole.mp4", 30, 3.0)
    assert reason(tmp_path / "empty.mp4", tmp_path) == "empty_file"
    assert reason(videos.text_file(tmp_path / "text.mp4"), tmp_path) == "not_a_video"
    assert reason(videos.audio_only(tmp_path / "sound.mp4"), tmp_path) == "no_video_stream"
    assert reason(videos.truncated(tmp_path / "no_index.mp4", whole, 0.7), tmp_path) == "truncated"


def test_limits(tmp_path: Path) -> None:
    path = videos.constant_rate(tmp_path / "v.mp4", 30, 3.0)
    assert reason(path, tmp_path, MediaLimits(max_duration_s=2)) == "too_long"
    assert reason(path, tmp_path, MediaLimits(max_side=300)) == "too_large_frame"
    assert reason(path, tmp_path, MediaLimits(max_pixels=320 * 180 - 1)) == "too_large_frame"


def test_a_video_longer_than_its_header_says_is_stopped(tmp_path: Path) -> None:
    path = videos.constant_rate(tmp_path / "v.ts", 30, 4.0)
    with path.open("ab") as file:  # a transport stream may be joined: the time stamps begin again
        file.write(path.read_bytes())
    found = scan(path, tmp_path / "spool")
    assert found.frames == 240
    assert len(found.grid) == pytest.approx(160, abs=1)
    assert not found.grid.is_regular
    assert reason(path, tmp_path, MediaLimits(max_duration_s=7)) == "too_long"


def test_streams_that_appear_in_mid_file_are_passed_over(tmp_path: Path) -> None:
    silent = videos.constant_rate(tmp_path / "v.ts", 30, 4.0)
    later = videos.constant_rate(tmp_path / "later.ts", 30, 4.0, start=360_000, with_audio_s=4.0)
    (tmp_path / "v.ts").write_bytes(silent.read_bytes() + later.read_bytes())
    assert scan(tmp_path / "v.ts", tmp_path / "spool").frames == 240


def test_few_frames_cannot_ask_for_many_samples(tmp_path: Path) -> None:
    """Five frames in eleven hours: the grid is as long as the time, but nothing is sampled where time breaks."""
    path = videos.write_video(tmp_path / "v.mkv", [n * 10_000_000 for n in range(5)], Fraction(1, 1000), size=(64, 48))
    found = scan(path, tmp_path / "spool")
    assert len(found.grid) == pytest.approx(40_000 * 20, abs=20)
    assert len(found.sample_steps) <= 10
    assert sum(end - start for start, end in found.candidates) <= 50


@pytest.mark.parametrize("suffix", ["mkv", "ts"])
def test_a_span_of_ten_days_is_refused_before_it_is_sampled(tmp_path: Path, suffix: str) -> None:
    ticks = 250_000 if suffix == "mkv" else 20_000  # a transport stream's clock begins again after 26 hours
    path = videos.write_video(tmp_path / f"v.{suffix}", [n * ticks * 90_000 for n in range(5)], size=(64, 48))
    assert reason(path, tmp_path) == "too_long"
    assert (tmp_path / "spool").stat().st_size < 10_000 if (tmp_path / "spool").exists() else True


def test_a_thousand_million_frames_per_second_are_less_than_a_step(tmp_path: Path) -> None:
    path = videos.write_video(tmp_path / "v.mp4", range(50), Fraction(1, 10**9), rate=10**6, size=(64, 48))
    assert reason(path, tmp_path) == "no_frames"


def test_a_picture_far_larger_than_its_header_says_is_not_unpacked(tmp_path: Path) -> None:
    """A PNG of 81 million pixels in 1 MB."""
    path = videos.with_packets(tmp_path / "v.mov", "png", "rgb24", [videos.black_png(9000)], 64)
    assert path.stat().st_size < 2_000_000
    assert reason(path, tmp_path) == "no_frames"


def test_packets_without_frames_spend_the_budget(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("stages.media_scan.BUDGET_BASE_S", 0)
    path = videos.with_packets(tmp_path / "v.mkv", "mjpeg", "yuvj420p", [b"\xff"] * 3000, 64)
    with pytest.raises(BadInput) as caught:
        scan(path, tmp_path / "spool", options=ScanOptions(cpu_s_per_video_s=1e-9))
    assert caught.value.reason == "decode_timeout"


@pytest.mark.parametrize(
    ("aspect", "size"), [(Fraction(16, 15), (768, 576)), (Fraction(8, 9), (720, 648)), (None, (720, 576))], ids=str
)
def test_samples_show_square_pixels(tmp_path: Path, aspect: Fraction | None, size: tuple[int, int]) -> None:
    path = videos.constant_rate(tmp_path / "v.mkv", 25, 1.0, size=(720, 576), aspect=aspect)
    found = scan(path, tmp_path / "spool")
    assert (found.width, found.height) == size
    short = min(size)
    shape = round(size[1] * 256 / short), round(size[0] * 256 / short), 3
    assert {picture.shape for picture in samples(found, tmp_path / "spool")} == {shape}


@pytest.mark.parametrize(("share", "kept"), [(0.97, True), (0.5, False)])
def test_a_damaged_video_is_kept_if_nine_tenths_decode(tmp_path: Path, share: float, kept: bool) -> None:
    whole = videos.constant_rate(tmp_path / "whole.mp4", 30, 10.0, gop=15, container_options={"movflags": "+faststart"})
    cut = videos.truncated(tmp_path / "cut.mp4", whole, share)
    if kept:
        assert 270 <= scan(cut, tmp_path / "spool").frames < 300
    else:
        assert reason(cut, tmp_path) == "truncated"


def test_a_truncated_mkv_is_told_from_a_whole_one(tmp_path: Path) -> None:
    whole = videos.constant_rate(tmp_path / "whole.mkv", 30, 10.0, gop=15)
    assert scan(whole, tmp_path / "spool").frames == 300
    assert reason(videos.truncated(tmp_path / "cut.mkv", whole, 0.5), tmp_path) == "truncated"


def test_overwritten_bytes_in_the_middle_count_as_missing(tmp_path: Path) -> None:
    whole = videos.constant_rate(tmp_path / "whole.mp4", 30, 10.0, gop=30, container_options={"movflags": "+faststart"})
    data = bytearray(whole.read_bytes())
    middle = slice(int(len(data) * 0.3), int(len(data) * 0.7))
    data[middle] = b"\0" * (middle.stop - middle.start)
    (tmp_path / "hole.mp4").write_bytes(data)
    assert reason(tmp_path / "hole.mp4", tmp_path) == "truncated"


def test_the_same_video_gives_the_same_bytes(tmp_path: Path) -> None:
    path = videos.constant_rate(tmp_path / "v.mp4", 30, 2.0)
    one, two = scan(path, tmp_path / "one"), scan(path, tmp_path / "two")
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert one.grid.frame.tolist() == two.grid.frame.tolist()
