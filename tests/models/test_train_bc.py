"""Behavioural cloning: the joint loss by hand, null actions, memory across windows, and a run that learns."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.actions import BUTTONS
from models.batches import Batch, EpisodeStreams
from models.dataset import Episode
from models.policy import Policy, PolicyConfig
from models.train_bc import BCConfig, BCObjective, joint_targets, kept_rows, train_bc
from models.training import Surroundings
from tests.models.game import episode

TINY = PolicyConfig(
    hidsize=32,
    attention_heads=2,
    attention_memory_size=16,
    timesteps=8,
    n_recurrence_layers=1,
    pointwise_ratio=1,
    impala_chans=(4, 4, 4),
)
CONFIG = BCConfig(learning_rate=4e-3, batch=2, window=8, max_steps=6, log_every=1, clip_norm=5.0)


def still(length: int) -> Episode:
    """Nothing pressed, nothing moved."""
    frames = np.zeros((length, 128, 128, 3), np.uint8)
    return Episode("e", "w", frames, np.zeros((length, 20), bool), np.zeros((length, 2)), np.ones(length, np.float32))


def policy(seed: int = 0) -> Policy:
    torch.manual_seed(seed)
    return Policy(TINY)


class Uniform(torch.nn.Module):
    def forward(self, frames: torch.Tensor, first: torch.Tensor, state: None) -> tuple[dict[str, torch.Tensor], list]:
        shape = frames.shape[:2]
        return {
            "buttons": torch.full((*shape, 8641), 1 / 8641).log(),
            "camera": torch.full((*shape, 121), 1 / 121).log(),
        }, []


def batch_of(played: Episode) -> Batch:
    return next(EpisodeStreams([played], len(played), 1, seed=0))


def loss_of(played: Episode) -> float:
    return float(BCObjective().loss(Uniform(), batch_of(played), "cpu")[0])


def test_camera_counts_only_where_the_buttons_say_that_it_moves() -> None:
    played = still(4)
    assert loss_of(played) == pytest.approx(np.log(8641), rel=1e-5)
    played.camera_deg[:] = [0.0, 5.0]
    assert loss_of(played) == pytest.approx(np.log(8641) + np.log(121), rel=1e-5)
    played.buttons[:, BUTTONS.index("inventory")] = True
    assert loss_of(played) == pytest.approx(np.log(8641), rel=1e-5)


def test_inventory_and_conflicts_become_the_released_joint_actions() -> None:
    played = still(3)
    played.buttons[0, BUTTONS.index("inventory")] = True
    played.buttons[1, [BUTTONS.index("forward"), BUTTONS.index("back")]] = True
    joint_buttons, joint_camera, used = joint_targets(batch_of(played))
    assert joint_buttons.tolist() == [[8640, 0, 0]]
    assert joint_camera.tolist() == [[60, 60, 60]]
    assert not used.any()


def test_null_actions_are_dropped_after_the_transform() -> None:
    """Forward with back, and a motion below 0.27 degrees, are null to the policy. Unknown frames stay."""
    played = still(6)
    played.buttons[1, BUTTONS.index("attack")] = True
    played.buttons[2, [BUTTONS.index("forward"), BUTTONS.index("back")]] = True
    played.camera_deg[3] = [0.0, 0.2]
    played.camera_deg[4] = [0.0, 0.5]
    played.weight[5] = 0
    assert kept_rows(played, drop_null=True).tolist() == [1, 4, 5]
    assert kept_rows(played, drop_null=False).tolist() == list(range(6))


def test_only_null_actions_are_an_error() -> None:
    with pytest.raises(ValueError, match="unknown or null"):
        train_bc([still(20)], policy(), CONFIG)


def test_memory_goes_on_across_windows_and_is_forgotten_at_the_start_of_an_episode() -> None:
    """Two windows in turn give the same loss as one long window; after `first` the past does not matter."""
    played = episode("w", 16, seed=0)
    model, whole = policy(), BCObjective()
    source = EpisodeStreams([played], 8, 1, seed=0)
    first, second = next(source), next(source)
    objective = BCObjective()
    parts = [objective.loss(model, b, "cpu")[0].item() for b in (first, second)]
    assert np.mean(parts) == pytest.approx(whole.loss(model, batch_of(played), "cpu")[0].item(), rel=1e-4)
    assert objective.loss(model, first, "cpu")[0].item() == pytest.approx(parts[0], rel=1e-5)
    assert BCObjective().loss(model, second, "cpu")[0].item() != pytest.approx(parts[1], rel=1e-5)


def test_a_resumed_run_gives_the_same_losses(tmp_path: Path) -> None:
    """The policy's memory is part of the checkpoint."""
    episodes, config = [episode("w", 24, seed=s) for s in range(2)], replace(CONFIG, checkpoint_every=2)
    whole = [row["loss"] for row in train_bc(episodes, policy(), config).history]

    def stop(step: int, total: int, metrics: dict[str, float]) -> None:
        if step == 3:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_bc(episodes, policy(), config, Surroundings(progress=stop, out_dir=tmp_path))
    resumed = train_bc(episodes, policy(1), config, Surroundings(out_dir=tmp_path))
    assert [row["loss"] for row in resumed.history] == whole


def coloured(length: int) -> Episode:
    """Each frame has one of three colours and each colour its own button: the picture says all."""
    choice = np.random.default_rng(0).integers(3, size=length)
    frames, buttons = np.zeros((length, 128, 128, 3), np.uint8), np.zeros((length, 20), bool)
    for t, colour in enumerate(choice):
        frames[t, ..., colour] = 255
        buttons[t, BUTTONS.index(("attack", "jump", "use")[colour])] = True
    return Episode("e", "w", frames, buttons, np.zeros((length, 2)), np.ones(length, np.float32))


def test_the_policy_learns_what_the_picture_says() -> None:
    """Knowing only how often each action occurs gives the entropy of the actions; a policy that looks beats it."""
    played = coloured(12)
    share = played.buttons.mean(axis=0)[played.buttons.any(axis=0)]
    config = replace(CONFIG, batch=1, window=12, learning_rate=8e-3, max_steps=80, log_every=5)
    result = train_bc([played], policy(), config)
    assert result.history[0]["loss"] > 5
    assert result.final_loss < 0.6 * -(share * np.log(share)).sum()
