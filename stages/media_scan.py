"""One pass over a full-resolution source: its 20 Hz grid, frames at 3 per second, candidate clips, and its damage.

The samples go to a spool file as they come, so memory stays flat however long the video is: 8 bytes per frame remain.
Only a sampled frame becomes a picture. Of the others, those that no frame refers to are not even decoded (`media_pass`)
as long as the video is flawless; at the first flaw all is decoded, from the start. Where time breaks nothing is
sampled, so that a file of few frames cannot ask for the samples of many hours.
"""

from array import array
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from stages.errors import BadInput
from stages.media_grid import (
    STEPS_PER_S,
    Clock,
    Grid,
    Span,
    candidates,
    make_grid,
    sample_step,
    samples_before,
    step_ticks,
)
from stages.media_pass import Passed, Unsure, thrifty
from stages.media_picture import display_size, first_line
from stages.media_planes import shrunk
from stages.media_probe import MediaLimits, declared_duration, open_video, too_long
from stages.media_read import Reading, decoded

MIN_DECODED_SHARE = Fraction(9, 10)
"""A damaged video is kept if at least this share of its declared duration can be decoded."""
BUDGET_BASE_S = 60
"""CPU seconds that any video may take to scan, before its duration counts."""


@dataclass(frozen=True)
class ScanOptions:
    """What `scan` writes, and how much work a video may be."""

    sample_side: int = 256
    """Short side of a sample, in square pixels. Smaller sources are not enlarged."""
    jpeg_quality: int = 90
    max_clip_s: float = 300.0
    """Longest candidate clip, in seconds."""
    cpu_s_per_video_s: float = 5.0
    """CPU seconds allowed per second of video: 1080p60 takes about 0.3, 4K60 AV1 about 4."""


@dataclass(frozen=True)
class Scan:
    """What one pass over a video found."""

    grid: Grid
    candidates: tuple[Span, ...]
    sample_steps: np.ndarray[Any, np.dtype[np.int32]]
    """(N,) the 20 Hz step of each sample."""
    sample_ends: np.ndarray[Any, np.dtype[np.int64]]
    """(N,) where each sample's JPEG ends in the spool file."""
    frames: int
    duration_s: float
    fps: float
    width: int
    """Upright width of the first frame, in square pixels."""
    height: int
    damage: int
    """Packets that did not decode."""


def scan(path: Path, spool: Path, limits: MediaLimits = MediaLimits(), options: ScanOptions = ScanOptions()) -> Scan:  # noqa: B008
    """Read a whole video once. The JPEG samples are written to `spool`, one after the other.

    Raises:
        BadInput: what `open_video` raises; `no_frames`, `truncated`, `too_long`, `decode_timeout`.
    """
    try:
        return _scan(path, spool, limits, options, is_thrifty=True)
    except Unsure:
        return _scan(path, spool, limits, options, is_thrifty=False)


def _scan(path: Path, spool: Path, limits: MediaLimits, options: ScanOptions, *, is_thrifty: bool) -> Scan:
    with open_video(path, limits) as (container, stream), open(spool, "wb") as file:
        declared = declared_duration(container, stream)
        of_video = bool(stream.duration) or "DURATION" in stream.metadata
        base = Fraction(stream.time_base or Fraction(1, 1000))
        walk = _Walk(Clock(base, stream.average_rate), _Sampler(file.write, stream, options), limits, path.name)
        reading = Reading(path.name, BUDGET_BASE_S + options.cpu_s_per_video_s * _longest(declared, limits))
        frames: Iterator[VideoFrame | Passed] = decoded(container, stream, reading)
        if is_thrifty:
            frames = thrifty(container, stream, reading, partial(_is_sampled, base))
        for frame in frames:
            walk.add(frame)
        found = walk.finish(options.max_clip_s, reading.errors)
    if is_thrifty and not found.grid.is_regular:
        raise Unsure
    _check_damage(found, reading, declared, of_video, path.name)
    return found


def _is_sampled(base: Fraction, start: int, end: int) -> bool:
    return samples_before(start, base) < samples_before(end, base)


def _longest(declared: Fraction | None, limits: MediaLimits) -> float:
    return min(float(declared or limits.max_duration_s), limits.max_duration_s)


class _Walk:
    """Follows the frames of one video. A frame's samples are known when the next frame arrives."""

    def __init__(self, clock: Clock, sampler: "_Sampler", limits: MediaLimits, name: str) -> None:
        self._clock, self._sampler, self._limits, self._name = clock, sampler, limits, name
        self._max_ticks = limits.max_duration_s / clock.time_base
        self._ticks = array("q")
        self._held: VideoFrame | Passed | None = None
        self._size = (0, 0)
        self._is_whole = True

    def add(self, frame: VideoFrame | Passed) -> None:
        ticks = self._check(self._clock.push(frame.pts, frame.dts))
        if self._held is None:
            assert isinstance(frame, VideoFrame), "the first frame was passed over"
            self._size = display_size(frame, self._sampler.aspect)
        else:
            self._sampler.take(self._held, self._ticks[-1], ticks, self._clock)
        self._is_whole = self._is_whole and (isinstance(frame, Passed) or not frame.is_corrupt)
        self._ticks.append(ticks)
        self._held = frame

    def _check(self, ticks: int) -> int:
        if ticks > self._max_ticks:
            raise too_long(float(ticks * self._clock.time_base), self._limits, self._name)
        return ticks

    def finish(self, max_clip_s: float, damage: int) -> Scan:
        if self._held is None:
            raise BadInput("no_frames", f"expected at least one frame that decodes in {self._name}, got none")
        clock, base = self._clock, self._clock.time_base
        end = self._check(self._ticks[-1] + _last_duration(self._held, clock))
        grid = make_grid(self._ticks, end, clock, is_whole=self._is_whole and not damage)
        if not len(grid):
            raise BadInput("no_frames", f"expected at least 1/{STEPS_PER_S} s of video in {self._name}, got less")
        self._sampler.take(self._held, self._ticks[-1], end, clock)
        steps = np.array(self._sampler.steps, dtype=np.int32)
        kept = int(np.searchsorted(steps, len(grid)))  # a sample in the last, broken step stands for nothing
        duration_s, frames = float(end * base), len(self._ticks)
        return Scan(
            grid=grid,
            candidates=tuple(candidates(self._ticks, end, base, max_clip_s)),
            sample_steps=steps[:kept],
            sample_ends=np.array(self._sampler.ends, dtype=np.int64)[:kept],
            frames=frames,
            duration_s=round(duration_s, 6),
            fps=round(frames / duration_s, 3),
            width=self._size[0],
            height=self._size[1],
            damage=damage,
        )


class _Sampler:
    """Writes the samples that a frame stands for."""

    def __init__(self, write: Callable[[bytes], Any], stream: VideoStream, options: ScanOptions) -> None:
        self._write, self._options = write, options
        self._first_line = first_line(stream)
        self.aspect = stream.codec_context.sample_aspect_ratio or stream.sample_aspect_ratio
        self._next = 0
        self.steps = array("i")
        self.ends = array("q")

    def take(self, frame: VideoFrame | Passed, ticks: int, until_ticks: int, clock: Clock) -> None:
        """Write the open samples that show `frame`, which came at `ticks` and stays until `until_ticks`.

        If it stays longer than a gap, time breaks after its usual length: the samples beyond are passed over.
        """
        base, jpeg = clock.time_base, b""
        is_break = until_ticks - ticks > clock.gap
        stays = min(until_ticks, ticks + min(clock.nominal, clock.gap)) if is_break else until_ticks
        while (at := step_ticks(step := sample_step(self._next), base)) < until_ticks:
            self._next += 1
            if at < stays:
                jpeg = jpeg or self._jpeg(frame)
                self._write(jpeg)
                self.steps.append(step)
                self.ends.append((self.ends[-1] if self.ends else 0) + len(jpeg))

    def _jpeg(self, frame: VideoFrame | Passed) -> bytes:
        if isinstance(frame, Passed):
            raise Unsure
        width, height = display_size(frame, self.aspect)
        scale = min(1.0, self._options.sample_side / min(height, width))
        size = max(1, round(width * scale)), max(1, round(height * scale))
        picture = shrunk(frame, self._first_line, *size)
        done, data = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, self._options.jpeg_quality])
        assert done, "cv2.imencode refused a uint8 BGR picture"
        return data.tobytes()


def _last_duration(frame: VideoFrame | Passed, clock: Clock) -> int:
    """Ticks that the last frame is shown: its own figure, unless that is far from its neighbour's (a bogus default)."""
    if isinstance(frame, Passed):
        raise Unsure
    return frame.duration if clock.nominal <= 2 * frame.duration <= 4 * clock.nominal else clock.nominal


def _check_damage(found: Scan, reading: Reading, declared: Fraction | None, of_video: bool, name: str) -> None:
    """Refuse a video of which too much is missing: its end, or (where packets failed) its middle."""
    if not declared:
        return
    reached = Fraction(found.duration_s)
    if reading.errors:
        reached = Fraction(sum(end - start for start, end in found.candidates), STEPS_PER_S)
    elif not of_video:  # a container's duration may be that of a longer sound track
        reached = max(reached, reading.packets_end_s)
    reached += max(Fraction(0), found.grid.first_pts * found.grid.time_base)  # some headers count from zero time
    if reached < MIN_DECODED_SHARE * declared:
        raise BadInput(
            "truncated",
            f"expected {float(declared):.1f} s of video in {name}, got {float(reached):.1f} s that decode "
            f"({reading.errors} damaged packets{': ' if reading.first_error else ''}{reading.first_error})",
        )
