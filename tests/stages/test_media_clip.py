"""Working clips show exactly the frames of the grid, whatever the source; the same input gives the same bytes."""

import hashlib
import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from stages.errors import BadInput
from stages.media import ClipOptions, Scan, cut_clip, decode_clip, encode_clip, scan
from stages.media_clip import squash
from tests import videos


def clip_numbers(path: Path, found: Scan, start: int, end: int) -> list[int]:
    out = path.with_name("clip.mp4")
    assert cut_clip(path, found.grid, start, end, out) == end - start
    return [videos.read_number(picture) for picture in decode_clip(out)]


@pytest.mark.parametrize("fps", [10, 24, 25, Fraction(30_000, 1001), 30, 60, 144])
def test_each_step_shows_its_frame(tmp_path: Path, fps: Fraction | int) -> None:
    path = videos.constant_rate(tmp_path / "v.mp4", fps, 5.0)
    found = scan(path, tmp_path / "spool")
    for start, end in ((0, 30), (55, 90), (70, 71), (60, len(found.grid))):
        assert clip_numbers(path, found, start, end) == found.grid.frame[start:end].tolist()


@pytest.mark.parametrize("suffix", ["mkv", "ts", "mov", "flv", "webm"])
def test_each_container(tmp_path: Path, suffix: str) -> None:
    codec = "libvpx-vp9" if suffix == "webm" else "libx264"
    path = videos.constant_rate(tmp_path / f"v.{suffix}", 30, 5.0, codec=codec, start=9000)
    found = scan(path, tmp_path / "spool")
    assert clip_numbers(path, found, 50, 80) == found.grid.frame[50:80].tolist() == [k * 3 // 2 for k in range(50, 80)]


def test_a_variable_rate_with_long_groups_and_b_frames(tmp_path: Path) -> None:
    chance, pts = random.Random(3), [0]
    while pts[-1] < 8 * 90_000:
        pts.append(pts[-1] + chance.randint(400, 30_000))
    path = videos.write_video(tmp_path / "v.mp4", pts, gop=250, b_frames=3)
    found = scan(path, tmp_path / "spool")
    assert clip_numbers(path, found, 61, 150) == found.grid.frame[61:150].tolist()


def test_frames_hidden_by_an_edit_list_stay_hidden(tmp_path: Path) -> None:
    path = videos.constant_rate(tmp_path / "v.mp4", 30, 6.0, start=-45_000)
    found = scan(path, tmp_path / "spool")
    assert clip_numbers(path, found, 60, 90) == [15 + frame for frame in found.grid.frame[60:90].tolist()]


def test_irregular_time_stamps_are_found_by_counting(tmp_path: Path) -> None:
    path = videos.constant_rate(tmp_path / "v.ts", 30, 4.0)
    with path.open("ab") as file:
        file.write(path.read_bytes())
    found = scan(path, tmp_path / "spool")
    assert not found.grid.is_regular
    numbers = [frame % 120 for frame in found.grid.frame[70:130].tolist()]
    assert clip_numbers(path, found, 70, 130) == numbers


def test_an_open_group_is_entered_correctly(tmp_path: Path) -> None:
    options = {"x264-params": "open-gop=1:keyint=24:bframes=3:scenecut=0"}
    path = videos.constant_rate(tmp_path / "v.mp4", 30, 8.0, gop=24, b_frames=3, options=options)
    found = scan(path, tmp_path / "spool")
    for start in range(50, 100, 7):
        assert clip_numbers(path, found, start, start + 20) == found.grid.frame[start : start + 20].tolist()


def test_a_source_that_changed_since_the_scan_is_refused(tmp_path: Path) -> None:
    path = videos.constant_rate(tmp_path / "v.mp4", 30, 6.0)
    found = scan(path, tmp_path / "spool")
    videos.constant_rate(path, 30, 4.0)
    with pytest.raises(BadInput) as caught:
        cut_clip(path, found.grid, 90, 110, tmp_path / "clip.mp4")
    assert caught.value.reason == "truncated"


def test_the_same_input_gives_the_same_bytes_without_dates_or_versions(tmp_path: Path) -> None:
    path = videos.constant_rate(tmp_path / "v.mp4", 30, 4.0)
    found = scan(path, tmp_path / "spool")
    digests = set()
    for name in ("a.mp4", "b.mp4"):
        cut_clip(path, found.grid, 45, 75, tmp_path / name)
        digests.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert len(digests) == 1
    with av.open(str(tmp_path / "a.mp4")) as container:
        assert not {"creation_time", "encoder"} & (container.metadata | container.streams.video[0].metadata).keys()


def test_a_clip_is_20_hz_h264_with_a_key_frame_every_second_and_no_sound(tmp_path: Path) -> None:
    path = videos.constant_rate(tmp_path / "v.mp4", 30, 4.0, with_audio_s=4)
    found = scan(path, tmp_path / "spool")
    cut_clip(path, found.grid, 0, 70, tmp_path / "clip.mp4", ClipOptions(gop=20))
    with av.open(str(tmp_path / "clip.mp4")) as container:
        (stream,) = container.streams
        assert (stream.codec_context.name, stream.width, stream.height, stream.pix_fmt) == ("h264", 128, 128, "yuv420p")
        assert stream.average_rate == 20
        assert stream.frames == 70
        keys = [index for index, packet in enumerate(container.demux(stream)) if packet.is_keyframe and packet.size]
    assert keys == [0, 20, 40, 60]


def test_decode_clip_takes_bytes_and_paths_and_refuses_others(tmp_path: Path) -> None:
    path = videos.constant_rate(tmp_path / "v.mp4", 30, 1.0)
    cut_clip(path, scan(path, tmp_path / "spool").grid, 0, 20, tmp_path / "clip.mp4")
    clip = decode_clip((tmp_path / "clip.mp4").read_bytes())
    assert clip.shape == (20, 128, 128, 3)
    assert clip.dtype == np.uint8
    assert (clip == decode_clip(tmp_path / "clip.mp4")).all()
    for wrong in (path, b"text", videos.text_file(tmp_path / "t.mp4"), videos.audio_only(tmp_path / "s.mp4")):
        with pytest.raises(BadInput, match="working clip"):
            decode_clip(wrong)


def test_pictures_given_as_an_array_make_the_same_kind_of_clip() -> None:
    pictures = np.stack([videos.numbered(index, 128, 128) for index in range(50)])
    data = encode_clip(pictures)
    assert [videos.read_number(picture) for picture in decode_clip(data)] == list(range(50))
    assert encode_clip(pictures) == data


def test_a_turned_video_is_cut_upright(tmp_path: Path) -> None:
    upright = videos.numbered(40_503)
    stored = np.ascontiguousarray(np.rot90(upright, -1))  # turned clockwise; a player turns it back
    path = videos.write_video(
        tmp_path / "v.mp4", [n * 3000 for n in range(30)], size=(180, 320), pictures=iter([stored] * 30), rotation=90
    )
    found = scan(path, tmp_path / "spool")
    cut_clip(path, found.grid, 0, 20, tmp_path / "clip.mp4")
    assert videos.read_number(decode_clip(tmp_path / "clip.mp4")[0]) == 40_503


def test_squash_averages_large_pictures_and_squashes_contractor_sizes_as_the_models_saw_it() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (360, 640, 3), dtype=np.uint8)
    assert (squash(noise) == cv2.resize(noise, (128, 128), interpolation=cv2.INTER_LINEAR)).all()
    large = np.repeat(np.repeat(noise, 2, axis=0), 2, axis=1)
    assert (squash(large) == squash(noise)).all()  # the average of four equal pixels is that pixel
    assert squash(noise[:100, :100]).shape == (128, 128, 3)


@pytest.mark.parametrize("matrix", [Colorspace.ITU601, Colorspace.ITU709])
@pytest.mark.parametrize("value_range", [ColorRange.MPEG, ColorRange.JPEG])
def test_colours_survive_every_matrix_and_range(tmp_path: Path, matrix: Colorspace, value_range: ColorRange) -> None:
    colour = (200, 60, 30)
    picture: Any = np.full((180, 320, 3), colour, dtype=np.uint8)
    path = tmp_path / "v.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=20)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        stream.codec_context.color_range = int(value_range)
        stream.codec_context.colorspace = 1 if matrix == Colorspace.ITU709 else 6
        stream.codec_context.options = {"crf": "5"}
        for index in range(20):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame = frame.reformat(format="yuv420p", dst_colorspace=matrix, dst_color_range=value_range)
            frame.pts = index
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    cut_clip(path, scan(path, tmp_path / "spool").grid, 0, 20, tmp_path / "clip.mp4")
    assert np.abs(decode_clip(tmp_path / "clip.mp4").astype(int) - colour).max() <= 6
