"""Frames of an untrusted file in presentation order: damage noted, progress shown, work bounded."""

import time
from collections.abc import Callable, Iterator
from fractions import Fraction

import av
from av.container import InputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from stages.errors import BadInput
from stages.sandbox import beat

PACKETS_PER_CHECK = 100
"""Packets between two looks at the clock: asking at every packet would cost as much as decoding, on some kernels."""


class Reading:
    """How the reading of one file goes: what is damaged, how far its packets reach, how much work it was.

    Args:
        name: of the file, for messages.
        budget_s: CPU seconds that this process may spend from now on.
    """

    def __init__(self, name: str = "", budget_s: float = float("inf")) -> None:
        self.errors = 0
        self.first_error = ""
        self._name, self._budget_s = name, budget_s
        self._started, self._packets = time.process_time(), 0
        self._ends: dict[int, int] = {}
        self._bases: dict[int, Fraction] = {}

    @property
    def packets_end_s(self) -> Fraction:
        """Where the last packet of any stream ends, in seconds."""
        return max((end * self._bases[stream] for stream, end in self._ends.items()), default=Fraction(0))

    def note(self, error: av.FFmpegError) -> None:
        """Count an error and go on; out of memory is no damage."""
        if isinstance(error, MemoryError):
            raise error
        self.errors += 1
        self.first_error = self.first_error or str(error)

    def see(self, packet: Packet) -> None:
        """Follow a packet of any stream.

        Raises:
            BadInput: `decode_timeout` when the budget is spent, be it on packets that give no frame.
        """
        stream, pts = packet.stream_index, packet.pts
        if pts is not None:
            if stream not in self._bases:  # PyAV makes a new Fraction each time that it is asked
                self._bases[stream] = Fraction(packet.time_base or 0)
            self._ends[stream] = max(self._ends.get(stream, 0), pts + (packet.duration or 0))
        self._packets += 1
        if self._packets % PACKETS_PER_CHECK == 0 and time.process_time() - self._started > self._budget_s:
            raise BadInput("decode_timeout", f"expected {self._name} to decode in {self._budget_s:.0f} CPU s, got more")


def decoded(
    container: InputContainer,
    stream: VideoStream,
    reading: Reading | None = None,
    is_left_out: Callable[[Packet], bool] = lambda packet: False,
) -> Iterator[VideoFrame]:
    """Frames in presentation order. A packet that does not decode is noted in `reading` and passed over."""
    reading = reading or Reading()
    for packet in packets_of(container, stream, reading):
        if not is_left_out(packet):
            yield from decode(stream, packet, reading)
    yield from decode(stream, None, reading)


def packets_of(container: InputContainer, stream: VideoStream, reading: Reading) -> Iterator[Packet]:
    """The packets of one stream; `reading` sees those of all streams."""
    for packet in _packets(container, reading):
        reading.see(packet)
        if packet.stream_index == stream.index and packet.size:
            yield packet


def _packets(container: InputContainer, reading: Reading) -> Iterator[Packet]:
    packets = container.demux()
    while True:
        try:
            yield next(packets)
        except (StopIteration, IndexError):
            return  # IndexError: at the end of the file PyAV looks up streams that appeared after it was opened
        except av.FFmpegError as error:  # the container itself is damaged here: nothing follows
            reading.note(error)
            return


def decode(stream: VideoStream, packet: Packet | None, reading: Reading) -> list[VideoFrame]:
    """The frames that a packet brings; None: what the decoder still holds."""
    try:
        frames = stream.codec_context.decode(packet)
    except av.EOFError:
        return []
    except av.FFmpegError as error:
        reading.note(error)
        return []
    if frames:
        beat()
    return frames
