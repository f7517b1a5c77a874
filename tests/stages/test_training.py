"""What the training stages share: whose fault an error is, and the command that trains again."""

import json
import shlex

import pytest

from stages.errors import ConfigError, ServiceError
from stages.train import Train, TrainStageConfig
from stages.training import user_errors


def test_a_value_error_of_the_models_is_the_users_mistake() -> None:
    with pytest.raises(ConfigError, match="train: nothing to learn from"), user_errors("train"):
        raise ValueError("nothing to learn from")


def test_our_own_errors_and_bugs_pass() -> None:
    with pytest.raises(ServiceError, match="down"), user_errors("train"):
        raise ServiceError("down")
    with pytest.raises(KeyError), user_errors("train"):
        raise KeyError("bug")


def test_the_command_holds_every_field_that_matters() -> None:
    words = shlex.split(Train(TrainStageConfig(recipe="2x", max_steps=7, seed=3)).command())
    assert words[:4] == ["python", "-m", "stages.train", "--config"]
    config = json.loads(words[4])
    assert config == {"labels": "idm", "held_out_share": 0.1, "seed": 3, "recipe": "2x", "max_steps": 7}
    assert TrainStageConfig(**config) == TrainStageConfig(recipe="2x", max_steps=7, seed=3)
