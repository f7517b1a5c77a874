"""The plan's command line: a table for people, JSON for programs, one line for a mistake; light, and exact if asked."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from stages.errors import BadInput
from stages.records import Record
from stages.settings import Settings
from stages.snapshot import load_snapshot
from stages.stage import Context, Recipe
from stages.status import ORDER, OUTSIDE, glance, status
from tests import tiny
from tests.site import Site, serve

ROOT = Path(__file__).resolve().parents[2]
LIGHT = """
import runpy, sys
try:
    runpy.run_module("stages.status", run_name="__main__", alter_sys=True)
finally:
    heavy = {"torch", "ray", "sklearn", "yt_dlp"} & set(sys.modules)
    assert not heavy, heavy
"""
"""The command in a fresh process, which fails if anything heavy was imported."""


def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-m", "stages.status", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def truth(settings: Settings, folder: Path) -> dict[str, Any]:
    """A store with ground truth, and its recipe."""
    tiny.recordings(folder / "recordings", length=24)
    sections = tiny.recipe(folder)
    tiny.run_flow(settings, sections, ("ingest", "shard_truth"))
    return sections


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


def test_no_source_is_asked_and_nothing_heavy_imported(file_settings: Settings, tmp_path: Path) -> None:
    sections = truth(file_settings, tmp_path)
    site = Site({"one.mp4": b"x"})
    with serve(site) as root:
        sections["scrape"] = {"sources": [f"{root}/feed.xml"], "allow_private_hosts": True}
        sections["ingest"] = {"recordings": [f"{root}/index.json"], "allow_private_hosts": True}
        config = ("--store", file_settings.store, "--config", json.dumps(sections))
        found = subprocess.run(
            [sys.executable, "-c", LIGHT, *config], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert found.returncode == 0, found.stderr
        assert not site.requests
        rows = {line.split()[0]: line.split()[1:5] for line in found.stdout.splitlines()}
        assert rows["ingest"] == ["-", "3", "-", "0"]
        assert rows["shard_truth"] == ["1", "1", "0", "0"]
        assert rows["train_idm"] == ["1", "0", "1", "0"]
        exact = json.loads(run(*config, "--exact", "--json").stdout)
        assert exact["scrape"]["open"] == 2, "the feed has two videos"
        assert site.requests["/feed.xml"] > 0


def test_a_training_is_done_once_a_model_has_read_the_newest_snapshot(file_settings: Settings, tmp_path: Path) -> None:
    ctx = Context(file_settings, Recipe(truth(file_settings, tmp_path)))
    ctx.ledger.quarantine("train_idm", "u", "k", BadInput("unexpected_error", "a bug"))
    held = {"wanted": 1, "done": 0, "open": None, "held": 1, "blocked": ""}
    assert glance(ctx)["train_idm"] == held, "of which snapshot it was is not known"
    for key, snapshot in (("k", "an older one"), ("l", load_snapshot(ctx, "truth").digest)):
        assert glance(ctx)["train_idm"]["done"] == 0
        ctx.ledger.commit(Record("train_idm", "u", key, {"snapshot": snapshot}))
    assert glance(ctx)["train_idm"] == {"wanted": 1, "done": 1, "open": 0, "held": 0, "blocked": ""}


def test_what_is_known_is_what_a_run_would_plan(file_settings: Settings, tmp_path: Path) -> None:
    ctx = Context(file_settings, Recipe(truth(file_settings, tmp_path)))
    ctx.ledger.quarantine("scrape", "u", "k", BadInput("http_404", "gone"))
    light, exact = glance(ctx), status(ctx, tuple(name for name in ORDER if name not in ("scrape", "train_filter")))
    assert light["scrape"] == {"wanted": None, "done": 0, "open": None, "held": 1, "blocked": ""}
    for name, row in exact.items():
        unknown = {"wanted", "open"} if name in OUTSIDE else set()
        assert {**row, **dict.fromkeys(unknown)} == light[name], name
