"""Pictures left undecoded change nothing: the same grid, samples and clips; anything odd decodes all."""

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import pytest

from stages import media_cut, media_scan
from stages.errors import BadInput
from stages.media import ClipOptions, MediaLimits, ScanOptions, Span, Way, cut_clip, cut_clips
from stages.media_grid import sample_step, samples_before, step_ticks
from stages.media_pass import Passed, Unsure, is_disposable, prefix_bytes, thrifty
from stages.media_probe import open_video
from stages.media_read import Reading
from tests import videos

B_FRAMES = {"preset": "veryfast", "b-pyramid": "normal", "b_strategy": "0"}


def made(path: Path, fps: Fraction | int = 30, **kwargs: Any) -> Path:
    return videos.constant_rate(path, fps, 6.0, options=B_FRAMES, b_frames=3, **kwargs)


def scanned(path: Path, spool: Path, is_thrifty: bool) -> media_scan.Scan:
    return media_scan._scan(path, spool, MediaLimits(), ScanOptions(), is_thrifty=is_thrifty)


@pytest.mark.parametrize("fps", [24, Fraction(30_000, 1001), 60])
@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_sparing_changes_nothing(tmp_path: Path, fps: Fraction | int, suffix: str) -> None:
    path = made(tmp_path / f"v.{suffix}", fps, gop=250)
    one, two = scanned(path, tmp_path / "one", True), scanned(path, tmp_path / "two", False)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert one.grid.pts_us.tolist() == two.grid.pts_us.tolist()
    assert one.grid.frame.tolist() == two.grid.frame.tolist()
    assert (one.frames, one.duration_s, one.candidates) == (two.frames, two.duration_s, two.candidates)
    clips = []
    for way in Way:
        clips.append(tmp_path / f"{way.name}.mp4")
        media_cut._write(path, one.grid, [Span(13, 110)], clips[-1:], ClipOptions(), way)
    assert len({clip.read_bytes() for clip in clips}) == 1


def test_many_pictures_are_left_out_and_each_has_its_time(tmp_path: Path) -> None:
    with open_video(made(tmp_path / "v.mp4"), MediaLimits()) as (container, stream):
        frames = list(thrifty(container, stream, Reading(), lambda start, end: False))
        ticks = Fraction(1, 30) / Fraction(stream.time_base or 1)
    assert [frame.pts for frame in frames] == [round(n * ticks) for n in range(180)]
    assert sum(isinstance(frame, Passed) for frame in frames) > 60


@pytest.mark.parametrize("odd", [{"is_interlaced": True}, {"codec": "libvpx-vp9"}], ids=lambda odd: str(odd))
def test_what_is_not_plain_is_decoded_whole(tmp_path: Path, odd: dict[str, Any]) -> None:
    path = videos.constant_rate(tmp_path / "v.mkv", 30, 2.0, **odd)
    with pytest.raises(Unsure):
        scanned(path, tmp_path / "spool", True)
    assert media_scan.scan(path, tmp_path / "spool").frames == 60


def test_a_damaged_video_is_decoded_whole(tmp_path: Path) -> None:
    whole = made(tmp_path / "whole.mp4", gop=30, container_options={"movflags": "+faststart"})
    cut = videos.truncated(tmp_path / "cut.mp4", whole, 0.97)
    with pytest.raises(Unsure):
        scanned(cut, tmp_path / "spool", True)
    assert media_scan.scan(cut, tmp_path / "spool").frames < 180


def late(path: Path, whole: Path) -> Path:
    """A copy in which one picture that none refers to, frame 40 or soon after, has a time 15 frames later."""
    with av.open(str(whole)) as read, av.open(str(path), "w") as write:
        stream, is_moved = write.add_stream_from_template(read.streams.video[0]), False
        for packet in filter(lambda packet: packet.size, read.demux(video=0)):
            if not is_moved and (packet.pts or 0) >= 40 * 3000 and is_disposable(bytes(packet), 4):
                packet.pts, is_moved = 55 * 3000 + 750, True
            packet.stream = stream
            write.mux(packet)
    return path


def test_a_picture_with_the_time_of_another_place_is_never_taken_for_its_neighbour(tmp_path: Path) -> None:
    """Counted as it is decoded, each frame from 41 to 55 would be the one before it."""
    path = late(tmp_path / "late.mp4", made(tmp_path / "v.mp4"))
    grid = scanned(path, tmp_path / "spool", True).grid
    assert cut_clip(path, grid, 0, 20, tmp_path / "clip.mp4") == 20
    for ways in (tuple(Way), (Way.COUNTED,)):
        with pytest.raises(BadInput, match="which has another time") as caught:
            cut_clips(path, grid, [Span(30, 45)], [tmp_path / "clip.mp4"], ClipOptions(), ways)
        assert caught.value.reason == "truncated"


def test_after_a_corrupt_picture_frames_are_found_by_counting(tmp_path: Path) -> None:
    """How a decoder mends it depends on what was decoded before, so nothing may be left out."""
    path = made(tmp_path / "v.mp4", gop=250)
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.size > 100]
    at, size = places[len(places) // 2]
    data = bytearray(path.read_bytes())
    data[at + size // 2 : at + size - 5] = b"\xff" * (size - 5 - size // 2)
    path.write_bytes(data)
    found = media_scan.scan(path, tmp_path / "spool")
    assert (found.frames, found.damage, found.grid.is_regular) == (180, 0, False)


def test_only_a_lone_picture_that_none_refers_to_is_disposable(tmp_path: Path) -> None:
    lone, second, referred = b"\0\0\0\2\x01\x80", b"\0\0\0\2\x01\x40", b"\0\0\0\2\x21\x80"
    remark, parameters = b"\0\0\0\2\x06\x80", b"\0\0\0\2\x67\x80"
    for data in (lone, lone + second, remark + lone):
        assert is_disposable(data, 4)
    for data in (referred, lone + lone, second, remark, parameters + lone, lone[:-1], lone + b"\0", b"", b"\0" * 9):
        assert not is_disposable(data, 4)


def test_the_packets_of_a_real_encoder_are_told_apart(tmp_path: Path) -> None:
    with av.open(str(made(tmp_path / "v.mp4"))) as container:
        stream = container.streams.video[0]
        packets = [packet for packet in container.demux(stream) if packet.size]
        marks = [is_disposable(bytes(packet), prefix_bytes(stream)) for packet in packets]
    assert not any(mark for mark, packet in zip(marks, packets, strict=True) if packet.is_keyframe)
    assert 60 < sum(marks) < 120


@pytest.mark.parametrize(
    "base", [Fraction(1, 90_000), Fraction(1, 1000), Fraction(7, 1000), Fraction(1, 3), Fraction(2)]
)
def test_samples_before_a_time_are_counted(base: Fraction) -> None:
    times = [step_ticks(sample_step(sample), base) for sample in range(200)]
    for ticks in range(0, times[-1], max(1, times[-1] // 500)):
        assert samples_before(ticks, base) == sum(at < ticks for at in times)
