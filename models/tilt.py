"""How far does the view look down? Followed through an episode, without training.

A player's camera never rolls: what looks like a roll is the share that a turn to the right or left has in it when the
view looks up or down (`models/turns.py`). So each turn says how far the view looks down, and pitches say how that
changes. A hidden Markov model over tilts puts both together, past and future: forward and backward over the episode.

Shapes: L pairs of an episode, G tilts.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

TILTS_DEG = np.arange(-90, 91, 3.0)
"""What is told apart."""
SCALE, POWER, LEAST_ERROR = 8.0, 1.4, 0.4
"""Degrees by which a turn of one degree says it wrong; by which power of its size larger ones say it better; and what
is left of the error then."""
MISFIT_SURE, VAGUER = 0.3, 16.0
"""Misfit of a turn up to which it errs so much; beyond it, how many times as much more, per unit of misfit."""
MISFIT_TRUE, MISFIT_FALSE = 0.375, 0.735
"""Misfits from which on a turn is hardly ever wrong altogether, and nearly always."""
TRUE_SHARE = (0.013, 0.98)
"""Least and largest share of the turns that are not wrong altogether."""
COUNTS = 0.86
"""How much each frame counts: neighbours err together."""
STEP_DEG, JUMP_DEG = 0.7, 7.5
"""How wrong a pitch is as a rule, and where it is wrong altogether..."""
JUMPS = (0.017, 0.33)
"""...which it is so often: where the turn fits, and where its misfit is above..."""
MISFIT_LOST = 0.6
LOST = 3e-4
"""How often the view looks elsewhere all at once."""
USUAL_DEG, USUAL_SPREAD_DEG = 36.0, 280.0
"""Where players look, and how little one frame knows of it."""


class Seen(NamedTuple):
    """A turn between two frames, in degrees, as the first camera sees it."""

    pitch: float
    yaw: float
    roll: float
    misfit: float


def tilts(turns: Sequence[Seen]) -> np.ndarray:
    """(L,) degrees that the first frame of each pair looks down, from the turns of all pairs of an episode: the mean of
    what is likely."""
    pitches, yaws, rolls, misfits = np.array(turns, np.float64).reshape(-1, 4).T
    likely, lost = _evidence(yaws, rolls, misfits), (misfits > MISFIT_LOST).astype(int)
    told, to_come = np.empty_like(likely), np.ones_like(likely)
    belief = np.ones(len(TILTS_DEG))
    for now, (seen, pitch, steps) in enumerate(zip(likely, pitches, lost, strict=True)):
        told[now] = _normal(belief * seen)
        belief = _STEPS[steps] @ _moved(told[now], pitch)
    for now in range(len(turns) - 1, 0, -1):
        hoped = _STEPS[lost[now - 1]].T @ (likely[now] * to_come[now])
        to_come[now - 1] = _normal(np.interp(TILTS_DEG + pitches[now - 1], TILTS_DEG, hoped))
    both = told * to_come
    return both @ TILTS_DEG / both.sum(axis=1)


def _evidence(yaw: np.ndarray, roll: np.ndarray, misfit: np.ndarray) -> np.ndarray:
    """(L, G): how likely each turn is at each tilt, up to a factor."""
    tilt = np.rad2deg(np.arctan2(roll * np.where(yaw < 0, -1, 1), np.abs(yaw)))
    error = (tilt[:, None] - TILTS_DEG + 90) % 180 - 90
    size = np.maximum(np.hypot(yaw, roll), 0.05)
    vague = 1 + VAGUER * np.maximum(misfit - MISFIT_SURE, 0)
    spread = ((LEAST_ERROR + SCALE / size**POWER) * vague)[:, None]
    true = ((MISFIT_FALSE - misfit) / (MISFIT_FALSE - MISFIT_TRUE)).clip(*TRUE_SHARE)[:, None]
    found = true * 180 / np.pi * spread / (error**2 + spread**2) + 1 - true
    return found**COUNTS * np.exp(-(((TILTS_DEG - USUAL_DEG) / USUAL_SPREAD_DEG) ** 2) / 2)


def _moved(belief: np.ndarray, pitch: float) -> np.ndarray:
    """(G,): what was believed, after a pitch; none looks farther than straight up or down."""
    moved = np.interp(TILTS_DEG - pitch, TILTS_DEG, belief, left=0, right=0)
    moved[0 if pitch < 0 else -1] += max(belief.sum() - moved.sum(), 0)
    return moved


def _normal(row: np.ndarray) -> np.ndarray:
    return row / row.sum()


def _steps(jumps: float) -> np.ndarray:
    """(G, G): from each tilt (column) to each."""
    apart = np.abs(TILTS_DEG[:, None] - TILTS_DEG)
    near, far = np.exp(-((apart / STEP_DEG) ** 2) / 2), np.exp(-apart / JUMP_DEG)
    near, far = near / near.sum(axis=0), far / far.sum(axis=0)
    return (1 - jumps - LOST) * near + jumps * far + LOST / len(TILTS_DEG)


_STEPS = [_steps(jumps) for jumps in JUMPS]
