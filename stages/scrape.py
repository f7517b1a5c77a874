"""Scrape: bring videos in, untouched, one file and one record per video.

In: folders, files, URLs, pages, playlists, feeds, S3 prefixes. Out: `1_videos/<video_id>/source.<ext>`, where the
video id is the first 20 hex digits of the file's sha256, so the same video from two places is kept once.
The paper found its videos by keyword search and dropped some by words in title and description (Appendix A.1).

Dropped: what cannot be reached, is empty or too large, live streams, titles on the blacklist, videos taken down.
Whether a file is a video at all is for `segment` to say. The record keeps URL, title, uploader, licence and fetch time.
"""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stages import paths
from stages.cli import main
from stages.errors import BadInput, ConfigError
from stages.fetch import VIDEO_SUFFIXES, FetchOptions, blacklisted, describe, download, list_page
from stages.records import Record, digest
from stages.sandbox import Limits, run_limited
from stages.sources import expand
from stages.stage import Context, Resources, Result, Stage, Unit
from stages.storage import open_store

NOT_KEYED: dict[str, Any] = {"key": False}
PAPER_BLACKLIST = (
    *("ps3", "ps4", "ps5", "xbox 360", "playstation", "timelapse", "multiplayer", "minecraft pe", "pocket edition"),
    *("skyblock", "realistic minecraft", "how to install", "how to download", "realmcraft", "animation"),
)
"""The paper's words (Appendix A.1, as transcribed)."""


@dataclass(frozen=True, kw_only=True)
class ScrapeConfig:
    """Where videos come from, and what is refused. A unit's key depends on the item alone, not on these fields."""

    sources: tuple[str, ...] = field(default=(), metadata=NOT_KEYED)
    """Folders, files, @lists, http(s) URLs of videos, pages, playlists and feeds, s3:// prefixes, searches."""
    extractors: tuple[str, ...] = field(default=("generic", "html5"), metadata=NOT_KEYED)
    """yt-dlp extractors that may run (regular expressions): add `youtube.*` and the like where you have the right."""
    format: str = field(default="b[height<=?720]/bv*[height<=?720]/b/bv*", metadata=NOT_KEYED)
    """yt-dlp format: up to 720p, one file with or without sound; the models see 128x128 pixels in the end."""
    max_bytes: int = field(default=20 * 10**9, metadata=NOT_KEYED)
    """Largest file, in bytes; larger ones are quarantined as too_large."""
    max_items: int = field(default=1000, metadata=NOT_KEYED)
    """Most videos taken from one page, playlist or feed."""
    retries: int = field(default=3, metadata=NOT_KEYED)
    """More tries after a failure that may pass: no answer, HTTP 429 or 5xx. Waits 1, 2, 4... seconds between."""
    rate_limit: int = field(default=0, metadata=NOT_KEYED)
    """Bytes per second and download; 0 means no limit."""
    timeout_s: float = field(default=2 * 3600.0, metadata=NOT_KEYED)
    """Wall seconds for one download; beyond it the item is quarantined as fetch_timeout."""
    blacklist: tuple[str, ...] = field(default=PAPER_BLACKLIST, metadata=NOT_KEYED)
    """Words in title or description that keep a video out, in any case, where metadata exist. Empty means none."""
    allow_private_hosts: bool = field(default=False, metadata=NOT_KEYED)
    """Fetch from private and loopback addresses too, as the setting of the same name does. For your own servers."""

    def __post_init__(self) -> None:
        for name in ("max_bytes", "max_items", "timeout_s"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"scrape: {name}: expected more than 0, got {getattr(self, name)}")
        if self.retries < 0 or self.rate_limit < 0:
            raise ConfigError(f"scrape: expected retries, rate_limit >= 0, got {self.retries}, {self.rate_limit}")
        if not all(isinstance(source, str) and source.strip() for source in self.sources):
            raise ConfigError(f"scrape: sources: expected non-empty texts, got {self.sources!r}")


class Scrape(Stage[ScrapeConfig]):
    """One unit per item."""

    name = "scrape"
    version = 1
    Config = ScrapeConfig
    resources = Resources(cpus=0.5)

    def units(self, ctx: Context) -> Iterator[Unit]:
        for source in self.config.sources:
            for item in expand(source, lambda url: self._list_url(url, ctx), lambda uri: list_s3(uri, ctx)):
                # Unit ids begin with a hex digest, as `--batch` wants; the text of a URL never becomes a key.
                yield Unit(
                    digest(*item.identity)[:20], self.work_key(*item.identity), {"kind": item.kind, **item.inputs}
                )

    def process(self, unit: Unit, ctx: Context, prepared: Any = None) -> Result:
        with ctx.workspace() as folder:
            path, about = self._fetch(unit.inputs, Path(folder), ctx)
            size = path.stat().st_size
            if size == 0:
                raise BadInput("empty_file", f"expected a video, got 0 bytes: {about['url']}")
            if size > self.config.max_bytes:
                raise BadInput(
                    "too_large", f"expected at most {self.config.max_bytes} bytes, got {size}: {about['url']}"
                )
            with path.open("rb") as file:
                sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            video_id = sha256[:20]
            if video_id in ctx.ledger.taken_down():
                raise BadInput("taken_down", f"video {video_id} was taken down and must not come back: {about['url']}")
            output = ctx.put_file(paths.source(video_id, f"source.{_suffix(path)}"), path)
        if output.sha256 != sha256:
            raise BadInput(
                "changed", f"expected a file at rest, got one that changed while it was read: {about['url']}"
            )
        return Result(
            (output,),
            {"video_id": video_id, "sha256": sha256, "bytes": size, "key": output.key, **about, "fetched_at": now()},
        )

    def committed(self, ctx: Context) -> list[Record]:
        """Every video ever scraped, once: what a run's sources name today does not matter to later stages."""
        found: dict[str, Record] = {}
        for record in ctx.ledger.records(self.name).values():
            found.setdefault(record.info["video_id"], record)
        return list(found.values())

    def finish(self, ctx: Context, counts: dict[str, int]) -> dict[str, Any]:
        """How many videos there are now: what a DAG shares out in batches."""
        return {"videos": len(ctx.committed(self.name)), "changed": counts["done"] > 0}

    def _fetch(self, inputs: dict[str, Any], folder: Path, ctx: Context) -> tuple[Path, dict[str, Any]]:
        """The file of an item and what is known about it."""
        if inputs["kind"] == "failed":
            raise BadInput(inputs["reason"], inputs["message"])
        if inputs["kind"] == "file":
            return self._local(Path(inputs["path"]))
        if inputs["kind"] == "s3":
            return _from_s3(inputs["uri"], folder, ctx)
        options = self._options(ctx)
        fetched = run_limited(download, inputs["url"], inputs["index"], folder, options, limits=self._limits())
        return folder / fetched.name, fetched.about

    def _local(self, path: Path) -> tuple[Path, dict[str, Any]]:
        if not path.is_file():
            raise BadInput("not_found", f"expected the file {path}, got nothing; it was there when the run was planned")
        info = read_info(path)
        if word := blacklisted(info, self.config.blacklist):
            raise BadInput("blacklisted", f"title or description of {path.name} holds {word!r} (paper, Appendix A.1)")
        about = describe(info, path.name)
        return path, {**about, "extractor": about["extractor"] or "file"}

    def _list_url(self, url: str, ctx: Context) -> list[dict[str, Any]]:
        return run_limited(list_page, url, self._options(ctx), limits=self._limits())

    def _limits(self) -> Limits:
        return Limits(2 * 2**30, int(self.config.timeout_s) + 1, self.config.timeout_s, what="fetch")

    def _options(self, ctx: Context) -> FetchOptions:
        config = self.config
        return FetchOptions(
            extractors=config.extractors,
            format=config.format,
            max_bytes=config.max_bytes,
            max_items=config.max_items,
            retries=config.retries,
            rate_limit=config.rate_limit,
            blacklist=config.blacklist,
            allow_private_hosts=config.allow_private_hosts or ctx.settings.allow_private_hosts,
        )


def now() -> str:
    """The fetch time: the only clock in any record, and no part of any key."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def read_info(video: Path) -> dict[str, Any]:
    """yt-dlp's `NAME.info.json` beside a video, or nothing where there is none or it cannot be read."""
    side = video.with_suffix(".info.json")
    try:
        info = json.loads(side.read_text(encoding="utf-8")) if side.stat().st_size < 10**8 else {}
    except (OSError, ValueError):
        return {}
    return info if isinstance(info, dict) else {}


def list_s3(uri: str, ctx: Context) -> list[dict[str, Any]]:
    """Videos below an S3 prefix, reached with the store's own endpoint and credentials."""
    prefix = uri.rstrip("/")
    keys = open_store(ctx.settings.model_copy(update={"store": prefix})).keys("")
    found = sorted(key for key in keys if _suffix(Path(key)) != "bin")
    if not found:
        raise BadInput("not_found", f"expected videos ({', '.join(VIDEO_SUFFIXES)}) below {uri}, got none")
    return [{"url": f"{prefix}/{key}"} for key in found]


def _from_s3(uri: str, folder: Path, ctx: Context) -> tuple[Path, dict[str, Any]]:
    parent, _, name = uri.rpartition("/")
    path = folder / f"source.{_suffix(Path(name))}"
    try:
        open_store(ctx.settings.model_copy(update={"store": parent})).get_file(name, path)
    except FileNotFoundError:
        raise BadInput("not_found", f"expected an object at {uri}, got none") from None
    return path, describe({"extractor": "s3"}, uri)


def _suffix(path: Path) -> str:
    """A file's suffix if it is a video's, else `bin`: no other text reaches a key."""
    suffix = path.suffix.lower().lstrip(".")
    return suffix if suffix in VIDEO_SUFFIXES else "bin"


STAGE = Scrape

if __name__ == "__main__":
    raise SystemExit(main("scrape"))
