"""A policy's card, filled in from its training and its held-out metrics (`models.card`)."""

from typing import Any

from models.card import Card, costs, described
from models.policy import Policy
from models.train_bc import BCConfig
from models.training import TrainResult


def policy_card(
    policy: Policy, config: BCConfig, result: TrainResult, metrics: dict[str, Any], *, recipe: str, **more: Any
) -> Card:
    """The card. `metrics` holds the held-out figures `before` and `after` training; `more`: other fields of `Card`."""
    training = {"recipe": recipe, "seed": config.seed, **costs(result), "config": config.content()}
    return Card(
        title="Policy",
        kind="policy",
        model=described(policy),
        training=training,
        metrics=metrics["after"],
        baselines={"before_training": metrics["before"]},
        **more,
    )
