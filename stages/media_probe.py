"""Open untrusted video files within limits, and say what they claim to be.

FFmpeg gets local files only (`protocol_whitelist`), known container formats only (no playlists or concat scripts, which
could name other files), and a limit on pixels that its decoders enforce on every frame. Memory and time are limited
from outside by `stages/sandbox.py`.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import av
from av.container import InputContainer
from av.stream import Disposition
from av.video.stream import VideoStream

from stages.errors import BadInput
from stages.media_read import decoded

CONTAINERS = "mov,matroska,avi,flv,mpegts,mpeg,ogg,asf"
"""FFmpeg demuxers that may read an untrusted file."""
_MAGIC = {4: (b"ftyp", b"moov", b"mdat", b"free", b"wide"), 0: (b"\x1a\x45\xdf\xa3", b"RIFF", b"FLV", b"OggS")}
"""First bytes of video containers, by offset: a file that has them but cannot be opened lost its other end."""
_NO_VIDEO = Disposition.attached_pic | Disposition.timed_thumbnails | Disposition.still_image
"""Pictures that go with a file: the cover of a song, thumbnails of chapters."""


@dataclass(frozen=True)
class MediaLimits:
    """What a source file may ask of us."""

    max_pixels: int = 8192 * 4320
    """Most pixels of a frame (about 35 million)."""
    max_side: int = 8192
    """Most pixels on one side of a frame."""
    max_duration_s: float = 12 * 3600.0
    """Longest video, in seconds, by its header and by its frames."""


@dataclass(frozen=True)
class Probe:
    """What a file says about itself, before any frame is decoded. Width and height are as stored, not rotated."""

    codec: str
    width: int
    height: int
    fps: float
    duration_s: float
    frames: int
    """Frames by the header; 0 where it does not say."""
    rotation: int
    """Degrees counterclockwise by which a player turns the picture: 0, 90, 180 or 270."""
    has_video: bool
    has_audio: bool


def probe(path: Path | str, limits: MediaLimits = MediaLimits()) -> Probe:
    """Read the header and the first frame of a video.

    Raises:
        BadInput: `empty_file`, `not_a_video`, `truncated`, `no_video_stream`, `too_long`, `too_large_frame`,
            `no_frames`.
    """
    with open_video(path, limits) as (container, stream):
        frame = next(decoded(container, stream), None)
        if frame is None:
            raise BadInput("no_frames", f"expected at least one frame that decodes in {Path(path).name}, got none")
        return Probe(
            codec=stream.codec_context.name,
            width=frame.width,
            height=frame.height,
            fps=float(stream.average_rate or 0),
            duration_s=float(declared_duration(container, stream) or 0),
            frames=stream.frames,
            rotation=frame.rotation % 360,
            has_video=True,
            has_audio=bool(container.streams.audio),
        )


@contextmanager
def open_video(path: Path | str, limits: MediaLimits) -> Iterator[tuple[InputContainer, VideoStream]]:
    """Open a file and choose its video stream, one decoder thread. Closes it at the end.

    Raises:
        BadInput: see `probe`.
    """
    container = _open(Path(path), limits)
    try:
        stream = _video_stream(container, Path(path).name)
        _check_limits(container, stream, limits, Path(path).name)
        stream.codec_context.thread_count = 1  # one worker, one core: more threads only take turns
        stream.codec_context.options = {"max_pixels": str(limits.max_pixels)}
        yield container, stream
    except MemoryError:
        raise
    except av.FFmpegError as error:
        raise BadInput("decode_error", f"expected a video that decodes, got {Path(path).name}: {error}") from None
    finally:
        container.close()


def declared_duration(container: InputContainer, stream: VideoStream) -> Fraction | None:
    """Seconds of video by the header: the stream's own figure, else its tag, else the container's."""
    if stream.duration and stream.time_base:
        return stream.duration * Fraction(stream.time_base)
    match = re.fullmatch(r"(\d+):(\d+):(\d+(?:\.\d+)?)", stream.metadata.get("DURATION", ""))
    if match:
        return int(match[1]) * 3600 + int(match[2]) * 60 + Fraction(match[3])
    return Fraction(container.duration, av.time_base) if container.duration else None


def _open(path: Path, limits: MediaLimits) -> InputContainer:
    if path.stat().st_size == 0:
        raise BadInput("empty_file", f"expected a video, got a file of 0 bytes: {path.name}")
    # max_pixels: FFmpeg decodes a few frames to learn about the streams, before we see them.
    options = {
        "protocol_whitelist": "file",
        "format_whitelist": CONTAINERS,
        "max_pixels": str(limits.max_pixels),
    }
    try:
        return av.open(f"file:{path}", options=options, metadata_errors="replace")
    except MemoryError:
        raise
    except av.FFmpegError as error:
        if _has_magic(path):
            raise BadInput(
                "truncated", f"expected a whole video, got one whose index cannot be read: {path.name}: {error}"
            ) from None
        raise BadInput(
            "not_a_video", f"expected a video ({CONTAINERS}), got something else: {path.name}: {error}"
        ) from None


def _has_magic(path: Path) -> bool:
    with open(path, "rb") as file:
        head = file.read(16)
    return any(head[offset:].startswith(magics) for offset, magics in _MAGIC.items())


def _video_stream(container: InputContainer, name: str) -> VideoStream:
    """The stream a player would show: the default one, else the largest, else the first; never a cover picture."""
    streams = [s for s in container.streams.video if s.codec_context is not None and not s.disposition & _NO_VIDEO]
    if not streams:
        kinds = ", ".join(sorted({stream.type for stream in container.streams})) or "nothing"
        raise BadInput("no_video_stream", f"expected a video stream that can be decoded in {name}, got {kinds}")
    return max(streams, key=lambda s: (bool(s.disposition & Disposition.default), s.width * s.height, -s.index))


def _check_limits(container: InputContainer, stream: VideoStream, limits: MediaLimits, name: str) -> None:
    width, height = stream.codec_context.width, stream.codec_context.height
    if max(width, height) > limits.max_side or width * height > limits.max_pixels:
        raise BadInput(
            "too_large_frame",
            f"expected frames of at most {limits.max_side} a side and {limits.max_pixels} pixels, "
            f"got {width}x{height} in {name}",
        )
    duration = declared_duration(container, stream)
    if duration is not None and duration > limits.max_duration_s:
        raise too_long(float(duration), limits, name)


def too_long(duration_s: float, limits: MediaLimits, name: str) -> BadInput:
    """The refusal of a video beyond `max_duration_s`."""
    return BadInput(
        "too_long", f"expected at most {limits.max_duration_s:.0f} s of video, got {duration_s:.0f} s in {name}"
    )
