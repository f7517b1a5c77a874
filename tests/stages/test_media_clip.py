"""Working clips: 20 Hz, a key frame every second, true colours; the same input gives the same bytes."""

import hashlib
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from stages.errors import BadInput
from stages.media import ClipOptions, cut_clip, decode_clip, encode_clip, scan
from tests import videos


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
