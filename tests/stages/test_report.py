"""The funnel's command line; its figures are tested on a whole flow in tests/integration/test_flow.py."""

import json
import subprocess
import sys
from pathlib import Path

from stages.report import render

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
