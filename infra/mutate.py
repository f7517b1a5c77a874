"""Small videos of many formats, and ways to break them. The same seed gives the same broken files."""

import random
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

from infra.numbered_video import constant_rate, write_video

SIZE = (64, 48)
_EXTREMES = (0, 1, 0x7F, 0x80, 0xFF)
_WORDS = (0, 1, 0xFF, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF, 0x0001_0000, 0x3FFF_FFFF)
_HEADER = 3000
"""Bytes at either end of a file in which half of all mutations fall: there lie the indexes."""


def write_seeds(folder: Path) -> list[Path]:
    """Three seconds of numbered frames in every container, most codecs, with sound, B-frames, a variable rate."""
    coarse = Fraction(1, 30)
    front = {"movflags": "+faststart"}
    fragments = {"movflags": "+frag_keyframe+empty_moov"}

    def make(name: str, **kwargs: object) -> Path:
        return constant_rate(folder / name, 30, 3.0, size=SIZE, gop=20, **kwargs)

    return [
        make("a.mp4", container_options=front, with_audio_s=3.0),
        make("b.mp4", b_frames=3),
        make("c.mp4", container_options=fragments),
        make("d.mov", start=-30_000),
        make("e.mkv", with_audio_s=3.0),
        make("f.ts", with_audio_s=3.0),
        make("g.flv", b_frames=0),
        make("h.avi", codec="mpeg4", time_base=coarse, b_frames=0),
        make("i.avi", codec="mjpeg", time_base=coarse, pixel_format="yuvj420p"),
        make("j.webm", codec="libvpx-vp9"),
        make("k.webm", codec="libvpx"),
        make("l.mp4", codec="libsvtav1"),
        make("m.mp4", codec="libx265"),
        make("n.mpg", codec="mpeg2video", time_base=coarse),
        make("o.mov", codec="png", pixel_format="rgb24"),
        make("p.asf", codec="wmv2", time_base=coarse),
        write_video(folder / "q.mp4", [n * 3000 + n % 7 * 400 for n in range(90)], size=SIZE, rotation=90),
    ]


def mutate(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """One to three breakages of a file; `other` is a second file to splice in."""
    broken = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 3))):
        chance.choice(_WAYS)(broken, other, chance)
    return bytes(broken)


def _place(data: bytearray, chance: random.Random) -> int:
    """An offset: anywhere, or near either end."""
    last = max(0, len(data) - 1)
    if chance.random() < 0.5:
        return chance.randint(0, last)
    near = chance.randint(0, min(_HEADER, last))
    return near if chance.random() < 0.5 else last - near


def _flip(data: bytearray, other: bytes, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 4, 30, 300)) if data else 0):
        data[_place(data, chance)] ^= 1 << chance.randrange(8)


def _extreme(data: bytearray, other: bytes, chance: random.Random) -> None:
    for _ in range(chance.choice((1, 5, 50)) if data else 0):
        data[_place(data, chance)] = chance.choice(_EXTREMES)


def _word(data: bytearray, other: bytes, chance: random.Random) -> None:
    """A 32-bit field of a header with an absurd value."""
    for _ in range(chance.choice((1, 3))):
        at = _place(data, chance)
        data[at : at + 4] = chance.choice(_WORDS).to_bytes(4, chance.choice(("big", "little")))


def _cut(data: bytearray, other: bytes, chance: random.Random) -> None:
    del data[_place(data, chance) :]


def _remove(data: bytearray, other: bytes, chance: random.Random) -> None:
    at = _place(data, chance)
    del data[at : at + chance.choice((1, 4, 188, 5000))]


def _repeat(data: bytearray, other: bytes, chance: random.Random) -> None:
    at = _place(data, chance)
    data[at:at] = data[at : at + chance.choice((4, 188, 5000))] * chance.choice((1, 3))


def _splice(data: bytearray, other: bytes, chance: random.Random) -> None:
    at, size = _place(data, chance), chance.choice((16, 188, 5000))
    start = chance.randrange(max(1, len(other)))
    data[at : at + size] = other[start : start + size]


def _blank(data: bytearray, other: bytes, chance: random.Random) -> None:
    at, size = _place(data, chance), chance.choice((16, 512, 5000))
    data[at : at + size] = bytes(len(data[at : at + size]))


_WAYS: tuple[Callable[[bytearray, bytes, random.Random], None], ...] = (
    *(_flip, _extreme, _word, _word, _cut, _remove, _repeat, _splice, _blank),
)
