"""One polite, guarded session with the web: yt-dlp with bounded answers, shared rate limits and tries that back off.

Everything here runs in a child process (`stages/sandbox.py`), which bounds memory and time. Every request passes
`WebSession.urlopen`: only http and https, in turn at its host, pages of a bounded size however they are compressed.
"""

import contextlib
import io
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import yt_dlp
from yt_dlp.networking.common import Request, Response

from stages.errors import BadInput, ConfigError
from stages.failures import explain
from stages.formats import choose, is_safe
from stages.network_guard import NetworkGuard
from stages.politeness import HostLimit, pause_s
from stages.web_options import SCHEMES, Access, FetchOptions

T = TypeVar("T")

SOCKET_TIMEOUT_S = 20.0
"""Seconds of silence after which a connection counts as dead."""
HEADERS_S = 60.0
"""Seconds for an answer to begin, redirects included."""
PIECE_BYTES = 1 << 16
JS_RUNTIMES = ("deno", "node", "bun")
"""Programs that solve the puzzles of some sites' players, in order of trust: deno runs scripts without any rights.
They run outside our network guard, and only for sites whose extractor the recipe allows."""


class WebSession(yt_dlp.YoutubeDL):
    """yt-dlp under our rules. `extra` are more of its own parameters."""

    def __init__(self, options: FetchOptions, access: Access, extra: dict[str, Any] | None = None) -> None:
        self._options = options
        self._limit = HostLimit(options.requests_per_s, Path(access.state_folder))
        super().__init__({**_parameters(options, access), **(extra or {})})
        if options.format:
            self.format_selector = self.build_format_selector(options.format)
        self.format_selector = _safe_streams(self.format_selector, "" if options.format else options.height)

    def urlopen(self, req: Request | str) -> Response:
        """Ask for a URL when it is our turn at its host."""
        request = req if isinstance(req, Request) else Request(req)
        parts = urlsplit(request.url)
        if parts.scheme.lower() not in SCHEMES:
            raise BadInput("unsupported_url", f"expected http:// or https://, got {request.url[:200]!r}")
        self._limit.wait(parts.hostname or "")
        with within(HEADERS_S, f"an answer from {parts.hostname}"):
            response = super().urlopen(request)
        return bounded(response, self._options)

    def back_off(self, host: str, seconds: float) -> None:
        """Let every worker of this machine leave a host alone for a while."""
        self._limit.block(host, seconds)


def in_session(
    options: FetchOptions, access: Access, url: str, action: Callable[[WebSession], T], extra: dict[str, Any]
) -> T:
    """Do something with the web, with more tries where the next second may help.

    Raises:
        BadInput: with the reasons of `stages/failures.py`.
    """
    guard = NetworkGuard(access.allow_private_hosts, access.proxy)
    for attempt in range(options.retries + 1):
        guard.refused = ""
        with guard.active(), WebSession(options, access, extra) as session:
            try:
                return action(session)
            except yt_dlp.utils.YoutubeDLError as error:
                failure = explain(error, url, guard.refused)
        pause = pause_s(attempt, failure.asked_s)
        if failure.host and failure.hope == "now":
            session.back_off(failure.host, pause)
        if failure.hope != "now" or failure.asked_s > pause or attempt == options.retries:
            raise failure.error() from None
        time.sleep(pause)
    raise AssertionError("unreachable: the last try returns or raises")


def bounded(response: Response, options: FetchOptions) -> Response:
    """The same response with reads that end: each in time for its size, `read()` of all within `max_page_bytes`."""
    read, limit = response.read, options.max_page_bytes

    def read_some(amt: int) -> bytes:
        seconds = options.stall_s + amt / options.min_rate if options.min_rate else 0.0
        with within(seconds, f"{options.min_rate} bytes/s from {response.url}"):
            return bytes(read(amt))

    def read_all(amt: int | None = None) -> bytes:
        if amt is not None:
            return read_some(amt)
        pieces, size = [], 0
        while piece := read_some(PIECE_BYTES):
            size += len(piece)
            if size > limit:
                raise BadInput("page_too_large", f"expected at most {limit} bytes at {response.url}, got more")
            pieces.append(piece)
        return b"".join(pieces)

    response.read = read_all
    return response


@contextlib.contextmanager
def within(seconds: float, what: str) -> Iterator[None]:
    """Interrupt a blocking call after so many seconds (0: never) with BadInput `too_slow`.

    A socket's own timeout only ends silence: one byte now and then keeps a connection alive for ever. Signals reach the
    main thread only; elsewhere, the wall limit of the child process must do.
    """
    if not seconds or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise BadInput("too_slow", f"expected {what} within {seconds:.0f} s, got less", "later")

    handler, (left, _) = signal.signal(signal.SIGALRM, stop), signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, left)
        signal.signal(signal.SIGALRM, handler)


def _safe_streams(selector: Any, height: int | str) -> Callable[[dict[str, Any]], Any]:
    """A format selector that offers safe streams only, to yt-dlp's own selector or to our choice by height."""

    def select(context: dict[str, Any]) -> Any:
        streams = [stream for stream in context["formats"] if is_safe(stream)]
        if isinstance(height, str):
            return selector({**context, "formats": streams})
        chosen = choose(streams, height)
        return [chosen] if chosen else []

    return select


def _parameters(options: FetchOptions, access: Access) -> dict[str, Any]:
    return {
        "quiet": True,
        "noprogress": True,
        "logger": _Silence(),
        "cachedir": False,
        "socket_timeout": SOCKET_TIMEOUT_S,
        "retries": options.retries,
        "fragment_retries": options.retries,
        "extractor_retries": options.retries,
        "retry_sleep_functions": {"http": _pause, "fragment": _pause, "extractor": _pause},
        "continuedl": True,  # a broken download goes on where it stopped, also in a later try
        "fixup": "never",  # the source file stays as it came
        "external_downloader": "native",  # other programs' sockets are not guarded
        "ffmpeg_location": os.devnull,
        "enable_file_urls": False,
        "noplaylist": True,
        "updatetime": False,
        "allowed_extractors": list(options.extractors),
        "ratelimit": options.rate_limit or None,
        "js_runtimes": {name: {} for name in JS_RUNTIMES if shutil.which(name)},
        "proxy": access.proxy or None,
        "cookiefile": _cookies(access.cookies_file),
    }


def _pause(n: int) -> float:
    return pause_s(n - 1)


def _cookies(path: str) -> io.StringIO | None:
    """The cookies in memory: yt-dlp writes them back at the end, and workers would overwrite each other's file."""
    if not path:
        return None
    try:
        return io.StringIO(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"expected a cookies file at {path}, got {error.strerror}; correct SMELTER_COOKIES_FILE on the workers"
        ) from None


class _Silence:
    """A logger for yt-dlp that keeps nothing: errors come as exceptions."""

    def debug(self, message: str) -> None: ...
    def warning(self, message: str) -> None: ...
    def error(self, message: str) -> None: ...
