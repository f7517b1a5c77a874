"""Cut the clean part of a source: exactly the frames that the grid names, found by their time or by counting."""

from collections.abc import Callable, Collection, Iterator
from enum import Enum
from itertools import groupby
from pathlib import Path

import numpy as np
from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from stages.errors import BadInput
from stages.media_clip import ClipOptions, Encoder, count_frames
from stages.media_grid import Grid, Span, microseconds
from stages.media_pass import left_out
from stages.media_picture import first_line
from stages.media_planes import Picture, squashed
from stages.media_probe import MediaLimits, open_video
from stages.media_read import Reading, decoded

SEEK_AFTER_S = 2
"""A longer stretch that nobody wants is jumped over; a shorter one is decoded on the way."""
SEEK_MARGINS_S = (0, 10, 60)
"""How much earlier than a frame to seek. A seek goes by decoding time, so it may land on a key frame shown later."""


class Way(Enum):
    """How frames are found, the cheapest way first."""

    SPARING = "by time; what nobody needs is not decoded"
    TIMED = "by time"
    COUNTED = "by counting"


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


def cut_clips(
    path: Path,
    grid: Grid,
    spans: list[Span],
    clips: list[Path],
    options: ClipOptions,
    ways: Collection[Way] = tuple(Way),
) -> list[int]:
    """Write each span as a working clip; returns the frames of each clip, proved by reading it back.

    Spans are in order and do not overlap. The source is read once from front to back; what lies between spans is jumped
    over where frames can be found by their time, and what neither the grid nor another frame needs is not decoded.
    Where one is not found so, all are decoded; where that does not help, they are counted from the start. `ways` leaves
    some of these out, for whoever compares them.

    Raises:
        BadInput: `truncated` when the source no longer gives the frames that the grid names; what `open_video` raises.
    """
    edges = [edge for span in spans for edge in span]
    assert [0, *edges, len(grid)] == sorted([0, *edges, len(grid)]), f"{spans} of a grid of {len(grid)} steps"
    for way in ways if grid.is_regular else (Way.COUNTED,):
        try:
            _write(path, grid, spans, clips, options, way)
            break
        except _Missed as missed:
            if way is Way.COUNTED:
                raise BadInput(
                    "truncated", f"expected the frames of the grid in {path.name}, got none {missed}"
                ) from None
    frames = [count_frames(clip) for clip in clips]
    assert frames == [end - start for start, end in spans], f"clips of {path.name}: {frames} frames, expected {spans}"
    return frames


def _write(path: Path, grid: Grid, spans: list[Span], clips: list[Path], options: ClipOptions, way: Way) -> None:
    # Size and length were checked when the grid was made; settings tightened since then must not break a clip.
    limits = MediaLimits(max_duration_s=float("inf"))
    with open_video(path, limits) as (container, stream):
        frame_at: Callable[[int], VideoFrame]
        names = (grid.frame if way is Way.COUNTED else grid.pts_us).tolist()
        if way is Way.COUNTED:
            frame_at = _Counter(container, stream, grid).frame_at
        else:
            wanted = {name for span in spans for name in names[slice(*span)]} if way is Way.SPARING else None
            frame_at = _Seeker(container, stream, grid, wanted).frame_at
        for (start, end), clip in zip(spans, clips, strict=True):
            Encoder(options).write(_pictures(names[start:end], frame_at, first_line(stream)), clip)


def _pictures(names: list[int], frame_at: Callable[[int], VideoFrame], line: int) -> Iterator[Picture]:
    """The squashed picture of each step. A source frame that stands for several steps is squashed once."""
    for name, steps in groupby(names):
        picture = squashed(frame_at(name), line)
        for _ in steps:
            yield picture


class _Missed(Exception):
    """A frame that the grid names did not come; says which."""


class _Counter:
    """Frames of the whole file by their index; asked for in order.

    In a regular grid an index also has a time. There a packet that fails makes every index wrong; and where one picture
    has the time of another place, the decoder puts it elsewhere than `thrifty`, which went by the times.
    """

    def __init__(self, container: InputContainer, stream: VideoStream, grid: Grid) -> None:
        self._reading, self._grid = Reading(), grid
        self._frames = enumerate(decoded(container, stream, self._reading))
        self._at, self._frame = -1, VideoFrame()

    def frame_at(self, index: int) -> VideoFrame:
        while self._at < index:
            try:
                self._at, self._frame = next(self._frames)
            except StopIteration:
                raise _Missed(f"at frame {index}") from None
            if self._reading.errors and self._grid.is_regular:
                raise _Missed(f"at frame {index}: {self._reading.first_error}")
        if self._grid.is_regular and not self._is_timely(index):
            raise _Missed(f"at frame {index}, which has another time")
        return self._frame

    def _is_timely(self, index: int) -> bool:
        expected = self._grid.pts_us[np.searchsorted(self._grid.frame, index)]
        return self._frame.pts is not None and _time_us(self._grid, self._frame.pts) == expected


class _Seeker:
    """Frames by their time in microseconds since the first; asked for in order. Far ones are jumped to.

    Given the times that are `wanted`, frames of other times may be left out.
    """

    def __init__(
        self, container: InputContainer, stream: VideoStream, grid: Grid, wanted: Collection[int] | None
    ) -> None:
        self._container, self._stream, self._grid = container, stream, grid
        self._is_left_out = left_out(stream, lambda pts: wanted is None or _time_us(grid, pts) in wanted)
        self._is_sparing = wanted is not None
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
        for frame in decoded(self._container, self._stream, is_left_out=self._is_left_out):
            is_whole = is_whole or bool(frame.key_frame)
            if frame.pts is None or frame.is_corrupt or (self._is_sparing and frame.interlaced_frame):
                raise _Missed("that is whole")
            if is_whole:
                yield _time_us(self._grid, frame.pts), frame


def _time_us(grid: Grid, pts: int) -> int:
    return int(microseconds(pts - grid.first_pts, grid.time_base))
