"""A policy's card: the figures after training beside those before."""

import torch

from models.policy import Policy
from models.policy_card import policy_card
from models.train_bc import BCConfig
from models.training import TrainResult
from tests.models.test_train_bc import TINY


def test_figures_stand_beside_those_before_training() -> None:
    torch.manual_seed(0)
    result = TrainResult([{"step": 5, "loss": 2.0}], 5, 10.0, 12.0, 0.0, {"device": "cpu"})
    metrics = {"before": {"loss": 9.0}, "after": {"loss": 2.5}}
    config = BCConfig(learning_rate=1e-3, batch=2, max_steps=5)
    card = policy_card(Policy(TINY), config, result, metrics, recipe="nano_cpu", data={"snapshot": "abc"})
    assert (card.metrics, card.baselines) == ({"loss": 2.5}, {"before_training": {"loss": 9.0}})
    assert card.training["cpu_seconds"] == 12.0
    assert card.training["config"]["drop_null"] is True
    assert card.model["parameters"] > 1000
