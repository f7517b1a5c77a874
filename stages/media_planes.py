"""Make a frame small in the colours in which it is stored: a detour over RGB costs more than decoding the frame does.

Scaling and the change of matrix are both linear, so their order only matters for rounding. Colour is kept at full
resolution until the picture is small, which is nearer to the picture that the models saw than RGB squashed and
subsampled (docs/log.md).
"""

from functools import lru_cache
from typing import Any, NamedTuple

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.plane import VideoPlane
from av.video.reformatter import ColorRange, Colorspace, Interpolation

from stages.media_picture import CLIP_SIZE, is_upright, shrink, squash, to_rgb

Array = np.ndarray[Any, np.dtype[np.uint8]]
Picture = Array | tuple[Array, ...]
"""RGB (128, 128, 3), or Y, U and V of BT.601 in limited range, (128, 128) each."""
SMPTE_170M = 6
"""FFmpeg's AVCOL_SPC_SMPTE170M, which is BT.601."""
_FORMATS = ("yuv420p", "yuvj420p")
_BT601, _BT709 = (0.299, 0.114), (0.2126, 0.0722)
"""Weights of red and blue in luma."""
_MATRICES = {1: _BT709, 2: _BT601, 5: _BT601, SMPTE_170M: _BT601}
"""By FFmpeg's AVColorSpace; untagged (2) means BT.601, as in `to_rgb`."""


def squashed(frame: VideoFrame, first_line: int) -> Picture:
    """A frame as VPT's models saw it: its planes where that is possible, else RGB."""
    return squash_planes(frame) or squash(to_rgb(frame, first_line=first_line))


def squash_planes(frame: VideoFrame) -> tuple[Array, ...] | None:
    """Y, U and V of BT.601 in limited range, each (128, 128); None for a frame that `_stored` does not read."""
    if (stored := _stored(frame)) is None:
        return None
    planes = [squash(plane, halved) for plane, halved in zip(stored.planes, (1, 2, 2), strict=True)]
    if stored.matrix == _BT601 and not stored.is_full:
        return tuple(planes)
    converted = _transform(planes, to_bt601(*stored.matrix, is_full=stored.is_full))
    return converted[..., 0], converted[..., 1], converted[..., 2]


def shrunk(frame: VideoFrame, first_line: int, width: int, height: int) -> Array:
    """A frame upright at another size, uint8 (height, width, 3) BGR: `shrink` before the change of colours."""
    if (stored := _stored(frame)) is None:
        return shrink(to_rgb(frame, "bgr24", first_line), width, height)
    planes = [shrink(plane, width, height) for plane in stored.planes]
    return _transform(planes, to_bgr(*stored.matrix, is_full=stored.is_full))


class _Stored(NamedTuple):
    """A frame's own planes, which live as long as it does, and what they mean."""

    planes: list[Array]
    matrix: tuple[float, float]
    is_full: bool


def _stored(frame: VideoFrame) -> _Stored | None:
    """None for a frame that is not 4:2:0 with 8 bits, one moment in time, upright, with a matrix that is known here."""
    matrix = _MATRICES.get(int(frame.colorspace))
    if frame.format.name not in _FORMATS or frame.interlaced_frame or matrix is None or not is_upright(frame):
        return None
    if any(plane.line_size <= 0 for plane in frame.planes):
        return None
    is_full = frame.format.name == "yuvj420p" or int(frame.color_range) == ColorRange.JPEG
    return _Stored([_array(plane) for plane in frame.planes], matrix, is_full)


def _transform(planes: list[Array], matrix: np.ndarray[Any, Any]) -> Array:
    return cv2.transform(cv2.merge(planes), matrix).astype(np.uint8, copy=False)


def to_frame(picture: Picture, pixel_format: str) -> VideoFrame:
    """A squashed picture as a frame of `yuv420p` or `yuv444p` to encode, BT.601 in limited range."""
    if not isinstance(picture, tuple):
        return VideoFrame.from_ndarray(picture, format="rgb24").reformat(
            format=pixel_format,
            dst_colorspace=Colorspace.ITU601,
            dst_color_range=ColorRange.MPEG,
            interpolation=Interpolation.BICUBIC,
            threads=1,
        )
    frame = VideoFrame(CLIP_SIZE, CLIP_SIZE, pixel_format)
    for plane, values in zip(frame.planes, picture, strict=True):
        is_half = plane.width < CLIP_SIZE
        _array(plane)[:] = _halved(values) if is_half else values
    frame.colorspace, frame.color_range = SMPTE_170M, int(ColorRange.MPEG)
    return frame


def _halved(plane: Array) -> Array:
    return cv2.resize(plane, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA).astype(np.uint8, copy=False)


def _array(plane: VideoPlane) -> Array:
    """A view (H, W) of a plane; it lives as long as its frame."""
    return np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)[: plane.height, : plane.width]


@lru_cache
def to_bt601(red: float, blue: float, *, is_full: bool) -> np.ndarray[Any, Any]:
    """(3, 4): stored Y, U, V with the given weights of red and blue to those of BT.601 in limited range."""
    wanted = np.diag([219.0, 224, 224]) @ _from_rgb(*_BT601)
    return _with_offset(wanted @ _to_rgb(red, blue, is_full), np.array([16.0, 128, 128]), is_full)


@lru_cache
def to_bgr(red: float, blue: float, *, is_full: bool) -> np.ndarray[Any, Any]:
    """(3, 4): stored Y, U, V to blue, green and red."""
    return _with_offset(255 * _to_rgb(red, blue, is_full)[::-1], np.zeros(3), is_full)


def _with_offset(matrix: np.ndarray[Any, Any], black: np.ndarray[Any, Any], is_full: bool) -> np.ndarray[Any, Any]:
    """Add the column that maps black, as it is stored, to `black`."""
    return np.column_stack([matrix, black - matrix @ np.array([0.0 if is_full else 16.0, 128, 128])])


def _to_rgb(red: float, blue: float, is_full: bool) -> np.ndarray[Any, Any]:
    """(3, 3): stored Y, U, V, without their offsets, to RGB, 0 to 1."""
    return np.linalg.inv(np.diag([255.0, 255, 255] if is_full else [219.0, 224, 224]) @ _from_rgb(red, blue))


def _from_rgb(red: float, blue: float) -> np.ndarray[Any, Any]:
    """(3, 3): RGB, 0 to 1, to luma, 0 to 1, and both colour differences, -0.5 to 0.5."""
    luma = np.array([red, 1 - red - blue, blue])
    return np.stack([luma, (np.eye(3)[2] - luma) / (2 - 2 * blue), (np.eye(3)[0] - luma) / (2 - 2 * red)])
