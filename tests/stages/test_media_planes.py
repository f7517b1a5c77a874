"""A frame squashed plane by plane is the picture that the models saw; frames stored otherwise go by way of RGB."""

import itertools
from typing import Any

import av
import cv2
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace

from stages.media_picture import shrink, squash, to_rgb
from stages.media_planes import shrunk, squash_planes, squashed, to_frame

PATTERN: Any = cv2.resize(np.random.default_rng(2).integers(64, 192, (23, 40, 3), dtype=np.uint8), (640, 360))
"""Soft blobs in muted colours, none of which lies at the edge of what RGB can show."""


def stored(
    picture: Any, pixel_format: str = "yuv420p", matrix: Any = Colorspace.ITU601, value_range: Any = ColorRange.MPEG
) -> av.VideoFrame:
    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
    frame = frame.reformat(format=pixel_format, dst_colorspace=matrix, dst_color_range=value_range)
    frame.colorspace, frame.color_range = (1 if matrix == Colorspace.ITU709 else 6), int(value_range)
    return frame


def difference(frame: av.VideoFrame) -> Any:
    """(128, 128, 3) in grey levels, between a frame squashed by its planes and its RGB squashed."""
    planes = squash_planes(frame)
    assert planes is not None
    return np.abs(to_rgb(to_frame(planes, "yuv444p")).astype(int) - squash(to_rgb(frame)))


@pytest.mark.parametrize("size", [(640, 360), (1280, 720), (1920, 1080), (854, 480), (426, 240), (360, 640), (127, 63)])
def test_the_picture_is_the_one_that_goes_by_way_of_rgb(size: tuple[int, int]) -> None:
    assert difference(stored(cv2.resize(PATTERN, size))).mean() < 2.2  # 1.6 of it is how FFmpeg rounds green


@pytest.mark.parametrize("matrix", [Colorspace.ITU601, Colorspace.ITU709])
@pytest.mark.parametrize("value_range", [ColorRange.MPEG, ColorRange.JPEG])
def test_every_matrix_and_range_gives_the_same_colours(matrix: Colorspace, value_range: ColorRange) -> None:
    assert difference(stored(PATTERN, "yuv420p", matrix, value_range)).mean() < 2.2
    plain: Any = np.full((360, 640, 3), (200, 60, 30), dtype=np.uint8)
    assert difference(stored(plain, "yuv420p", matrix, value_range)).max() <= 3


@pytest.mark.parametrize("matrix", [Colorspace.ITU601, Colorspace.ITU709])
@pytest.mark.parametrize("value_range", [ColorRange.MPEG, ColorRange.JPEG])
@pytest.mark.parametrize("size", [(640, 360), (1920, 1080), (854, 480), (127, 63)])
def test_a_sample_is_the_picture_that_goes_by_way_of_rgb(size: Any, matrix: Any, value_range: Any) -> None:
    frame = stored(cv2.resize(PATTERN, size), "yuv420p", matrix, value_range)
    small = min(455, size[0]), min(256, size[1])
    expected = shrink(to_rgb(frame, "bgr24"), *small)
    assert np.abs(shrunk(frame, 0, *small).astype(int) - expected).mean() < 2.2


@pytest.mark.parametrize("pixel_format", ["yuv422p", "yuv444p", "yuv420p10le"])
def test_a_sample_of_a_frame_stored_otherwise_goes_by_way_of_rgb(pixel_format: str) -> None:
    frame = stored(PATTERN, pixel_format)
    assert (shrunk(frame, 0, 455, 256) == shrink(to_rgb(frame, "bgr24"), 455, 256)).all()


def test_half_the_colour_is_no_further_from_what_the_models_saw_than_by_way_of_rgb() -> None:
    with av.open("data/sample/web/yfKiDuRj7ee.mp4") as container:
        container.seek(30_000_000)
        frames = list(itertools.islice(container.decode(video=0), 5))
    for frame in frames:
        saw = squash(to_rgb(frame)).astype(int)
        by_planes, by_rgb = (to_frame(picture, "yuv420p") for picture in (squashed(frame, 0), saw.astype(np.uint8)))
        assert ((to_rgb(by_planes) - saw) ** 2).mean() < ((to_rgb(by_rgb) - saw) ** 2).mean()


def test_frames_stored_otherwise_go_by_way_of_rgb() -> None:
    other = stored(PATTERN, "yuv422p")
    odd = stored(PATTERN)
    odd.colorspace = 7  # SMPTE 240M
    for frame in (other, odd):
        assert squash_planes(frame) is None
        assert (squashed(frame, 0) == squash(to_rgb(frame))).all()
