"""Snapshots: immutable lists of shards, and the reader that turns one into training episodes.

A snapshot is named by its content, and a numbered pointer (`snapshot` for IDM labels, `ground_truth` for contractor
labels) says which one counts. A training run names the snapshot it used, so it can be repeated for ever.
"""

import json
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from models.action_schema import ActionSchema, schema_content, schema_of
from stages import paths
from stages.errors import ConfigError, ServiceError
from stages.records import FLAG_GUI, FLAG_TRUTH, FLAG_UNKNOWN, Record, canonical_json, digest

if TYPE_CHECKING:
    from models.dataset import Episode
    from stages.stage import Context

POINTERS = {"idm": "snapshot", "truth": "ground_truth"}
"""Which pointer follows which kind of labels."""


@dataclass(frozen=True)
class Snapshot:
    """What a training run reads: its digest and the shards it names."""

    digest: str
    idm: str
    shards: tuple[dict[str, Any], ...]
    totals: dict[str, int]
    schema: ActionSchema


def publish(ctx: "Context", labels: str, records: list[Record]) -> dict[str, Any]:
    """Write the snapshot of these shards and move its pointer there, unless it stands there already.

    Raises:
        ConfigError: the shards are of several games.
    """
    shards = sorted((shard for record in records for shard in record.info["shards"]), key=lambda shard: shard["key"])
    pointer = ctx.ledger.pointer(POINTERS[labels])
    if not shards and pointer is None:
        return {"changed": False, "snapshot": ""}
    totals = {name: sum(shard[name] for shard in shards) for name in ("rows", "null_rows", "clips", "bytes")}
    totals |= {"shards": len(shards), "videos": len({video for shard in shards for video in shard["videos"]})}
    version = paths.TRUTH if labels == "truth" else (records[0].info["idm"] if records else "")
    content = {"idm": version, "shards": shards, "totals": totals, "rights": count_rights(records)}
    content |= _schema_entry(records)
    name = digest(content)
    changed = pointer is None or pointer.target != name
    if changed:
        ctx.store.put_if_absent(paths.snapshot(name), canonical_json(content))
        ctx.ledger.advance(POINTERS[labels], name, pointer, totals)
    return {"changed": changed, "snapshot": name[:16], **totals}


def _schema_entry(records: list[Record]) -> dict[str, Any]:
    """The action schema of all shards; the default one goes unsaid."""
    found = {schema_of(record.info.get("schema"), f"record of shard {record.unit}") for record in records}
    if len(found) > 1:
        names = ", ".join(sorted(schema.name for schema in found))
        raise ConfigError(f"expected labels of one action schema, got {names}; keep each game in a store of its own")
    content = schema_content(found.pop()) if found else None
    return {"schema": content} if content else {}


def count_rights(records: list[Record]) -> list[dict[str, Any]]:
    """Rows and videos of a snapshot by licence and consent basis, '' where none is known: what may be done with it."""
    rows, videos = Counter[tuple[str, str]](), defaultdict[tuple[str, str], set[str]](set)
    for clip in (clip for record in records for clip in record.inputs["clips"]):
        rights = clip["origin"].get("licence", ""), clip["origin"].get("consent", "")
        rows[rights] += clip["rows"]
        videos[rights].add(clip["video_id"])
    return [
        {"licence": licence, "consent": consent, "rows": rows[licence, consent], "videos": len(found)}
        for (licence, consent), found in sorted(videos.items())
    ]


def load_snapshot(ctx: "Context", labels: str, name: str = "latest") -> Snapshot:
    """A snapshot by its digest, or the one its pointer names.

    Raises:
        ConfigError: there is none yet, or none of that name.
    """
    if name == "latest":
        pointer = ctx.ledger.pointer(POINTERS[labels])
        if pointer is None:
            raise ConfigError(f"expected a snapshot of {labels} labels, got none; run `python -m stages.shard` first")
        name = pointer.target
    try:
        content = json.loads(ctx.store.get(paths.snapshot(name)))
    except FileNotFoundError:
        raise ConfigError(f"expected a snapshot in the store, got {name!r}; see 6_shards/snapshots/") from None
    schema = schema_of(content.get("schema"), f"snapshot {name[:16]}")
    return Snapshot(digest(content), content["idm"], tuple(content["shards"]), content["totals"], schema)


def read_episodes(ctx: "Context", snapshot: Snapshot) -> Iterator["Episode"]:
    """Every clip of a snapshot with its decoded frames and its actions, shard by shard.

    Raises:
        ServiceError: an object is gone or its bytes differ from what was committed.
    """
    from stages.rows import read_parquet
    from stages.shard import check_sha256

    for shard in snapshot.shards:
        try:
            data = ctx.store.get(shard["key"])
        except FileNotFoundError:
            raise ServiceError(
                f"snapshot {snapshot.digest[:16]} names {shard['key']}, which is gone (a takedown removes shards); "
                "run `python -m stages.shard` for a new snapshot"
            ) from None
        check_sha256(shard["key"], data, shard["sha256"])
        file = read_parquet(data)
        clips = json.loads(file.schema_arrow.metadata[b"clips"])
        for group, clip in enumerate(clips):
            yield _episode(ctx, clip, file.read_row_group(group))


def world_of(clip: dict[str, Any]) -> str:
    """What a split must keep on one side: a recording's world, else the performance that several videos show, else the
    video itself."""
    origin = clip["origin"]
    return origin.get("world") or origin.get("performance") or clip["video_id"]


def _episode(ctx: "Context", clip: dict[str, Any], table: Any) -> "Episode":
    from models.dataset import Episode
    from stages.media import decode_clip
    from stages.rows import from_table
    from stages.shard import check_sha256

    data = ctx.store.get(clip["clip_key"])
    check_sha256(clip["clip_key"], data, clip["clip_sha256"])
    actions = from_table(table)
    return Episode(
        id=clip["clip_id"],
        world=world_of(clip),
        frames=decode_clip(data),
        buttons=actions.buttons,
        camera_deg=actions.camera_deg,
        weight=(actions.flags & FLAG_UNKNOWN == 0).astype("float32"),
        gui_open=(actions.flags & FLAG_GUI > 0) if (actions.flags & FLAG_TRUTH).any() else None,
        schema=actions.schema,
    )
