"""The command line of the stages: help worth reading, one JSON line at the end, exit status."""

import dataclasses
import json
import re
from pathlib import Path

import pytest

from stages.cli import main
from stages.pipeline import MODULES
from stages.stage import load_stage


@pytest.mark.parametrize("name", MODULES)
def test_help_tells_what_a_stage_does(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        main(name, ["--help"])
    text = capsys.readouterr().out
    assert "In: " in text, "what enters"
    assert "config fields (--config), with defaults:" in text
    flat = " ".join(text.split("defaults:")[1].split())
    for field in dataclasses.fields(load_stage(name).Config):
        assert re.search(rf"{field.name} = .+?: [A-Z0-9`].{{10}}", flat), f"{field.name} does not say what it means"


def test_summary_is_the_last_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("segment", ["--store", f"file://{tmp_path}", "--ray", "off"]) == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert {"stage": "segment", "planned": 0, "done": 0, "skipped": 0, "quarantined": 0}.items() <= summary.items()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--store", "ftp://x"],
            "ConfigError: settings are wrong: store: .*expected file:///path or s3://bucket/prefix",
        ),
        ([], "ConfigError: expected a store, got none; give --store"),
        (["--store", "file:///tmp/x", "--config", "{"], "ConfigError: --config: expected JSON"),
        (["--store", "file:///tmp/x", "--batch", "4/4"], "ConfigError: --batch: expected I/N"),
    ],
)
def test_wrong_arguments_are_one_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main("segment", arguments) == 1
    err = capsys.readouterr().err.strip().splitlines()
    assert len(err) == 1
    assert re.search(message, err[0])
