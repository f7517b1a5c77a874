"""Which of a video's streams to fetch: the smallest one that is at least as high as wanted.

The models see 128x128 pixels and no sound, so a bigger stream costs bandwidth and disk for nothing. Only protocols that
yt-dlp speaks itself are taken: every other one would be handed to a program that the network guard does not watch.
"""

from collections.abc import Iterable
from typing import Any

PROTOCOLS = ("http", "https", "m3u8", "m3u8_native", "http_dash_segments", "ism", "f4m")
"""Downloaders of yt-dlp that run in its own process, over http and https."""


def is_safe(stream: dict[str, Any]) -> bool:
    """Whether our guarded process fetches this stream itself."""
    return str(stream.get("protocol") or "http") in PROTOCOLS


def choose(streams: Iterable[dict[str, Any]], height: int) -> dict[str, Any] | None:
    """The stream to fetch, or None where none has a picture.

    Args:
        streams: yt-dlp's formats: dicts with height, vcodec, protocol, filesize, tbr.
        height: wanted height in pixels. None that high: the highest; heights unknown: yt-dlp's last, its best.
    """
    pictures = [s for s in streams if is_safe(s) and s.get("vcodec") != "none" and s.get("ext") != "mhtml"]
    known = [s for s in pictures if s.get("height")]
    enough = [s for s in known if s["height"] >= height]
    if enough:
        return min(enough, key=lambda s: (s["height"], _size(s)))
    if known:
        return min(known, key=lambda s: (-s["height"], _size(s)))
    return pictures[-1] if pictures else None


def _size(stream: dict[str, Any]) -> float:
    """Bytes where known, else a guess that keeps the order by bit rate; unknown is the largest."""
    size = stream.get("filesize") or stream.get("filesize_approx")
    rate = stream.get("tbr") or stream.get("vbr")
    return float(size or (rate * 1e6 if rate else float("inf")))
