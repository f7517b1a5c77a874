"""Turn what a user names as sources into single items to fetch.

    /a/folder, file.mp4     searched for videos; /a/index.json is an index (below)
    @list.txt               one URL, path or s3:// address per line, each one item; also @https://... and @s3://...
    https://...             a video, a page, a playlist, a channel or a feed; .json: an index
    s3://bucket/prefix      videos below a prefix; store:prefix is below Smelter's own store
    search:words            a search of the web; `ytsearch20:words` and the like name the engine themselves
    preset:vpt              the paper's 29 searches

An index is OpenAI's `{"basedir", "relpaths"}`. A source that cannot be listed gives one failed item, and others go on.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit

from stages.errors import BadInput
from stages.fetch import Entry, Listing
from stages.recording_index import read_index
from stages.rules import NOTHING, PRESET, Facts, read_preset
from stages.web_options import SCHEMES, VIDEO_SUFFIXES

STORE = "store:"
SEARCH = "search:"
_ENGINE = re.compile(r"[a-z]+search(date)?\d*:", re.IGNORECASE)


class Doors(Protocol):
    """The ways out of this process that a source may need."""

    def list_url(self, url: str) -> Listing:
        """The videos at a URL or of a search. Raises BadInput."""

    def list_prefix(self, uri: str) -> list[str]:
        """URIs of the videos below `s3://...` or `store:...`. Raises BadInput."""

    def read(self, uri: str) -> bytes:
        """A small text object at http(s)://, s3:// or store:. Raises BadInput."""

    def search(self, words: str) -> str:
        """The search that yt-dlp understands."""


@dataclass(frozen=True)
class Item:
    """One thing to fetch."""

    kind: str
    """`file`, `url`, `s3` (any object), or `failed`: a source that could not be listed."""
    identity: tuple[Any, ...]
    """What makes it this item and no other; digested into unit id and work key."""
    inputs: dict[str, Any]
    facts: Facts = NOTHING
    """What its list says about it."""


def expand(source: str, doors: Doors) -> Iterator[Item]:
    """The items of one source."""
    try:
        yield from _items(source.strip(), doors)
    except BadInput as error:
        yield failed(source, error)


def failed(source: str, error: BadInput, *identity: Any) -> Item:
    """An item that stands for a source, or a part of one, that gives nothing."""
    inputs = {"source": source, "reason": error.reason, "message": error.message, "again": error.again}
    return Item("failed", ("failed", source, *identity), inputs)


def _items(source: str, doors: Doors) -> Iterator[Item]:
    scheme = urlsplit(source).scheme.lower()
    if source.startswith("@"):
        yield from _list(source[1:], doors)
    elif source.startswith(PRESET):
        for query in read_preset(source.removeprefix(PRESET), "queries"):
            yield from expand(f"{SEARCH}{query}", doors)
    elif source.startswith(SEARCH):
        yield from _listed(source, doors.search(source.removeprefix(SEARCH).strip()), doors)
    elif _is_index(source, scheme):
        yield from _indexed(source, scheme, doors)
    elif scheme == "s3" or source.startswith(STORE):
        yield from (_object(uri) for uri in doors.list_prefix(source))
    elif scheme in SCHEMES and is_direct(source):
        yield url_item(Entry(source))
    elif scheme in SCHEMES or _ENGINE.match(source):
        yield from _listed(source, source, doors)
    elif "://" in source:
        raise BadInput("unsupported_url", f"expected http://, https:// or s3://, got {source[:200]!r}")
    else:
        yield from _local(Path(source).expanduser())


def _listed(source: str, url: str, doors: Doors) -> Iterator[Item]:
    listing = doors.list_url(url)
    for entry in listing.entries:
        try:
            yield url_item(entry)
        except BadInput as error:
            yield failed(source, error, entry.url[:1000])
    if listing.cut:
        count = len(listing.entries)
        message = (
            f"expected at most {count} videos at {source}, got more; the first {count} were taken; raise max_items"
        )
        yield failed(source, BadInput("list_cut", message), "cut", count)


def is_direct(url: str) -> bool:
    """A URL that names a video file needs no listing."""
    return Path(urlsplit(url).path).suffix.lower().lstrip(".") in VIDEO_SUFFIXES


def url_item(entry: Entry) -> Item:
    """An item of the web. Raises BadInput for any scheme but http and https."""
    scheme = urlsplit(entry.url).scheme.lower()
    if scheme not in SCHEMES:
        raise BadInput("unsupported_url", f"expected http:// or https://, got {entry.url[:200]!r}")
    identity = ("url", entry.url, entry.index)
    return Item("url", identity, {"url": entry.url, "index": entry.index}, entry.facts)


def _object(uri: str) -> Item:
    return Item("s3", ("s3", uri), {"uri": uri})


def _list(where: str, doors: Doors) -> Iterator[Item]:
    is_ours = urlsplit(where).scheme.lower() not in SCHEMES
    if is_ours and not where.startswith(("s3://", STORE)):
        data = _read_local(Path(where).expanduser(), "a list of sources")
    else:
        data = doors.read(where)
    for line in data.decode("utf-8", errors="replace").splitlines():
        entry = line.partition(" #")[0].strip()
        if entry and not entry.startswith("#"):
            yield from _line(entry, is_ours)


def _line(entry: str, is_ours: bool) -> Iterator[Item]:
    """A line is an item, not a list: a run over 100,000 lines must plan without 100,000 requests."""
    scheme = urlsplit(entry).scheme.lower()
    try:
        if scheme in SCHEMES:
            yield url_item(Entry(entry))
        elif not is_ours:  # somebody else's list does not reach into this machine or its buckets
            raise BadInput("unsupported_url", f"expected http:// or https:// in a remote list, got {entry[:200]!r}")
        elif scheme == "s3" or entry.startswith(STORE):
            yield _object(entry)
        elif "://" in entry:
            raise BadInput("unsupported_url", f"expected http://, https://, s3:// or a path, got {entry[:200]!r}")
        else:
            yield from _local(Path(entry).expanduser())
    except BadInput as error:
        yield failed(entry, error)


def _is_index(source: str, scheme: str) -> bool:
    path = urlsplit(source).path if scheme in SCHEMES else source
    return path.lower().endswith(".json")


def _indexed(source: str, scheme: str, doors: Doors) -> Iterator[Item]:
    urls = read_index_at(source, doors)
    yield from (_object(url) if url.startswith("s3://") else url_item(Entry(url)) for url in urls)


def read_index_at(source: str, doors: Doors) -> list[str]:
    """URLs of the videos that an index names; one from the web may name the web only. Raises BadInput."""
    if urlsplit(source).scheme.lower() in SCHEMES:
        return read_index(doors.read(source), source, SCHEMES)
    if source.startswith(("s3://", STORE)):
        return read_index(doors.read(source), source, (*SCHEMES, "s3"))
    return read_index(_read_local(Path(source).expanduser(), "an index"), source, (*SCHEMES, "s3"))


def _read_local(path: Path, what: str) -> bytes:
    if not path.is_file():
        raise BadInput("not_found", f"expected {what} at {path}, got no such file")
    return path.read_bytes()


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
