"""Promotion by hand: register, promote, roll back, refuse what is not there."""

from pathlib import Path

import pytest
import torch

from models.idm import IDMConfig, InverseDynamicsModel
from stages.promote import main
from stages.settings import Settings
from stages.stage import Context

TINY = IDMConfig(hidsize=16, attention_heads=2, timesteps=8, impala_chans=(2, 2, 2), conv3d_outchan=4)


def test_register_promote_and_roll_back(
    file_settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    common = ["--store", file_settings.store, "--kind", "idm"]
    for seed in (1, 2):
        torch.manual_seed(seed)
        InverseDynamicsModel(TINY).save(tmp_path / str(seed))
        assert main([*common, "--from-folder", str(tmp_path / str(seed))]) == 0
    first, second = (entry.target for entry in Context(file_settings).ledger.history("idm"))
    assert first != second
    assert main([*common, "--to", first[:12], "--reason", "worse on menus"]) == 0
    assert Context(file_settings).model_digest("idm") == first[:12]
    assert "worse on menus" in capsys.readouterr().out.splitlines()[-1]


def test_refusals(file_settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    common = ["--store", file_settings.store, "--kind", "filter"]
    assert main([*common, "--to", "0" * 12]) == 1
    assert "expected a registered filter, got '000000000000'; see models/filter/" in capsys.readouterr().err
    InverseDynamicsModel(TINY).save(tmp_path)
    assert main([*common, "--from-folder", str(tmp_path)]) == 1
    assert "expected a model of kind 'filter'" in capsys.readouterr().err
    assert main([*common, "--from-folder", str(tmp_path / "none")]) == 1
    assert main(common) == 0
    assert "no filter was ever promoted" in capsys.readouterr().out
