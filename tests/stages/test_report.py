"""The funnel's command line; its figures are tested on a whole flow in tests/integration/test_flow.py."""

import json
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from stages.report import funnel, render
from stages.settings import Settings
from stages.stage import Context, Recipe
from tests import tiny
from tests.models.game import write_mp4

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "stages.report", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_an_empty_store_has_an_empty_funnel(tmp_path: Path) -> None:
    found = run("--store", f"file://{tmp_path}")
    assert found.returncode == 0
    assert found.stdout.splitlines()[:2] == ["videos            0", "hours in          0.000"]
    figures = json.loads(run("--store", f"file://{tmp_path}", "--json").stdout)
    assert (figures["videos"], figures["idm"], figures["quarantined"]) == (0, {}, {})


def test_a_wrong_store_is_one_line() -> None:
    found = run("--store", "ftp://x")
    assert found.returncode == 1
    assert found.stderr.startswith("report: ConfigError: settings are wrong: store")
    assert found.stdout == ""


def test_an_idm_without_motion_or_events_is_told_without_figures() -> None:
    idm = {"held_out": ["elk"], "joint_accuracy": 0.5, "joint_accuracy_always_released": 0.4}
    idm |= {"camera_r2": None, "event_f1_pooled": 0.25}
    empty = {"videos": 0, "hours_in": 0.0, "hours_clean": 0.0, "hours_dropped": {}, "quarantined": {}, "clips": 0}
    empty |= {"frames_labelled": 0, "null_share": 0.0, "snapshot": {}, "policy": {}}
    lines = list(render({**empty, "idm": idm}))
    assert "  camera R2       -; event F1 0.250 (presses and releases, pooled)" in lines


def test_play_that_a_better_video_shows_is_told_as_duplicate(file_settings: Settings, tmp_path: Path) -> None:
    """A video and its smaller re-upload, which starts later: clean in both, counted once."""
    play, card = tiny.game_frames(11, 10), tiny.card_frames(2, 10)
    (tmp_path / "web").mkdir()
    write_mp4(tmp_path / "web" / "first.mp4", np.concatenate([play, card]), fps=tiny.FPS)
    small = [cv2.resize(frame, (480, 270), interpolation=cv2.INTER_AREA) for frame in play[tiny.FPS :]]
    write_mp4(tmp_path / "web" / "again.mp4", np.stack(small), fps=tiny.FPS)
    tiny.labelled_frames(tmp_path / "frames", videos=2)
    sections = tiny.recipe(tmp_path, duplicates={"min_evidence": 5})  # 10 s are few samples
    tiny.run_flow(file_settings, sections, ("train_filter", "scrape", "segment", "filter"))
    before = funnel(Context(file_settings, Recipe(sections)))
    assert 3600 * before["hours_clean"] == pytest.approx(11 + 10, abs=0.5)
    assert "duplicate" not in before["hours_dropped"]
    tiny.run(file_settings, sections, "duplicates")
    found = funnel(Context(file_settings, Recipe(sections)))
    assert 3600 * found["hours_dropped"]["duplicate"] == pytest.approx(10, abs=0.5)
    assert 3600 * found["hours_clean"] == pytest.approx(11, abs=0.5)
    in_all = found["hours_clean"] + sum(found["hours_dropped"].values())
    assert in_all == pytest.approx(found["hours_in"], abs=1e-5), "no second is lost or counted twice"
    assert "  not kept        0.003  duplicate" in list(render(found))
