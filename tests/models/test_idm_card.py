"""An IDM's card tells worlds, costs and figures beside the baselines, and does without a report."""

import numpy as np

from models.evaluate import compare
from models.idm_card import data_of, idm_card
from models.train_idm import IDMTrainConfig, new_model
from models.training import TrainResult
from tests.models.test_evaluate import guess, played
from tests.models.test_train_idm import TINY

CONFIG = IDMTrainConfig(learning_rate=1e-3, batch=2, max_steps=5, seed=3, device="cuda")
MACHINE = {"device": "cuda", "precision": "bfloat16", "workers": 4}
RESULT = TrainResult([{"step": 5, "loss": 2.0}], 5, 10.0, 40.0, 20.0, MACHINE)


def test_everything_is_filled_in() -> None:
    elk, owl = played("elk", 0, length=600), played("owl", 1)
    report = compare([owl], [guess(owl, np.zeros(300, bool))])
    data = data_of([elk], [owl], snapshot="abc", licences={"CC0-1.0": 1})
    card = idm_card(new_model(TINY, 0), CONFIG, RESULT, report, recipe="tiny", data=data, start="0123456789ab")
    assert (data["trained_on_minutes"], data["tested_on_worlds"], data["snapshot"]) == (0.5, ["owl"], "abc")
    assert card.metrics["joint_accuracy"] == card.metrics["outside_menus_joint_accuracy"] == 1.0
    assert card.baselines["always_released"]["joint_accuracy"] < 0.1
    wanted = {
        "steps": 5,
        "cpu_seconds": 40.0,
        "gpu_seconds": 20.0,
        "seed": 3,
        "started_from": "0123456789ab",
        **MACHINE,
    }
    assert (wanted | MACHINE).items() <= card.training.items(), "what it ran on, not what this machine has"
    assert "device" not in card.training["config"]


def test_without_held_out_worlds_there_are_no_figures() -> None:
    card = idm_card(new_model(TINY, 0), CONFIG, RESULT, None, recipe="tiny", data={})
    assert (card.metrics, card.baselines) == ({}, {})
