"""What a source stands for, without any network: the doors are given."""

import json
from pathlib import Path
from typing import Any

import pytest

from stages.errors import BadInput
from stages.fetch import Entry, Listing
from stages.rules import Facts
from stages.sources import Item, expand


class Doors:
    """Doors that open on what a test laid out; anything else is one too many."""

    def __init__(self) -> None:
        self._found: dict[str, Any] = {}

    def lay(self, uri: str, value: Any) -> "Doors":
        self._found[uri] = value
        return self

    def list_url(self, url: str) -> Listing:
        found = self._get(url)
        return found if isinstance(found, Listing) else Listing(tuple(found))

    def list_prefix(self, uri: str) -> list[str]:
        return self._get(uri)

    def read(self, uri: str) -> bytes:
        return self._get(uri)

    def search(self, words: str) -> str:
        return f"ytsearch50:{words}"

    def _get(self, uri: str) -> Any:
        assert uri in self._found, f"{uri} needs no request"
        if isinstance(self._found[uri], BadInput):
            raise self._found[uri]
        return self._found[uri]


LIST = "https://example.org/list"


def items(source: str | Path, doors: Doors | None = None) -> list[Item]:
    return list(expand(str(source), doors or Doors()))


def test_a_direct_url_needs_no_listing() -> None:
    (item,) = items("https://example.org/a/v.MP4?session=1")
    assert (item.kind, item.inputs) == ("url", {"url": "https://example.org/a/v.MP4?session=1", "index": 0})


def test_a_page_gives_what_its_list_holds_with_what_it_says() -> None:
    facts = Facts(title="Two")
    found = items(LIST, Doors().lay(LIST, [Entry(LIST, 1), Entry("https://x.org/2", 0, facts)]))
    assert [item.identity for item in found] == [("url", LIST, 1), ("url", "https://x.org/2", 0)]
    assert found[1].facts == facts


def test_searches_and_the_papers_preset_go_to_the_lister() -> None:
    (item,) = items("ytsearch5:words", Doors().lay("ytsearch5:words", [Entry("https://x.org/1")]))
    assert item.inputs["url"] == "https://x.org/1"
    (item,) = items("search: two words", Doors().lay("ytsearch50:two words", [Entry("https://x.org/2")]))
    assert item.inputs["url"] == "https://x.org/2"
    refused = BadInput("rate_limited", "m", "later")
    doors = Doors()
    doors._get = lambda uri: (_ for _ in ()).throw(refused) if "longplay" in uri else [Entry(f"https://x.org/{uri}")]
    found = items("preset:vpt", doors)
    assert (len(found), found[0].inputs["again"]) == (29, "later"), "one search that fails stops no other"
    assert {item.kind for item in found[1:]} == {"url"}


def test_a_lister_that_fails_makes_one_failed_item() -> None:
    (item,) = items(LIST, Doors().lay(LIST, BadInput("http_404", "gone")))
    assert (item.kind, item.inputs["reason"], item.inputs["source"]) == ("failed", "http_404", LIST)


def test_links_to_other_protocols_are_refused_one_by_one() -> None:
    found = items(LIST, Doors().lay(LIST, [Entry("file:///etc/passwd"), Entry("https://x.org/v")]))
    assert [(item.kind, item.inputs.get("reason")) for item in found] == [("failed", "unsupported_url"), ("url", None)]


def test_a_list_that_was_cut_says_so_and_asks_again_with_another_limit() -> None:
    cut = [items(LIST, Doors().lay(LIST, Listing((Entry("https://x.org/v"),) * n, cut=True)))[-1] for n in (1, 2)]
    assert [item.inputs["reason"] for item in cut] == ["list_cut", "list_cut"]
    assert cut[0].identity != cut[1].identity


def test_folders_are_searched_in_order_and_other_files_left_alone(tmp_path: Path) -> None:
    for name in ("b.mp4", "a/c.WEBM", "a/x.txt", ".d.mp4", "e.mkv.part"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"1")
    assert [Path(item.inputs["path"]).name for item in items(tmp_path)] == ["c.WEBM", "b.mp4"]


def test_a_changed_file_is_another_item(tmp_path: Path) -> None:
    path = tmp_path / "v.mp4"
    path.write_bytes(b"1")
    (before,) = items(path)
    assert items(path) == [before]
    path.write_bytes(b"12")
    assert items(path)[0].identity != before.identity


def test_lists_hold_items_and_comments(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_bytes(b"1")
    lines = ["# head", f"{LIST}#part  # remark", f"{tmp_path}/v.mp4", "", "s3://bucket/v.mp4", "nowhere.mp4"]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    found = items(f"@{tmp_path}/list.txt")
    assert [item.kind for item in found] == ["url", "file", "s3", "failed"]
    assert found[0].inputs["url"] == f"{LIST}#part"


def test_a_list_from_the_web_reaches_the_web_alone(tmp_path: Path) -> None:
    (tmp_path / "v.mp4").write_bytes(b"1")
    text = f"https://x.org/v\n{tmp_path}/v.mp4\ns3://ours/v.mp4\nstore:v.mp4\n".encode()
    found = items("@https://x.org/list.txt", Doors().lay("https://x.org/list.txt", text))
    assert [item.kind for item in found] == ["url", "failed", "failed", "failed"]
    found = items("@s3://ours/list.txt", Doors().lay("s3://ours/list.txt", text))
    assert [item.kind for item in found] == ["url", "file", "s3", "s3"]


def test_prefixes_of_buckets_and_of_the_store() -> None:
    doors = Doors().lay("s3://b/in", ["s3://b/in/v.mp4"]).lay("store:inbox", ["file:///store/inbox/v.mp4"])
    assert [item.inputs["uri"] for item in items("s3://b/in", doors)] == ["s3://b/in/v.mp4"]
    assert [item.inputs["uri"] for item in items("store:inbox", doors)] == ["file:///store/inbox/v.mp4"]


def test_an_index_of_recordings_is_a_source(tmp_path: Path) -> None:
    index = {"basedir": "https://x.org/data/", "relpaths": ["8.0/a", "8.0/b.mp4"]}
    (tmp_path / "all.json").write_text(json.dumps(index))
    urls = ["https://x.org/data/8.0/a.mp4", "https://x.org/data/8.0/b.mp4"]
    assert [item.inputs["url"] for item in items(tmp_path / "all.json")] == urls
    doors = Doors().lay("https://x.org/all.json", json.dumps({**index, "basedir": "s3://ours/"}).encode())
    (item,) = items("https://x.org/all.json", doors)
    assert (item.kind, item.inputs["reason"]) == ("failed", "bad_index")


@pytest.mark.parametrize("source", ["gopher://x/y", "file:///etc/passwd", "data://x"])
def test_other_schemes_are_refused(source: str) -> None:
    (item,) = items(source)
    assert (item.kind, item.inputs["reason"]) == ("failed", "unsupported_url")
