"""Working clips, 128x128 at 20 Hz: write and read them.

Labelling and training read working clips only, so they have a key frame every second for
random access and hold exactly one frame per step of the grid. The same input gives the same bytes.
"""

import io
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import OutputContainer
from av.video.reformatter import ColorRange
from av.video.stream import VideoStream

from stages.errors import BadInput
from stages.media_grid import STEPS_PER_S
from stages.media_picture import CLIP_SIZE, to_rgb
from stages.media_planes import SMPTE_170M, Picture, to_frame

_ALWAYS = "cpu-independent=1:threads=1:cabac=0:aq-mode=1:mbtree=1:rc-lookahead=10"
"""For x264. The same code path on every processor. Without CABAC a clip is a twentieth larger and decodes in half the
time, and clips are read far more often than written. What the fast presets leave out of rate control saves many bytes
for little time."""


@dataclass(frozen=True)
class ClipOptions:
    """How a working clip is encoded (H.264, no B-frames, one thread)."""

    gop: int = 20
    """Frames from key frame to key frame: one second, so that a random window costs at most 19 extra frames."""
    crf: int = 16
    """x264's constant rate factor: 0 is lossless, 16 is hard to tell from the source, 23 is x264's default."""
    preset: str = "ultrafast"
    """x264's effort. `veryfast` saves a tenth of the bytes and takes more than twice as long (docs/log.md)."""
    pixel_format: str = "yuv420p"
    """`yuv420p`, or `yuv444p`: same size, a quarter less error, but browsers cannot play it."""


def encode_clip(frames: np.ndarray[Any, Any], options: ClipOptions = ClipOptions()) -> bytes:
    """Squashed frames (T, 128, 128, 3) uint8 RGB as the bytes of a working clip of exactly T frames."""
    with tempfile.TemporaryDirectory(prefix="smelter-") as folder:
        out = Path(folder) / "clip.mp4"
        Encoder(options).write(iter(frames), out)
        return out.read_bytes()


def decode_clip(source: bytes | Path | str) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """All frames of a working clip: uint8 (T, 128, 128, 3) RGB.

    Raises:
        BadInput: `not_a_video` when it is no clip of ours.
    """
    opened = io.BytesIO(source) if isinstance(source, bytes) else f"file:{source}"
    try:
        with av.open(opened, "r", options={"format_whitelist": "mov"}) as container:
            stream = container.streams.video[0]
            stream.codec_context.thread_count = 1
            clip = np.empty((stream.frames, CLIP_SIZE, CLIP_SIZE, 3), dtype=np.uint8)
            count = 0
            for frame in container.decode(stream):
                clip[count] = to_rgb(frame)
                count += 1
    except (av.FFmpegError, IndexError, ValueError) as error:
        raise BadInput("not_a_video", f"expected a working clip of {CLIP_SIZE}x{CLIP_SIZE}, got: {error}") from None
    return clip[:count]


def count_frames(clip: Path) -> int:
    """Frames of a working clip that decode; no picture is made of them."""
    with av.open(f"file:{clip}", "r", options={"format_whitelist": "mov"}) as container:
        container.streams.video[0].codec_context.thread_count = 1
        return sum(1 for _ in container.decode(video=0))


class Encoder:
    """Writes pictures as a bit-exact mp4: no dates, no version of the muxer."""

    def __init__(self, options: ClipOptions) -> None:
        self._options = options

    def write(self, pictures: Iterator[Picture], out: Path) -> None:
        with av.open(
            str(out), "w", format="mp4", options={"fflags": "+bitexact", "movflags": "+faststart"}
        ) as container:
            stream = self._stream(container)
            for index, picture in enumerate(pictures):
                frame = to_frame(picture, self._options.pixel_format)
                frame.pts = index
                container.mux(stream.encode(frame))
            container.mux(stream.encode(None))

    def _stream(self, container: OutputContainer) -> VideoStream:
        options = self._options
        stream = container.add_stream("libx264", rate=STEPS_PER_S)
        stream.width = stream.height = CLIP_SIZE
        stream.pix_fmt = options.pixel_format
        context = stream.codec_context
        context.time_base = Fraction(1, STEPS_PER_S)
        context.thread_count = 1
        context.color_range, context.colorspace = int(ColorRange.MPEG), SMPTE_170M
        context.gop_size, context.max_b_frames = options.gop, 0
        context.options = {
            "preset": options.preset,
            "crf": str(options.crf),
            "x264-params": f"scenecut=0:min-keyint={options.gop}:{_ALWAYS}",
            "flags": "+bitexact",
        }
        return stream
