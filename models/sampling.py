"""Single frames of a local video at given times, as the pipeline samples them: for labelled frames and evaluation."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np

SAMPLES_PER_S = 3
SAMPLE_SIDE = 256
"""Short side of a sample in pixels, as `segment` writes it."""
JPEG_QUALITY = 90


def video_duration(path: Path) -> float:
    """Seconds from the first frame to the end of the last one, by their time stamps."""
    with _open(path) as container:
        stream = container.streams.video[0]
        packets = [p for p in container.demux(stream) if p.pts is not None]
        if not packets or stream.time_base is None:
            raise ValueError(f"{path}: expected video frames, got none")
        last = max(packets, key=lambda p: p.pts or 0)
        length = last.duration or 0
        return float(((last.pts or 0) + length - min(p.pts or 0 for p in packets)) * stream.time_base)


def frames_at(path: Path, times_s: list[float], short_side: int) -> Iterator[np.ndarray]:
    """The frame shown at each time (ascending, from the first frame), (H, W, 3) uint8 RGB, brought to `short_side`.

    Ends early if the video does. Raises ValueError if it cannot be read.
    """
    waiting = list(reversed(times_s))
    try:
        with _open(path) as container:
            container.streams.video[0].thread_type = "AUTO"
            first, held, length = None, None, 0.0
            for frame in container.decode(video=0):
                first = frame.time if first is None else first
                if held is not None:
                    length = frame.time - held.time
                    yield from _shown(held, waiting, frame.time - first, short_side)
                held = frame
                if not waiting:
                    return
            if held is not None:
                yield from _shown(held, waiting, held.time - first + length, short_side)
    except av.error.FFmpegError as error:
        raise ValueError(f"{path}: expected a video that decodes, got {error}") from error


def _shown(held: Any, waiting: list[float], until_s: float, short_side: int) -> Iterator[np.ndarray]:
    """`held` as an image, once for each waiting time before `until_s`."""
    image = None
    while waiting and waiting[-1] < until_s - 1e-6:
        waiting.pop()
        image = _small(held.to_ndarray(format="rgb24"), short_side) if image is None else image
        yield image


def _open(path: Path) -> Any:
    return av.open(str(path), options={"protocol_whitelist": "file"})


def _small(image: np.ndarray, short_side: int) -> np.ndarray:
    height, width = image.shape[:2]
    scale = short_side / min(height, width)
    if scale >= 1:
        return image
    return cv2.resize(image, (round(width * scale), round(height * scale)), interpolation=cv2.INTER_AREA)


def through_jpeg(image: np.ndarray) -> np.ndarray:
    """An RGB image as it comes back from a stored sample."""
    _, data = cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    picture = cv2.imdecode(data, cv2.IMREAD_COLOR)
    assert picture is not None, "cv2 wrote a JPEG that it cannot read"
    return np.ascontiguousarray(picture[:, :, ::-1])
