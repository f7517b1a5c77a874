"""Videos whose pictures say which frame they are, for tests, benchmarks and the fuzzer.

A frame's number is painted as 4 x 4 black and white blocks (16 bits, most significant first), which survive resizing
to 128x128 and strong compression. `read_number` gets it back.
"""

from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.codec.context import Flags

BLOCKS = 4


def numbered(number: int, width: int = 320, height: int = 180) -> np.ndarray[Any, Any]:
    """An RGB picture (H, W, 3) that shows a number from 0 to 65535."""
    bits = np.array([number >> shift & 1 for shift in range(15, -1, -1)], dtype=np.uint8).reshape(BLOCKS, BLOCKS)
    rows, columns = np.arange(height) * BLOCKS // height, np.arange(width) * BLOCKS // width
    return np.repeat((30 + 200 * bits[np.ix_(rows, columns)])[:, :, None], 3, axis=2).astype(np.uint8)


def read_number(picture: np.ndarray[Any, Any]) -> int:
    """The number that a picture (H, W, 3) shows, from the middle half of each block."""
    height, width = picture.shape[0] // BLOCKS, picture.shape[1] // BLOCKS
    number = 0
    for row in range(BLOCKS):
        for column in range(BLOCKS):
            block = picture[row * height : (row + 1) * height, column * width : (column + 1) * width]
            middle = block[height // 4 : -height // 4, width // 4 : -width // 4]
            number = number * 2 + int(middle.mean() > 128)
    return number


def write_video(
    path: Path,
    pts: Iterable[int],
    time_base: Fraction = Fraction(1, 90_000),
    *,
    rate: Fraction | int = 30,
    codec: str = "libx264",
    size: tuple[int, int] = (320, 180),
    gop: int = 50,
    b_frames: int = 2,
    pictures: Iterator[np.ndarray[Any, Any]] | None = None,
    pixel_format: str = "yuv420p",
    rotation: int = 0,
    aspect: Fraction | None = None,
    is_interlaced: bool = False,
    with_audio_s: float = 0.0,
    options: dict[str, str] | None = None,
    container_options: dict[str, str] | None = None,
) -> Path:
    """Write numbered frames (or `pictures`) at the given time stamps, in units of `time_base` seconds.

    `aspect` is the width of a pixel over its height; `options` are the encoder's.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w", options=container_options or {}) as container:
        stream: Any = container.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = *size, pixel_format
        stream.time_base = stream.codec_context.time_base = time_base
        stream.codec_context.thread_count = 1
        stream.codec_context.gop_size = gop
        stream.codec_context.options = {**quick_options(codec, b_frames), **(options or {})}
        if codec in ("libx264", "mpeg4", "mpeg2video"):
            stream.codec_context.max_b_frames = b_frames
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if is_interlaced:
            stream.codec_context.flags |= int(Flags.interlaced_dct) | int(Flags.interlaced_me)
        if rotation:
            stream.set_display_rotation(rotation)
        sound: Any = container.add_stream("aac", rate=16_000) if with_audio_s else None
        for index, stamp in enumerate(pts):
            picture = next(pictures) if pictures else numbered(index, *size)
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = stamp, time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
        if sound:
            write_silence(container, sound, with_audio_s)
    return path


def quick_options(codec: str, b_frames: int) -> dict[str, str]:
    """Encoder options that spare the tests' time."""
    return {
        "libx264": {"preset": "ultrafast", "crf": "28", "bf": str(b_frames)},
        "libx265": {"preset": "ultrafast", "x265-params": f"log-level=none:pools=1:bframes={b_frames}"},
        "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
        "libvpx": {"deadline": "realtime", "cpu-used": "8"},
        "libsvtav1": {"preset": "9", "crf": "20", "svtav1-params": "lp=1"},
    }.get(codec, {})


def write_silence(container: Any, stream: Any, seconds: float) -> None:
    """Put a silent sound track into an open container."""
    for start in range(0, int(seconds * 16_000), 1024):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), dtype=np.float32), format="fltp", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = 16_000, start, Fraction(1, 16_000)
        container.mux(stream.encode(frame))
    container.mux(stream.encode(None))


def constant_rate(path: Path, fps: Fraction | int, seconds: float, **kwargs: Any) -> Path:
    """Numbered frames at a constant rate."""
    base = kwargs.pop("time_base", Fraction(1, 90_000))
    start = kwargs.pop("start", 0)
    count = int(seconds * fps)
    return write_video(path, [start + round(n / (fps * base)) for n in range(count)], base, rate=fps, **kwargs)
