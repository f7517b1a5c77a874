"""What the demo does before its first DAG run: the models that come with the project become champions."""

from pathlib import Path

import torch

from infra.demo import register_shipped
from models.idm import InverseDynamicsModel
from stages.settings import Settings
from stages.stage import Context
from tests.stages.test_promote import TINY


def test_shipped_models_become_champions_of_an_empty_store_once(file_settings: Settings, tmp_path: Path) -> None:
    ctx = Context(file_settings)
    assert register_shipped(ctx, tmp_path / "none") == []
    torch.manual_seed(0)
    InverseDynamicsModel(TINY).save(tmp_path / "idm")
    (tmp_path / "idm" / "card.json").write_text("{}")
    ((kind, version),) = register_shipped(ctx, tmp_path)
    assert (kind, ctx.model_digest("idm")) == ("idm", version)
    assert ctx.store.exists(f"models/idm/{version}/card.json")
    assert register_shipped(ctx, tmp_path) == [], "a store that has a champion keeps it"
