"""Working clips: cut the clean part of a source to 128x128 at 20 Hz, and read such clips back.

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
import cv2
import numpy as np
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, Interpolation
from av.video.stream import VideoStream

from stages.errors import BadInput
from stages.media_grid import STEPS_PER_S, Grid, Span, microseconds
from stages.media_probe import MediaLimits, decoded, open_video, to_rgb

CLIP_SIZE = 128
"""Pixels on each side of a working clip: what VPT's models take."""
GAME_WIDTH, GAME_HEIGHT = 640, 360
"""Size of a contractor recording. The models saw 640x360 squashed to 128x128 by INTER_LINEAR, which reads 4 pixels
for each one it writes; a larger picture squashed so would alias more than they ever saw, so it is averaged first."""
SEEK_AFTER_S = 2
"""A clip that begins earlier than this is read from the start of the file."""


@dataclass(frozen=True)
class ClipOptions:
    """How a working clip is encoded (H.264, no B-frames, one thread)."""

    gop: int = 20
    """Frames from key frame to key frame: one second, so that a random window costs at most 19 extra frames."""
    crf: int = 16
    """x264's constant rate factor: 0 is lossless, 16 is hard to tell from the source, 23 is x264's default."""
    preset: str = "fast"
    """x264's effort."""
    pixel_format: str = "yuv420p"
    """`yuv420p`, or `yuv444p`: same size, a quarter less error, but browsers cannot play it."""


def cut_clip(
    path: Path,
    grid: Grid,
    start: int,
    end: int,
    out: Path,
    options: ClipOptions = ClipOptions(),
    limits: MediaLimits = MediaLimits(),  # noqa: B008 - frozen
) -> int:
    """Write steps start (included) to end (excluded) as a working clip; returns its frames, proved by reading it back.

    Raises:
        BadInput: `truncated` when the source no longer gives the frames that the grid names; what `open_video` raises.
    """
    assert 0 <= start < end <= len(grid), f"steps {start}..{end} of a grid of {len(grid)}"
    encoder = _Encoder(options)
    seeks = grid.is_regular and grid.pts_us[start] > SEEK_AFTER_S * 1_000_000
    for from_start in (False, True) if seeks else (True,):
        try:
            encoder.write(_steps(path, grid, start, end, from_start, limits), out)
            break
        except _Missed as missed:
            if from_start:
                raise BadInput(
                    "truncated", f"expected the frames of the grid in {path.name}, got none {missed}"
                ) from None
    frames = len(decode_clip(out))
    assert frames == end - start, f"clip {out.name} has {frames} frames, expected {end - start}"
    return frames


def cut_clips(source: Path, grid: Grid, spans: list[Span], clips: list[Path], options: ClipOptions) -> list[int]:
    """Cut several spans of one video; returns the frames of each clip. One call serves one child process."""
    # Size and length were checked when the grid was made; settings tightened since then must not break a clip.
    limits = MediaLimits(max_duration_s=float("inf"))
    return [cut_clip(source, grid, *span, clip, options, limits) for span, clip in zip(spans, clips, strict=True)]


def encode_clip(frames: np.ndarray[Any, Any], options: ClipOptions = ClipOptions()) -> bytes:
    """Squashed frames (T, 128, 128, 3) uint8 RGB as the bytes of a working clip of exactly T frames."""
    with tempfile.TemporaryDirectory(prefix="smelter-") as folder:
        out = Path(folder) / "clip.mp4"
        _Encoder(options).write(iter(frames), out)
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


def squash(picture: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """Any RGB picture (H, W, 3) to (128, 128, 3) as VPT's models saw it; the aspect ratio is not kept."""
    height, width = picture.shape[:2]
    game = min(width, GAME_WIDTH), min(height, GAME_HEIGHT)
    if game != (width, height):
        picture = cv2.resize(picture, game, interpolation=cv2.INTER_AREA)
    return cv2.resize(picture, (CLIP_SIZE, CLIP_SIZE), interpolation=cv2.INTER_LINEAR)


class _Missed(Exception):
    """A frame that the grid names did not come; says which."""


def _steps(path: Path, grid: Grid, start: int, end: int, from_start: bool, limits: MediaLimits) -> Iterator[Any]:
    """The squashed picture of each step. A source frame that stands for several steps is squashed once."""
    wanted = (grid.frame if from_start else grid.pts_us)[start:end].tolist()
    with open_video(path, limits) as (container, stream):
        if not from_start:
            container.seek(_seek_target(grid, start), stream=stream)
        places = _by_count(container, stream) if from_start else _by_time(container, stream, grid)
        at = 0
        for place, frame in places:
            if place > wanted[at]:
                raise _Missed(f"at {place} where {wanted[at]} was due")
            if place < wanted[at]:
                continue
            picture = squash(to_rgb(frame))
            while at < len(wanted) and wanted[at] == place:
                yield picture
                at += 1
            if at == len(wanted):
                return
        raise _Missed(f"after step {start + at}")


def _seek_target(grid: Grid, start: int) -> int:
    """Raw time stamp of the first wanted frame. Rounded up, so that it is not before the frame itself."""
    base = grid.time_base
    ticks = -(-int(grid.pts_us[start]) * base.denominator // (1_000_000 * base.numerator))
    return grid.first_pts + ticks


def _by_count(container: Any, stream: VideoStream) -> Iterator[tuple[int, VideoFrame]]:
    """Frames of the whole file with their index."""
    yield from enumerate(decoded(container, stream))


def _by_time(container: Any, stream: VideoStream, grid: Grid) -> Iterator[tuple[int, VideoFrame]]:
    """Frames after a seek with their time in microseconds. Those before the first key frame may be broken."""
    after_key = False
    for frame in decoded(container, stream):
        after_key = after_key or bool(frame.key_frame)
        if frame.pts is None or frame.is_corrupt:
            raise _Missed("that is whole")
        if after_key:
            yield int(microseconds(frame.pts - grid.first_pts, grid.time_base)), frame


class _Encoder:
    """Writes RGB pictures as a bit-exact mp4: no dates, no version of the muxer."""

    def __init__(self, options: ClipOptions) -> None:
        self._options = options

    def write(self, pictures: Iterator[Any], out: Path) -> None:
        with av.open(
            str(out), "w", format="mp4", options={"fflags": "+bitexact", "movflags": "+faststart"}
        ) as container:
            stream = self._stream(container)
            for index, picture in enumerate(pictures):
                frame = VideoFrame.from_ndarray(picture, format="rgb24").reformat(
                    format=self._options.pixel_format,
                    dst_colorspace=Colorspace.ITU601,
                    dst_color_range=ColorRange.MPEG,
                    interpolation=Interpolation.BICUBIC,
                    threads=1,
                )
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
        context.color_range, context.colorspace = int(ColorRange.MPEG), 6  # 6: SMPTE 170M, which is BT.601
        context.gop_size, context.max_b_frames = options.gop, 0
        context.options = {
            "preset": options.preset,
            "crf": str(options.crf),
            # Key frames at fixed places; the same code path on every processor.
            "x264-params": f"scenecut=0:min-keyint={options.gop}:cpu-independent=1:threads=1",
            "flags": "+bitexact",
        }
        return stream
