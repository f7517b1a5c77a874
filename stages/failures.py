"""Why the web did not give us a video, and whether asking again may help.

    now     the next second may bring it: no answer, a broken connection, HTTP 429 or 5xx. Tried again at once, with
            growing pauses; what is left then counts as `later`.
    later   the next day may bring it: a premiere, a live stream, a bot check. The next runs try again by themselves.
    never   it will not come: private, removed, not for this country, no video. Tried again on demand only.

yt-dlp says most of this in words, not in types; the table below reads them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from stages.errors import BadInput
from stages.network_guard import PrivateAddress

Hope = Literal["now", "later", "never"]

WORDS: tuple[tuple[str, Hope, str], ...] = (
    # The order counts: a bot check also says "sign in", an upcoming premiere also says "unavailable".
    ("bot_check", "later", r"not a bot|captcha|unusual traffic|anti-bot|cloudflare"),
    ("rate_limited", "later", r"rate.?limit|too many requests|try again later|temporarily (blocked|unavailable)"),
    ("premiere", "later", r"premieres? (in|will)|premiering|will begin in|has not (yet )?(started|begun)|upcoming"),
    ("live_stream", "later", r"live stream recording is not available|is (currently )?live\b|not currently live"),
    ("processing", "later", r"(being|still) process(ed|ing)"),
    ("drm", "never", r"\bdrm\b"),
    ("private", "never", r"private"),
    ("members_only", "never", r"\bmembers?\b|join this channel|premium|subscri|purchase|\brent(al|ed)?\b|payment"),
    ("age_restricted", "never", r"confirm your age|age.?restrict|inappropriate for some"),
    ("geo_blocked", "never", r"geo.?restrict|(your|this) (country|location|region)|in your (country|location)"),
    ("removed", "never", r"removed|terminated|deleted|no longer (available|exists)|does ?n[o']t exist|copyright"),
    ("login_required", "never", r"sign in|log ?in|registered users|authenti|cookies"),
    ("removed", "never", r"unavailable|not available on this app"),
    ("empty_file", "never", r"file is empty|any data blocks"),
    ("no_format", "later", r"requested format is not available|no video formats found|nsig|signature"),
    ("unsafe_name", "never", r"unsafe"),
    ("unsupported_url", "never", r"unsupported url|no suitable extractor|is not a valid url|unsupported url scheme"),
)
"""(reason, hope, words in yt-dlp's message, in any case)."""

_PASSING = (408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524)
_FOR_EVER = (401, 404, 405, 410, 414, 451)


@dataclass(frozen=True)
class Failure:
    """One failed try."""

    reason: str
    message: str
    hope: Hope
    asked_s: float = 0.0
    """Seconds that the server wants us to wait (`Retry-After`)."""
    host: str = ""
    """The host that gave an HTTP error."""

    def error(self) -> BadInput:
        return BadInput(self.reason, self.message, "never" if self.hope == "never" else "later")


def explain(error: Exception, url: str, refused: str = "") -> Failure:
    """Put a failure of yt-dlp, of a socket or of ours into one of the classes above.

    Args:
        refused: the address that the network guard refused last, if any.
    """
    from yt_dlp.networking.exceptions import CertificateVerifyError, HTTPError, IncompleteRead, TransportError
    from yt_dlp.utils import ContentTooShortError, GeoRestrictedError, UnsupportedError

    causes = list(_chain(error))
    message = re.sub(r"\x1b\[\d+m", "", str(error)).removeprefix("ERROR: ")[:500]
    if refused or any(isinstance(cause, PrivateAddress) for cause in causes):
        return Failure("private_address", f"expected a public host, got {refused or 'none'} by way of {url}", "never")
    if ours := next((cause for cause in causes if isinstance(cause, BadInput)), None):
        return Failure(ours.reason, ours.message, "later" if ours.again == "later" else "never")
    if status := next((cause for cause in causes if isinstance(cause, HTTPError)), None):
        return _http(status, url)
    if "No connection adapters" in message:  # requests' words for a redirect to another scheme
        return Failure("unsupported_url", f"expected http:// or https:// behind {url}, got: {message}", "never")
    kinds: tuple[tuple[Any, str, Hope], ...] = (
        (CertificateVerifyError, "bad_certificate", "later"),
        (GeoRestrictedError, "geo_blocked", "never"),
        (UnsupportedError, "unsupported_url", "never"),
        ((IncompleteRead, ContentTooShortError), "incomplete", "now"),
    )
    for kind, reason, hope in kinds:
        if any(isinstance(cause, kind) for cause in causes):
            return Failure(reason, f"expected a video at {url}, got: {message}", hope)
    if any(isinstance(cause, TransportError | OSError) for cause in causes):
        return Failure("unreachable", f"expected an answer from {url}, got: {message}", "now")
    return by_words(message, url)


def by_words(message: str, url: str) -> Failure:
    """What yt-dlp's words mean; `unsupported_url` where nothing fits: no extractor made sense of the page."""
    text = message.replace(url, "").replace("’", "'").lower()  # a URL's own words say nothing
    for reason, hope, pattern in WORDS:
        if re.search(pattern, text):
            return Failure(reason, f"expected a video at {url}, got: {message}", hope)
    return Failure("unsupported_url", f"expected a video at {url}, got: {message}", "never")


def _http(error: Any, url: str) -> Failure:
    status = int(error.status)
    hope: Hope = "now" if status in _PASSING else "never" if status in _FOR_EVER else "later"
    asked = str(error.response.headers.get("Retry-After") or "")
    message = f"expected a video at {url}, got HTTP {status}"
    return Failure(f"http_{status}", message, hope, float(asked) if asked.isdigit() else 0.0, _host(error.response.url))


def _host(url: str) -> str:
    return urlsplit(url).hostname or ""


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, what caused it, and what yt-dlp and requests keep beside it."""
    seen: set[int] = set()
    queue = [error]
    while queue:
        current = queue.pop(0)
        if current is None or id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        kept = getattr(current, "exc_info", None) or (None, None)
        inside = [arg for arg in (*current.args, getattr(current, "reason", None)) if isinstance(arg, BaseException)]
        queue += [current.__cause__, current.__context__, kept[1], getattr(current, "cause", None), *inside]
