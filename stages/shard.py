"""Pack labels into even Parquet shards and name them in an immutable snapshot.

In: 5_labels/ (an IDM's labels, or contractor ground truth). Out: 6_shards/idm=<version>/ and 6_shards/snapshots/.
Clips go to buckets by the hash of their id, and each bucket is split into shards of nearly equal rows: a new clip
rewrites one bucket only. A shard holds one row group per clip and, in its metadata, the lineage of every clip back to
the URL, licence and consent of its video. Nothing is dropped; rows keep their flags.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from models.action_schema import schema_content
from stages import paths
from stages.distinct import performances, read_matches
from stages.errors import ConfigError, ServiceError
from stages.records import Output, Record, digest
from stages.snapshot import publish
from stages.stage import Context, Result, Stage, Unit

if TYPE_CHECKING:
    import pyarrow as pa

SHARDS_PER_BUCKET = 4
"""Shards that one bucket fills before the buckets double: what a new clip makes us write again."""


@dataclass(frozen=True, kw_only=True)
class ShardConfig:
    """How labels are packed."""

    labels: Literal["idm", "truth"] = "idm"
    """`idm`: the labels of this recipe's IDM; `truth`: contractor recordings."""
    rows_per_shard: int = 100_000
    """Rows aimed at per shard; 100,000 rows are 83 minutes of play and about 1 MB."""

    def __post_init__(self) -> None:
        if self.rows_per_shard < 1:
            raise ConfigError(f"shard.rows_per_shard: expected at least 1, got {self.rows_per_shard}")


class Shard(Stage[ShardConfig]):
    """One unit is one bucket of clips."""

    name = "shard"
    version = 1
    Config = ShardConfig

    def units(self, ctx: Context) -> Iterator[Unit]:
        records = ctx.committed("ingest" if self.config.labels == "truth" else "label")
        known = origins(ctx)
        clips = [_clip_entry(record, known.get(record.info["video_id"], {})) for record in records]
        count = _bucket_count(sum(clip["rows"] for clip in clips), self.config.rows_per_shard)
        buckets: dict[int, list[dict[str, Any]]] = {}
        for clip in sorted(clips, key=lambda clip: clip["clip_id"]):
            buckets.setdefault(int(digest(clip["clip_id"])[:8], 16) % count, []).append(clip)
        for index, members in sorted(buckets.items()):
            # Two label versions can be packed side by side: the version is part of the unit.
            unit = digest("bucket", members[0]["idm"], count, index)[:20]
            yield Unit(unit, self.work_key(members), {"idm": members[0]["idm"], "clips": members})

    def process(self, unit: Unit, ctx: Context, prepared: Any = None) -> Result:
        from stages.rows import parquet_bytes, shared_schema

        clips, outputs, shards = unit.inputs["clips"], [], []
        tables = {clip["clip_id"]: _read_labels(ctx, clip) for clip in clips}
        try:
            content = schema_content(shared_schema(list(tables.values())))
        except ValueError as error:
            raise ConfigError(f"shard: {error}") from None
        for group in split_evenly(clips, self.config.rows_per_shard):
            lineage = {"clips": json.dumps(group, sort_keys=True)}
            data = parquet_bytes([tables[clip["clip_id"]] for clip in group], lineage)
            output = ctx.put(paths.shard(unit.inputs["idm"], digest(self.version, group)), data)
            outputs.append(output)
            shards.append(_shard_entry(output, group))
        info = {"idm": unit.inputs["idm"], "shards": shards}
        return Result(tuple(outputs), {**info, "schema": content} if content else info)

    def finish(self, ctx: Context, counts: dict[str, int]) -> dict[str, Any]:
        """Publish the snapshot once every bucket is there; an unfinished set publishes nothing."""
        wanted = len(list(self.units(ctx)))
        records = self.committed(ctx)
        if len(records) < wanted:
            return {"changed": False, "snapshot": "", "waiting_buckets": wanted - len(records)}
        return publish(ctx, self.config.labels, records)


def split_evenly(clips: list[dict[str, Any]], rows_per_shard: int) -> list[list[dict[str, Any]]]:
    """Consecutive groups of whole clips with nearly equal rows; a clip is never split."""
    total = sum(clip["rows"] for clip in clips)
    count = max(1, min(len(clips), round(total / rows_per_shard)))
    groups: list[list[dict[str, Any]]] = [[] for _ in range(count)]
    before = 0
    for clip in clips:
        middle = before + clip["rows"] / 2
        groups[min(count - 1, int(middle * count / max(total, 1)))].append(clip)
        before += clip["rows"]
    return [group for group in groups if group]


def _bucket_count(rows: int, rows_per_shard: int) -> int:
    count = 1
    while rows > count * rows_per_shard * SHARDS_PER_BUCKET:
        count *= 2
    return count


def origins(ctx: Context) -> dict[str, dict[str, Any]]:
    """Where each video came from, by video id: what a takedown or a licence question needs; and, where several videos
    show one performance, its id, so that a split can keep them together."""
    origins: dict[str, dict[str, Any]] = {}
    for stage in ("scrape", "ingest"):
        for record in ctx.ledger.records(stage).values():
            kept = {name: record.info.get(name) for name in ("url", "title", "uploader", "licence", "consent", "world")}
            origins.setdefault(record.info["video_id"], {name: value for name, value in kept.items() if value})
    banned = ctx.ledger.taken_down()
    matches = [match for match in read_matches(ctx) if not banned & {match.copy, match.original}]
    for video, performance in performances(matches).items():
        origins.setdefault(video, {})["performance"] = performance
    return origins


def _clip_entry(record: Record, origin: dict[str, Any]) -> dict[str, Any]:
    labels = next(output for output in record.outputs if output.key.startswith(paths.LABELS))
    kept = ("video_id", "clip_id", "clip_key", "clip_sha256", "idm", "rows", "null_rows")
    info = {name: record.info[name] for name in kept}
    return {**info, "labels_key": labels.key, "labels_sha256": labels.sha256, "origin": origin}


def _shard_entry(output: Output, clips: list[dict[str, Any]]) -> dict[str, Any]:
    counts = {name: sum(clip[name] for clip in clips) for name in ("rows", "null_rows")}
    videos = sorted({clip["video_id"] for clip in clips})
    entry = {"key": output.key, "sha256": output.sha256, "bytes": output.bytes}
    return {**entry, **counts, "clips": len(clips), "videos": videos}


def _read_labels(ctx: Context, clip: dict[str, Any]) -> "pa.Table":
    from stages.rows import read_parquet

    data = ctx.store.get(clip["labels_key"])
    check_sha256(clip["labels_key"], data, clip["labels_sha256"])
    return read_parquet(data).read()


def check_sha256(key: str, data: bytes, expected: str) -> None:
    """Refuse an object whose bytes are not the ones its commit record names.

    Raises:
        ServiceError: the store gave other bytes; every reader would be misled, so the run stops.
    """
    import hashlib

    found = hashlib.sha256(data).hexdigest()
    if found != expected:
        raise ServiceError(
            f"{key}: expected sha256 {expected[:16]}..., got {found[:16]}...; the store lost or changed it; "
            "restore it or remove its commit record to have it made again"
        )


STAGE = Shard

if __name__ == "__main__":
    import sys

    from stages.cli import main

    sys.exit(main("shard"))
