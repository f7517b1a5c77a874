"""The filter's SVM, with an RBF kernel and C = 20 (paper, Appendix A.2).

scikit-learn fits it; what is kept is arrays (support vectors, dual coefficients, scaler), so a loaded classifier runs
no code from a file and computes the decision itself. The score is a Platt sigmoid of the decision, fitted on decisions
for videos that were held out (`models/fit_filter.py`), so that 0.5 means even odds on a video that was never seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

SCORE_ROWS = 1024
"""Rows per kernel block: memory stays at rows x support vectors."""


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig:
    """Everything about a classifier that is not an array."""

    gamma: float
    """Width of the RBF kernel exp(-gamma |x - y|^2), on scaled features."""
    intercept: float
    platt_slope: float
    """The score is 1 / (1 + exp(-(slope x decision + offset)))."""
    platt_offset: float


class CleanClassifier:
    """Scores feature vectors: 1 is clean survival play, 0 is anything else."""

    def __init__(self, config: ClassifierConfig, arrays: Mapping[str, np.ndarray]) -> None:
        """`arrays`: mean (D,), scale (D,), support (S, D) scaled, dual (S,), any float type.

        Raises:
            ValueError: arrays are missing or do not fit together.
        """
        self.config = config
        if missing := {"mean", "scale", "support", "dual"} ^ set(arrays):
            raise ValueError(f"expected the arrays of an SVM, missing or extra: {sorted(missing)}")
        self.arrays = {name: np.asarray(arrays[name], np.float32) for name in sorted(arrays)}
        self._arrays = {name: array.astype(np.float64) for name, array in self.arrays.items()}
        support, dim = self._arrays["support"], len(self._arrays["mean"])
        if support.ndim != 2 or support.shape[1] != dim or self._arrays["dual"].shape != (len(support),):
            raise ValueError(
                f"expected support vectors (S, {dim}) with S dual coefficients, got {support.shape} and "
                f"{self._arrays['dual'].shape}; the filter's files do not belong together, train it again"
            )

    @property
    def dim(self) -> int:
        """Length of the feature vectors it reads."""
        return len(self._arrays["mean"])

    @property
    def support_count(self) -> int:
        """Support vectors kept; scoring costs that many distances per frame."""
        return len(self._arrays["support"])

    def decision(self, features: np.ndarray) -> np.ndarray:
        """Signed distance (N,) of features (N, D), as scikit-learn's `decision_function`; positive is clean.

        Raises:
            ValueError: features of another length.
        """
        if features.ndim != 2 or features.shape[1] != self.dim:
            raise ValueError(f"expected features (N, {self.dim}), got {features.shape}")
        scaled = (features.astype(np.float64) - self._arrays["mean"]) / self._arrays["scale"]
        blocks = [scaled[i : i + SCORE_ROWS] for i in range(0, len(scaled), SCORE_ROWS)]
        parts = [rbf_kernel(b, self._arrays["support"], gamma=self.config.gamma) @ self._arrays["dual"] for b in blocks]
        return np.concatenate([np.empty(0), *parts]) + self.config.intercept

    def score(self, features: np.ndarray) -> np.ndarray:
        """Clean score (N,) float64, 0 to 1, of features (N, D)."""
        return sigmoid(self.config.platt_slope * self.decision(features) + self.config.platt_offset)


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """How the SVM is fitted."""

    C: float = 20.0
    """Cost of an error (paper: 20)."""
    gamma: float = 1.0
    """Kernel width times the number of features; features are scaled to variance 1, so 1 is scikit-learn's `scale`."""
    evidence_weight: float = 30.0
    """Weight of the two detectors' evidence against one channel of the map's mean."""
    folds: int = 5
    """Folds of the cross-validation that fits the sigmoid; a video is never in two."""


def folds(groups: np.ndarray, count: int) -> list[np.ndarray]:
    """Masks (N,) of at most `count` folds of whole videos, balanced by frames, the same for the same input."""
    names, sizes = np.unique(groups, return_counts=True)
    loads, members = np.zeros(min(count, len(names))), {}
    for index in np.lexsort((names, -sizes)):
        members[names[index]] = lightest = int(np.argmin(loads))
        loads[lightest] += sizes[index]
    fold_of = np.array([members[group] for group in groups.tolist()])
    return [fold_of == fold for fold in range(len(loads))]


def fit_svm(
    features: np.ndarray, is_clean: np.ndarray, weights: np.ndarray, options: FitOptions
) -> tuple[dict[str, Any], float, float]:
    """Arrays of the classifier, gamma, intercept; `weights` (D,) stretch the features after scaling to variance 1."""
    scaler = StandardScaler().fit(features.astype(np.float64))
    # evidence that hardly varies in training must not be blown up: off the training range an RBF kernel says nothing
    mean, scale = scaler.mean_, np.where(weights > 1, np.maximum(scaler.scale_, 1.0), scaler.scale_) / weights
    scaled = (features.astype(np.float64) - mean) / scale
    gamma = options.gamma / float((weights**2).sum())
    svm = SVC(C=options.C, kernel="rbf", gamma=gamma, class_weight="balanced").fit(scaled, is_clean)
    arrays = {"mean": mean, "scale": scale, "support": svm.support_vectors_, "dual": svm.dual_coef_[0]}
    return arrays, gamma, float(svm.intercept_[0])


def platt(decisions: np.ndarray, is_clean: np.ndarray, steps: int = 100) -> tuple[float, float]:
    """Slope and offset of the sigmoid that fits the labels best, with Platt's smoothed targets, by Newton's method.

    Both classes weigh the same, drawn overlays included: otherwise the shares of clean, easy and hard frames among the
    labelled ones decide where 0.5 lies (two web videos left out: F1 0.963 so, 0.951 on real frames alone, unweighted).
    The slope never turns negative: held-out decisions that rank the wrong way round give an almost flat sigmoid.
    """
    clean, unclean = int(is_clean.sum()), int((~is_clean).sum())
    target = np.where(is_clean, (clean + 1) / (clean + 2), 1 / (unclean + 2))
    x = np.stack([decisions, np.ones_like(decisions)], axis=1)
    share = np.where(is_clean, 1 / clean, 1 / unclean) * len(decisions) / 2
    weights = np.array([1.0, 0.0])
    for _ in range(steps):
        p = sigmoid(x @ weights)
        hessian = (x * (share * p * (1 - p))[:, None]).T @ x + 1e-6 * np.eye(2)
        step = np.linalg.solve(hessian, x.T @ (share * (p - target)))
        weights -= step * min(1.0, 2.0 / (np.abs(step).max() + 1e-12))
        if np.abs(step).max() < 1e-10:
            break
    return max(float(weights[0]), 1e-3), float(weights[1])


def sigmoid(x: np.ndarray) -> np.ndarray:
    """1 / (1 + exp(-x)) without overflow; nan stays nan."""
    return 0.5 * (1.0 + np.tanh(0.5 * x))
