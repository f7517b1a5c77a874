"""What the web's refusals mean, in yt-dlp's own words and types, and when we ask again."""

import pytest
from yt_dlp.networking.common import Response
from yt_dlp.networking.exceptions import CertificateVerifyError, HTTPError, IncompleteRead, TransportError
from yt_dlp.utils import DownloadError, ExtractorError, GeoRestrictedError, UnsupportedError

from stages.errors import BadInput
from stages.failures import by_words, explain
from stages.network_guard import PrivateAddress

URL = "https://example.org/private-premium-drm/v"


@pytest.mark.parametrize(
    ("message", "reason", "hope"),
    [
        ("Private video. Sign in if you've been granted access to this video", "private", "never"),
        ("Sign in to confirm you’re not a bot. Use --cookies", "bot_check", "later"),
        ("Sign in to confirm your age. This video may be inappropriate for some users.", "age_restricted", "never"),
        ("Join this channel to get access to members-only content like this video", "members_only", "never"),
        ("Premieres in 3 hours", "premiere", "later"),
        ("This live event will begin in 2 days.", "premiere", "later"),
        ("This live stream recording is not available.", "live_stream", "later"),
        ("Video unavailable. This video has been removed by the uploader", "removed", "never"),
        ("Video unavailable", "removed", "never"),
        ("This video is no longer available because the account has been terminated.", "removed", "never"),
        ("Video unavailable. The uploader has not made this video available in your country", "geo_blocked", "never"),
        ("The current session has been rate-limited by YouTube for up to an hour", "rate_limited", "later"),
        ("We're processing this video. Check back later. It is still processing", "processing", "later"),
        ("This video is DRM protected", "drm", "never"),
        ("Requested format is not available. Use --list-formats", "no_format", "later"),
        ("This video is only available for registered users", "login_required", "never"),
        ("The downloaded file is empty", "empty_file", "never"),
        (f"Unsupported URL: {URL}", "unsupported_url", "never"),
        ("something quite new", "unsupported_url", "never"),
    ],
)
def test_words(message: str, reason: str, hope: str) -> None:
    found = by_words(message, URL)
    assert (found.reason, found.hope) == (reason, hope)
    assert message in found.message


def http(status: int, **headers: str) -> HTTPError:
    return HTTPError(
        Response(None, "https://cdn.example.org/x", {k.replace("_", "-"): v for k, v in headers.items()}, status)
    )


@pytest.mark.parametrize(
    ("status", "hope", "again"),
    [
        (404, "never", "never"),
        (410, "never", "never"),
        (403, "later", "later"),
        (429, "now", "later"),
        (503, "now", "later"),
    ],
)
def test_http_statuses(status: int, hope: str, again: str) -> None:
    found = explain(ExtractorError("no page", cause=http(status)), URL)
    assert (found.reason, found.hope, found.error().again) == (f"http_{status}", hope, again)


def test_a_server_says_how_long_to_wait() -> None:
    found = explain(http(429, Retry_After="17"), URL)
    assert (found.asked_s, found.host) == (17.0, "cdn.example.org")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (GeoRestrictedError("not here"), "geo_blocked"),
        (UnsupportedError(URL), "unsupported_url"),
        (ExtractorError("x", cause=CertificateVerifyError("bad chain")), "bad_certificate"),
        (ExtractorError("x", cause=IncompleteRead(partial=3, expected=9)), "incomplete"),
        (ExtractorError("x", cause=TransportError("no route")), "unreachable"),
        (TransportError("No connection adapters were found for 'file:///etc/hostname'"), "unsupported_url"),
        (ExtractorError("x", cause=BadInput("page_too_large", "m")), "page_too_large"),
        (TransportError(cause=PrivateAddress("10.0.0.1")), "private_address"),
    ],
)
def test_types(error: Exception, reason: str) -> None:
    assert explain(error, URL).reason == reason


def test_the_cause_inside_yt_dlps_own_wrapping_is_found() -> None:
    inner = http(404)
    assert explain(DownloadError("ERROR: failed", (type(inner), inner, None)), URL).reason == "http_404"
    assert explain(ExtractorError("x"), URL, refused="10.0.0.1").reason == "private_address"
