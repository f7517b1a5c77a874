"""Leave undecoded what nobody looks at: H.264 pictures to which no other picture refers.

In most videos they are more than a third of the pictures, and of the work. H.264 says in each picture's header whether
others refer to it (`nal_ref_idc`), so leaving these out changes no other picture, and their times are in their packets.
That is done only where the headers are plain: progressive video, times in every packet, one picture in a packet and
nothing else. Where anything looks odd, `Unsure` is raised, and the caller decodes all, as if this module did not exist.
"""

from bisect import bisect_left, bisect_right, insort
from collections import deque
from collections.abc import Callable, Iterator
from heapq import heappop, heappush
from typing import NamedTuple

from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from stages.media_read import Reading, decode, packets_of

AHEAD = 20
"""Packets that are looked at before one is decoded. H.264 puts at most 16 pictures before one that is shown earlier."""
REMEMBERED = 64
"""Latest packets among whose times the one after a packet's own is looked for."""
_PROGRESSIVE = 1
"""FFmpeg's AV_FIELD_PROGRESSIVE."""
_SLICE, _HARMLESS = 1, (6, 9, 12)
"""Types of H.264 units: part of a picture; remarks, delimiters and filling, on which no other picture depends."""


class Unsure(Exception):
    """Whether leaving pictures out changes nothing cannot be told here: decode all of them."""


class Passed(NamedTuple):
    """A picture that was left undecoded; what is known of it is its time."""

    pts: int
    dts: None = None


def prefix_bytes(stream: VideoStream) -> int:
    """Bytes of the length before each H.264 unit of a stream; 0 where no packet may be left out."""
    context = stream.codec_context
    extra = context.extradata or b""
    plain = context.name == "h264" and context.field_order == _PROGRESSIVE and len(extra) > 6 and extra[0] == 1
    return (extra[4] & 3) + 1 if plain else 0


def is_disposable(data: bytes, prefix: int) -> bool:
    """Whether a packet is one picture to which no other refers, and nothing else that matters."""
    at, pictures = 0, 0
    while at + prefix + 1 < len(data):
        head, kind = data[at + prefix], data[at + prefix] & 31
        if kind == _SLICE and not head & 0x60:
            pictures += data[at + prefix + 1] >> 7  # a picture's first slice begins at block 0: a single bit 1
        elif kind not in _HARMLESS:
            return False
        at += prefix + int.from_bytes(data[at : at + prefix], "big")
    return at == len(data) and pictures == 1


def left_out(stream: VideoStream, is_wanted: Callable[[int], bool]) -> Callable[[Packet], bool]:
    """For `decoded`: which packets need not be decoded when only pictures of wanted times are looked at."""
    prefix = prefix_bytes(stream)

    def is_left_out(packet: Packet) -> bool:
        return packet.pts is not None and not is_wanted(packet.pts) and is_disposable(bytes(packet), prefix)

    return is_left_out if prefix else lambda packet: False


def thrifty(
    container: InputContainer, stream: VideoStream, reading: Reading, is_shown: Callable[[int, int], bool]
) -> Iterator[VideoFrame | Passed]:
    """All frames in presentation order, some of them only as `Passed`.

    `is_shown(start, end)` says whether anybody looks at the frame that is shown between two times, in ticks from the
    first frame's.

    Raises:
        Unsure: also in the middle; what came before is then worth nothing.
    """
    prefix, merge = prefix_bytes(stream), _Merge(reading)
    if not prefix:
        raise Unsure
    for packet, until in _with_next_time(packets_of(container, stream, reading)):
        first, pts = merge.first, packet.pts or 0
        late = first is not None and until is not None and pts > first
        if late and not is_shown(pts - first, until - first) and is_disposable(bytes(packet), prefix):  # type: ignore[operator]
            merge.pass_over(pts)
        else:
            yield from merge.add(decode(stream, packet, reading))
    yield from merge.add(decode(stream, None, reading))
    yield from merge.rest()


class _Merge:
    """Puts decoded and passed frames in the order of their times."""

    def __init__(self, reading: Reading) -> None:
        self.first: int | None = None
        self._reading = reading
        self._passed: list[int] = []

    def pass_over(self, pts: int) -> None:
        heappush(self._passed, pts)

    def add(self, frames: list[VideoFrame]) -> Iterator[VideoFrame | Passed]:
        for frame in frames:
            if frame.pts is None or frame.interlaced_frame or frame.is_corrupt:
                raise Unsure
            self.first = frame.pts if self.first is None else self.first
            while self._passed and self._passed[0] < frame.pts:
                yield Passed(heappop(self._passed))
            yield frame
        if self._reading.errors:
            raise Unsure

    def rest(self) -> Iterator[Passed]:
        while self._passed:
            yield Passed(heappop(self._passed))


def _with_next_time(packets: Iterator[Packet]) -> Iterator[tuple[Packet, int | None]]:
    """Each packet with the time of the frame shown after its own, None where no such packet is near."""
    waiting: deque[Packet] = deque()
    times = _Times()
    for packet in packets:
        if packet.pts is None:
            raise Unsure
        times.add(packet.pts)
        waiting.append(packet)
        if len(waiting) > AHEAD:
            yield waiting[0], times.after(waiting.popleft().pts or 0)
    while waiting:
        yield waiting[0], times.after(waiting.popleft().pts or 0)


class _Times:
    """The times of the latest packets."""

    def __init__(self) -> None:
        self._order: deque[int] = deque()
        self._sorted: list[int] = []

    def add(self, pts: int) -> None:
        insort(self._sorted, pts)
        self._order.append(pts)
        if len(self._order) > REMEMBERED:
            del self._sorted[bisect_left(self._sorted, self._order.popleft())]

    def after(self, pts: int) -> int | None:
        at = bisect_right(self._sorted, pts)
        return self._sorted[at] if at < len(self._sorted) else None
