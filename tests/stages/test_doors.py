"""Objects below prefixes of stores, on both kinds of store. The web's side: tests/stages/test_scrape.py."""

from pathlib import Path

import pytest

from stages.doors import OpenDoors, suffix_of
from stages.errors import BadInput
from stages.settings import Settings
from stages.storage import Store
from stages.web_options import FetchOptions


def test_videos_below_a_prefix_of_the_own_store(settings: Settings, tmp_path: Path) -> None:
    store, doors = Store(settings), OpenDoors(settings, FetchOptions())
    for key in ("inbox/b.mp4", "inbox/deep/a.WEBM", "inbox/notes.txt", "other/c.mp4"):
        store.put(key, key.encode())
    found = doors.list_prefix("store:inbox/")
    assert found == [f"{settings.store}/inbox/b.mp4", f"{settings.store}/inbox/deep/a.WEBM"]
    doors.fetch_object(found[1], tmp_path / "v")
    assert (tmp_path / "v").read_bytes() == b"inbox/deep/a.WEBM"
    assert doors.read("store:inbox/notes.txt") == b"inbox/notes.txt"


def test_what_is_not_there(file_settings: Settings, tmp_path: Path) -> None:
    doors = OpenDoors(file_settings, FetchOptions())
    with pytest.raises(BadInput, match=r"not_found: expected videos \(mp4.*below store:none, got none"):
        doors.list_prefix("store:none")
    with pytest.raises(BadInput, match="not_found: expected an object at store:none"):
        doors.read("store:none.txt")
    with pytest.raises(BadInput, match="not_found"):
        doors.fetch_object("store:none.mp4", tmp_path / "v")


def test_a_search_names_its_engine_and_its_number(file_settings: Settings) -> None:
    assert OpenDoors(file_settings, FetchOptions(), "vsearch", 7).search("two words") == "vsearch7:two words"


@pytest.mark.parametrize(
    ("name", "suffix"), [("a.MP4", "mp4"), ("a.mp4/../x", "bin"), ("a", "bin"), ("a.sh", "bin"), ("a.m p4", "bin")]
)
def test_no_other_text_becomes_a_suffix(name: str, suffix: str) -> None:
    assert suffix_of(name) == suffix
