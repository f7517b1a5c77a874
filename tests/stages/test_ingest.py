"""Contractor recordings: clips and truth rows that belong together, untouched sources, refusals with reasons."""

import json
from pathlib import Path

import numpy as np
import pytest

from models.actions import BUTTONS
from stages.errors import ConfigError
from stages.media import decode_clip
from stages.records import FLAG_TRUTH
from stages.rows import from_table, read_parquet
from stages.settings import Settings
from stages.stage import Context
from tests import tiny
from tests.models.game import play
from tests.site import Site, serve


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tiny.recordings(tmp_path / "recordings", length=30)


def ingest(settings: Settings, *folders: Path) -> dict:
    return tiny.run(settings, {"ingest": {"recordings": [str(f) for f in folders], "licence": "CC0-1.0"}}, "ingest")


def test_truth_rows_are_what_was_played(file_settings: Settings, folder: Path) -> None:
    assert ingest(file_settings, folder)["done"] == 3
    ctx = Context(file_settings)
    records = {record.info["url"]: record for record in ctx.ledger.records("ingest").values()}
    info = records["recording:amber-otter-setter-0000000000aa-20260101-000000"].info
    buttons, mouse = play(30, seed=0)
    rows = from_table(read_parquet(ctx.store.get(next(ctx.store.keys(f"5_labels/idm=truth/{info['clip_id']}")))).read())
    np.testing.assert_array_equal(rows.buttons, buttons)
    np.testing.assert_allclose(rows.camera_deg, mouse * 0.15, atol=1e-6)
    assert (rows.flags & FLAG_TRUTH > 0).all()
    assert rows.buttons[:, BUTTONS.index("forward")].any()
    assert decode_clip(ctx.store.get(info["clip_key"])).shape == (30, 128, 128, 3)
    assert (info["world"], info["licence"]) == ("amber-otter-setter-0000000000aa", "CC0-1.0")


def test_sources_are_kept_untouched(file_settings: Settings, folder: Path) -> None:
    ingest(file_settings, folder)
    store = Context(file_settings).store
    kept = {store.get(key) for key in store.keys("1_videos")}
    assert kept == {path.read_bytes() for path in folder.iterdir()}


def test_a_second_run_reads_no_recording(file_settings: Settings, folder: Path) -> None:
    ingest(file_settings, folder)
    summary = ingest(file_settings, folder)
    assert (summary["planned"], summary["skipped"]) == (0, 3)


def test_refusals(file_settings: Settings, folder: Path) -> None:
    paths = sorted(folder.glob("*.jsonl"))
    paths[0].unlink()
    lines = paths[1].read_text().split("\n")
    paths[1].write_text("\n".join(lines[:20]))
    summary = ingest(file_settings, folder)
    assert (summary["done"], summary["quarantined"]) == (1, 2)
    assert summary["reasons"] == {"no_actions": 1, "count_mismatch": 1}
    messages = [q.message for q in Context(file_settings).ledger.quarantined("ingest").values()]
    assert any("30" in message and "20" in message for message in messages), json.dumps(messages)


def test_a_missing_folder_is_a_wrong_configuration(file_settings: Settings, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"expected a folder of NAME\.mp4"):
        ingest(file_settings, tmp_path / "none")


@pytest.mark.parametrize("suffix", ["", ".mp4"])
def test_an_index_on_the_web_gives_what_a_folder_gives(file_settings: Settings, folder: Path, suffix: str) -> None:
    """Both forms of OpenAI's index; the recorder's version comes from the address as it does from a folder."""
    name = sorted(folder.glob("*.mp4"))[0].stem
    site = Site({f"10.0/{path.name}": path.read_bytes() for path in folder.glob(f"{name}.*")})
    with serve(site) as root:
        site.videos["index.json"] = json.dumps(
            {"basedir": f"{root}/media/", "relpaths": [f"10.0/{name}{suffix}", "10.0/missing"]}
        ).encode()
        section = {"recordings": [f"{root}/media/index.json"], "allow_private_hosts": True, "consent": "contract 7"}
        summary = tiny.run(file_settings, {"ingest": section}, "ingest")
        assert (summary["done"], summary["reasons"]) == (1, {"http_404": 1})
    (record,) = Context(file_settings).ledger.records("ingest").values()
    assert record.info["url"] == f"{root}/media/10.0/{name}.mp4"
    assert (record.info["world"], record.info["consent"]) == (name.rsplit("-", 2)[0], "contract 7")
    kept = {Context(file_settings).store.get(key) for key in Context(file_settings).store.keys("1_videos")}
    assert kept == {path.read_bytes() for path in folder.glob(f"{name}.*")}


def test_a_broken_index_is_a_wrong_configuration(file_settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "index.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"bad_index: expected \{basedir, relpaths\}"):
        ingest(file_settings, tmp_path / "index.json")
