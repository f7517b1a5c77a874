"""The session with the web: cookies in memory, reads that end, streams of safe protocols only."""

import time
from pathlib import Path

import pytest
from yt_dlp.networking.common import Response

from stages.errors import BadInput, ConfigError
from stages.web_options import Access, FetchOptions
from stages.web_session import WebSession, bounded, within

COOKIES = "# Netscape HTTP Cookie File\n.example.org\tTRUE\t/\tFALSE\t2147483647\tname\tvalue\n"


def test_cookies_are_read_and_never_written_back(tmp_path: Path) -> None:
    path = tmp_path / "cookies.txt"
    path.write_text(COOKIES)
    with WebSession(FetchOptions(), Access(cookies_file=str(path), state_folder=str(tmp_path))) as session:
        assert [cookie.value for cookie in session.cookiejar] == ["value"]
        session.cookiejar.clear()
    assert path.read_text() == COOKIES
    with pytest.raises(ConfigError, match=r"expected a cookies file at .*none.txt, got No such file"):
        WebSession(FetchOptions(), Access(cookies_file=str(tmp_path / "none.txt")))


def test_only_safe_streams_reach_a_format_expression() -> None:
    streams = [
        {"format_id": "small", "height": 360, "ext": "mp4", "protocol": "https", "vcodec": "h264", "acodec": "aac"},
        {"format_id": "big", "height": 720, "ext": "mp4", "protocol": "https", "vcodec": "h264", "acodec": "aac"},
        {"format_id": "best", "height": 1080, "ext": "mp4", "protocol": "rtmp", "vcodec": "h264", "acodec": "aac"},
    ]
    context = {"formats": streams, "has_merged_format": True, "incomplete_formats": False}
    for options, chosen in (
        (FetchOptions(), "small"),
        (FetchOptions(height=400), "big"),
        (FetchOptions(format="b"), "big"),
    ):
        with WebSession(options, Access()) as session:
            assert [stream["format_id"] for stream in session.format_selector(context)] == [chosen]


@pytest.mark.parametrize("url", ["file:///etc/passwd", "ftp://example.org/x", "ws://example.org/x"])
def test_other_schemes_are_never_asked(url: str) -> None:
    with WebSession(FetchOptions(), Access()) as session, pytest.raises(BadInput, match="unsupported_url"):
        session.urlopen(url)


class Endless:
    """A body without an end."""

    closed = False

    def read(self, amt: int | None = None) -> bytes:
        return bytes(amt or 1)


def test_a_body_without_an_end_has_a_bound() -> None:
    response = bounded(Response(Endless(), "http://x.org/", {}), FetchOptions(max_page_bytes=10**6))
    assert response.read(100) == bytes(100)
    with pytest.raises(BadInput, match="page_too_large: expected at most 1000000 bytes"):
        response.read()


def test_a_call_that_blocks_is_interrupted() -> None:
    with pytest.raises(BadInput, match="too_slow: expected an answer within 0 s") as caught, within(0.05, "an answer"):
        time.sleep(60)
    assert caught.value.again == "later"
