"""How does the picture flow, said in few numbers? As the flow of a plane, fitted to the whole and to parts of it.

A plane that the camera moves past has a flow of eight numbers (Longuet-Higgins and Prazdny 1980):

    right = a + b x + c y + g x^2 + h x y
    down  = d + e x + f y + g x y + h y^2

A turn moves the picture by a and d and bends it by g and h; a step along the plane bends it otherwise. So what is left
of the flow after the turn that was found says how wrong this turn is, where a wall close by made a step look like one:
the camera's R2 of a small network that sees single pairs of frames rises from 0.84 / 0.75 to 0.90 / 0.81. A network
finds the same in the map of the flow, but later and less exactly.

Shapes: S = 32 cells per side, N = S * S cells, P = 4 parts of the picture.
"""

import numpy as np

SIDE = 32
"""Cells per side of the flow."""
STEPS = 4
"""Fits, each of which gives less weight to what the one before did not explain."""
SOFTNESS = 0.15
"""Flow unexplained that counts half, and..."""
DISAGREEMENT = 0.25
"""...disagreement of the flow both ways that does; in the flow's units."""
RIDGE = 1e-2
"""Cells' worth of no flow that each number is held to 0 by."""
LARGEST = 8.0
"""Larger numbers say no more."""

_middles = (np.arange(SIDE) + 0.5) / SIDE * 2 - 1
_DOWN, _RIGHT = (grid.ravel() for grid in np.meshgrid(_middles, _middles, indexing="ij"))
PARTS = (
    np.ones(SIDE * SIDE, bool),
    _DOWN < 0,
    _DOWN > 0,
    (abs(_RIGHT) < 0.55) & (abs(_DOWN) < 0.55),
)
"""The whole picture, its upper and lower half, its middle."""
TERMS = 8
PLANE_NUMBERS = len(PARTS) * (TERMS + 1)
"""What is told: of each part the eight numbers, and how much flow they leave unexplained (median)."""
TURNED_BY_MIRROR = tuple((TERMS + 1) * part + term for part in range(len(PARTS)) for term in (0, 2, 4, 6))
"""The numbers that change their sign when the picture is mirrored left to right."""


def _design() -> np.ndarray:
    """(2N, 8): what each number adds to the flow of each cell, to the right first, then down."""
    x, y, one, none = _RIGHT, _DOWN, np.ones(SIDE * SIDE), np.zeros(SIDE * SIDE)
    right = [one, x, y, none, none, none, x * x, x * y]
    down = [none, none, none, one, x, y, x * y, y * y]
    return np.concatenate([np.stack(right, axis=1), np.stack(down, axis=1)])


_DESIGNS = [_design()[np.tile(part, 2)] for part in PARTS]


def plane_flow(flow: np.ndarray) -> np.ndarray:
    """The `PLANE_NUMBERS` of a flow (S, S, 3): to the right, down, and how far both ways disagree. Units as given."""
    right, down, disagreement = flow.reshape(-1, 3).T.astype(np.float64)
    trust = 1 / (1 + (disagreement / DISAGREEMENT) ** 2)
    told = [_fit(d, np.concatenate([right[p], down[p]]), trust[p]) for d, p in zip(_DESIGNS, PARTS, strict=True)]
    return np.concatenate(told).clip(-LARGEST, LARGEST)


def _fit(design: np.ndarray, flow: np.ndarray, trust: np.ndarray) -> np.ndarray:
    """(9,): the eight numbers of one part, and the median of what they leave unexplained."""
    weight, unexplained = trust, trust
    for _ in range(STEPS):
        weighted = design.T * np.tile(weight, 2)
        numbers = np.linalg.solve(weighted @ design + RIDGE * np.eye(TERMS), weighted @ flow)
        unexplained = np.hypot(*(flow - design @ numbers).reshape(2, -1))
        weight = trust / (1 + (unexplained / SOFTNESS) ** 2)
    return np.append(numbers, np.median(unexplained))
