"""Two detectors that read every cell of an embedder's map: is there an overlay here, is there the row of hearts here?

A watermark covers five of 448 cells, and a classifier of whole pictures has to find that out from a label per picture.
Drawn overlays (`models/overlays.py`) say which cells they cover, so a cell is labelled, and there are hundreds of
thousands of them. A detector is a 3x3 and a 1x1 convolution over standardised features and the cell's place.

Legend: N images, R rows, C columns of cells, K channels.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

OVERLAY, HEALTH = 0, 1
"""Places of the two detectors in the last axis of targets and logits."""
UNKNOWN, ABSENT, PRESENT = -1, 0, 1
COVERED = 0.2
"""Share of a cell from which an overlay counts as present; a thin one counts where it covers half as much as its best
covered cell. Below `UNTOUCHED` it counts as absent, between the two the cell is not trained on."""
UNTOUCHED = 0.01
BATCH = 64
CHANGED = 12
"""Grey levels from which a pixel counts as drawn over."""


@dataclass(frozen=True, kw_only=True)
class CellOptions:
    """How the detectors are trained."""

    hidden: int = 32
    epochs: int = 4
    max_steps: int = 350
    """Steps of `batch` images at most; more images do not make a training longer than this."""
    batch: int = 32
    learning_rate: float = 2e-3
    dropout: float = 0.2
    """Share of features hidden in a step."""
    present_weight: float = 4.0
    """Weight of a cell in which something is present; most cells are empty."""
    seed: int = 0


class CellDetectors(nn.Module):
    """Maps (N, R, C, K) to logits (N, R, C, 2): overlay and hearts."""

    mean: Tensor
    scale: Tensor

    def __init__(self, channels: int, hidden: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(channels))
        self.register_buffer("scale", torch.ones(channels))
        self.look = nn.Conv2d(channels + 2, hidden, 3, padding=1)
        self.say = nn.Conv2d(hidden, 2, 1)

    def forward(self, maps_NRCK: Tensor) -> Tensor:
        x = ((maps_NRCK - self.mean) / self.scale).permute(0, 3, 1, 2)
        place = torch.stack(
            torch.meshgrid(torch.linspace(-1, 1, x.shape[2]), torch.linspace(-1, 1, x.shape[3]), indexing="ij")
        )
        x = torch.cat([x, place.expand(len(x), -1, -1, -1)], dim=1)
        return self.say(F.relu(self.look(x))).permute(0, 2, 3, 1)

    @torch.no_grad()
    def logits(self, maps: np.ndarray) -> np.ndarray:
        """(N, R, C, K) of any float type to (N, R, C, 2) float32."""
        parts = [self(torch.from_numpy(maps[i : i + BATCH].astype(np.float32))) for i in range(0, len(maps), BATCH)]
        return torch.cat([torch.zeros((0, *maps.shape[1:3], 2)), *parts]).numpy()

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, Tensor]) -> "CellDetectors":
        """Detectors with these weights. Raises ValueError if some are missing or do not fit together."""
        try:
            net = cls(len(tensors["mean"]), len(tensors["look.bias"]))
            net.load_state_dict(dict(tensors), strict=True)
        except (KeyError, RuntimeError) as error:
            raise ValueError(f"expected the tensors of cell detectors, got {sorted(tensors)}: {error}") from None
        return net.eval()


def fit_cells(maps: np.ndarray, targets: np.ndarray, rows: np.ndarray, options: CellOptions) -> CellDetectors:
    """Train on those `rows` of maps (N, R, C, K) with targets (N, R, C, 2) int8: `UNKNOWN`, `ABSENT` or `PRESENT`.

    The same input gives the same weights on one machine. Random numbers are drawn from `options.seed` alone.
    """
    rng = np.random.default_rng(options.seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(options.seed)
        net = CellDetectors(maps.shape[3], options.hidden)
        spread = maps[rows[:: max(1, len(rows) // 500)]].astype(np.float32)
        net.mean.copy_(torch.from_numpy(spread.mean((0, 1, 2))))
        net.scale.copy_(torch.from_numpy(spread.std((0, 1, 2)) + 1e-3))
        batch = min(options.batch, len(rows))
        steps = min(options.max_steps, options.epochs * (len(rows) // batch))
        optimiser = torch.optim.AdamW(net.parameters(), options.learning_rate, weight_decay=1e-3)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, options.learning_rate, total_steps=max(steps, 2), pct_start=0.1
        )
        order = np.concatenate([rng.permutation(rows) for _ in range(options.epochs)])
        for step in range(steps):
            some = np.sort(order[step * batch : (step + 1) * batch])
            x, y = (torch.from_numpy(array[some].astype(np.float32)) for array in (maps, targets))
            loss = _loss(net(F.dropout(x, options.dropout)), y, options.present_weight)
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return net.eval()


def _loss(logits: Tensor, targets: Tensor, present_weight: float) -> Tensor:
    known = (targets != UNKNOWN).float()
    present = targets.clamp(min=0)
    weight = known * (1 + (present_weight - 1) * present)
    losses = F.binary_cross_entropy_with_logits(logits, present, weight, reduction="sum")
    return losses / known.sum().clamp(min=1)


def cover(image: np.ndarray, base: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Share of each cell (R, C) in which a picture differs from the one that it was drawn on."""
    import cv2

    changed = np.abs(image.astype(np.int16) - base).max(axis=2) > CHANGED
    return cv2.resize(changed.astype(np.float32), (shape[1], shape[0]), interpolation=cv2.INTER_AREA)


def present_where(cover_RC: np.ndarray) -> np.ndarray:
    """Targets (R, C) int8 of a detector, from how much of each cell is covered."""
    enough = min(COVERED, 0.5 * float(cover_RC.max()))
    known = np.where(cover_RC < UNTOUCHED, ABSENT, UNKNOWN)
    return np.where((cover_RC >= enough) & (cover_RC >= UNTOUCHED), PRESENT, known).astype(np.int8)
