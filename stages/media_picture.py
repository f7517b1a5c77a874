"""One decoded frame as the picture that a viewer sees: upright, one moment in time, in its true proportions."""

from fractions import Fraction
from typing import Any

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.reformatter import Interpolation
from av.video.stream import VideoStream

cv2.setNumThreads(1)  # one worker, one core: a second thread only adds to the work

CLIP_SIZE = 128
"""Pixels on each side of a working clip: what VPT's models take."""
GAME_WIDTH, GAME_HEIGHT = 640, 360
"""Size of a contractor recording. The models saw 640x360 squashed to 128x128 by INTER_LINEAR, which reads 4 pixels
for each one it writes; a larger picture squashed so would alias more than they ever saw, so it is averaged first."""
_BOTTOM_FIRST = (3, 4)
"""FFmpeg's AV_FIELD_BB and AV_FIELD_TB: the bottom field is shown first."""
_ASPECTS = Fraction(1, 10), Fraction(10)
"""Pixels narrower or wider than this are a mistake of the header and count as square."""


def to_rgb(frame: VideoFrame, layout: str = "rgb24", first_line: int = 0) -> np.ndarray[Any, Any]:
    """The frame as uint8 (H, W, 3), turned upright; `layout` is `rgb24` or `bgr24`.

    Matrix and range follow the frame's tags; untagged means BT.601 limited, as OpenCV has it in the released code.
    The flags are OpenCV's too, so that pixels equal those the released models were trained on.
    An interlaced frame holds two moments; the first one shown is taken, half as high. `first_line` is where it begins.
    """
    turns, mirrored = _turns(frame)
    if frame.interlaced_frame:
        frame = one_field(frame, first_line)
    picture = frame.to_ndarray(format=layout, interpolation=Interpolation.BICUBIC, threads=1)
    if mirrored:
        picture = picture[:, ::-1]
    return np.rot90(picture, turns) if turns else picture


def first_line(stream: VideoStream) -> int:
    """The line on which the first field of a stream's interlaced frames begins: 0, or 1 where the bottom is first."""
    return int(stream.codec_context.field_order in _BOTTOM_FIRST)


def display_size(frame: VideoFrame, aspect: Fraction | None) -> tuple[int, int]:
    """Upright width and height in square pixels; `aspect` is the width of a stored pixel over its height.

    Pixels are never merged: the side that is too short for its shape grows.
    """
    width, height = frame.width, frame.height
    if aspect and _ASPECTS[0] <= aspect <= _ASPECTS[1]:
        width, height = (round(width * aspect), height) if aspect > 1 else (width, round(height / aspect))
    return (height, width) if _turns(frame)[0] % 2 else (width, height)


def shrink(picture: np.ndarray[Any, Any], width: int, height: int) -> np.ndarray[Any, Any]:
    """A picture (H, W, 3), or one plane of it, at another size: halved while it can be, the rest is interpolated.

    What remains is less than a factor of 2, where interpolation reads every pixel. OpenCV averages fast by 2 and by
    nothing else: INTER_AREA by 3 takes four times as long, and by a broken factor longer still (docs/log.md).
    """
    rows, columns = picture.shape[:2]
    while rows >= 2 * height and columns >= 2 * width and not (rows % 2 or columns % 2):
        rows, columns = rows // 2, columns // 2
        picture = cv2.resize(picture, (columns, rows), interpolation=cv2.INTER_AREA)
    if (columns, rows) != (width, height):
        is_far = rows >= 2 * height or columns >= 2 * width
        picture = cv2.resize(picture, (width, height), interpolation=cv2.INTER_AREA if is_far else cv2.INTER_LINEAR)
    return picture


def squash(picture: np.ndarray[Any, Any], halved: int = 1) -> np.ndarray[Any, Any]:
    """Any RGB picture (H, W, 3) to (128, 128, 3) as VPT's models saw it; the aspect ratio is not kept.

    Also one plane (H, W) of a picture, to (128, 128); `halved` is 2 where it has half of the picture's sides.
    """
    height, width = picture.shape[:2]
    game = shrink(picture, min(width, GAME_WIDTH // halved), min(height, GAME_HEIGHT // halved))
    return cv2.resize(game, (CLIP_SIZE, CLIP_SIZE), interpolation=cv2.INTER_LINEAR)


def one_field(frame: VideoFrame, first: int) -> VideoFrame:
    """Every second line of every plane: the chroma of an interlaced frame belongs to fields, too."""
    field = VideoFrame(frame.width, max(2, frame.height // 2), frame.format.name)
    for source, target in zip(frame.planes, field.planes, strict=True):
        lines = np.frombuffer(memoryview(source), np.uint8).reshape(-1, source.line_size)[first::2]
        into = np.frombuffer(memoryview(target), np.uint8).reshape(-1, target.line_size)
        rows, row_bytes = min(len(lines), len(into)), min(source.line_size, target.line_size)
        into[:rows, :row_bytes] = lines[:rows, :row_bytes]
    field.colorspace, field.color_range = frame.colorspace, frame.color_range
    return field


def is_upright(frame: VideoFrame) -> bool:
    """Whether the stored picture is neither turned nor mirrored."""
    return _turns(frame) == (0, False)


def _turns(frame: VideoFrame) -> tuple[int, bool]:
    """(quarter turns counterclockwise, mirrored first) that make the stored picture upright."""
    matrix: Any = frame.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return 0, False
    a, b, _, c, d = np.frombuffer(bytes(matrix), dtype="<i4")[:5].tolist()
    mirrored = a * d < b * c
    if mirrored:
        a, b = -a, -b
    return round(np.degrees(np.arctan2(-b, a)) / 90) % 4, mirrored
