"""Take videos down: forbid them for ever and remove everything derived from them.

In: video ids or URLs. Out: the ban (written first, so that no running stage can bring a video back into a snapshot),
then the removal of sources, segments, scores, clips, labels and of every shard that holds one of their rows. Run
`shard` afterwards for a snapshot without them; the summary names the models that were trained on them and the videos
that show the same play, which stay.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from stages import paths
from stages.distinct import copies_of, read_matches
from stages.errors import ConfigError
from stages.stage import Context, Result, Stage, Unit


@dataclass(frozen=True, kw_only=True)
class TakedownConfig:
    """What is taken down, and why."""

    videos: tuple[str, ...] = field(default=(), metadata={"key": False})
    """Video ids (20 hex digits) or the URLs they came from."""
    reason: str = field(default="unspecified", metadata={"key": False})
    """Kept with the ban."""


class Takedown(Stage[TakedownConfig]):
    """One unit is one video."""

    name = "takedown"
    version = 1
    Config = TakedownConfig

    def units(self, ctx: Context) -> Iterator[Unit]:
        by_name = _ids_by_name(ctx)
        for name in self.config.videos:
            if name not in by_name:
                raise ConfigError(f"takedown.videos: expected an id or URL known here, got {name!r}; see 1_videos/")
            for video_id in sorted(by_name[name]):
                yield Unit(video_id, self.work_key(video_id), {"video_id": video_id, "reason": self.config.reason})

    def process(self, unit: Unit, ctx: Context, prepared: Any = None) -> Result:
        ctx.ledger.take_down(unit.id, unit.inputs["reason"])
        keys, snapshots = _derived(ctx, unit.id)
        ctx.store.delete(keys)
        counts: dict[str, int] = {}
        for key in keys:
            counts[key.split("/")[0]] = counts.get(key.split("/")[0], 0) + 1
        info = {"removed": counts, "snapshots": snapshots, "trained_on_it": _trained_on(ctx, snapshots)}
        return Result((), {**info, "copies": copies_of(unit.id, read_matches(ctx))})

    def finish(self, ctx: Context, counts: dict[str, int]) -> dict[str, Any]:
        return {"changed": counts["done"] > 0, "banned": len(ctx.ledger.taken_down())}


def _ids_by_name(ctx: Context) -> dict[str, set[str]]:
    names: dict[str, set[str]] = {}
    for stage in ("scrape", "ingest"):
        for record in ctx.ledger.records(stage).values():
            for name in (record.info["video_id"], record.info.get("url", "")):
                names.setdefault(name, set()).add(record.info["video_id"])
    return names


def _derived(ctx: Context, video_id: str) -> tuple[list[str], list[str]]:
    """Keys to remove, and the snapshots that named one of the shards among them."""
    store = ctx.store
    prefixes = (paths.VIDEOS, paths.SEGMENTS, paths.FILTER)
    keys = [key for prefix in prefixes for key in store.keys(f"{prefix}/{video_id}")]
    folders = store.folders(paths.CLIPS)
    folders += [clip for version in store.folders(paths.LABELS) for clip in store.folders(version)]
    for folder in folders:
        if folder.rsplit("/", 1)[1].startswith(f"{video_id}-"):
            keys += store.keys(folder)
    snapshots = []
    for name in store.keys(f"{paths.SHARDS}/snapshots"):
        shards = [shard for shard in json.loads(store.get(name))["shards"] if video_id in shard["videos"]]
        keys += [shard["key"] for shard in shards]
        snapshots += [name] if shards else []
    return sorted(set(keys)), snapshots


def _trained_on(ctx: Context, snapshots: list[str]) -> list[str]:
    names = {name.rsplit("/", 1)[1].removesuffix(".json") for name in snapshots}
    records = [r for stage in ("train", "train_idm") for r in ctx.ledger.records(stage).values()]
    return sorted(r.info["model"] for r in records if r.info["snapshot"][:16] in names)


STAGE = Takedown

if __name__ == "__main__":
    import sys

    from stages.cli import main

    sys.exit(main("takedown"))
