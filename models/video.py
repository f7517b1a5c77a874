"""Frames of a recorded video: decode, draw the cursor, resize, as VPT's loader did (paper, appendix B)."""

import math
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import av
import cv2
import numpy as np

from models.errors import BadRecording

FRAME_PX = 128
"""Side of the frames that the models see, in pixels."""
RECORDER_HEIGHT_PX = 720
"""Height of the window in which mouse positions were recorded."""


def iter_frames(path: Path) -> Iterator[np.ndarray]:
    """Yield the frames of an mp4 as uint8 RGB (H, W, 3), in presentation order.

    The container format is fixed and no protocol but `file` is allowed, so a crafted file cannot open others.
    Raises `BadRecording` with `video_unreadable`.
    """
    index = 0
    try:
        with av.open(str(path), format="mp4", options={"protocol_whitelist": "file"}) as container:
            if not container.streams.video:
                raise BadRecording("video_unreadable", f"{path.name}: no video stream in the file")
            container.streams.video[0].thread_type = "AUTO"
            for frame in container.decode(video=0):
                yield frame.to_ndarray(format="rgb24")
                index += 1
    except (av.error.FFmpegError, OSError) as error:
        raise BadRecording("video_unreadable", f"{path.name}: decoding stopped at frame {index}: {error}") from error
    if index == 0:
        raise BadRecording("video_unreadable", f"{path.name}: the video stream holds no frame")


@lru_cache(maxsize=1)
def cursor_sprite() -> np.ndarray:
    """A white arrow with a black edge, uint8 RGBA (16, 16, 4), its tip at the top left."""
    outline = np.array([[0, 0], [0, 13], [3, 10], [5, 15], [7, 14], [5, 9], [9, 9]], dtype=np.int32)
    white = np.zeros((16, 16), dtype=np.uint8)
    edge = np.zeros((16, 16), dtype=np.uint8)
    cv2.fillPoly(white, [outline], 255)
    cv2.polylines(edge, [outline], isClosed=True, color=255)
    alpha = np.maximum(white, edge)
    colour = np.where(edge > 0, 0, white)
    return np.dstack([colour, colour, colour, alpha])


def draw_cursor(frame: np.ndarray, x: float, y: float) -> None:
    """Blend the cursor into an RGB frame, in place; (x, y) is the tip in a window of 720 lines."""
    height, width = frame.shape[:2]
    if not (math.isfinite(x) and math.isfinite(y)):
        return
    left, top = int(x * height / RECORDER_HEIGHT_PX), int(y * height / RECORDER_HEIGHT_PX)
    x0, x1 = max(left, 0), min(left + 16, width)
    y0, y1 = max(top, 0), min(top + 16, height)
    if x0 >= x1 or y0 >= y1:
        return
    sprite = cursor_sprite()[y0 - top : y1 - top, x0 - left : x1 - left].astype(np.float32)
    alpha = sprite[..., 3:] / 255.0
    frame[y0:y1, x0:x1] = (frame[y0:y1, x0:x1] * (1 - alpha) + sprite[..., :3] * alpha).astype(np.uint8)


def resize_frame(frame: np.ndarray) -> np.ndarray:
    """RGB (H, W, 3) to (128, 128, 3), squashing the aspect, by the only interpolation the released weights know."""
    return cv2.resize(frame, (FRAME_PX, FRAME_PX), interpolation=cv2.INTER_LINEAR)
