"""Clean spans in, working clips out, frame for frame; keys follow what is in a clip and nothing else."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from stages import paths
from stages.cut import Cut, CutConfig
from stages.errors import ConfigError
from stages.media import decode_clip
from stages.records import Record
from stages.runner import run_stage
from stages.segment import Segment, SegmentConfig
from stages.settings import Settings
from stages.stage import Context
from tests import videos
from tests.stages.test_distinct import MATCH, publish
from tests.stages.test_segment import scraped


class Judged(Context):
    """A context whose filter has judged: the records it would have committed, whatever its version."""

    spans: dict[str, list[dict[str, int]]]
    filter_version = "a"

    def committed(self, name: str) -> list[Record]:
        if name != "filter":
            return super().committed(name)
        return [
            Record("filter", video_id, self.filter_version, {}, (), {"video_id": video_id, "spans": spans})
            for video_id, spans in self.spans.items()
        ]


def judged(settings: Settings, path: Path, *spans: tuple[int, int]) -> Judged:
    ctx = scraped(settings, path.parent)
    run_stage(Segment(SegmentConfig()), ctx, ray="off")
    judged_ctx = Judged(settings, ctx.recipe)
    (record,) = ctx.committed("segment")
    judged_ctx.spans = {record.info["video_id"]: [{"start": start, "end": end} for start, end in spans]}
    return judged_ctx


def run(ctx: Context, **fields: Any) -> dict[str, Any]:
    return run_stage(Cut(CutConfig(**fields)), ctx, ray="off")


def test_a_clip_per_span_shows_the_frames_of_the_grid(settings: Settings, tmp_path: Path) -> None:
    path = videos.constant_rate(tmp_path / "in" / "v.mp4", 60, 6.0)
    ctx = judged(settings, path, (10, 30), (61, 115))
    assert run(ctx)["done"] == 1
    (record,) = ctx.stage("cut").committed(ctx)
    video_id = record.info["video_id"]
    first, second = record.info["clips"]
    assert (first["clip_id"], first["frames"]) == (f"{video_id}-000010-000030", 20)
    assert (second["start"], second["end"], second["frames"]) == (61, 115, 54)
    for clip, output in zip((first, second), record.outputs, strict=True):
        assert (clip["key"], clip["sha256"]) == (output.key, output.sha256)
        assert clip["key"].startswith(f"{paths.CLIPS}/{clip['clip_id']}/")
        shown = [videos.read_number(picture) for picture in decode_clip(ctx.store.get(clip["key"]))]
        assert shown == [step * 3 for step in range(clip["start"], clip["end"])]


def test_long_spans_are_cut_in_pieces(file_settings: Settings, tmp_path: Path) -> None:
    ctx = judged(file_settings, videos.constant_rate(tmp_path / "in" / "v.mp4", 30, 12.0), (0, 230))
    run(ctx, max_clip_s=5, min_tail_s=2)
    (record,) = Cut(CutConfig(max_clip_s=5, min_tail_s=2)).committed(ctx)
    assert [(clip["start"], clip["end"]) for clip in record.info["clips"]] == [(0, 100), (100, 165), (165, 230)]


def test_a_new_filter_with_the_same_spans_causes_no_work(file_settings: Settings, tmp_path: Path) -> None:
    ctx = judged(file_settings, videos.constant_rate(tmp_path / "in" / "v.mp4", 30, 4.0), (0, 40))
    assert run(ctx)["done"] == 1
    ctx.filter_version = "b"
    assert run(ctx)["planned"] == 0
    assert run(ctx, memory_mb=2048)["planned"] == 0
    assert run(ctx, crf=30)["planned"] == 1


def test_a_span_that_stays_keeps_its_clip_when_another_changes(file_settings: Settings, tmp_path: Path) -> None:
    ctx = judged(file_settings, videos.constant_rate(tmp_path / "in" / "v.mp4", 30, 4.0), (0, 30), (40, 70))
    run(ctx)
    (before,) = Cut(CutConfig()).committed(ctx)
    (video_id,) = ctx.spans
    ctx.spans = {video_id: [{"start": 0, "end": 30}, {"start": 40, "end": 71}]}
    assert run(ctx)["done"] == 1
    (after,) = Cut(CutConfig()).committed(ctx)
    assert after.info["clips"][0] == before.info["clips"][0]
    assert after.info["clips"][1]["clip_id"] != before.info["clips"][1]["clip_id"]


def test_a_video_without_clean_spans_is_not_wanted(file_settings: Settings, tmp_path: Path) -> None:
    ctx = judged(file_settings, videos.constant_rate(tmp_path / "in" / "v.mp4", 30, 1.0))
    assert run(ctx)["planned"] == 0


def test_what_a_better_video_shows_is_not_cut(file_settings: Settings, tmp_path: Path) -> None:
    ctx = judged(file_settings, videos.constant_rate(tmp_path / "in" / "v.mp4", 30, 14.0), (0, 280))
    (video_id,) = ctx.spans
    (alone,) = Cut(CutConfig()).units(ctx)
    publish(ctx, replace(MATCH, copy=video_id, original_start=0, length=100))
    assert [unit.key for unit in Cut(CutConfig()).units(ctx)] == [alone.key], "the better video shows nothing clean"
    ctx.spans["best"] = [{"start": 0, "end": 150}]
    (unit,) = Cut(CutConfig()).units(ctx)
    assert unit.inputs["pieces"] == [[100, 280]]
    ctx.spans["best"] = [{"start": 0, "end": 600}]
    publish(ctx, replace(MATCH, copy=video_id, original_start=0, length=280))
    assert list(Cut(CutConfig()).units(ctx)) == []


def test_a_source_that_changed_is_put_aside(file_settings: Settings, tmp_path: Path) -> None:
    path = videos.constant_rate(tmp_path / "in" / "v.mp4", 30, 4.0)
    ctx = judged(file_settings, path, (0, 70))
    (record,) = ctx.committed("scrape")
    shorter = videos.constant_rate(tmp_path / "short.mp4", 30, 1.0)
    ctx.store.put(record.info["key"], shorter.read_bytes())
    assert run(ctx)["reasons"] == {"truncated": 1}


@pytest.mark.parametrize(
    ("field", "value"), [("crf", 60), ("gop", 0), ("preset", "best"), ("pixel_format", "rgb24"), ("max_clip_s", 0)]
)
def test_wrong_settings_are_refused_before_any_work(field: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=f"cut: .*{field}.*got"):
        CutConfig(**{field: value})
