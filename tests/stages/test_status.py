"""The plan's command line: a table for people, JSON for programs, one line for a mistake."""

import json
import subprocess
import sys
from pathlib import Path

from stages.status import ORDER

ROOT = Path(__file__).resolve().parents[2]


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "stages.status", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_every_stage_has_a_line_and_a_reason_why_it_waits(tmp_path: Path) -> None:
    table = run("--store", f"file://{tmp_path}").stdout.splitlines()
    assert [line.split()[0] for line in table] == ["stage", *ORDER]
    rows = json.loads(run("--store", f"file://{tmp_path}", "--json").stdout)
    assert rows["train_idm"]["blocked"].startswith("expected a snapshot of truth labels, got none; run")
    assert rows["segment"] == {"wanted": 0, "done": 0, "open": 0, "held": 0, "blocked": ""}


def test_a_wrong_config_is_one_line(tmp_path: Path) -> None:
    found = run("--store", f"file://{tmp_path}", "--config", "{")
    assert found.returncode == 1
    assert found.stderr.startswith("status: ConfigError: --config: expected JSON")
