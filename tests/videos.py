"""Videos with numbered frames, as `infra.numbered_video` makes them, and files that are less well behaved."""

import struct
import zlib
from fractions import Fraction
from pathlib import Path

import av
from av.stream import Disposition

from infra.numbered_video import constant_rate, numbered, quick_options, read_number, write_silence, write_video

__all__ = ["constant_rate", "numbered", "quick_options", "read_number", "write_silence", "write_video"]


def copied(path: Path, source: Path, packets: range) -> Path:
    """Some video packets of a file, as they are, in another file whose time begins with the earliest of them."""
    with av.open(str(source)) as read, av.open(str(path), "w") as write:
        stream = write.add_stream_from_template(read.streams.video[0])
        chosen = [packet for packet in read.demux(video=0) if packet.size][packets.start : packets.stop]
        first = min(packet.dts for packet in chosen)
        for packet in chosen:
            packet.pts, packet.dts, packet.stream = packet.pts - first, packet.dts - first, stream
            write.mux(packet)
    return path


def with_extra_picture(path: Path, seconds: float, is_cover: bool) -> Path:
    """Numbered frames, 160x96 at 30 fps, beside a larger stream: a cover picture, or a film that is not the default."""
    with av.open(str(path), "w") as container:
        extra = container.add_stream("mjpeg" if is_cover else "libx264", rate=30)
        extra.width, extra.height, extra.pix_fmt = 640, 480, "yuvj420p" if is_cover else "yuv420p"
        extra.disposition = Disposition.attached_pic if is_cover else 0
        main = container.add_stream("libx264", rate=30)
        main.width, main.height, main.pix_fmt = 160, 96, "yuv420p"
        main.disposition = Disposition.default
        main.codec_context.options = quick_options("libx264", 2)
        for index in range(int(seconds * 30)):
            for stream, number in ((extra, 9999), (main, index)):
                if stream is main or not is_cover or index == 0:
                    picture = numbered(number, stream.width, stream.height)
                    frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                    frame.pts = index
                    container.mux(stream.encode(frame))
        container.mux([*extra.encode(None), *main.encode(None)])
    return path


def with_packets(path: Path, codec: str, pixel_format: str, packets: list[bytes], side: int) -> Path:
    """Packets of any content under a header that says `side` x `side` pixels, 30 a second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=30)
        stream.width, stream.height, stream.pix_fmt, stream.time_base = side, side, pixel_format, Fraction(1, 30)
        for index, data in enumerate(packets):
            packet = av.Packet(data)
            packet.pts, packet.dts, packet.duration = index, index, 1
            packet.time_base, packet.stream, packet.is_keyframe = stream.time_base, stream, True
            container.mux(packet)
    return path


def black_png(side: int) -> bytes:
    """A black RGB picture: three bytes a pixel shrink a thousandfold."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(1)
    rows = b"".join(packer.compress(bytes(1 + 3 * side)) for _ in range(side)) + packer.flush()
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def audio_only(path: Path, seconds: float = 1.0) -> Path:
    """A file with a sound track and no picture."""
    with av.open(str(path), "w") as container:
        write_silence(container, container.add_stream("aac", rate=16_000), seconds)
    return path


def truncated(path: Path, source: Path, share: float) -> Path:
    """The first part of a file, by bytes."""
    data = source.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def text_file(path: Path) -> Path:
    """A text file with a video's name."""
    path.write_text("This is not a video.\n" * 100)
    return path
