"""How does the motion of a pair of frames compare with that of the pairs before it? Without training.

How fast the player moves cannot be told from a pair alone: what is near moves much, what is far little. But what was
near is near in the next frame too, so the ratio of two neighbouring flows is that of two speeds, whatever the world
looks like. A key that is pressed or released for a single frame, a jump, a step against a wall: all change the speed.

The flow is that after the turn which `models/ego_motion.py` found.

Shapes: L pairs of an episode, S = 32 cells per side, R = 5 regions.
"""

import numpy as np

from models.plane_flow import SIDE
from models.translation import DISAGREEMENT_PX
from models.view import VIEWS

LAGS = (1, 2)
"""Pairs back, with which each is compared."""
NOISE_PX2 = 0.02
"""Square of the flow, per cell, that there is without motion."""
STILL_PX = 0.1
"""Added to lengths before their logarithm."""
LARGEST = 2.0
"""Logarithms of ratios beyond this say no more."""
REGIONS = ("whole", "lower", "upper", "left", "right")
NUMBERS = len(REGIONS) * (2 * len(LAGS) + 1)
"""What is told: per lag and region how alike the two flows are, -1 to 1, then per lag and region the logarithm of the
ratio of their lengths, then per region that of the mean length in pixels."""
ORDER_MIRRORED = [block + place for block in range(0, NUMBERS, len(REGIONS)) for place in (0, 1, 2, 4, 3)]
"""Which number takes each one's place when the picture is mirrored left to right; none changes its sign."""

_TRUST = VIEWS[SIDE].weight
_LOWER, _RIGHT = np.indices((SIDE, SIDE)).reshape(2, -1) >= SIDE // 2
_CELLS_OF = np.stack([_LOWER | True, _LOWER, ~_LOWER, ~_RIGHT, _RIGHT], axis=1).astype(np.float32)
"""(S * S, R): which cells each region has."""


def flow_change(flow: np.ndarray) -> np.ndarray:
    """float32 (L, `NUMBERS`) of flows (L, S, S, 3) in pixels: to the right, down, disagreement both ways.

    0 where there is no pair to compare with.
    """
    motion, disagreement = flow[..., :2], flow[..., 2]
    trust = _TRUST / (1 + (disagreement / DISAGREEMENT_PX) ** 2)
    compared = np.zeros((len(flow), 2, len(LAGS), len(REGIONS)), np.float32)
    for i, lag in enumerate(LAGS):
        compared[lag:, :, i] = _compared(motion[lag:], motion[:-lag], trust[lag:] * trust[:-lag])
    mean = _sum(trust * np.linalg.norm(motion, axis=-1)) / (_sum(trust) + 1)
    return np.hstack([compared.reshape(-1, NUMBERS - len(REGIONS)), np.log(mean + STILL_PX)])


def _sum(cells: np.ndarray) -> np.ndarray:
    """(L, S, S) -> (L, R)."""
    return cells.reshape(len(cells), len(_CELLS_OF)) @ _CELLS_OF


def _compared(now: np.ndarray, before: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """Cosine of two flows (n, S, S, 2) in each region, and the logarithm of the ratio of their lengths: (n, 2, R)."""
    product, square, square_before = (
        _sum(trust * (a * b).sum(axis=-1)) for a, b in ((now, before), (now, now), (before, before))
    )
    noise = NOISE_PX2 * _sum(trust) + 1
    square, square_before = square + noise, square_before + noise
    growth = np.log(square / square_before) / 2
    return np.stack([product / np.sqrt(square * square_before), growth.clip(-LARGEST, LARGEST)], axis=1)
