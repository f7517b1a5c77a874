"""A takedown removes a video and everything derived from it, and nothing brings it back."""

from pathlib import Path

import pytest

from stages.distinct import read_matches
from stages.errors import ConfigError, ServiceError
from stages.settings import Settings
from stages.snapshot import load_snapshot, read_episodes
from stages.stage import Context, Recipe
from tests import tiny
from tests.scenes import film


@pytest.fixture
def world(tmp_path: Path) -> Path:
    tiny.recordings(tmp_path / "recordings", length=24)
    return tmp_path


def test_a_recording_disappears_from_store_and_snapshot(file_settings: Settings, world: Path) -> None:
    sections = tiny.recipe(world)
    tiny.run_flow(file_settings, sections, ("ingest", "shard_truth"))
    ctx = Context(file_settings, Recipe(sections))
    name = "recording:amber-otter-setter-0000000000aa-20260101-000000"
    taken = tiny.run(file_settings, {"takedown": {"videos": [name], "reason": "asked"}}, "takedown")
    assert (taken["done"], taken["changed"], taken["banned"]) == (1, True, 1)
    (video_id,) = ctx.ledger.taken_down()
    left = [key for key in ctx.store.keys("") if video_id in key and not key.startswith(("_ledger", "_quarantine"))]
    assert left == []
    with pytest.raises(ServiceError, match=r"which is gone \(a takedown removes shards\)"):
        list(read_episodes(ctx, load_snapshot(ctx, "truth")))
    again = tiny.run_flow(file_settings, sections, ("ingest", "shard_truth"))
    assert again["ingest"]["planned"] == 0, "a banned recording is not taken in again"
    assert again["shard_truth"]["rows"] == 2 * 24
    assert len(list(read_episodes(ctx, load_snapshot(ctx, "truth")))) == 2


def test_an_unknown_video_is_refused(file_settings: Settings, world: Path) -> None:
    with pytest.raises(ConfigError, match="expected an id or URL known here, got 'x'"):
        tiny.run(file_settings, {"takedown": {"videos": ["x"]}}, "takedown")


def test_re_uploads_are_named_and_stay_until_they_are_taken_down_too(file_settings: Settings, tmp_path: Path) -> None:
    film(tmp_path / "web" / "original.mp4", 1, 0, 40)
    film(tmp_path / "web" / "again.mp4", 1, 7.4, 36, fps=12, width=192)
    film(tmp_path / "web" / "other.mp4", 2, 0, 30)
    sections = {"scrape": {"sources": [str(tmp_path / "web")]}}
    tiny.run_flow(file_settings, sections, ("scrape", "segment", "duplicates"))
    ctx = Context(file_settings)
    ids = {Path(record.info["url"]).stem: record.info["video_id"] for record in ctx.committed("scrape")}
    tiny.run(file_settings, {"takedown": {"videos": [ids["original"]]}}, "takedown")
    (record,) = ctx.ledger.records("takedown").values()
    assert record.info["copies"] == [ids["again"]]
    assert ctx.ledger.taken_down() == {ids["original"]}
    assert {r.info["video_id"] for r in ctx.committed("segment")} == {ids["again"], ids["other"]}
    tiny.run(file_settings, {"takedown": {"videos": record.info["copies"]}}, "takedown")
    assert tiny.run(file_settings, sections, "duplicates")["videos"] == 1
    assert read_matches(ctx) == []
    assert [r.info["video_id"] for r in ctx.committed("segment")] == [ids["other"]]
