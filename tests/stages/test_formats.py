"""The smallest stream that is high enough, and never one that another program would fetch."""

from typing import Any

import pytest

from stages.formats import choose, is_safe


def stream(height: int | None, size: int | None = None, **more: Any) -> dict[str, Any]:
    return {"format_id": f"{height}-{size}", "height": height, "filesize": size, "protocol": "https", **more}


@pytest.mark.parametrize(
    ("streams", "chosen"),
    [
        ([stream(240, 1), stream(360, 9), stream(720, 5)], "360-9"),
        ([stream(360, 9), stream(360, 4), stream(720, 1)], "360-4"),
        ([stream(144, 1), stream(240, 2)], "240-2"),
        ([stream(360, 3, vcodec="none"), stream(480, 9)], "480-9"),
        ([stream(360, 1, protocol="rtmp"), stream(1080, 9)], "1080-9"),
        ([stream(None, 1), stream(None, 2)], "None-2"),
        ([stream(None, 1), stream(240, 2)], "240-2"),
        ([stream(360, None, tbr=900), stream(360, None, tbr=300), stream(360)], "360-None"),
    ],
)
def test_choice(streams: list[dict[str, Any]], chosen: str) -> None:
    found = choose(streams, 360)
    assert found is not None
    assert found["format_id"] == chosen


def test_a_lower_bit_rate_stands_for_a_smaller_file() -> None:
    found = choose([stream(360, None, tbr=900), stream(360, None, tbr=300), stream(360)], 360)
    assert found is not None
    assert found["tbr"] == 300


def test_nothing_with_a_picture() -> None:
    assert choose([stream(None, 1, vcodec="none")], 360) is None
    assert choose([], 360) is None


@pytest.mark.parametrize(
    ("protocol", "safe"), [("https", True), ("m3u8_native", True), ("rtmp", False), ("ftp", False)]
)
def test_protocols(protocol: str, safe: bool) -> None:
    assert is_safe({"protocol": protocol}) is safe
