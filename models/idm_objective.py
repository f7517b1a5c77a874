"""What the IDM minimises: the likelihood of the true actions, and further lessons that small budgets need.

The loss is the sum over all heads (20 buttons, two camera axes) of the negative log-likelihood, on all frames of a
window, without class weights (VPT, section 4.1 and appendix D). The paper has no more than this.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from models.actions import MINECRAFT, ActionSchema, bin_centres, bin_width, camera_to_bins, mirror_of
from models.batches import Batch
from models.motion import mirrored_maps
from models.walk import SIDEWAYS


def mirrored(batch: Batch, chosen: np.ndarray, schema: ActionSchema = MINECRAFT) -> Batch:
    """The batch with the windows in `chosen`, bool (B,), mirrored left to right. Keys and camera follow the picture.

    Raises ValueError if the schema does not say which.
    """
    order, signs = mirror_of(schema)
    frames, buttons, camera_deg = batch.frames.copy(), batch.buttons.copy(), batch.camera_deg.copy()
    frames[chosen] = batch.frames[chosen, :, :, ::-1]
    buttons[chosen] = batch.buttons[chosen][..., order]
    camera_deg[chosen] *= signs
    maps = None if batch.maps is None else batch.maps.copy()
    if maps is not None:
        maps[chosen] = mirrored_maps(maps[chosen])
    walk = None if batch.walk is None else batch.walk.copy()
    if walk is not None:
        walk[chosen, :, SIDEWAYS] *= -1
    return replace(batch, frames=frames, buttons=buttons, camera_deg=camera_deg, maps=maps, walk=walk)


class IDMObjective:
    """Sum over heads of the negative log-likelihood, mean over the frames with a known action; with `mean_weight` and
    `walk_weight`, the camera's mean and the player's walk as well (`IDMTrainConfig`). A second opinion has the same
    lessons of its own."""

    def __init__(
        self,
        mirror: bool = False,
        schema: ActionSchema = MINECRAFT,
        mean_weight: float = 0.0,
        walk_weight: float = 0.0,
    ) -> None:
        if mirror:
            mirror_of(schema)  # a schema that cannot be mirrored is told before the first step
        self.mirror, self.schema = mirror, schema
        self.mean_weight, self.walk_weight = mean_weight, walk_weight

    def loss(self, model: nn.Module, batch: Batch, device: str) -> tuple[Tensor, dict[str, float]]:
        """The loss of one batch of windows; what is mirrored depends on torch's seed."""
        if self.mirror:
            batch = mirrored(batch, (torch.rand(len(batch.frames)) < 0.5).numpy(), self.schema)
        buttons = torch.from_numpy(batch.buttons).to(device).long()
        found = camera_to_bins(batch.camera_deg.reshape(-1, 2), self.schema).reshape(batch.camera_deg.shape)
        bins = torch.from_numpy(found).to(device).long()
        weight = torch.from_numpy(batch.weight).to(device)
        maps = None if batch.maps is None else torch.from_numpy(batch.maps).to(device)
        log_probs = model(torch.from_numpy(batch.frames).to(device), maps, batch.number)
        total = weight.sum().clamp_min(1e-6)
        degrees = torch.from_numpy(batch.camera_deg).to(device).float()
        parts: dict[str, tuple[float, Tensor]] = {}
        for opinion in ("", "second_") if "second_buttons" in log_probs else ("",):
            camera = log_probs[f"{opinion}camera"]
            parts[f"{opinion}button_loss"] = (1.0, -chosen(log_probs[f"{opinion}buttons"], buttons))
            parts[f"{opinion}camera_loss"] = (1.0, -chosen(camera, bins))
            if self.mean_weight:
                parts[f"{opinion}camera_mean_loss"] = (self.mean_weight, camera_error(camera, degrees, self.schema))
            if "walk" in log_probs:
                said = log_probs[f"{opinion}walk"]
                parts[f"{opinion}walk_loss"] = (self.walk_weight, walk_error(said, batch.walk))
        if "menu" in log_probs:
            parts["menu_loss"] = (1.0, menu_error(log_probs["menu"], batch.gui_open))
        means = {name: (value * weight).sum() / total for name, (_, value) in parts.items()}
        loss = torch.stack([factor * means[name] for name, (factor, _) in parts.items()]).sum()
        figures = {name: float(mean.detach()) for name, mean in means.items()}
        return loss, figures

    def memory(self) -> list[Tensor]:
        """Windows are independent: nothing to remember."""
        return []

    def remember(self, tensors: list[Tensor]) -> None:
        """Nothing to take back."""


def chosen(log_probs: Tensor, choice: Tensor) -> Tensor:
    """Log-probability of the true choices, summed over heads: (..., heads, n), (..., heads) -> (...)."""
    return log_probs.float().gather(-1, choice[..., None])[..., 0].sum(-1)


def camera_error(log_probs: Tensor, true_deg: Tensor, schema: ActionSchema) -> Tensor:
    """Squared error of the mean under the probabilities, both axes together, in widths of a bin before the mu-law.

    (B, T, 2, bins) and degrees (B, T, 2) -> (B, T). What lies beyond the outermost bins' centres counts as on them.
    """
    centres = log_probs.new_tensor(bin_centres(schema)).float()
    mean = log_probs.float().exp() @ centres
    return ((mean - true_deg.clamp(centres[0], centres[-1])) / bin_width(schema)).square().sum(-1)


def walk_error(said: Tensor, walk: np.ndarray | None) -> Tensor:
    """How wrong the walk is that was said, (B, T, 4) both, -> (B, T): quadratic up to half a unit, linear beyond.

    0 where the true one is unknown, but never without a gradient: workers wait for that of every weight.
    """
    true = torch.full_like(said, torch.nan) if walk is None else torch.from_numpy(walk).to(said.device)
    known = true.isfinite()
    error = F.smooth_l1_loss(said.float(), true.nan_to_num(), beta=0.5, reduction="none")
    return (error * known).mean(-1)


def menu_error(log_odds: Tensor, gui_open: np.ndarray | None) -> Tensor:
    """Negative log-likelihood that a menu is open or not, log odds (B, T, 1) -> (B, T); 0 where nobody knows."""
    if gui_open is None:
        return 0 * log_odds[..., 0]
    true = torch.from_numpy(gui_open).to(log_odds.device)
    return F.binary_cross_entropy_with_logits(log_odds[..., 0].float(), true.float(), reduction="none")
