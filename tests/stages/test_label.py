"""Labelling: one row per frame, edge flags, keys that follow the clip and the IDM and nothing else."""

from pathlib import Path

import numpy as np
import pytest
import torch

from models.idm import IDMConfig, InverseDynamicsModel
from stages.label import Label, LabelConfig
from stages.media import encode_clip
from stages.records import FLAG_EDGE, Record
from stages.registry import register
from stages.rows import from_table, read_parquet
from stages.runner import run_stage
from stages.settings import Settings
from stages.stage import Context
from tests.models.game import episode

TINY = IDMConfig(hidsize=16, attention_heads=2, timesteps=8, impala_chans=(2, 2, 2), conv3d_outchan=4)
VIDEO = "ab" * 10


def add_idm(ctx: Context, folder: Path, seed: int = 0) -> str:
    """Register a random IDM and make it the champion."""
    torch.manual_seed(seed)
    InverseDynamicsModel(TINY).save(folder)
    model, _ = register(ctx, "idm", folder)
    ctx.ledger.advance("idm", model, ctx.ledger.pointer("idm"), {})
    return model[:12]


def add_clip(ctx: Context, monkeypatch: pytest.MonkeyPatch, frames: int, start: int = 40) -> str:
    """Put a working clip in the store and let `cut` say that it is wanted."""
    clip_id = f"{VIDEO}-{start:06d}-{start + frames:06d}"
    output = ctx.put(f"4_clips/{clip_id}/k.mp4", encode_clip(episode("w", frames, 1).frames))
    clip = {"clip_id": clip_id, "start": start, "end": start + frames, "frames": frames}
    info = {"video_id": VIDEO, "clips": [{**clip, "key": output.key, "sha256": output.sha256}]}
    monkeypatch.setattr(Context, "committed", lambda *_: [Record("cut", VIDEO, "k", {}, (output,), info)])
    return clip_id


def test_one_row_per_frame(file_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ctx = Context(file_settings)
    version, clip_id = add_idm(ctx, tmp_path / "m"), add_clip(ctx, monkeypatch, frames=100)
    summary = run_stage(Label(LabelConfig(window=32, stride=16)), ctx, ray="off")
    assert (summary["done"], summary["quarantined"]) == (1, 0)
    (key,) = ctx.store.keys(f"5_labels/idm={version}/{clip_id}")
    table = read_parquet(ctx.store.get(key)).read()
    assert table["frame"].to_pylist() == list(range(100))
    assert table["pts_us"].to_pylist() == [(40 + i) * 50_000 for i in range(100)]
    actions = from_table(table)
    edge = np.flatnonzero(actions.flags & FLAG_EDGE)
    assert edge.tolist() == [*range(8), *range(92, 100)], "a quarter of a window has too little context at each end"
    assert ((actions.confidence > 0) & (actions.confidence < 1)).all()


def test_a_new_idm_is_new_work_and_a_rollback_is_none(
    file_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx = Context(file_settings)
    first = add_idm(ctx, tmp_path / "a", seed=1)
    add_clip(ctx, monkeypatch, frames=20)
    stage = Label(LabelConfig(window=32, stride=16))
    assert run_stage(stage, ctx, ray="off")["done"] == 1
    add_idm(ctx, tmp_path / "b", seed=2)
    assert run_stage(stage, ctx, ray="off")["done"] == 1
    ctx.ledger.advance("idm", first, ctx.ledger.pointer("idm"), {"rollback": True})
    assert run_stage(stage, ctx, ray="off")["planned"] == 0, "the old labels are still there"


def test_a_clip_that_does_not_decode_is_put_aside(
    file_settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx = Context(file_settings)
    add_idm(ctx, tmp_path / "m")
    clip_id = add_clip(ctx, monkeypatch, frames=20)
    ctx.store.put(f"4_clips/{clip_id}/k.mp4", b"no clip")
    assert run_stage(Label(LabelConfig()), ctx, ray="off")["reasons"] == {"not_a_video": 1}
