"""Another game is a schema file and no code: a desktop's recordings to an IDM, its report, labels, shards and a policy.

`desktop` has letters, digits, mouse buttons, the wheel and another camera; nothing below names Minecraft's.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models import evaluate, recipes, train_idm, train_idm_cli
from models.action_schema import SCHEMAS, load_schema
from models.actions import to_joint
from models.idm import IDMConfig, InverseDynamicsModel
from models.policy import Policy, PolicyConfig
from models.train_idm import IDMTrainConfig
from stages.errors import ConfigError
from stages.ingest import Ingest, IngestConfig
from stages.records import Record
from stages.rows import from_table, read_parquet
from stages.settings import Settings
from stages.snapshot import load_snapshot, read_episodes
from stages.stage import Context, Recipe
from tests import tiny
from tests.models import desk

DESKTOP = load_schema("desktop")
SMALL: dict[str, Any] = {"attention_heads": 2, "n_recurrence_layers": 1, "pointwise_ratio": 1, "impala_chans": (2, 2)}
IDM = IDMConfig(hidsize=16, timesteps=16, conv3d_outchan=2, **SMALL)
POLICY = PolicyConfig(hidsize=16, attention_memory_size=16, timesteps=8, **SMALL)
TRAINING = IDMTrainConfig(learning_rate=1e-3, batch=2, window=16, max_steps=3, log_every=1, mirror=True)
HELD_OUT = "owl-bbbbbbbbbbbb"


@pytest.fixture
def recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two players, 48 frames each, and tiny recipes."""
    monkeypatch.setitem(train_idm.RECIPES, "tiny", (lambda: IDM, lambda: TRAINING))
    monkeypatch.setattr(recipes, "policy_nano_cpu", lambda: POLICY)
    folder = tmp_path / "recordings"
    folder.mkdir()
    for seed, world in enumerate(("elk-aaaaaaaaaaaa", HELD_OUT)):
        desk.write_recording(folder, f"{world}-20260101-000000", length=48, seed=seed)
    return folder


def check_report(report: dict[str, Any]) -> None:
    """The report speaks of this game: its buttons by name, what was pressed of them, its camera's range and bins."""
    assert report["schema"] == "desktop"
    rows = report["overall"]["buttons"]
    assert list(rows) == list(DESKTOP.buttons)
    assert {name for name, row in rows.items() if row["frames"]["count"]} == set(desk.LAMPS)
    assert np.shape(report["overall"]["camera"]["confusion"]["yaw"]) == (15, 15)
    assert report["camera_sample"]["limit_deg"] == 20.0
    assert np.abs(report["camera_sample"]["true"]).max() == pytest.approx(10.0), "200 pixels at 0.05 degrees"


def test_by_hand(recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """`--schema` is given once; the model knows it from then on."""
    schema = tmp_path / "mine.json"
    schema.write_text((SCHEMAS / "desktop.json").read_text())
    out, common = tmp_path / "idm", ["--recordings", str(recordings), "--held-out", "owl", "--recipe", "tiny"]
    assert train_idm_cli.main([*common, "--schema", str(schema), "--out", str(out)]) == 0
    check_report(json.loads((out / "report.json").read_text()))
    schema.unlink()
    assert InverseDynamicsModel.load(out).config == replace(IDM, schema=DESKTOP)
    assert json.loads((out / "card.json").read_text())["model"]["schema"] == "desktop"
    again = tmp_path / "again.json"
    assert evaluate.main(["--idm", str(out), "--recordings", str(recordings), "--out", str(again)]) == 0
    check_report(json.loads(again.read_text()))
    tuned = ["--from", str(out), "--max-steps", "1", "--out", str(tmp_path / "tuned")]
    assert train_idm_cli.main([*common[:2], *common[-2:], *tuned]) == 0
    assert InverseDynamicsModel.load(tmp_path / "tuned").config.schema == DESKTOP
    wrong = [*common, "--from", str(out), "--schema", "minecraft", "--out", str(tmp_path / "wrong")]
    assert train_idm_cli.main(wrong) == 2
    assert "expected a model of the schema 'minecraft', got one of 'desktop'" in capsys.readouterr().err


def run(settings: Settings, recordings: Path, name: str, **section: Any) -> dict[str, Any]:
    """One stage by a recipe that says `desktop` in `ingest` and nowhere else; `section` is laid over it."""
    recipe = {"ingest": {"recordings": [str(recordings)], "schema": "desktop"}, "label": {"window": 32, "stride": 16}}
    return tiny.run(settings, {**recipe, name: {**recipe.get(name, {}), **section}}, name)


def wanted_clip(ctx: Context, monkeypatch: pytest.MonkeyPatch) -> Record:
    """A web video's clip, as far as `label` can tell: what `cut` would say of the held-out recording's clip."""
    (record,) = (r for r in ctx.ledger.records("ingest").values() if r.info["world"] == HELD_OUT)
    info = record.info
    clip = {"clip_id": info["clip_id"], "key": info["clip_key"], "sha256": info["clip_sha256"], "start": 0}
    cut = Record("cut", "u", "k", {}, (), {"video_id": info["video_id"], "clips": [clip]})
    others = Context.committed
    monkeypatch.setattr(Context, "committed", lambda self, name: [cut] if name == "cut" else others(self, name))
    return record


def test_through_the_stages(file_settings: Settings, recordings: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only `ingest` is told the schema; rows, snapshots, IDM, labels and policy carry it on."""
    assert run(file_settings, recordings, "ingest")["done"] == 2
    assert run(file_settings, recordings, "shard", labels="truth")["rows"] == 96
    assert run(file_settings, recordings, "train_idm", recipe="tiny", held_out=[HELD_OUT])["changed"]
    ctx = Context(file_settings, Recipe({}))
    version = ctx.model_digest("idm")
    check_report(json.loads(ctx.store.get(f"models/idm/{version}/report.json")))
    truth = wanted_clip(ctx, monkeypatch)
    assert run(file_settings, recordings, "label")["done"] == 1
    assert run(file_settings, recordings, "shard")["rows"] == 48
    snapshot = load_snapshot(ctx, "idm")
    assert snapshot.schema == DESKTOP
    (labelled,) = read_episodes(ctx, snapshot)
    assert labelled.schema == DESKTOP
    assert labelled.buttons.shape == (48, 52)
    assert run(file_settings, recordings, "train", max_steps=2)["changed"]
    (folder,) = {Path(key).parent for key in ctx.store.keys("7_policies") if key.endswith("model.json")}
    policy = Policy.load(Path(file_settings.store.removeprefix("file://")) / folder)
    assert policy.config == replace(POLICY, schema=DESKTOP)
    assert (policy.config.n_joint_buttons, policy.config.n_joint_camera) == (4321, 225)
    rows = from_table(read_parquet(ctx.store.get(next(o.key for o in truth.outputs if "labels" in o.key))).read())
    lamps, mouse = desk.play(48, seed=1)
    np.testing.assert_array_equal(rows.buttons[:, [DESKTOP.buttons.index(name) for name in desk.LAMPS]], lamps)
    np.testing.assert_allclose(rows.camera_deg, mouse * 0.05, atol=1e-6)
    assert (to_joint(rows.buttons, np.full((48, 2), 7), rows.schema)[0] < 4321).all()


def test_a_store_holds_one_game_and_work_follows_the_schemas_content(
    file_settings: Settings, recordings: Path, tmp_path: Path
) -> None:
    folder = str(recordings)
    copy = tmp_path / "copy.json"
    copy.write_text((SCHEMAS / "desktop.json").read_text())
    keys = {
        name: [
            unit.key for unit in Ingest(IngestConfig(recordings=(folder,), schema=name)).units(Context(file_settings))
        ]
        for name in ("minecraft", "desktop", str(copy))
    }
    assert keys["desktop"] == keys[str(copy)] != keys["minecraft"]
    assert run(file_settings, recordings, "ingest")["done"] == 2
    other = tmp_path / "other"
    other.mkdir()
    desk.write_recording(other, "fox-cccccccccccc-20260101-000000", length=8, seed=2)
    assert run(file_settings, other, "ingest", schema="minecraft")["done"] == 1
    with pytest.raises(ConfigError, match="one action schema, got desktop, minecraft; keep each game in a store"):
        run(file_settings, recordings, "shard", labels="truth")
    with pytest.raises(ConfigError, match=r"ingest\.schema: expected one of the schemas"):
        run(file_settings, recordings, "ingest", schema="chess")
