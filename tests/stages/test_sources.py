"""What a source stands for, without any network: the lister is given."""

from pathlib import Path
from typing import Any

import pytest

from stages.errors import BadInput
from stages.sources import Item, expand


def nothing(source: str) -> list[dict[str, Any]]:
    raise AssertionError(f"{source} needs no listing")


def items(source: str | Path, list_url: Any = nothing, list_s3: Any = nothing) -> list[Item]:
    return list(expand(str(source), list_url, list_s3))


def test_a_direct_url_needs_no_listing() -> None:
    (item,) = items("https://example.org/a/v.MP4?session=1")
    assert (item.kind, item.inputs) == ("url", {"url": "https://example.org/a/v.MP4?session=1", "index": 0})


def test_a_page_gives_what_the_lister_finds() -> None:
    found = items(
        "https://example.org/list", lambda url: [{"url": url, "index": 1}, {"url": "https://x.org/2", "index": 0}]
    )
    assert [item.identity for item in found] == [("url", "https://example.org/list", 1), ("url", "https://x.org/2", 0)]


def test_a_search_goes_to_the_lister() -> None:
    (item,) = items("ytsearch5:minecraft survival", lambda source: [{"url": "https://x.org/1", "index": 0}])
    assert item.inputs["url"] == "https://x.org/1"


def test_a_lister_that_fails_makes_one_failed_item() -> None:
    def fail(url: str) -> list[dict[str, Any]]:
        raise BadInput("http_404", "gone")

    (item,) = items("https://example.org/list", fail)
    assert (item.kind, item.inputs["reason"], item.inputs["source"]) == (
        "failed",
        "http_404",
        "https://example.org/list",
    )


def test_links_to_other_protocols_are_refused() -> None:
    (item,) = items("https://example.org/list", lambda url: [{"url": "file:///etc/passwd", "index": 0}])
    assert (item.kind, item.inputs["reason"]) == ("failed", "unsupported_url")


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
    lines = [
        "# head",
        "https://example.org/page#part  # remark",
        f"{tmp_path}/v.mp4",
        "",
        "s3://bucket/v.mp4",
        "nowhere.mp4",
    ]
    (tmp_path / "list.txt").write_text("\n".join(lines))
    found = items(f"@{tmp_path}/list.txt")
    assert [item.kind for item in found] == ["url", "file", "s3", "failed"]
    assert found[0].inputs["url"] == "https://example.org/page#part"


@pytest.mark.parametrize("source", ["gopher://x/y", "file:///etc/passwd", "data://x"])
def test_other_schemes_are_refused(source: str) -> None:
    (item,) = items(source)
    assert (item.kind, item.inputs["reason"]) == ("failed", "unsupported_url")
