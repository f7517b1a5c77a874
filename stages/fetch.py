"""List pages and fetch videos from the web with yt-dlp, in a child process (`stages/sandbox.py`).

Nothing that the web names becomes a path: files are called `source.<ext>` in a folder of our own. What the web gives is
bounded: pages by size, lists by entries, files by size and pace, everything by time. Failures carry a reason and say
whether asking again may help (`stages/failures.py`).
"""

import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from stages.errors import BadInput
from stages.feeds import is_feed, read_feed
from stages.rules import NOTHING, Facts, Rules
from stages.web_options import SCHEMES, Access, FetchOptions

_HEAD_BYTES = 2048
_LISTS_DEEP = 2
"""A channel is a list of lists (its tabs): these are opened, lists inside them are not."""


@dataclass(frozen=True)
class Entry:
    """One video of a list."""

    url: str
    index: int = 0
    """Number of the video on its page, from 1, where the page holds several itself; else 0."""
    facts: Facts = NOTHING


@dataclass(frozen=True)
class Listing:
    """What a source holds."""

    entries: tuple[Entry, ...]
    cut: bool = False
    """Whether there were more entries than asked for."""


@dataclass(frozen=True)
class Fetched:
    """A downloaded file and what is known about it."""

    name: str
    """File name in the folder that was given: `source.<ext>`."""
    facts: Facts


def list_page(url: str, options: FetchOptions, access: Access) -> Listing:
    """What a URL or a search holds, without downloading any video: at most `max_items` entries.

    Raises:
        BadInput: see `stages/failures.py`; `page_too_large`.
    """
    if may_be_feed(url) and (data := _feed(url, options, access)):
        found = read_feed(data, url, options.max_items + 1)
        entries = [Entry(facts.url, facts=replace(facts, url="")) for facts in found]
    else:
        entries = _list_entries(url, options, access, _LISTS_DEEP)
    if not entries:
        raise BadInput("unsupported_url", f"expected videos at {url}, got an empty list", "later")
    return Listing(tuple(entries[: options.max_items]), len(entries) > options.max_items)


def read_url(url: str, options: FetchOptions, access: Access) -> bytes:
    """A small text file: a list or an index. Raises what `list_page` raises."""
    from stages.web_session import in_session

    return in_session(options, access, url, lambda session: bytes(session.urlopen(url).read()), {})


def download(
    url: str, index: int, folder: Path, options: FetchOptions, access: Access, known: Facts, rules: Rules
) -> Fetched:
    """Fetch one video into `folder`, unless the rules keep it out.

    Args:
        known: what its list said about it.

    Raises:
        BadInput: what `list_page` raises; `too_large`, `too_slow`, `empty_file`, `live_stream`, a rule's reason.
    """
    from stages.web_session import in_session

    judge = _Judge(options, known, rules)
    extra = {
        "outtmpl": {"default": f"{folder}/source.%(ext)s"},
        "playlist_items": str(index or 1),
        "max_filesize": options.max_bytes,
        "match_filter": judge.match,
        "progress_hooks": [judge.progress],
    }
    in_session(options, access, url, lambda session: session.extract_info(url) and None, extra)
    if judge.refusal:
        raise judge.refusal
    files = sorted(path.name for path in folder.glob("source.*") if path.suffix not in (".part", ".ytdl"))
    if len(files) != 1:  # yt-dlp passes over a file beyond max_filesize without a word
        raise BadInput("too_large", f"expected at most {options.max_bytes} bytes at {url}, got {files or 'none'}")
    return Fetched(files[0], replace(judge.facts, url=url))


def may_be_feed(url: str) -> bool:
    """Whether a URL is called like a feed, or no extractor but yt-dlp's generic one knows it."""
    import yt_dlp

    parts = urlsplit(url)
    if parts.scheme.lower() not in SCHEMES:
        return False
    suitable = (ie.IE_NAME for ie in yt_dlp.extractor.gen_extractor_classes() if ie.suitable(url))
    return parts.path.lower().endswith((".xml", ".rss", ".atom")) or next(suitable, "") == "generic"


def _feed(url: str, options: FetchOptions, access: Access) -> bytes:
    """The whole document if it begins like a feed, else nothing."""
    from stages.web_session import WebSession, in_session

    def read(session: WebSession) -> bytes:
        response = session.urlopen(url)
        head = bytes(response.read(_HEAD_BYTES))
        return head + bytes(response.read()) if is_feed(head) else b""

    return in_session(options, access, url, read, {})


def _list_entries(url: str, options: FetchOptions, access: Access, depth: int) -> list[Entry]:
    """One entry more than `max_items` shows that the list was cut."""
    from stages.web_session import in_session

    room = options.max_items + 1
    extra = {"extract_flat": "in_playlist", "playlistend": room, "lazy_playlist": True}
    info = in_session(options, access, url, lambda s: s.sanitize_info(s.extract_info(url, download=False)) or {}, extra)
    if info.get("_type") not in ("playlist", "multi_video"):
        return [Entry(url)]
    found: list[Entry] = []
    for index, entry in enumerate(info.get("entries") or [], start=1):
        link = entry.get("url") if entry.get("_type") in ("url", "url_transparent") else None
        if link and depth > 1 and _is_list(entry):
            found += _list_entries(link, options, access, depth - 1)
        else:
            facts = replace(Facts.from_info(entry), url="", extractor="")
            found.append(Entry(link, 0, facts) if link else Entry(url, index, facts))
        if len(found) >= room:
            break
    return found[:room]


def _is_list(entry: dict[str, Any]) -> bool:
    """Whether a link leads to another list, as its extractor says."""
    import yt_dlp

    if not entry.get("ie_key"):
        return False
    return yt_dlp.extractor.get_info_extractor(entry["ie_key"]).is_single_video(entry["url"]) is False


class _Judge:
    """Refuses videos while yt-dlp works, and remembers why."""

    def __init__(self, options: FetchOptions, known: Facts, rules: Rules) -> None:
        self._options, self._known, self._rules = options, known, rules
        self.refusal: BadInput | None = None
        self.facts = known
        self._pace: tuple[float, int] | None = None

    def match(self, info: dict[str, Any], *, incomplete: bool) -> str | None:
        """yt-dlp's hook, before any stream is chosen: a text means no."""
        found = Facts.from_info(info)
        # A bare file knows its name and its server's date only: what the list said about it is better.
        self.facts = self._known.over(found) if info.get("direct") else found.over(self._known)
        if info.get("is_live") or info.get("live_status") in ("is_live", "is_upcoming", "post_live"):
            message = f"expected a finished video, got {info.get('live_status') or 'a live stream'}: {info.get('id')}"
            self.refusal = BadInput("live_stream", message, "later")
        else:
            self.refusal = self._rules.refusal(self.facts, complete=not incomplete)
        return self.refusal.message if self.refusal else None

    def progress(self, status: dict[str, Any]) -> None:
        """yt-dlp's hook, several times a second: stops what is too large without saying so, and what only trickles."""
        done, now = int(status.get("downloaded_bytes") or 0), time.monotonic()
        if done > self._options.max_bytes:
            raise BadInput("too_large", f"expected at most {self._options.max_bytes} bytes, got more")
        since, before = self._pace or (now, done)
        if self._pace and now - since >= self._options.stall_s:
            if (done - before) / (now - since) < self._options.min_rate:
                message = f"expected {self._options.min_rate} bytes/s, got {done - before} in {now - since:.0f} s"
                raise BadInput("too_slow", message, "later")
            since, before = now, done
        self._pace = since, before
