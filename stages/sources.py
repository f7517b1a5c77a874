"""Turn what a user names as sources into single items to fetch.

A source is a folder (searched for videos), a file, `@list.txt` (one URL, path or s3:// address per line; each is one
item, `#` begins a comment), an http(s) URL (a video, a page, a playlist or a feed, listed by yt-dlp), an
`s3://bucket/prefix`, or a search such as `ytsearch20:words` where its extractor is allowed.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from stages.errors import BadInput
from stages.fetch import SCHEMES, VIDEO_SUFFIXES

_SEARCH = re.compile(r"[a-z]+search(date)?\d*:", re.IGNORECASE)

Lister = Callable[[str], list[dict[str, Any]]]
"""Gives `{"url", "index"}` per video at a URL; `index` 0 is the URL's only video. Raises BadInput."""


@dataclass(frozen=True)
class Item:
    """One thing to fetch."""

    kind: str
    """`file`, `url`, `s3`, or `failed`: a source that could not be listed."""
    identity: tuple[Any, ...]
    """What makes it this item and no other; digested into unit id and work key."""
    inputs: dict[str, Any]


def expand(source: str, list_url: Lister, list_s3: Lister) -> Iterator[Item]:
    """The items of one source. A source that cannot be listed gives one `failed` item, so that others go on."""
    try:
        yield from _items(source.strip(), list_url, list_s3)
    except BadInput as error:
        yield Item("failed", ("failed", source), {"source": source, "reason": error.reason, "message": error.message})


def _items(source: str, list_url: Lister, list_s3: Lister) -> Iterator[Item]:
    scheme = urlsplit(source).scheme.lower()
    if source.startswith("@"):
        yield from _list_file(Path(source[1:]).expanduser())
    elif scheme == "s3":
        yield from (_s3_item(entry["url"]) for entry in list_s3(source))
    elif scheme in SCHEMES and _is_direct(source):
        yield _url_item(source)
    elif scheme in SCHEMES or _SEARCH.match(source):
        yield from (_url_item(**entry) for entry in list_url(source))
    elif "://" in source:
        raise BadInput("unsupported_url", f"expected http://, https:// or s3://, got {source[:200]!r}")
    else:
        yield from _local(Path(source).expanduser())


def _is_direct(url: str) -> bool:
    """A URL that names a video file needs no listing."""
    return Path(urlsplit(url).path).suffix.lower().lstrip(".") in VIDEO_SUFFIXES


def _url_item(url: str, index: int = 0) -> Item:
    scheme = urlsplit(url).scheme.lower()
    if scheme not in SCHEMES:
        raise BadInput("unsupported_url", f"expected http:// or https://, got {url[:200]!r}")
    return Item("url", ("url", url, index), {"url": url, "index": index})


def _s3_item(uri: str) -> Item:
    return Item("s3", ("s3", uri), {"uri": uri})


def _list_file(path: Path) -> Iterator[Item]:
    if not path.is_file():
        raise BadInput("not_found", f"expected a list of sources at {path}, got no such file")
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        entry = line.partition(" #")[0].strip()
        if entry and not entry.startswith("#"):
            # Lines are items, not lists: a run over 100,000 lines must plan without 100,000 requests.
            yield from expand(entry, lambda url: [{"url": url}], lambda uri: [{"url": uri}])


def _local(path: Path) -> Iterator[Item]:
    if path.is_file():
        yield _file_item(path)
        return
    if not path.is_dir():
        raise BadInput("not_found", f"expected a folder, a file or a URL, got {str(path)!r}, which does not exist")
    found = [file for file in sorted(path.rglob("*")) if _is_video(file)]
    if not found:
        raise BadInput("not_found", f"expected videos ({', '.join(VIDEO_SUFFIXES)}) in {path}, got none")
    yield from map(_file_item, found)


def _is_video(path: Path) -> bool:
    return path.suffix.lower().lstrip(".") in VIDEO_SUFFIXES and not path.name.startswith(".") and path.is_file()


def _file_item(path: Path) -> Item:
    facts = path.stat()
    identity = ("file", path.name, facts.st_size, facts.st_mtime_ns)
    return Item("file", identity, {"path": str(path.resolve())})
