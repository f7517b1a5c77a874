"""A policy's card, filled in from its training and its held-out metrics (`models.card`)."""

from typing import Any

from models.card import Card, costs
from models.policy import Policy
from models.train_bc import BCConfig
from models.training import TrainResult
from models.weights import config_to_dict


def policy_card(
    policy: Policy, config: BCConfig, result: TrainResult, metrics: dict[str, Any], *, recipe: str, **more: Any
) -> Card:
    """The card. `metrics` holds the held-out figures `before` and `after` training; `more`: other fields of `Card`."""
    here = config.on_this_machine()
    training = {"recipe": recipe, "seed": config.seed, **costs(result), "device": here.device}
    parameters = sum(parameter.numel() for parameter in policy.parameters())
    return Card(
        title="Policy",
        kind="policy",
        model={"parameters": parameters, "config": config_to_dict(policy.config)},
        training=training | {"precision": here.precision, "config": config.content()},
        metrics=metrics["after"],
        baselines={"before_training": metrics["before"]},
        **more,
    )
