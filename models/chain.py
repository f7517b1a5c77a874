"""Evidence over time: an overlay stays where it is for seconds, so neighbours in time vote on every sample.

Each cell is a chain of two states, present and absent, with a price on every change between samples. The posterior of
such a chain (forward-backward) is smooth inside a stretch and sharp at its ends: a faint watermark adds up, a single
odd frame does not count, and a boundary stays on the sample on which it is. Keys are held for seconds too: of these the
likeliest path is asked for. Legend: T samples in time, M chains.
"""

import numpy as np

LIMIT = 6.0
"""Evidence of one sample, in nats, at most: no frame outvotes its neighbours alone."""
MAX_GAP_S = 1.0
"""Samples further apart than this say nothing of each other."""
CHAINS = 32
"""Chains worked on at a time; memory stays at the samples of a video times this."""


def smooth(evidence_TM: np.ndarray, times_s: np.ndarray, price: float) -> np.ndarray:
    """Posterior log odds (T, M) float32, from log odds of single samples, clipped to +-`LIMIT`.

    Args:
        times_s: (T,) increasing; a gap of more than `MAX_GAP_S` starts anew.
        price: log odds against a change from one sample to the next.
    """
    out = np.empty(evidence_TM.shape, np.float32)
    edges = np.flatnonzero(np.diff(times_s) > MAX_GAP_S) + 1
    for rows in np.split(np.arange(len(times_s)), edges):
        for first in range(0, evidence_TM.shape[1], CHAINS):
            block = np.clip(evidence_TM[rows, first : first + CHAINS].astype(np.float64), -LIMIT, LIMIT)
            out[rows, first : first + CHAINS] = _posterior(block, price)
    return np.clip(out, -LIMIT, LIMIT)


def best_path(log_odds_TM: np.ndarray, price: float) -> np.ndarray:
    """The likeliest states (T, M) bool of chains, from log odds of single steps and a price on every change (Viterbi).

    With price 0 each step stands alone.
    """
    ahead = np.array(log_odds_TM, np.float64)  # score of the best path to the upper state, less that to the lower one
    for t in range(1, len(ahead)):
        ahead[t] += np.clip(ahead[t - 1], -price, price)
    states = ahead > 0
    for t in range(len(ahead) - 2, -1, -1):
        states[t] = np.where(np.abs(ahead[t]) > price, states[t], states[t + 1])
    return states


def _posterior(evidence_TM: np.ndarray, price: float) -> np.ndarray:
    before, after = np.zeros_like(evidence_TM), np.zeros_like(evidence_TM)
    for t in range(1, len(evidence_TM)):
        before[t] = _pass_on(before[t - 1] + evidence_TM[t - 1], price)
    for t in range(len(evidence_TM) - 2, -1, -1):
        after[t] = _pass_on(after[t + 1] + evidence_TM[t + 1], price)
    return before + evidence_TM + after


def _pass_on(log_odds: np.ndarray, price: float) -> np.ndarray:
    """Log odds after one possible change of state."""
    change, stay = -np.logaddexp(0, price), -np.logaddexp(0, -price)
    return np.logaddexp(log_odds + stay, change) - np.logaddexp(log_odds + change, stay)
