"""The README and the runbook say what is true: tables equal the code, commands are understood, the example runs."""

import argparse
import json
import os
import re
import runpy
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from stages import paths
from stages.pipeline import BESIDE, MODULES, STAGES, Row
from stages.stage import Recipe
from tests.videos import constant_rate

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
DOCS = [README, (ROOT / "infra" / "runbook.md").read_text()]
FENCE = re.compile(r"^```\w*\n(.*?)^```", re.MULTILINE | re.DOTALL)
USAGE = re.compile(r"python -m stages\.<name> ([^`]+)`")


def commands() -> Iterator[tuple[str, list[str]]]:
    """(module, arguments) of every `python -m` in fenced blocks and between backticks, which may break lines."""
    for text in DOCS:
        fenced = [line for block in FENCE.findall(text) for line in block.splitlines()]
        between = [" ".join(shown.split()) for shown in re.findall(r"`([^`]+)`", FENCE.sub("", text))]
        for shown in fenced + between:
            words = shlex.split(shown, comments=True) if "python -m" in shown and "<name>" not in shown else []
            if "-m" in words:
                at = words.index("-m") + 1
                yield words[at], words[at + 1 :]


class Parsed(Exception):
    """A command's own parser took its arguments; nothing after that is run."""


def parse(module: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> argparse.Namespace:
    """Start a module as `python -m` does, up to where its arguments are read. SystemExit if they are refused."""
    read = argparse.ArgumentParser.parse_args

    def stop(parser: argparse.ArgumentParser, *given: Any) -> None:
        raise Parsed(read(parser, *given))

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", stop)
    monkeypatch.setattr(sys, "argv", [module, *arguments])
    with pytest.raises(Parsed) as found:
        runpy.run_path(str(ROOT / f"{module.replace('.', '/')}.py"), run_name="__main__")
    return found.value.args[0]


@pytest.mark.parametrize("row", STAGES + BESIDE, ids=lambda row: row.name)
def test_the_table_of_stages_is_the_pipeline(row: Row) -> None:
    assert f"| `{row.name}` | {row.takes} | {row.makes} | {row.resources} |" in README


def test_every_stage_has_a_module() -> None:
    assert all((ROOT / "stages" / f"{row.name}.py").exists() for row in STAGES + BESIDE)


def test_the_table_of_dags_is_the_folder() -> None:
    table = README.split("## The DAGs")[1].split("##")[0]
    named = set(re.findall(r"^\| `(\w+)`", table, re.MULTILINE))
    assert named == {path.stem for path in (ROOT / "dags").glob("*.py") if path.stem != "__init__"}


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = {target for text in DOCS for target in re.findall(r"`?make ([a-z]+)", text)}
    assert {"demo", "test", "down"} <= used <= targets


def test_every_module_that_is_called_exists() -> None:
    called = {name for text in DOCS for name in re.findall(r"python -m ((?:stages|models|infra)\.\w+)", text)}
    assert called
    assert [name for name in called if not (ROOT / f"{name.replace('.', '/')}.py").exists()] == []


def test_every_file_that_is_named_exists() -> None:
    named = {name for text in DOCS for name in re.findall(r"`((?:infra|stages|dags|docs|data|tests)/[\w./-]+)`", text)}
    assert [name for name in named if not (ROOT / name).exists()] == []


def test_store_prefixes_are_the_layout() -> None:
    listing = README.split("## What lies in the store")[1].split("```")[1]
    named = re.findall(r"^(\w+)/", listing, re.MULTILINE)
    assert named == [
        *(paths.VIDEOS, paths.SEGMENTS, paths.FILTER, paths.CLIPS, paths.LABELS, paths.SHARDS, paths.POLICIES),
        *(paths.MODELS, paths.LEDGER, paths.QUARANTINE, paths.POINTERS),
    ]


def test_no_document_is_about_this_machine() -> None:
    texts = [path.read_text() for path in ROOT.glob("*.md")] + [p.read_text() for p in (ROOT / "infra").rglob("*.md")]
    assert not any(re.search(r"/root/|/home/|/tmp/smelter", text) for text in texts)


@pytest.mark.parametrize(("module", "arguments"), commands(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_command_is_understood(module: str, arguments: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    if "--help" in arguments:
        with pytest.raises(SystemExit, match="0"):
            parse(module, arguments, monkeypatch)
        return
    found = parse(module, arguments, monkeypatch)
    stage = module.removeprefix("stages.")
    if stage in MODULES:
        Recipe.parse(found.config, stage).config(stage)


def test_the_commands_that_people_type_are_among_them() -> None:
    found = [(module, " ".join(arguments)) for module, arguments in commands()]
    assert ("stages.segment", "--store file:///tmp/store --ray off") in found, "a fenced block"
    assert ("stages.segment", "--retry-quarantined decode_timeout") in found, "between backticks"
    assert ("stages.takedown", '--config {"videos": ["URL"], "reason": "asked"}') in found, "over two lines"
    assert {"models.train_idm", "models.evaluate", "models.calibrate", "models.data_curve"} <= {
        name for name, _ in found
    }


def test_every_stage_takes_the_options_that_are_named(capsys: pytest.CaptureFixture[str], monkeypatch: Any) -> None:
    (usage,) = USAGE.findall(README)
    with pytest.raises(SystemExit, match="0"):
        parse("stages.segment", ["--help"], monkeypatch)
    assert set(re.findall(r"--[a-z-]+", usage)) == set(re.findall(r"^  (--[a-z-]+)", capsys.readouterr().out, re.M))


def test_the_example_of_single_stages_runs(tmp_path: Path) -> None:
    """As it stands in the README but for the place of the store, and with one short video for the sample."""
    (block,) = [block for block in FENCE.findall(README) if "python -m stages.scrape" in block]
    assert block.count("file:///tmp/store") == 4
    constant_rate(tmp_path / "web" / "v.mp4", 30, 4.0)
    shown = block.replace("file:///tmp/store", f"file://{tmp_path}/store").replace("data/sample/web", f"{tmp_path}/web")
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}
    lines = []
    for command in shown.splitlines():
        done = subprocess.run(["bash", "-c", command], cwd=ROOT, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        lines.append(done.stdout.splitlines())
    scrape, segment, status, report = lines
    assert [json.loads(run[-1])["done"] for run in (scrape, segment)] == [1, 1]
    assert {line.split()[0]: line.split()[1:5] for line in status}["segment"] == ["1", "1", "0", "0"]
    assert report[0] == "videos            1"
