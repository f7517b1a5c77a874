"""Named configs: sizes are promises."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from models import recipes
from models.action_schema import load_schema
from models.idm import IDMConfig, InverseDynamicsModel
from models.policy import Policy, PolicyConfig
from models.train_idm import configure

PARAMETERS: list[tuple[Callable[[], IDMConfig | PolicyConfig], int]] = [
    (recipes.idm_nano_cpu, 9_552_496),
    (recipes.idm_vpt_small, 116_284_030),
    (recipes.idm_vpt_released, 482_330_046),
    (recipes.policy_nano_cpu, 2_668_206),
    (recipes.policy_1x, 70_998_654),
    (recipes.policy_2x, 248_495_294),
    (recipes.policy_3x, 532_504_318),
]


@pytest.mark.parametrize(("recipe", "parameters"), PARAMETERS, ids=lambda value: getattr(value, "__name__", ""))
def test_sizes(recipe: Callable[[], IDMConfig | PolicyConfig], parameters: int) -> None:
    config = recipe()
    with torch.device("meta"):
        model = InverseDynamicsModel(config) if isinstance(config, IDMConfig) else Policy(config)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


def test_the_models_that_come_with_the_project_are_small() -> None:
    """With their cards and pictures, as they are in every clone."""
    folder = Path(__file__).parents[2] / "data" / "models"
    assert sum(file.stat().st_size for file in folder.rglob("*") if file.is_file()) <= 10_000_000


def test_the_second_opinion_counts_for_what_moves_the_player() -> None:
    """In any game that has all of these buttons, before a calibration."""
    config = recipes.idm_nano_cpu()
    counted = dict(zip(config.schema.buttons, config.opinion_shares, strict=True))
    assert {name for name, share in counted.items() if share} == set(recipes.MOVING)
    assert config.camera_share == recipes.SHARE_OF_MOTION
    desktop = load_schema("desktop")
    assert "left" in desktop.buttons
    assert configure("nano_cpu", schema=desktop)[0].opinion_shares == recipes.shares_of_motion(desktop) == ()
