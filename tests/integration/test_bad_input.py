"""Nasty inputs among good ones: each is put aside with a reason a person understands, nothing else is lost."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from stages.errors import ServiceError
from stages.settings import Settings, load_settings
from stages.stage import Context
from tests import tiny, videos
from tests.integration.conftest import store_settings

NOBODY = "http://127.0.0.1:9/nobody.mp4"


@pytest.fixture(scope="module")
def bad_world(world: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Good inputs, and beside them one of every bad kind."""
    root = Path(shutil.copytree(world, tmp_path_factory.mktemp("bad") / "world"))
    web, recordings = root / "web", root / "recordings"
    videos.truncated(web / "truncated.mp4", web / "video0.mp4", 0.5)
    videos.text_file(web / "text.mp4")
    (web / "empty.mp4").touch()
    videos.audio_only(web / "audio.mp4")
    good = sorted(recordings.glob("*.mp4"))[0]
    broken = recordings / "lucky-wren-keeper-0000000000cc-20260101-000000.jsonl"
    shutil.copy(good, broken.with_suffix(".mp4"))
    lines = good.with_suffix(".jsonl").read_text().splitlines()
    broken.write_text("\n".join([*lines[:20], *["{broken"] * 40, *lines[60:]]))
    return root


@pytest.fixture(scope="module")
def flow(bad_world: Path, base: tuple[Path, Any], tmp_path_factory: pytest.TempPathFactory) -> tuple[Settings, Any]:
    """Everything but the trainings of filter and IDM, which come from the shared store."""
    folder = tmp_path_factory.mktemp("badflow") / "store"
    for part in ("models", "_pointers/filter", "_pointers/idm"):
        shutil.copytree(base[0] / part, folder / part)
    sections = tiny.recipe(bad_world, scrape={"sources": [str(bad_world / "web"), NOBODY]})
    names = tuple(name for name in tiny.FLOW if name not in ("train_filter", "train_idm"))
    settings = store_settings(folder, allow_private_hosts=True)
    return settings, tiny.run_flow(settings, sections, names)


def test_each_bad_input_has_its_reason(flow: tuple[Settings, dict[str, Any]]) -> None:
    _, summaries = flow
    assert summaries["scrape"]["reasons"] == {"empty_file": 1, "unreachable": 1}
    assert summaries["segment"]["reasons"] == {"truncated": 1, "not_a_video": 1, "no_video_stream": 1}
    assert list(summaries["ingest"]["reasons"]) == ["jsonl_broken_line"]


def test_the_good_ones_come_through(flow: tuple[Settings, dict[str, Any]]) -> None:
    _, summaries = flow
    assert (summaries["ingest"]["done"], summaries["segment"]["done"], summaries["label"]["done"]) == (3, 2, 2)
    assert summaries["train"]["done"] == 1


def test_messages_say_what_and_where(flow: tuple[Settings, dict[str, Any]]) -> None:
    settings, _ = flow
    ledger = Context(settings).ledger
    messages = {
        q.reason: q.message for name in ("scrape", "segment", "ingest") for q in ledger.quarantined(name).values()
    }
    assert "empty.mp4" in messages["empty_file"]
    assert NOBODY in messages["unreachable"]
    for reason in ("truncated", "not_a_video", "no_video_stream"):
        assert "expected" in messages[reason]
        assert "got" in messages[reason]
    assert "40 of 96 lines are not JSON objects, first line 21" in messages["jsonl_broken_line"]


def test_a_broken_store_stops_every_stage_at_once(world: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    settings = load_settings(store=f"file://{tmp_path}/file/store")
    for name in ("ingest", "scrape", "segment"):
        with pytest.raises(ServiceError, match="expected a writable folder"):
            tiny.run(settings, tiny.recipe(world), name)
