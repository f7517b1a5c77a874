"""Which way did the camera move between two frames? Every direction of a few is tried on the flow, without training.

A camera that moves along a direction shifts each point of the picture along a line that only the direction decides; how
far, its distance decides (Longuet-Higgins and Prazdny 1980). So a direction is wrong as far as the flow runs across
these lines, or back along them, and no turn can take that away. What is told of a pair is how wrong each direction is,
and, as a mean over those that fit, direction, remaining turn and speed over distance: forward and sideways steps differ
in them whatever the world looks like.

The flow is that after the turn which `models/ego_motion.py` found; a turn that is still left is fitted with each
direction.

Shapes: S = 16 cells per side, N = S * S cells, D = 42 directions. x right, y down, z ahead.
"""

import numpy as np

from models.ego_motion import TURN_UNIT_DEG
from models.turns import rotation
from models.view import SIDE, View

CELLS = 16
"""Cells per side of the flow."""
STEPS = 2
"""Fits of the remaining turn, the later with less weight on what the one before did not explain."""
SOFTNESS_PX = 0.6
"""Flow unexplained that counts half, and..."""
DISAGREEMENT_PX = 0.5
"""...disagreement of the flow both ways that does."""
LEAST_LENGTH_PX = 1.0
"""Shifts shorter than this, at distance 1, say nothing of speed: the direction is seen there end-on."""
SHARPNESS = 0.01
"""Misfit by which a direction counts less by a factor e."""
MISFIT_UNIT, SPEED_UNIT = 0.1, 0.125
"""What counts as 1."""
RIDGE = 1e-3
"""Share of what all cells say that holds each turn to 0: along its own lines a direction says nothing of it."""
LARGEST = 8.0
"""Larger numbers say no more."""


def _directions() -> np.ndarray:
    """(D, 3): the corners of an icosahedron and the middles of its edges, unit vectors."""
    golden = (1 + 5**0.5) / 2
    corners = [np.roll((0, a, b), k) for a in (-1, 1) for b in (-golden, golden) for k in range(3)]
    edges = [a + b for i, a in enumerate(corners) for b in corners[:i] if a @ b > 1]
    found = np.array([*corners, *edges], np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)


DIRECTIONS = _directions()
NUMBERS = len(DIRECTIONS) + 1 + 3 + 3 + 3 + 3
"""What is told: each direction's misfit above the least, and the least; then means over the directions that fit:
direction, remaining turn, velocity over distance in the whole picture and in its lower half."""
_MEANS = len(DIRECTIONS) + 1
ORDER_MIRRORED = [int(np.argmax(DIRECTIONS @ d)) for d in DIRECTIONS * [-1, 1, 1]] + [*range(_MEANS - 1, NUMBERS)]
"""Which number takes each one's place when the picture is mirrored left to right, and..."""
TURNED_BY_MIRROR = (_MEANS, _MEANS + 4, _MEANS + 5, _MEANS + 6, _MEANS + 9)
"""...those that then change their sign."""

_VIEW = View(CELLS)
_TURNS = np.stack([_VIEW.rightward, _VIEW.downward]).reshape(2, 3, -1) * (SIDE / CELLS)
"""(2, 3, N): pixels of the whole picture to the right and down, per radian about each axis."""
_TRUST = _VIEW.weight.ravel()
_LOWER = np.repeat(np.arange(CELLS) >= CELLS // 2, CELLS)


def _lines() -> tuple[np.ndarray, np.ndarray]:
    """(D, N), (D, 2, N): pixels that a step of 1 shifts a point at distance 1, and which way."""
    rows, columns = (np.indices((CELLS, CELLS)).reshape(2, -1) - _VIEW.camera[1, 2]) * (SIDE / CELLS)
    focal = np.diag(_VIEW.camera)[:2] * (SIDE / CELLS)
    across, down, ahead = DIRECTIONS.T[..., None]
    shift = np.stack([columns * ahead - focal[0] * across, rows * ahead - focal[1] * down], axis=1)
    length = np.maximum(np.hypot(shift[:, 0], shift[:, 1]), LEAST_LENGTH_PX)
    return length.astype(np.float32), (shift / length[:, None]).astype(np.float32)


_LENGTH, _ALONG = _lines()
_ACROSS = np.stack([-_ALONG[:, 1], _ALONG[:, 0]], axis=1)
_TURN_ALONG, _TURN_ACROSS = (np.einsum("dcn,ckn->dnk", way, _TURNS).astype(np.float32) for way in (_ALONG, _ACROSS))


def translation(flow: np.ndarray, tilt_deg: float) -> np.ndarray:
    """The `NUMBERS` of a flow (S, S, 3) in pixels of the whole picture: to the right, down, disagreement both ways.

    Of a view that looks down by `tilt_deg`: directions and velocities are told as an upright player sees them.
    """
    right, down, disagreement = flow.reshape(-1, 3).T.astype(np.float32)
    trust = _TRUST / (1 + (disagreement / DISAGREEMENT_PX) ** 2)
    turn, along, fits = _fit(np.stack([right, down]), trust)
    misfit = (trust * (1 - fits)).sum(axis=1) / (trust.sum() + 1)
    likely = np.exp((misfit.min() - misfit) / SHARPNESS)
    likely /= likely.sum()
    weight, speed = trust * fits, along.clip(0) / _LENGTH
    fastness = [(weight * part * speed).sum(axis=1) / ((weight * part).sum(axis=1) + 1) for part in (1, _LOWER)]
    upright = DIRECTIONS @ rotation(np.deg2rad([tilt_deg, 0.0, 0.0])).astype(np.float32)
    means = [upright, np.rad2deg(turn) / TURN_UNIT_DEG, *(upright * s[:, None] / SPEED_UNIT for s in fastness)]
    above = (misfit - misfit.min()) / MISFIT_UNIT
    told = np.concatenate([above, [misfit.min() / MISFIT_UNIT], *(likely @ mean for mean in means)])
    return told.clip(-LARGEST, LARGEST)


def _fit(flow: np.ndarray, trust: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """With each direction: the turn that is left (D, 3), the flow along its lines (D, N), how well that fits (D, N)."""
    flow_along, flow_across = (np.einsum("dcn,cn->dn", way, flow) for way in (_ALONG, _ACROSS))
    along, weight = flow_along, np.broadcast_to(trust, flow_along.shape)
    for _ in range(STEPS):
        turn = _turn(flow_along, flow_across, weight, along < 0)
        along = flow_along - (_TURN_ALONG @ turn[..., None])[..., 0]
        across = flow_across - (_TURN_ACROSS @ turn[..., None])[..., 0]
        fits = 1 / (1 + (across**2 + along.clip(max=0) ** 2) / SOFTNESS_PX**2)
        weight = trust * fits**2
    return turn, along, fits


def _turn(along: np.ndarray, across: np.ndarray, weight: np.ndarray, backward: np.ndarray) -> np.ndarray:
    """(D, 3) radians: least squares of what runs across the lines, or back along them."""
    normal, target = np.zeros((len(along), 3, 3), np.float32), np.zeros((len(along), 3), np.float32)
    for design, flow, counts in ((_TURN_ACROSS, across, weight), (_TURN_ALONG, along, weight * backward)):
        weighted = (design * counts[..., None]).transpose(0, 2, 1)
        normal += weighted @ design
        target += (weighted @ flow[..., None])[..., 0]
    ridge = RIDGE * np.trace(normal, axis1=1, axis2=2) + 1
    return np.linalg.solve(normal + ridge[:, None, None] * np.eye(3, dtype=np.float32), target[..., None])[..., 0]
