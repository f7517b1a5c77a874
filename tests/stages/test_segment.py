"""Videos in, grids and samples out; bad videos are put aside with their reason; a second run does nothing."""

import hashlib
import io
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow.parquet as pq
import pytest

from stages import paths
from stages.errors import ConfigError
from stages.media_tables import grid_from_parquet
from stages.runner import run_stage
from stages.scrape import Scrape, ScrapeConfig
from stages.segment import Segment, SegmentConfig
from stages.settings import Settings
from stages.stage import Context, Recipe
from tests import videos


def scraped(settings: Settings, folder: Path) -> Context:
    ctx = Context(settings, Recipe({"scrape": {"sources": [str(folder)]}}))
    run_stage(Scrape(ScrapeConfig(sources=(str(folder),))), ctx, ray="off")
    return ctx


def run(ctx: Context, **fields: Any) -> dict[str, Any]:
    return run_stage(Segment(SegmentConfig(**fields)), ctx, ray="off")


def test_a_video_gets_its_grid_samples_and_candidates(settings: Settings, tmp_path: Path) -> None:
    path = videos.constant_rate(tmp_path / "in" / "v.mp4", 30, 4.0, size=(640, 360))
    ctx = scraped(settings, path.parent)
    assert run(ctx)["done"] == 1
    (record,) = ctx.committed("segment")
    video_id = hashlib.sha256(path.read_bytes()).hexdigest()[:20]
    assert record.info == {
        "video_id": video_id,
        "frames": 120,
        "duration_s": 4.0,
        "fps": 30.0,
        "width": 640,
        "height": 360,
        "damage": 0,
        "steps": 80,
        "samples": 12,
        "candidates": [{"start": 0, "end": 80}],
    }
    grid = pq.read_table(io.BytesIO(ctx.store.get(paths.segment(video_id, record.key, "grid.parquet"))))
    assert grid.schema.names == ["step", "frame", "pts_us"]
    assert grid["frame"].to_pylist() == [k * 30 // 20 for k in range(80)]
    samples = pq.read_table(io.BytesIO(ctx.store.get(record.output("samples.parquet").key)))
    assert samples["step"].to_pylist() == [j * 20 // 3 for j in range(12)]
    assert samples["time_s"].to_pylist() == pytest.approx([step / 20 for step in samples["step"].to_pylist()])
    picture = cv2.imdecode(np.frombuffer(samples["jpeg"][7].as_py(), np.uint8), cv2.IMREAD_COLOR)
    assert picture.shape == (256, 455, 3)
    assert videos.read_number(picture) == grid["frame"][samples["step"][7].as_py()].as_py()


def test_a_second_run_does_nothing_and_only_what_matters_is_in_the_key(settings: Settings, tmp_path: Path) -> None:
    path = videos.constant_rate(tmp_path / "in" / "v.mp4", 25, 2.0)
    ctx = scraped(settings, path.parent)
    run(ctx)
    again = run(ctx)
    assert (again["planned"], again["skipped"]) == (0, 1)
    assert run(ctx, max_wall_s=99, memory_mb=2048)["planned"] == 0  # hardware is no part of the key
    assert run(ctx, jpeg_quality=80)["done"] == 1


def test_each_bad_video_is_put_aside_with_its_reason(file_settings: Settings, tmp_path: Path) -> None:
    folder = tmp_path / "in"
    good = videos.constant_rate(folder / "good.mp4", 30, 2.0)
    videos.text_file(folder / "text.mp4")
    videos.audio_only(folder / "sound.mp4")
    videos.truncated(folder / "no_index.mp4", good, 0.6)
    videos.constant_rate(folder / "long.mp4", 30, 4.0)
    videos.constant_rate(folder / "large.mp4", 30, 1.0, size=(642, 360))
    ctx = scraped(file_settings, folder)
    summary = run(ctx, max_duration_s=3, max_side=640)
    expected = {"not_a_video": 1, "no_video_stream": 1, "truncated": 1, "too_long": 1, "too_large_frame": 1}
    assert (summary["done"], summary["reasons"]) == (1, expected)


def test_a_video_that_takes_too_long_is_put_aside_and_can_be_tried_again(
    file_settings: Settings, tmp_path: Path
) -> None:
    ctx = scraped(file_settings, videos.constant_rate(tmp_path / "in" / "v.mp4", 30, 2.0).parent)
    assert run(ctx, max_wall_s=0.01)["reasons"] == {"decode_timeout": 1}
    assert run(ctx)["planned"] == 0
    stage = Segment(SegmentConfig())
    assert run_stage(stage, ctx, ray="off", retry="decode_timeout")["done"] == 1


def test_a_video_that_was_taken_down_is_not_wanted(file_settings: Settings, tmp_path: Path) -> None:
    ctx = scraped(file_settings, videos.constant_rate(tmp_path / "in" / "v.mp4", 30, 1.0).parent)
    (record,) = ctx.committed("scrape")
    ctx.ledger.take_down(record.info["video_id"], "asked")
    assert run(ctx)["planned"] == 0


def test_a_lost_source_is_put_aside(file_settings: Settings, tmp_path: Path) -> None:
    ctx = scraped(file_settings, videos.constant_rate(tmp_path / "in" / "v.mp4", 30, 1.0).parent)
    (record,) = ctx.committed("scrape")
    ctx.store.delete([record.info["key"]])
    assert run(ctx)["reasons"] == {"source_missing": 1}


def test_the_grid_survives_its_file(file_settings: Settings, tmp_path: Path) -> None:
    path = videos.constant_rate(tmp_path / "in" / "v.mkv", 30, 2.0, start=90_000)
    ctx = scraped(file_settings, path.parent)
    run(ctx)
    (record,) = ctx.committed("segment")
    grid = grid_from_parquet(ctx.store.get(record.output("grid.parquet").key))
    assert (grid.first_pts, grid.time_base, grid.is_regular) == (1000, grid.time_base, True)
    assert grid.time_base.denominator == 1000
    assert len(grid) == 40


@pytest.mark.parametrize(
    ("field", "value"), [("sample_side", 8), ("jpeg_quality", 0), ("memory_mb", 10), ("max_side", 0)]
)
def test_wrong_settings_are_refused_before_any_work(field: str, value: int) -> None:
    with pytest.raises(ConfigError, match=f"{field}: expected"):
        SegmentConfig(**{field: value})
