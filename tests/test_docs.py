"""The README and the runbook say what is true: tables equal the code, commands exist."""

import re
from pathlib import Path

import pytest

from stages import paths
from stages.pipeline import BESIDE, STAGES, Row

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
DOCS = [README, (ROOT / "infra" / "runbook.md").read_text()]


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
