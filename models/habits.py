"""How players move the camera from one frame to the next: turns begin slowly, go on, and end.

The networks judge each frame almost by itself where its picture tells little, and leave holes in turns. Here a path
through the bins is as likely as its frames are and its steps are usual, a hidden Markov model on a network's
probabilities (Bourlard and Morgan 1994): the probability of a step over that of the bin it goes to, to the power
of a weight, which is below 1 because the networks know some of it. Each frame then has the sum over all paths (forward
and backward, Rabiner 1989).

Shapes: T frames, A = 2 camera axes, K bins.
"""

from collections.abc import Sequence

import numpy as np

from models.action_schema import ActionSchema
from models.actions import camera_to_bins, mirror_of
from models.dataset import Episode

UNSEEN = 0.5
"""Counts that every step begins with."""


def habits_of(episodes: Sequence[Episode], schema: ActionSchema) -> np.ndarray:
    """float32 (A, K, K): log of how much likelier a bin (last axis) is after another than at large, from frames with
    known actions. Where the schema can be mirrored, a turn to the left says what one to the right is like."""
    signs = mirror_of(schema)[1] if schema.mirror is not None else (1, 1)
    counts = np.full((len(signs), schema.camera.bins, schema.camera.bins), UNSEEN)
    for episode in episodes:
        bins, known = camera_to_bins(episode.camera_deg, schema), episode.weight > 0
        steps = known[1:] & known[:-1]
        for axis, counted in enumerate(counts):
            np.add.at(counted, (bins[:-1][steps, axis], bins[1:][steps, axis]), 1)
    for axis, sign in enumerate(signs):
        if sign < 0:
            counts[axis] += counts[axis, ::-1, ::-1].copy()
    after = counts / counts.sum(2, keepdims=True)
    at_large = counts.sum(1, keepdims=True) / counts.sum((1, 2), keepdims=True)
    return np.log(after / at_large).astype(np.float32)


def steadied(log_probs: np.ndarray, habits: np.ndarray, weight: float) -> np.ndarray:
    """Log-probabilities (T, A, K) of the frames of one clip, each in the light of all others: the same shape."""
    seen = np.exp(log_probs.astype(np.float64) - log_probs.max(-1, keepdims=True))
    steps = np.exp(weight * habits.astype(np.float64))
    so_far, to_come = _passed_on(seen, steps), _passed_on(seen[::-1], steps.swapaxes(1, 2))[::-1]
    found = np.log(np.maximum(so_far * to_come * seen, np.finfo(np.float64).tiny))
    return (found - np.logaddexp.reduce(found, axis=-1, keepdims=True)).astype(np.float32)


def _passed_on(seen: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """What the frames before each one say of it, up to a factor: (T, A, K), (A, K, K) -> (T, A, K)."""
    passed = np.ones_like(seen)
    for t in range(1, len(seen)):
        told = ((passed[t - 1] * seen[t - 1])[:, None] @ steps)[:, 0]
        passed[t] = told / told.sum(-1, keepdims=True)
    return passed
