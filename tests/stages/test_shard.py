"""Shards: even, whole clips, lineage in the file, snapshots that move only when something changed."""

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from stages.errors import ServiceError
from stages.records import Record
from stages.rows import parquet_bytes, predicted, read_parquet, to_table
from stages.runner import run_stage
from stages.settings import Settings
from stages.shard import SHARDS_PER_BUCKET, Shard, ShardConfig, split_evenly
from stages.snapshot import load_snapshot, world_of
from stages.stage import Context
from tests.stages.test_distinct import MATCH, publish


def add_truth(ctx: Context, video: int, rows: int) -> Record:
    """Commit the ground truth of one recording, as `ingest` would."""
    video_id = f"{video:020x}"
    clip_id = f"{video_id}-000000-{rows:06d}"
    actions = predicted(np.zeros((rows, 20), bool), np.zeros((rows, 2)), np.ones(rows), np.zeros(rows, bool))
    labels = ctx.put(f"5_labels/idm=truth/{clip_id}/k.parquet", parquet_bytes([to_table(clip_id, actions)]))
    clip = {"clip_id": clip_id, "clip_key": f"4_clips/{clip_id}/k.mp4", "clip_sha256": "0" * 64, "idm": "truth"}
    info = {"video_id": video_id, "url": f"recording:{video}", "licence": "CC0-1.0", "rows": rows, "null_rows": rows}
    info["consent"] = "contract 7"
    record = Record("ingest", f"{video:020x}", "k", {}, (labels,), {**info, **clip})
    ctx.ledger.commit(record)
    return record


def shard(ctx: Context, **fields: Any) -> dict[str, Any]:
    return run_stage(Shard(ShardConfig(labels="truth", **fields)), ctx, ray="off")


@pytest.mark.parametrize("rows", [[100] * 10, [10, 500, 10, 500, 10], [1], [5000]])
def test_split_evenly(rows: list[int]) -> None:
    clips = [{"clip_id": str(i), "rows": n} for i, n in enumerate(rows)]
    groups = split_evenly(clips, 250)
    assert [c["clip_id"] for group in groups for c in group] == [c["clip_id"] for c in clips]
    sizes = [sum(c["rows"] for c in group) for group in groups]
    assert max(sizes) - min(sizes) <= max(rows), "shards differ by less than a clip"


def test_shards_and_snapshot(settings: Settings) -> None:
    ctx = Context(settings)
    for video in range(8):
        add_truth(ctx, video, rows=50)
    summary = shard(ctx, rows_per_shard=100)
    assert (summary["rows"], summary["clips"], summary["changed"]) == (400, 8, True)
    snapshot = load_snapshot(ctx, "truth")
    assert snapshot.totals["videos"] == 8
    files = [read_parquet(ctx.store.get(entry["key"])) for entry in snapshot.shards]
    assert sum(file.metadata.num_rows for file in files) == 400
    clips = [clip for file in files for clip in json.loads(file.schema_arrow.metadata[b"clips"])]
    assert {clip["origin"]["url"] for clip in clips} == {f"recording:{video}" for video in range(8)}
    assert clips[0]["origin"]["licence"] == "CC0-1.0"
    assert clips[0]["origin"]["consent"] == "contract 7"
    (manifest,) = (json.loads(ctx.store.get(key)) for key in ctx.store.keys("6_shards/snapshots"))
    assert manifest["rights"] == [{"licence": "CC0-1.0", "consent": "contract 7", "rows": 400, "videos": 8}]


def test_a_second_run_changes_nothing(file_settings: Settings) -> None:
    ctx = Context(file_settings)
    add_truth(ctx, 1, 50)
    first, again = shard(ctx), shard(ctx)
    assert (again["planned"], again["changed"], again["snapshot"]) == (0, False, first["snapshot"])


def test_a_new_clip_rewrites_one_bucket(file_settings: Settings) -> None:
    ctx = Context(file_settings)
    for video in range(40):
        add_truth(ctx, video, 90)
    assert shard(ctx, rows_per_shard=250)["done"] == 4, f"3,600 rows, buckets of {SHARDS_PER_BUCKET} shards of 250"
    before = {entry["key"] for entry in load_snapshot(ctx, "truth").shards}
    add_truth(ctx, 99, 1)
    assert shard(ctx, rows_per_shard=250)["done"] == 1
    kept = before & {entry["key"] for entry in load_snapshot(ctx, "truth").shards}
    assert len(before) - len(kept) <= SHARDS_PER_BUCKET + 1


def test_a_changed_label_object_stops_the_run(file_settings: Settings) -> None:
    ctx = Context(file_settings)
    record = add_truth(ctx, 1, 50)
    ctx.store.put(record.outputs[0].key, b"other bytes")
    with pytest.raises(ServiceError, match=r"expected sha256 .*the store lost or changed it"):
        shard(ctx)


def test_an_empty_store_publishes_nothing(file_settings: Settings) -> None:
    summary = shard(Context(file_settings))
    assert (summary["planned"], summary["changed"], summary["snapshot"]) == (0, False, "")


def test_videos_of_one_performance_stay_on_one_side_of_a_split(file_settings: Settings) -> None:
    ctx = Context(file_settings)
    records = [add_truth(ctx, video, 50) for video in (1, 2, 3)]
    first, second, third = (record.info["video_id"] for record in records)
    alone = [unit.key for unit in Shard(ShardConfig(labels="truth")).units(ctx)]
    publish(ctx, replace(MATCH, original=second, copy=third))
    (unit,) = Shard(ShardConfig(labels="truth")).units(ctx)
    worlds = {clip["video_id"]: world_of(clip) for clip in unit.inputs["clips"]}
    assert worlds == {first: first, second: second, third: second}
    assert [unit.key] != alone
    ctx.ledger.take_down(second, "asked")
    (unit,) = Shard(ShardConfig(labels="truth")).units(ctx)
    assert {world_of(clip) for clip in unit.inputs["clips"]} == {first, third}


def test_a_world_that_is_known_comes_before_the_performance() -> None:
    origin = {"world": "amber-otter", "performance": "ab"}
    assert world_of({"video_id": "cd", "origin": origin}) == "amber-otter"
