"""How well a model predicts held-out play, as one number that a promotion can compare: mean loss per frame, in nats.

The policy's is equation 1 of the paper, over whole episodes with memory carried from window to window; the IDM's is the
sum over its heads, over disjoint windows.
"""

from collections.abc import Sequence

import numpy as np
import torch

from models.actions import camera_to_bins
from models.attention import PolicyState
from models.batches import Batch
from models.dataset import Episode, check_schema
from models.idm import InverseDynamicsModel
from models.idm_objective import chosen
from models.policy import Policy, joint_log_prob
from models.predict import weighed
from models.train_bc import joint_targets, kept_rows


@torch.no_grad()
def evaluate_policy(
    policy: Policy, episodes: Sequence[Episode], window: int = 128, drop_null: bool = True
) -> dict[str, float]:
    """Mean negative log-likelihood per frame (nats), button and camera accuracy over the frames that carry a loss.

    Raises:
        ValueError: no frame of these episodes carries a loss, or they are of another schema.
    """
    check_schema(episodes, policy.config.schema)
    was_training = policy.training
    policy.eval()
    sums = sum((_episode_sums(policy, episode, window, drop_null) for episode in episodes), np.zeros(4))
    policy.train(was_training)
    if sums[0] == 0:
        raise ValueError("expected held-out frames with a known action that is not null, got none; hold out more play")
    frames, loss, buttons, camera = sums.tolist()
    return {
        "loss": loss / frames,
        "button_accuracy": buttons / frames,
        "camera_accuracy": camera / frames,
        "frames": frames,
    }


def _episode_sums(policy: Policy, episode: Episode, window: int, drop_null: bool) -> np.ndarray:
    """(frames, loss, right buttons, right camera) summed over one episode, memory carried from window to window."""
    rows, sums, state = kept_rows(episode, drop_null), np.zeros(4), None
    for start in range(0, len(rows), window):
        part, state = _window_sums(policy, episode, rows[start : start + window], start == 0, state)
        sums += part
    return sums


def _window_sums(
    policy: Policy, episode: Episode, rows: np.ndarray, is_first: bool, state: PolicyState | None
) -> tuple[np.ndarray, PolicyState]:
    first = np.zeros((1, len(rows)), bool)
    first[0, 0] = is_first
    batch = _batch(episode, rows, first)
    joint_buttons, joint_camera, used = (torch.from_numpy(a) for a in joint_targets(batch, policy.config.schema))
    weight = torch.from_numpy(batch.weight)
    device = next(policy.parameters()).device
    log_probs, state = policy(torch.from_numpy(batch.frames).to(device), torch.from_numpy(first).to(device), state)
    log_probs = {name: head.float().cpu() for name, head in log_probs.items()}
    loss = -joint_log_prob(log_probs, joint_buttons.long(), joint_camera.long(), used) * weight
    right_buttons = (log_probs["buttons"].argmax(-1) == joint_buttons) * weight
    right_camera = ((log_probs["camera"].argmax(-1) == joint_camera) | ~used) * weight
    return np.array([float(x.sum()) for x in (weight, loss, right_buttons, right_camera)]), state


@torch.no_grad()
def idm_loss(model: InverseDynamicsModel, episodes: Sequence[Episode], window: int) -> float:
    """Mean negative log-likelihood per frame with a known action, of what labels would come from: a second opinion
    counts by its shares.

    Raises:
        ValueError: no frame of these episodes has a known action, or they are of another schema.
    """
    check_schema(episodes, model.config.schema)
    was_training = model.training
    model.eval()
    total = frames = 0.0
    for episode in episodes:
        for start in range(0, len(episode), window):
            rows = np.arange(start, min(start + window, len(episode)))
            known = episode.weight[rows]
            total += float((_idm_losses(model, episode, rows) * known).sum()) if known.any() else 0.0
            frames += float(known.sum())
    model.train(was_training)
    if not frames:
        raise ValueError("expected held-out frames with a known action, got none; hold out other worlds")
    return total / frames


def _idm_losses(model: InverseDynamicsModel, episode: Episode, rows: np.ndarray) -> np.ndarray:
    """Negative log-likelihood (T,) of the actions in one window."""
    frames = torch.from_numpy(np.asarray(episode.frames[rows])[None]).to(next(model.parameters()).device)
    buttons, camera = weighed({name: said[0].float().cpu() for name, said in model(frames).items()}, model)
    bins = camera_to_bins(episode.camera_deg[rows], model.config.schema)
    true_buttons, true_bins = (torch.from_numpy(true).long() for true in (episode.buttons[rows], bins))
    return -(chosen(buttons, true_buttons) + chosen(camera, true_bins)).numpy()


def _batch(episode: Episode, rows: np.ndarray, first: np.ndarray) -> Batch:
    """Some frames of one episode as a batch of one window."""
    return Batch(
        frames=np.asarray(episode.frames[rows])[None],
        buttons=episode.buttons[rows][None],
        camera_deg=episode.camera_deg[rows][None],
        weight=episode.weight[rows][None],
        first=first,
    )
