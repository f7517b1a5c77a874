"""From the source to the working clip, frame for frame: every rate, container, codec and trick of time.

Each video carries its frame's number in the picture. What must be seen at a step comes from the time stamps in the file
alone: the last frame whose stamp is not later. Clips are cut in one call with jumps between them.
"""

import random
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from stages.errors import BadInput
from stages.media import ClipOptions, MediaLimits, Scan, Span, cut_clip, cut_clips, decode_clip, scan
from tests import videos

NTSC_30, NTSC_60 = Fraction(30_000, 1001), Fraction(60_000, 1001)
RATES = [10, 20, 24, 25, NTSC_30, 30, 50, NTSC_60, 60, 120, 144]
FORMATS = [
    *[("libx264", suffix) for suffix in ("mp4", "mkv", "mov", "ts", "flv", "avi")],
    *[("libx265", suffix) for suffix in ("mp4", "mkv", "ts")],
    *[("libvpx-vp9", suffix) for suffix in ("webm", "mp4")],
    *[("libsvtav1", suffix) for suffix in ("mp4", "webm")],
    *[("mpeg4", suffix) for suffix in ("avi", "mp4", "mkv")],
    *[("mjpeg", suffix) for suffix in ("avi", "mov")],
    *[("mpeg2video", suffix) for suffix in ("ts", "mpg")],
    ("libvpx", "webm"),
    ("flv", "flv"),
    ("wmv2", "asf"),
    ("ffv1", "mkv"),
]
NO_B_FRAMES = {"avi", "flv"}
SPANS = [Span(0, 7), Span(7, 20), Span(21, 30), Span(80, 90), Span(90, 101)]
"""Touching, near each other, and far apart: 30 to 80 is jumped over."""


def stored_times(path: Path) -> list[Fraction]:
    """Seconds from the first frame, by the time stamps of the packets, in presentation order."""
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        stamps = sorted(packet.pts for packet in container.demux(stream) if packet.pts is not None)
        return [(stamp - stamps[0]) * stream.time_base for stamp in stamps]


def expected(times: Sequence[Fraction], steps: int) -> list[int]:
    """The last frame whose time is not after k/20 s, found one by one."""
    return [max(i for i, t in enumerate(times) if t <= Fraction(k, 20)) for k in range(steps)]


def seen(path: Path, found: Scan, spans: Sequence[Span] = SPANS) -> list[list[int]]:
    """The numbers in the clips of some spans."""
    clips = [path.with_name(f"clip{span.start}.mp4") for span in spans]
    cut_clips(path, found.grid, list(spans), clips, ClipOptions())
    return [[videos.read_number(picture) for picture in decode_clip(clip)] for clip in clips]


def check(path: Path, first_number: int = 0) -> Scan:
    """Grid by the file's own time stamps, clips by the grid."""
    found = scan(path, path.with_name("spool"))
    numbers = expected(stored_times(path), len(found.grid))
    assert found.grid.frame.tolist() == numbers
    assert seen(path, found) == [[first_number + number for number in numbers[slice(*span)]] for span in SPANS]
    return found


@pytest.mark.parametrize("fps", RATES, ids=lambda fps: f"{float(fps):.2f}")
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_each_rate(tmp_path: Path, fps: Fraction | int, suffix: str) -> None:
    found = check(videos.constant_rate(tmp_path / f"v.{suffix}", fps, 6.0, size=(160, 96)))
    frames = int(6 * Fraction(fps))
    assert (found.frames, len(found.grid)) == (frames, int(frames / Fraction(fps) * 20))
    assert found.grid.is_regular


@pytest.mark.parametrize(("codec", "suffix"), FORMATS)
def test_each_codec_and_container(tmp_path: Path, codec: str, suffix: str) -> None:
    is_coarse = suffix == "avi" or codec in ("mpeg4", "mpeg2video", "wmv2", "mjpeg", "flv")
    base = Fraction(1, 30) if is_coarse else Fraction(1, 90_000)
    path = videos.constant_rate(
        tmp_path / f"v.{suffix}",
        30,
        6.0,
        codec=codec,
        time_base=base,
        size=(160, 96),
        b_frames=0 if suffix in NO_B_FRAMES else 2,
        pixel_format="yuvj420p" if codec == "mjpeg" else "yuv420p",
    )
    found = scan(path, tmp_path / "spool")
    assert (found.frames, len(found.grid)) == (180, 120)
    assert found.grid.frame.tolist() == [k * 3 // 2 for k in range(120)]
    assert seen(path, found) == [found.grid.frame[slice(*span)].tolist() for span in SPANS]


@pytest.mark.parametrize("base", [Fraction(1, 12_345), Fraction(7, 1000), Fraction(1, 1_000_000), Fraction(1, 30)])
def test_odd_time_bases(tmp_path: Path, base: Fraction) -> None:
    check(videos.constant_rate(tmp_path / "v.mp4", 30, 6.0, time_base=base, size=(160, 96)))


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_a_variable_rate_with_long_groups_and_b_frames(tmp_path: Path, suffix: str) -> None:
    chance, pts = random.Random(3), [0]
    while pts[-1] < 6 * 90_000:
        pts.append(pts[-1] + chance.choice([750, 1500, 3000, 9000, 27_000]))
    assert check(videos.write_video(tmp_path / f"v.{suffix}", pts, gop=250, b_frames=3)).grid.is_regular


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "flv"])
@pytest.mark.parametrize("start", [45_000, 4_500_000])
def test_time_starts_at_the_first_frame(tmp_path: Path, suffix: str, start: int) -> None:
    """In mp4 a late start is an empty edit: nothing is shown, and nothing is made up."""
    check(videos.constant_rate(tmp_path / f"v.{suffix}", 30, 6.0, start=start, size=(160, 96)))


def test_a_negative_first_time_is_a_time(tmp_path: Path) -> None:
    path = videos.constant_rate(tmp_path / "v.ts", 30, 6.0, start=-45_000, size=(160, 96))
    check(path)


def test_frames_hidden_by_an_edit_list_stay_hidden(tmp_path: Path) -> None:
    path = videos.constant_rate(tmp_path / "v.mp4", 30, 7.0, start=-45_000, size=(160, 96))
    found = scan(path, tmp_path / "spool")
    assert found.frames == 195
    assert seen(path, found) == [[15 + k * 3 // 2 for k in range(*span)] for span in SPANS]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "flv"])
def test_a_stream_copy_that_begins_within_a_group(tmp_path: Path, suffix: str) -> None:
    """What came before the first key frame cannot be decoded: the video begins there."""
    whole = videos.constant_rate(tmp_path / "whole.mp4", 30, 8.0, gop=40, size=(160, 96))
    path = videos.copied(tmp_path / f"v.{suffix}", whole, range(15, 240))
    found = scan(path, tmp_path / "spool")
    first = seen(path, found, [Span(0, 1)])[0][0]
    assert first in (15, 40)  # 15 where the decoder conceals what is missing
    assert seen(path, found) == [[first + n for n in found.grid.frame[slice(*span)].tolist()] for span in SPANS]


def test_two_copies_joined_are_one_time_and_found_by_counting(tmp_path: Path) -> None:
    path = videos.constant_rate(tmp_path / "v.ts", 30, 4.0, size=(160, 96))
    with path.open("ab") as file:  # a transport stream may be joined: the time stamps begin again
        file.write(path.read_bytes())
    found = scan(path, tmp_path / "spool")
    assert (found.frames, len(found.grid), found.grid.is_regular) == (240, 160, False)
    assert seen(path, found) == [[k * 3 // 2 % 120 for k in range(*span)] for span in SPANS]


OPEN = {"x264-params": "open-gop=1:keyint=24:bframes=3:scenecut=0"}
REFRESH = {"x264-params": "intra-refresh=1:keyint=30:bframes=0"}


@pytest.mark.parametrize("options", [OPEN, REFRESH], ids=["open", "refresh"])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_groups_that_lean_on_others_are_entered_correctly(tmp_path: Path, options: dict[str, str], suffix: str) -> None:
    path = videos.constant_rate(tmp_path / f"v.{suffix}", 30, 8.0, gop=24, b_frames=3, options=options)
    found = scan(path, tmp_path / "spool")
    spans = [Span(start, start + 5) for start in (0, 41, 83, 107, 149)]
    assert seen(path, found, spans) == [[k * 3 // 2 for k in range(*span)] for span in spans]


def test_one_group_for_the_whole_video(tmp_path: Path) -> None:
    check(videos.constant_rate(tmp_path / "v.mp4", 30, 6.0, gop=10_000, b_frames=3, size=(160, 96)))


@pytest.mark.parametrize("size", [(256, 144), (854, 480), (3840, 2160)], ids=str)
def test_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    path = videos.constant_rate(tmp_path / "v.mp4", 30, 0.5, size=size)
    found = scan(path, tmp_path / "spool")
    assert (found.width, found.height) == size
    assert seen(path, found, [Span(0, 10)]) == [[k * 3 // 2 for k in range(10)]]


def test_odd_sizes(tmp_path: Path) -> None:
    path = videos.constant_rate(tmp_path / "v.webm", 30, 1.0, size=(427, 241), codec="libvpx-vp9")
    assert seen(path, scan(path, tmp_path / "spool"), [Span(0, 20)]) == [[k * 3 // 2 for k in range(20)]]


@pytest.mark.parametrize("pixel_format", ["yuv444p", "yuv422p", "yuv420p10le", "gray"])
def test_pixel_formats(tmp_path: Path, pixel_format: str) -> None:
    path = videos.constant_rate(tmp_path / "v.mp4", 30, 1.0, pixel_format=pixel_format)
    assert seen(path, scan(path, tmp_path / "spool"), [Span(0, 20)]) == [[k * 3 // 2 for k in range(20)]]


@pytest.mark.parametrize("sound_s", [1.0, 9.0])
@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
def test_sound_shorter_and_longer_than_the_picture(tmp_path: Path, suffix: str, sound_s: float) -> None:
    path = videos.constant_rate(tmp_path / f"v.{suffix}", 30, 6.0, with_audio_s=sound_s, size=(160, 96))
    assert len(check(path).grid) == 120


def test_of_two_pictures_the_default_one_is_cut_and_never_the_cover(tmp_path: Path) -> None:
    for kind in ("cover", "second"):
        path = videos.with_extra_picture(tmp_path / f"{kind}.mp4", 6.0, is_cover=kind == "cover")
        found = scan(path, tmp_path / "spool")
        assert (found.frames, found.width) == (180, 160)
        assert seen(path, found) == [[k * 3 // 2 for k in range(*span)] for span in SPANS]


@pytest.mark.parametrize("rotation", [90, 180, 270])
def test_a_turned_video_is_cut_upright(tmp_path: Path, rotation: int) -> None:
    stored = np.ascontiguousarray(np.rot90(videos.numbered(40_503), -rotation // 90))  # a player turns it back
    size = stored.shape[1], stored.shape[0]
    path = videos.write_video(
        tmp_path / "v.mp4", [n * 3000 for n in range(30)], size=size, pictures=iter([stored] * 30), rotation=rotation
    )
    found = scan(path, tmp_path / "spool")
    assert (found.width, found.height) == (320, 180)
    assert seen(path, found, [Span(0, 20)]) == [[40_503] * 20]


def test_a_mirrored_video_is_cut_as_it_is_shown(tmp_path: Path) -> None:
    stored = np.ascontiguousarray(videos.numbered(40_503)[:, ::-1])
    pictures = iter([stored] * 30)
    path = videos.write_video(tmp_path / "v.mp4", [n * 3000 for n in range(30)], pictures=pictures)
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 44
    data[matrix : matrix + 4] = (-65536).to_bytes(4, "big", signed=True)
    path.write_bytes(data)
    assert seen(path, scan(path, tmp_path / "spool"), [Span(0, 20)]) == [[40_503] * 20]


@pytest.mark.parametrize(("order", "shown"), [("tff=1", 1000), ("bff=1", 2000)])
def test_of_an_interlaced_frame_the_first_moment_is_cut(tmp_path: Path, order: str, shown: int) -> None:
    """Each frame holds two moments, line by line; a comb of both would look like movement."""
    top, bottom = videos.numbered(1000, 320, 240), videos.numbered(2000, 320, 240)
    top[1::2] = bottom[1::2]
    path = videos.write_video(
        tmp_path / "v.mp4",
        [n * 3600 for n in range(50)],
        rate=25,
        size=(320, 240),
        pictures=iter([top] * 50),
        is_interlaced=True,
        options={"x264-params": f"interlaced=1:{order}"},
    )
    found = scan(path, tmp_path / "spool")
    assert (len(found.grid), found.width, found.height) == (40, 320, 240)
    assert seen(path, found, [Span(0, 40)]) == [[shown] * 40]


def test_a_source_that_changed_since_the_scan_is_refused(tmp_path: Path) -> None:
    path = videos.constant_rate(tmp_path / "v.mp4", 30, 6.0)
    found = scan(path, tmp_path / "spool")
    videos.constant_rate(path, 30, 4.0)
    with pytest.raises(BadInput) as caught:
        cut_clip(path, found.grid, 90, 110, tmp_path / "clip.mp4")
    assert caught.value.reason == "truncated"


def test_limits_tightened_since_the_scan_do_not_matter(tmp_path: Path) -> None:
    path = videos.constant_rate(tmp_path / "v.mp4", 30, 2.0)
    found = scan(path, tmp_path / "spool", MediaLimits(max_duration_s=3))
    assert cut_clip(path, found.grid, 0, 20, tmp_path / "clip.mp4") == 20
