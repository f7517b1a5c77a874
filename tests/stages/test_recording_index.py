"""OpenAI's index files: both forms of relpaths, and nothing outside the basedir."""

import json

import pytest

from stages.errors import BadInput
from stages.recording_index import read_index

BASE = "https://openaipublic.blob.core.windows.net/minecraft-rl/"
WEB = ("http", "https")


def index(base: str, *relpaths: object) -> bytes:
    return json.dumps({"basedir": base, "relpaths": relpaths}).encode()


@pytest.mark.parametrize("base", [BASE, BASE.rstrip("/")])
@pytest.mark.parametrize("relpath", ["data/10.0/cheeky-0a-20220726-145502", "data/10.0/cheeky-0a-20220726-145502.mp4"])
def test_relpaths_with_and_without_a_suffix(base: str, relpath: str) -> None:
    assert read_index(index(base, relpath), "x", WEB) == [f"{BASE}data/10.0/cheeky-0a-20220726-145502.mp4"]


def test_odd_characters_are_quoted() -> None:
    assert read_index(index(BASE, "a b/c?d#e"), "x", WEB) == [f"{BASE}a%20b/c%3Fd%23e.mp4"]


@pytest.mark.parametrize("relpath", ["../x", "a/../../x", "/etc/passwd", "https://evil.org/x", "a\\..\\x", "a\nb"])
def test_nothing_outside_the_basedir(relpath: str) -> None:
    with pytest.raises(BadInput, match="bad_index: expected paths below basedir at here"):
        read_index(index(BASE, relpath), "here", WEB)


@pytest.mark.parametrize("data", [b"{", b"[]", b"{}", b'{"basedir": "x"}', b'{"basedir": "https://x", "relpaths": 3}'])
def test_other_json_is_refused(data: bytes) -> None:
    with pytest.raises(BadInput, match=r"bad_index: expected \{basedir, relpaths\}"):
        read_index(data, "here", WEB)


@pytest.mark.parametrize("base", ["file:///etc", "/etc", "s3://ours/private", "ftp://x"])
def test_an_index_from_the_web_names_the_web(base: str) -> None:
    with pytest.raises(BadInput, match="bad_index: expected a basedir that begins with http, https"):
        read_index(index(base, "x"), "here", WEB)
