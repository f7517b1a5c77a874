"""Fetch videos from the web with yt-dlp, in a child process (`stages/sandbox.py`).

Only http and https; no cookies; private and loopback addresses are refused when a socket connects, so that neither a
redirect, nor a page's embedded link, nor a name that resolves differently the second time can reach them.
Nothing that the web names becomes a path: files are called `source.<ext>` in a folder of our own.
"""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from stages.errors import BadInput
from stages.network_guard import NetworkGuard

SCHEMES = ("http", "https")
VIDEO_SUFFIXES = ("mp4", "mkv", "webm", "mov", "avi", "flv", "m4v", "ts")
_PASSING = (408, 429, 500, 502, 503, 504)
"""HTTP statuses that are worth another try."""


@dataclass(frozen=True)
class FetchOptions:
    """How to fetch. See the fields of the same name in `ScrapeConfig`."""

    extractors: tuple[str, ...]
    format: str
    max_bytes: int
    max_items: int
    retries: int
    rate_limit: int
    blacklist: tuple[str, ...]
    allow_private_hosts: bool


@dataclass(frozen=True)
class Fetched:
    """A downloaded file and what its page says about it."""

    name: str
    """File name in the folder that was given: `source.<ext>`."""
    about: dict[str, Any]


def list_page(url: str, options: FetchOptions) -> list[dict[str, Any]]:
    """What a URL holds: one `{"url", "index"}` per video. `index` counts videos that a page holds itself, else 0.

    Raises:
        BadInput: `unsupported_url`, `http_<status>`, `unreachable`, `private_address`.
    """
    info = _extract(url, {"extract_flat": "in_playlist", "playlistend": options.max_items}, options, download=False)
    if info.get("_type") not in ("playlist", "multi_video"):
        return [{"url": url, "index": 0}]
    found = []
    for index, entry in enumerate(info.get("entries") or [], start=1):
        link = entry.get("url") if entry.get("_type") in ("url", "url_transparent") else None
        found.append({"url": link, "index": 0} if link else {"url": url, "index": index})
    if not found:
        raise BadInput("unsupported_url", f"expected videos at {url}, got an empty list")
    return found


def download(url: str, index: int, folder: Path, options: FetchOptions) -> Fetched:
    """Fetch one video into `folder`.

    Raises:
        BadInput: what `list_page` raises; `too_large`, `empty_file`, `live_stream`, `blacklisted`.
    """
    judge = _Judge(options)
    info = _extract(
        url,
        {
            "outtmpl": {"default": f"{folder}/source.%(ext)s"},
            "playlist_items": str(index or 1),
            "max_filesize": options.max_bytes,
            "match_filter": judge.match,
            "progress_hooks": [judge.progress],
        },
        options,
        download=True,
    )
    while info.get("entries"):
        info = info["entries"][0]
    if judge.refusal:
        raise judge.refusal
    files = sorted(path.name for path in folder.glob("source.*") if path.suffix != ".part")
    if len(files) != 1:  # yt-dlp passes over a file beyond max_filesize without a word
        raise BadInput(
            "too_large", f"expected a file of at most {options.max_bytes} bytes at {url}, got {files or 'none'}"
        )
    return Fetched(files[0], {**describe(info), "url": url})


def describe(info: dict[str, Any], url: str = "") -> dict[str, Any]:
    """The facts that a record keeps, from yt-dlp's info or an `.info.json` beside a file."""

    def text(*names: str) -> str:
        return next((str(info[name])[:1000] for name in names if info.get(name)), "")

    duration = info.get("duration")
    return {
        "url": text("webpage_url", "original_url", "url") or url,
        "title": text("title", "fulltitle"),
        "uploader": text("uploader", "channel", "creator"),
        "licence": text("license", "licence"),
        "extractor": text("extractor"),
        "published": text("upload_date"),
        "duration_s": float(duration) if isinstance(duration, int | float) else None,
    }


def blacklisted(info: dict[str, Any], words: tuple[str, ...]) -> str:
    """The first word of the blacklist in title or description, or ''."""
    text = f"{info.get('title') or ''}\n{info.get('description') or ''}".lower()
    return next((word for word in words if word.lower() in text), "")


class _Judge:
    """Refuses videos while yt-dlp works, and remembers why."""

    def __init__(self, options: FetchOptions) -> None:
        self._options = options
        self.refusal: BadInput | None = None

    def match(self, info: dict[str, Any], *, incomplete: bool) -> str | None:
        """yt-dlp's hook: a text means no."""
        if info.get("is_live"):
            self.refusal = BadInput("live_stream", f"expected a finished video, got a live stream: {info.get('id')}")
        elif word := blacklisted(info, self._options.blacklist):
            self.refusal = BadInput("blacklisted", f"title or description holds {word!r} (paper, Appendix A.1)")
        return self.refusal.message if self.refusal else None

    def progress(self, status: dict[str, Any]) -> None:
        """yt-dlp's hook: stops a download without a declared size once it is too large."""
        if (status.get("downloaded_bytes") or 0) > self._options.max_bytes:
            raise BadInput("too_large", f"expected at most {self._options.max_bytes} bytes, got more")


class _Silence:
    """A logger for yt-dlp that keeps nothing: errors come as exceptions."""

    def debug(self, message: str) -> None: ...
    def warning(self, message: str) -> None: ...
    def error(self, message: str) -> None: ...


def _extract(url: str, extra: dict[str, Any], options: FetchOptions, download: bool) -> dict[str, Any]:
    """yt-dlp's info, with retries of what may pass. The child's sockets are guarded from here on."""
    import yt_dlp

    guard = NetworkGuard(options.allow_private_hosts)
    settings = {
        "quiet": True,
        "noprogress": True,
        "logger": _Silence(),
        "cachedir": False,
        "socket_timeout": 20,
        "retries": options.retries,
        "fragment_retries": options.retries,
        "overwrites": True,
        "fixup": "never",  # the source file stays as it came
        "noplaylist": True,
        "format": options.format,
        "allowed_extractors": list(options.extractors),
        "ratelimit": options.rate_limit or None,
        **extra,
    }
    for attempt in range(options.retries + 1):
        try:
            with guard.active(), yt_dlp.YoutubeDL(settings) as session:
                _check_scheme(url)
                return session.sanitize_info(session.extract_info(url, download=download)) or {}
        except yt_dlp.utils.YoutubeDLError as error:
            problem, may_pass = _explain(error, url, guard)
            if not may_pass or attempt == options.retries:
                raise problem from None
        time.sleep(2**attempt)
    raise AssertionError("unreachable: the last attempt returns or raises")


def _check_scheme(url: str) -> None:
    if urlsplit(url).scheme not in SCHEMES and "search" not in url.partition(":")[0]:
        raise BadInput("unsupported_url", f"expected http:// or https://, got {url[:200]!r}")


def _explain(error: Exception, url: str, guard: "NetworkGuard") -> tuple[BadInput, bool]:
    """The reason of a failure, and whether another try may help."""
    from yt_dlp.networking.exceptions import HTTPError, TransportError
    from yt_dlp.utils import UnsupportedError

    if guard.refused:
        return BadInput("private_address", f"expected a public host, got {guard.refused} by way of {url}"), False
    chain = list(_chain(error))
    if bad := next((cause for cause in chain if isinstance(cause, BadInput)), None):
        return bad, False
    status = next((cause.status for cause in chain if isinstance(cause, HTTPError)), None)
    message = str(error).removeprefix("ERROR: ")[:500]
    if status:
        return BadInput(f"http_{status}", f"expected a video at {url}, got HTTP {status}"), status in _PASSING
    if any(isinstance(cause, UnsupportedError) for cause in chain) or "No suitable extractor" in message:
        return BadInput("unsupported_url", f"expected a video or a page with one at {url}, got: {message}"), False
    if "file is empty" in message or "any data blocks" in message:
        return BadInput("empty_file", f"expected a video at {url}, got 0 bytes"), False
    if any(isinstance(cause, TransportError | OSError) for cause in chain):
        return BadInput("unreachable", f"expected an answer from {url}, got: {message}"), True
    return BadInput("unsupported_url", f"expected a video at {url}, got: {message}"), False


def _chain(error: BaseException | None) -> Any:
    """An error, what caused it, and what yt-dlp keeps beside it."""
    seen: set[int] = set()
    queue = [error]
    while queue:
        current = queue.pop()
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        kept = getattr(current, "exc_info", None) or (None, None)
        queue += [current.__cause__, current.__context__, kept[1], getattr(current, "cause", None)]
