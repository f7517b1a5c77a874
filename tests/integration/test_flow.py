"""The whole flow in one process, on a folder and on a real S3 server: the same bytes; a second run does nothing."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from stages.report import funnel, render
from stages.settings import Settings
from stages.stage import Context, Recipe
from stages.status import OUTSIDE, glance, status
from tests import tiny
from tests.integration.conftest import BASE, store_settings
from tests.seaweed import SeaweedFS


@pytest.fixture(scope="module")
def file_flow(world: Path, base: tuple[Path, Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Any]:
    """A store with the whole flow behind it, and the summaries of all stages."""
    settings = store_settings(Path(shutil.copytree(base[0], tmp_path_factory.mktemp("flow") / "store")))
    rest = tiny.FLOW[len(BASE) :]
    return settings, {**base[1], **tiny.run_flow(settings, tiny.recipe(world), rest)}


def test_every_stage_does_its_work(file_flow: tuple[Settings, dict[str, Any]]) -> None:
    _, summaries = file_flow
    assert {name: s["done"] for name, s in summaries.items()} == {
        **dict.fromkeys(tiny.FLOW, 1),
        **dict.fromkeys(("scrape", "segment", "duplicates", "filter", "cut", "label"), 2),
        "ingest": 3,
    }
    assert summaries["shard_truth"]["rows"] == 3 * 96
    assert summaries["shard"]["clips"] == 2
    assert 300 <= summaries["shard"]["rows"] <= 340, "twice 8 s of play at 20 Hz, give or take a sample"
    assert summaries["train"]["changed"], "the first policy is the champion"


def test_the_report_adds_up(file_flow: tuple[Settings, dict[str, Any]], world: Path) -> None:
    settings, _ = file_flow
    figures = funnel(Context(settings, Recipe(tiny.recipe(world))))
    seconds = 3600 * (figures["hours_clean"] + sum(figures["hours_dropped"].values()))
    assert seconds == pytest.approx(3600 * figures["hours_in"], abs=0.05) == pytest.approx(20.0, abs=0.1)
    assert figures["frames_labelled"] == figures["snapshot"]["rows"]
    assert figures["idm"]["held_out"] == ["amber-otter-setter-0000000000aa"]
    text = "\n".join(render(figures))
    assert "hours in          0.006" in text
    assert "unclean_frames" in text


def test_a_second_run_finds_nothing_to_do(file_flow: tuple[Settings, dict[str, Any]], world: Path) -> None:
    settings, _ = file_flow
    ctx = Context(settings, Recipe(tiny.recipe(world)))
    before = sorted(ctx.store.keys(""))
    assert {name: (row["open"], row["blocked"]) for name, row in status(ctx).items()} == dict.fromkeys(
        tiny.FLOW, (0, "")
    )
    assert {name: (row["done"], row["open"]) for name, row in glance(ctx).items()} == {
        name: (row["done"], None if name in OUTSIDE else 0) for name, row in status(ctx).items()
    }, "what the store alone tells is what a run would plan"
    again = tiny.run_flow(settings, tiny.recipe(world))
    assert {name: s["planned"] for name, s in again.items()} == dict.fromkeys(tiny.FLOW, 0)
    assert not any(s.get("changed") for s in again.values())
    assert sorted(ctx.store.keys("")) == before


def test_the_same_parquet_bytes_over_s3(
    file_flow: tuple[Settings, dict[str, Any]], world: Path, s3_server: SeaweedFS, tmp_path: Path
) -> None:
    """Ground truth, segments, scores, clips, labels and shards are equal; only trained weights stay on one store."""
    settings, _ = file_flow
    source = Context(settings).store
    other = s3_server.settings("smelter/flow", cache_dir=str(tmp_path / "cache"))
    target = Context(other).store
    for key in source.keys(""):  # the same models on both, as training need not be reproducible across machines
        if key.startswith(("models/", "_pointers/idm", "_pointers/filter")):
            target.put(key, source.get(key))
    names = ("ingest", "shard_truth", "scrape", "segment", "duplicates", "filter", "cut", "label", "shard", "train")
    summaries = tiny.run_flow(other, tiny.recipe(world), names)
    assert summaries["train"]["done"] == 1
    keys = [key for key in sorted(source.keys("")) if key[0].isdigit() and not key.startswith("7_")]
    assert keys == [key for key in sorted(target.keys("")) if key[0].isdigit() and not key.startswith("7_")]
    assert sum(key.endswith(".parquet") for key in keys) == 16, (
        "truth 3, grids, samples and signatures 6, matches 1, scores 2, labels 2, shards 2"
    )
    assert [key for key in keys if source.get(key) != target.get(key)] == []


def test_pandas_reads_a_shard_in_place(file_flow: tuple[Settings, dict[str, Any]]) -> None:
    import pandas as pd

    settings, _ = file_flow
    store = Context(settings).store
    filesystem, root = store.filesystem()
    shard = next(key for key in store.keys("6_shards") if key.endswith(".parquet") and "truth" in key)
    rows = pd.read_parquet(f"{root}/{shard}", filesystem=filesystem)
    assert len(rows) == 3 * 96
    assert rows["camera_dx_deg"].abs().max() == pytest.approx(6.0)
    assert rows.groupby("clip_id", observed=True)["frame"].max().tolist() == [95, 95, 95]
