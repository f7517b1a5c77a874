"""RSS and Atom feeds to entries, by feedparser: broken feeds too, no external entities.

An entry's video is its enclosure or media content where that is a video, else its link.
"""

import calendar
import re
import time
from itertools import islice
from typing import Any
from urllib.parse import urljoin, urlsplit

from stages.rules import Facts
from stages.web_options import VIDEO_SUFFIXES

_SIGNS = (b"<rss", b"<feed", b"<rdf:rdf")
_END = re.compile(rb"</((?:\w+:)?(?:item|entry))\s*>", re.IGNORECASE)


def is_feed(head: bytes) -> bool:
    """Whether a document that begins so is a feed."""
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    return text.startswith((b"<?xml", b"<!--", *_SIGNS)) and any(sign in text for sign in _SIGNS)


def read_feed(data: bytes, url: str, limit: int) -> list[Facts]:
    """At most `limit` entries that have a link, in the feed's order; `Facts.url` is what to fetch."""
    import feedparser

    feed = feedparser.parse(shortened(data, 2 * limit), response_headers={"content-location": url})
    licence = _licence(feed.feed)
    found = (_facts(entry, url, licence) for entry in feed.entries[: 2 * limit])
    return [facts for facts in found if facts.url][:limit]


def shortened(data: bytes, entries: int) -> bytes:
    """The document without the entries after so many: to parse a million takes minutes and most of a gigabyte."""
    ends = list(islice(_END.finditer(data), entries))
    if len(ends) < entries:
        return data
    last = data.rfind(b"</" + ends[-1][1], ends[-1].start())
    return data[: ends[-1].end()] + data[data.index(b">", last) + 1 :]


def _facts(entry: Any, base: str, licence: str) -> Facts:
    published = entry.get("published_parsed") or entry.get("updated_parsed")
    day = time.strftime("%Y%m%d", time.gmtime(calendar.timegm(published))) if published else ""
    return Facts(
        url=_link(entry, base),
        title=str(entry.get("title") or "")[:1000],
        description=str(entry.get("summary") or "")[:5000],
        uploader=str(entry.get("author") or "")[:1000],
        licence=_licence(entry) or licence,
        extractor="feed",
        published=day,
        duration_s=_seconds(entry),
    )


def _link(entry: Any, base: str) -> str:
    media = [*entry.get("enclosures", []), *entry.get("media_content", [])]
    videos = [str(item.get("href") or item.get("url") or "") for item in media if _is_video(item)]
    link = next(filter(None, videos), str(entry.get("link") or ""))
    return urljoin(base, link) if link else ""


def _is_video(item: Any) -> bool:
    if str(item.get("type") or item.get("medium") or "").startswith("video"):
        return True
    path = urlsplit(str(item.get("href") or item.get("url") or "")).path
    return path.rpartition(".")[2].lower() in VIDEO_SUFFIXES


def _licence(item: Any) -> str:
    links = [str(link.get("href")) for link in item.get("links", []) if link.get("rel") == "license"]
    named = (
        item.get("license"),
        item.get("cc_license"),
        item.get("creativecommons_license"),
        item.get("media_license"),
    )
    return next((str(text)[:1000] for text in (*named, *links, item.get("rights")) if text), "")


def _seconds(entry: Any) -> float | None:
    """`itunes:duration` as seconds or H:M:S, or the `duration` of a media content."""
    media = [item.get("duration") for item in entry.get("media_content", [])]
    text = str(entry.get("itunes_duration") or next(filter(None, media), "") or "")
    try:
        parts = [float(part) for part in text.split(":")]
    except ValueError:
        return None
    return sum(part * 60**power for power, part in enumerate(reversed(parts)))
