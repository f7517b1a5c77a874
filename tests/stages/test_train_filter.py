"""Training the filter: what is registered, how it is judged, when the champion changes."""

import json
from pathlib import Path
from typing import Any

import pytest

from models.clean_filter import CleanFilter
from stages import paths
from stages.errors import ConfigError
from stages.runner import run_stage
from stages.settings import Settings
from stages.stage import Context
from stages.train_filter import TrainFilter, TrainFilterConfig, compare, held_out_rows, metrics_of
from tests.frames import write_folders


def train(settings: Settings, frames: Path, **fields: Any) -> dict[str, Any]:
    return run_stage(TrainFilter(TrainFilterConfig(frames=str(frames), **fields)), Context(settings), ray="off")


def test_a_filter_is_registered_judged_and_promoted(file_settings: Settings, tmp_path: Path) -> None:
    frames = write_folders(tmp_path / "frames", videos=5)
    summary = train(file_settings, frames, overlays=1)
    assert (summary["done"], summary["changed"], summary["held_out_f1"]) == (1, True, 1.0)
    ctx = Context(file_settings)
    folder = ctx.fetch_model("filter", ctx.model_digest("filter"))
    assert CleanFilter.load(folder).config.embedder == "efficientnet-lite0"
    card = json.loads((folder / "card.json").read_text())
    assert card["frames"] == {"artifact": 15, "clean": 15, "other": 15}
    assert card["held_out"]["samples"] == 45, "drawn overlays must not be counted"
    assert sorted(card["held_out_by_video"]) == [f"video{number}" for number in range(5)]
    assert (folder / "mistakes.png").read_bytes().startswith(b"\x89PNG")
    assert "| video0 | 9 | 3 | 1.000 |" in (folder / "card.md").read_text()
    again = train(file_settings, frames, overlays=1)
    assert (again["planned"], again["skipped"], again["changed"]) == (0, 1, False)


def test_an_equal_filter_is_not_promoted(file_settings: Settings, tmp_path: Path) -> None:
    frames = write_folders(tmp_path / "frames")
    first = train(file_settings, frames, overlays=0)
    second = train(file_settings, frames, overlays=0, C=10.0)
    assert (second["done"], second["changed"], second["champion"]) == (1, False, first["champion"])
    assert len(Context(file_settings).ledger.history("filter")) == 1


def rows(right: int, wrong: int, video: str = "v") -> list[dict[str, Any]]:
    """Held-out rows of one video, half clean, of which the first `right` are scored right."""
    return [
        {"video": video, "time_s": float(i), "is_clean": i % 2 == 0, "score": float((i % 2 == 0) == (i < right))}
        for i in range(right + wrong)
    ]


def register(ctx: Context, version: str, held_out: list[dict[str, Any]]) -> None:
    ctx.put(paths.model("filter", version, "held_out.json"), json.dumps(held_out).encode())
    ctx.ledger.advance("filter", version, ctx.ledger.pointer("filter"), {})


def test_filters_are_compared_on_the_frames_that_both_were_held_out_from(file_settings: Settings) -> None:
    ctx = Context(file_settings)
    assert compare(ctx, rows(5, 5))["promote"], "the first filter has no rival"
    register(ctx, "a" * 12, rows(8, 2) + rows(0, 30, "hard"))
    found = compare(ctx, rows(6, 4) + rows(40, 0, "easy"))
    assert found["metric"] == "F1 on 10 frames held out from both"
    assert (found["score"], found["champion_score"], found["promote"]) == (0.6, 0.8, False)
    assert compare(ctx, rows(9, 1))["promote"]


def test_without_common_frames_each_is_judged_on_its_own(file_settings: Settings) -> None:
    ctx = Context(file_settings)
    register(ctx, "a" * 12, rows(8, 2))
    found = compare(ctx, rows(9, 1, "other"))
    assert found["metric"] == "F1 on its own held-out frames"
    assert (found["champion_score"], found["promote"]) == (0.8, True)


def test_metrics_of_held_out_rows() -> None:
    assert metrics_of(rows(8, 2)) | {"samples": 10} == {
        "samples": 10, "clean": 5, "accuracy": 0.8, "precision": 0.8, "recall": 0.8, "f1": 0.8
    }  # fmt: skip
    assert held_out_rows([], []) == []  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "frames: expected a folder or table"),
        ({"frames": "/nowhere"}, "expected a folder with clean/"),
    ],
)
def test_missing_frames_stop_the_run(file_settings: Settings, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        run_stage(TrainFilter(TrainFilterConfig(**fields)), Context(file_settings), ray="off")


def test_frames_of_one_video_stop_the_run(file_settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="from at least two videos"):
        train(file_settings, write_folders(tmp_path / "frames", videos=1), overlays=0)


def test_wrong_numbers_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"train_filter\.folds: expected at least 2, got 1"):
        TrainFilterConfig(folds=1)
