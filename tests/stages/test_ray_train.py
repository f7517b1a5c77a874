"""Two workers on a real local Ray train what one process trains."""

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.train_idm import IDMTrainConfig
from stages.errors import ConfigError
from stages.ray_train import _check_room
from stages.runner import run_stage
from stages.settings import Settings, load_settings
from stages.stage import Context
from stages.train_idm import TrainIdm, TrainIdmConfig
from tests import tiny
from tests.models.test_train_idm import TINY

TRAINING = IDMTrainConfig(learning_rate=4e-3, batch=4, window=16, max_steps=5, clip_norm=1.0)


class TinyTraining(TrainIdm):
    """The stage with a tiny model; workers import it from here."""

    def _configure(self, start: str, schema: Any) -> Any:
        return TINY, replace(TRAINING, seed=self.config.seed)


def train(settings: Settings, ray: str) -> float:
    """Run the stage; the held-out score of the model it made."""
    run_stage(TinyTraining(TrainIdmConfig(held_out=(tiny.HELD_OUT,))), Context(settings), ray=ray)
    (record,) = Context(settings).ledger.records("train_idm").values()
    return record.info["comparison"]["score"]


@pytest.fixture(scope="module")
def ground_truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("truth")
    tiny.recordings(root / "recordings", length=48)
    settings = load_settings(store=f"file://{root}/store")
    tiny.run_flow(settings, {"ingest": {"recordings": [str(root / "recordings")]}}, ("ingest", "shard_truth"))
    return root / "store"


def copy(ground_truth: Path, folder: Path, **fields: Any) -> Settings:
    shutil.copytree(ground_truth, folder / "store")
    return load_settings(store=f"file://{folder}/store", cache_dir=str(folder / "cache"), **fields)


@pytest.mark.services
def test_two_workers_train_what_one_trains(ground_truth: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same batches in all, so the same held-out loss; only the order of additions differs."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    alone = copy(ground_truth, tmp_path / "alone")
    together = copy(ground_truth, tmp_path / "together", train_workers=2)
    assert train(together, "auto") == pytest.approx(train(alone, "off"), rel=1e-4)
    assert list(Context(together).store.keys("_ledger/train_idm/checkpoints")) == []


def test_without_ray_it_says_so(ground_truth: Path, tmp_path: Path) -> None:
    settings = copy(ground_truth, tmp_path, train_workers=2)
    with pytest.raises(ConfigError, match="SMELTER_TRAIN_WORKERS is 2, which needs Ray; drop `--ray off`"):
        train(settings, "off")


def test_more_workers_than_the_cluster_holds_are_refused_not_waited_for() -> None:
    assert _check_room(2, {"CPU": 2.0}) == "CPU"
    with pytest.raises(ConfigError, match="at most the cluster's 1 GPUs; lower it"):
        _check_room(2, {"CPU": 8.0, "GPU": 1.0})
