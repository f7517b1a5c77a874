"""Cut the clean part of a source: exactly the frames that the grid names, found by their time or by counting."""

from collections.abc import Callable, Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from stages.errors import BadInput
from stages.media_clip import ClipOptions, Encoder, decode_clip
from stages.media_grid import Grid, Span, microseconds
from stages.media_picture import first_line, squash, to_rgb
from stages.media_probe import MediaLimits, open_video
from stages.media_read import decoded

SEEK_AFTER_S = 2
"""A longer stretch that nobody wants is jumped over; a shorter one is decoded on the way."""
SEEK_MARGINS_S = (0, 10, 60)
"""How much earlier than a frame to seek. A seek goes by decoding time, so it may land on a key frame shown later."""


def cut_clip(
    path: Path,
    grid: Grid,
    start: int,
    end: int,
    out: Path,
    options: ClipOptions = ClipOptions(),  # noqa: B008 - frozen
) -> int:
    """Write steps start (included) to end (excluded) as a working clip; see `cut_clips`."""
    return cut_clips(path, grid, [Span(start, end)], [out], options)[0]


def cut_clips(path: Path, grid: Grid, spans: list[Span], clips: list[Path], options: ClipOptions) -> list[int]:
    """Write each span as a working clip; returns the frames of each clip, proved by reading it back.

    Spans are in order and do not overlap. The source is read once from front to back; what lies between spans is jumped
    over where frames can be found by their time. Where one is not found so, all are found by counting from the start.

    Raises:
        BadInput: `truncated` when the source no longer gives the frames that the grid names; what `open_video` raises.
    """
    edges = [edge for span in spans for edge in span]
    assert [0, *edges, len(grid)] == sorted([0, *edges, len(grid)]), f"{spans} of a grid of {len(grid)} steps"
    for by_time in (True, False) if grid.is_regular else (False,):
        try:
            _write(path, grid, spans, clips, options, by_time)
            break
        except _Missed as missed:
            if not by_time:
                raise BadInput(
                    "truncated", f"expected the frames of the grid in {path.name}, got none {missed}"
                ) from None
    frames = [len(decode_clip(clip)) for clip in clips]
    assert frames == [end - start for start, end in spans], f"clips of {path.name}: {frames} frames, expected {spans}"
    return frames


def _write(path: Path, grid: Grid, spans: list[Span], clips: list[Path], options: ClipOptions, by_time: bool) -> None:
    # Size and length were checked when the grid was made; settings tightened since then must not break a clip.
    limits = MediaLimits(max_duration_s=float("inf"))
    with open_video(path, limits) as (container, stream):
        seeker = _Seeker(container, stream, grid)
        frames = seeker.frame_at if by_time else _Counter(decoded(container, stream)).frame_at
        names = (grid.pts_us if by_time else grid.frame).tolist()
        for (start, end), clip in zip(spans, clips, strict=True):
            Encoder(options).write(_pictures(names[start:end], frames, first_line(stream)), clip)


def _pictures(names: list[int], frame_at: Callable[[int], VideoFrame], line: int) -> Iterator[Any]:
    """The squashed picture of each step. A source frame that stands for several steps is squashed once."""
    for name, steps in groupby(names):
        picture = squash(to_rgb(frame_at(name), first_line=line))
        for _ in steps:
            yield picture


class _Missed(Exception):
    """A frame that the grid names did not come; says which."""


class _Counter:
    """Frames of the whole file by their index; asked for in order."""

    def __init__(self, frames: Iterator[VideoFrame]) -> None:
        self._frames = enumerate(frames)
        self._at, self._frame = -1, VideoFrame()

    def frame_at(self, index: int) -> VideoFrame:
        while self._at < index:
            try:
                self._at, self._frame = next(self._frames)
            except StopIteration:
                raise _Missed(f"at frame {index}") from None
        return self._frame


class _Seeker:
    """Frames by their time in microseconds since the first; asked for in order. Far ones are jumped to."""

    def __init__(self, container: InputContainer, stream: VideoStream, grid: Grid) -> None:
        self._container, self._stream, self._grid = container, stream, grid
        self._frames = self._timed(is_whole=True)
        self._at, self._frame = -1, VideoFrame()

    def frame_at(self, time_us: int) -> VideoFrame:
        if time_us - self._at > SEEK_AFTER_S * 1_000_000:
            self._seek(time_us)
        while self._at < time_us:
            self._step(time_us)
        if self._at > time_us:
            raise _Missed(f"at {time_us} us, but one at {self._at} us")
        return self._frame

    def _step(self, time_us: int) -> None:
        try:
            self._at, self._frame = next(self._frames)
        except StopIteration:
            raise _Missed(f"at {time_us} us") from None

    def _seek(self, time_us: int) -> None:
        """Stand on a whole frame that is not later than the one wanted."""
        for margin_s in SEEK_MARGINS_S:
            earlier = time_us - margin_s * 1_000_000
            if earlier <= 0:
                break
            self._container.seek(self._raw(earlier), stream=self._stream)
            self._frames = self._timed(is_whole=False)
            self._step(time_us)
            if self._at <= time_us:
                return
        raise _Missed(f"at {time_us} us after a seek")

    def _raw(self, time_us: int) -> int:
        """Raw time stamp of a frame. Rounded up, so that it is not before the frame itself."""
        base = self._grid.time_base
        return self._grid.first_pts - (-time_us * base.denominator // (1_000_000 * base.numerator))

    def _timed(self, is_whole: bool) -> Iterator[tuple[int, VideoFrame]]:
        """Frames with their time. After a seek, those before the first key frame may be broken."""
        for frame in decoded(self._container, self._stream):
            is_whole = is_whole or bool(frame.key_frame)
            if frame.pts is None or frame.is_corrupt:
                raise _Missed("that is whole")
            if is_whole:
                yield int(microseconds(frame.pts - self._grid.first_pts, self._grid.time_base)), frame
