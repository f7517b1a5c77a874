"""Scrape: bring videos in, untouched, one file and one record per video.

In: folders, files, URLs, pages, playlists, feeds, searches, indexes, S3 prefixes (`stages/sources.py`).
Out: `1_videos/<video_id>/source.<ext>`, where the video id is the first 20 hex digits of the file's sha256, so the same
video from two places is kept once. The paper found its videos by keyword search and dropped some by words in title and
description (Appendix A.1): `preset:vpt` in `sources` and in `blacklist`.

Dropped: what the metadata rules refuse, before any download; what cannot be reached, is empty or too large, live
streams, videos taken down. Whether a file is a video at all is for `segment` to say. The record keeps URL, title,
uploader, licence, consent and fetch time, and these travel to the shards. The ledger is the download archive: an item
that is in is never asked for again, and new rules do not put it out.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import Any

from stages import paths
from stages.cli import main
from stages.doors import OpenDoors, suffix_of
from stages.errors import BadInput, ConfigError
from stages.records import Record, digest
from stages.rules import PRESET, Facts, Rules, read_preset
from stages.sources import Item, expand, failed
from stages.stage import Context, Resources, Result, Stage, Unit
from stages.web_options import FetchOptions


@dataclass(frozen=True, kw_only=True)
class ScrapeConfig(Rules, FetchOptions):
    """Where videos come from, what is refused, and how the web is asked. None of it is part of a video's key."""

    sources: tuple[str, ...] = ()
    """Folders, files, @lists, http(s) URLs (videos, pages, playlists, channels, feeds), indexes (.json), s3:// and
    store: prefixes, `search:words`, `preset:vpt` (the paper's 29 searches)."""
    search_engine: str = "ytsearch"
    """yt-dlp's prefix for `search:` and presets; its extractor must be allowed too, as in `youtube.*`."""
    search_results: int = 50
    """Videos taken from each search."""
    consent: str = ""
    """On what basis these sources are used: a contract, the owner's permission, a law. It travels to the shards."""
    licence: str = ""
    """Licence of these sources where they state none themselves."""

    def __post_init__(self) -> None:
        Rules.__post_init__(self)
        FetchOptions.__post_init__(self)
        if not all(isinstance(source, str) and source.strip() for source in self.sources):
            raise ConfigError(f"scrape: sources: expected non-empty texts, got {self.sources!r}")
        if self.search_results < 1:
            raise ConfigError(f"scrape: search_results: expected at least 1, got {self.search_results}")
        for source in self.sources:
            if source.startswith(PRESET):
                read_preset(source.removeprefix(PRESET), "queries")


class Scrape(Stage[ScrapeConfig]):
    """One unit per item."""

    name = "scrape"
    version = 1
    Config = ScrapeConfig
    resources = Resources(cpus=0.5)

    def units(self, ctx: Context) -> Iterator[Unit]:
        for source in self.config.sources:
            limit, items = self.config.max_per_source, self._judged(source, ctx)
            yield from (self._unit(item) for item in _first(items, limit, source))

    def work_key(self, *parts: Any) -> str:
        """An item is the same video whatever the configuration says."""
        return digest(self.name, self.version, {}, *parts)

    def process(self, unit: Unit, ctx: Context, prepared: Any = None) -> Result:
        with ctx.workspace() as folder:
            path, facts = self._fetch(unit.inputs, Path(folder), ctx)
            sha256 = self._check(path, facts, ctx)
            video_id = sha256[:20]
            output = ctx.put_file(paths.source(video_id, f"source.{suffix_of(path.name)}"), path)
        if output.sha256 != sha256:
            raise BadInput("changed", f"expected a file at rest, got one that changed while it was read: {facts.url}")
        stored = {"video_id": video_id, "sha256": sha256, "bytes": output.bytes, "key": output.key}
        consent = {"consent": self.config.consent} if self.config.consent else {}
        return Result((output,), {**stored, **facts.record(), **consent, "fetched_at": now()})

    def committed(self, ctx: Context) -> list[Record]:
        """Every video ever scraped, once: what a run's sources name today does not matter to later stages."""
        found: dict[str, Record] = {}
        for record in ctx.ledger.records(self.name).values():
            found.setdefault(record.info["video_id"], record)
        return list(found.values())

    def finish(self, ctx: Context, counts: dict[str, int]) -> dict[str, Any]:
        """How many videos there are now: what a DAG shares out in batches."""
        return {"videos": len(ctx.committed(self.name)), "changed": counts["done"] > 0}

    def _judged(self, source: str, ctx: Context) -> Iterator[Item]:
        """The items of a source; what their list tells already keeps some of them out."""
        for item in expand(source, self._doors(ctx)):
            refusal = self.config.refusal(item.facts, complete=False)
            yield replace(item, kind="failed", inputs=_failure(refusal)) if refusal else item

    def _unit(self, item: Item) -> Unit:
        # Unit ids begin with a hex digest, as `--batch` wants; the text of a URL never becomes a key.
        facts = {name: value for name, value in item.facts.record().items() if value}
        inputs = {"kind": item.kind, **item.inputs, **({"facts": facts} if facts else {})}
        return Unit(digest(*item.identity)[:20], self.work_key(*item.identity), inputs, self.config.gate())

    def _fetch(self, inputs: dict[str, Any], folder: Path, ctx: Context) -> tuple[Path, Facts]:
        """The file of an item and what is known about it. Raises BadInput where the rules keep it out."""
        if inputs["kind"] == "failed":
            raise BadInput(inputs["reason"], inputs["message"], inputs.get("again", "never"))
        known = Facts(**inputs.get("facts", {})).over(Facts(licence=self.config.licence))
        if inputs["kind"] == "url":
            rules = Rules(**{name: getattr(self.config, name) for name in Rules.__dataclass_fields__})
            return self._doors(ctx).fetch(inputs["url"], inputs["index"], folder, known, rules)
        if inputs["kind"] == "file":
            path, facts = _local(Path(inputs["path"]))
        else:
            path, facts = self._from_store(inputs["uri"], folder, ctx)
        facts = facts.over(known)
        if refusal := self.config.refusal(facts):
            raise refusal
        return path, facts

    def _from_store(self, uri: str, folder: Path, ctx: Context) -> tuple[Path, Facts]:
        """An object, with the `NAME.info.json` beside it where there is one."""
        doors, path = self._doors(ctx), folder / f"source.{suffix_of(uri)}"
        doors.fetch_object(uri, path)
        try:
            info = parse_info(doors.read(f"{uri.rpartition('.')[0]}.info.json"))
        except BadInput:
            info = {}
        return path, replace(Facts.from_info(info, uri), extractor="s3")

    def _check(self, path: Path, facts: Facts, ctx: Context) -> str:
        """The file's sha256, unless it must not come in."""
        size, limit = path.stat().st_size, self.config.max_bytes
        if size == 0:
            raise BadInput("empty_file", f"expected a video, got 0 bytes: {facts.url}")
        if size > limit:
            raise BadInput("too_large", f"expected at most {limit} bytes, got {size}: {facts.url}")
        with path.open("rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        if sha256[:20] in ctx.ledger.taken_down():
            raise BadInput("taken_down", f"video {sha256[:20]} was taken down and must not come back: {facts.url}")
        return sha256

    def _doors(self, ctx: Context) -> OpenDoors:
        return OpenDoors(ctx.settings, self.config, self.config.search_engine, self.config.search_results)


def now() -> str:
    """The fetch time: the only clock in any record, and no part of any key."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def parse_info(data: bytes) -> dict[str, Any]:
    """yt-dlp's `.info.json`, or nothing where it cannot be read."""
    try:
        info = json.loads(data)
    except ValueError:
        return {}
    return info if isinstance(info, dict) else {}


def _first(items: Iterator[Item], limit: int, source: str) -> Iterator[Item]:
    """At most `limit` items that are not refused already, then one that says so; 0 means all."""
    taken = 0
    for item in items:
        if limit and item.kind != "failed":
            taken += 1
            if taken > limit:
                more = 1 + sum(1 for rest in islice(items, 10**6) if rest.kind != "failed")
                message = f"expected at most {limit} videos of {source}, got {more} more; raise max_per_source"
                yield failed(source, BadInput("beyond_limit", message), "limit", limit)
                return
        yield item


def _failure(refusal: BadInput) -> dict[str, Any]:
    return {"reason": refusal.reason, "message": refusal.message, "again": refusal.again}


def _local(path: Path) -> tuple[Path, Facts]:
    if not path.is_file():
        raise BadInput("not_found", f"expected the file {path}, got nothing; it was there when the run was planned")
    side = path.with_suffix(".info.json")
    try:
        info = parse_info(side.read_bytes()) if side.stat().st_size < 10**8 else {}
    except OSError:
        info = {}
    facts = Facts.from_info(info, path.name)
    return path, replace(facts, extractor=facts.extractor or "file")


STAGE = Scrape

if __name__ == "__main__":
    raise SystemExit(main("scrape"))
