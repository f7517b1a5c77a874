"""Train the policy by behavioural cloning on labelled play (VPT, section 4.3, equation 1, appendix E and H).

The loss is the negative log-likelihood of the joint button action and of the joint camera action. The camera's part is
masked where the joint button action says that the camera does not move, and for `inventory` (appendix E.3).

Null actions, about a third of human play, are dropped from the sequence, as in the paper: a policy that is trained on
them learns to stand still. Null is decided after the transform to the policy's action space, so a mouse motion below
0.27 degrees alone is null too. Frames of unknown action stay in the sequence, as what the policy saw, without a loss.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from models.actions import MINECRAFT, ActionSchema, camera_is_used, camera_to_bins, null_mask, to_joint
from models.attention import BlockState, PolicyState
from models.batches import Batch, EpisodeStreams
from models.dataset import Episode, check_schema
from models.policy import Policy, joint_log_prob
from models.training import Source, Surroundings, TrainConfig, TrainResult, train


@dataclass(frozen=True, kw_only=True)
class BCConfig(TrainConfig):
    """Training of the policy."""

    drop_null: bool = True
    """Drop frames of null action from the sequence; False trains on them as well."""


def bc_nano_cpu() -> BCConfig:
    """Minutes on a laptop: the smallest policy, to see the whole flow."""
    return BCConfig(learning_rate=2e-3, batch=4, window=32, max_steps=120, warmup_steps=10, clip_norm=5.0)


def bc_foundation() -> BCConfig:
    """Pretraining of the paper's foundation model (learning rate, decay and batch from memory: `unverified`)."""
    return BCConfig(
        learning_rate=0.002147,
        weight_decay=0.0625,
        batch=880,
        epochs=30,
        precision="auto",
        checkpoint_every=500,
        checkpoint_seconds=1800,
    )


def bc_finetune() -> BCConfig:
    """Fine-tuning with the constants of the released script."""
    return BCConfig(
        learning_rate=0.000181,
        weight_decay=0.039428,
        batch=16,
        epochs=2,
        clip_norm=5.0,
        checkpoint_every=500,
        checkpoint_seconds=1800,
    )


def kept_rows(episode: Episode, drop_null: bool) -> np.ndarray:
    """Indices of the frames that the policy is shown: all but those whose action is known to be null."""
    if not drop_null:
        return np.arange(len(episode))
    null = null_mask(episode.buttons, camera_to_bins(episode.camera_deg, episode.schema), episode.schema)
    return np.flatnonzero(~null | (episode.weight == 0))


def joint_targets(batch: Batch, schema: ActionSchema = MINECRAFT) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Joint buttons and camera, int64 (B, T), and whether the camera counts, bool (B, T)."""
    shape = batch.weight.shape
    buttons = batch.buttons.reshape(-1, batch.buttons.shape[-1])
    bins = camera_to_bins(batch.camera_deg.reshape(-1, 2), schema)
    joint_buttons, joint_camera = to_joint(buttons, bins, schema)
    used = camera_is_used(joint_buttons, schema)
    return joint_buttons.reshape(shape), joint_camera.reshape(shape), used.reshape(shape)


class BCObjective:
    """Mean negative log-likelihood per frame; carries the policy's memory from window to window."""

    def __init__(self, schema: ActionSchema = MINECRAFT) -> None:
        self.schema = schema
        self.state: PolicyState | None = None

    def loss(self, model: nn.Module, batch: Batch, device: str) -> tuple[Tensor, dict[str, float]]:
        """The loss of one batch of consecutive windows."""
        targets = joint_targets(batch, self.schema)
        joint_buttons, joint_camera, used = (torch.from_numpy(a).to(device) for a in targets)
        weight, first = torch.from_numpy(batch.weight).to(device), torch.from_numpy(batch.first).to(device)
        log_probs, state = model(torch.from_numpy(batch.frames).to(device), first, self.state)
        self.state = [BlockState(*(tensor.detach() for tensor in block)) for block in state]
        total = weight.sum().clamp_min(1e-6)
        log_prob = joint_log_prob(log_probs, joint_buttons.long(), joint_camera.long(), used)
        right = (log_probs["buttons"].argmax(-1) == joint_buttons) * weight
        return -(log_prob * weight).sum() / total, {"button_accuracy": float(right.sum() / total)}

    def memory(self) -> list[Tensor]:
        """The state of all blocks, flat."""
        return [tensor for block in self.state or [] for tensor in block]

    def remember(self, tensors: list[Tensor]) -> None:
        """Rebuild the state from `memory`."""
        blocks = [BlockState(*tensors[i : i + 3]) for i in range(0, len(tensors), 3)]
        self.state = blocks or None


def train_bc(
    episodes: Sequence[Episode],
    model: Policy,
    config: BCConfig,
    where: Surroundings | None = None,
) -> TrainResult:
    """Train a policy in place on labelled episodes; every worker passes all of them.

    Raises ValueError if nothing is left to train on, or for another game's actions.
    """
    where = where or Surroundings()
    check_schema(episodes, model.config.schema)
    rows = [kept_rows(episode, config.drop_null) for episode in episodes]

    def source(position: Any) -> Source:
        return EpisodeStreams(episodes, config.window, config.batch, config.seed, rows, position, where.workers)

    steps = config.total_steps(sum(len(r) for r in rows))
    data = {"episodes": [[episode.id, len(kept)] for episode, kept in zip(episodes, rows, strict=True)]}
    objective = BCObjective(model.config.schema)
    return train(model, objective, source, config, total_steps=steps, data=data, where=where)
