"""The clean classifier: an SVM with an RBF kernel, C = 20, on frozen image features (paper, Appendix A.2).

scikit-learn fits it; what is kept is arrays (support vectors, dual coefficients, scaler), so a loaded classifier runs
no code from a file and computes the decision itself. The score is a Platt sigmoid of the decision, fitted on decisions
for videos that were held out, so that 0.5 means even odds on a video that was never seen.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.metrics.pairwise import rbf_kernel
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from models.embedding import Embedder, load_embedder
from models.weights import config_from_dict, config_to_dict, load_model, save_model

KIND = "filter"
SCORE_ROWS = 1024
"""Rows per kernel block: memory stays at rows x support vectors."""


@dataclass(frozen=True, kw_only=True)
class ClassifierConfig:
    """Everything about a classifier that is not an array."""

    embedder: str
    """Name of the embedder whose features it reads."""
    embedder_digest: str
    """The embedder's digest; features from other weights are refused."""
    gamma: float
    """Width of the RBF kernel exp(-gamma |x - y|^2), on scaled features."""
    intercept: float
    platt_slope: float
    """The score is 1 / (1 + exp(-(slope x decision + offset)))."""
    platt_offset: float
    threshold: float = 0.5
    """Score from which a frame counts as clean where the user names none."""


class CleanClassifier:
    """Scores feature vectors: 1 is clean survival play, 0 is anything else."""

    def __init__(self, config: ClassifierConfig, arrays: Mapping[str, np.ndarray]) -> None:
        """`arrays`: mean (D,), scale (D,), support (S, D) scaled, dual (S,), all float64."""
        self.config = config
        self._arrays = {name: np.asarray(arrays[name], np.float64) for name in ("mean", "scale", "support", "dual")}
        support, dim = self._arrays["support"], len(self._arrays["mean"])
        if support.ndim != 2 or support.shape[1] != dim or self._arrays["dual"].shape != (len(support),):
            raise ValueError(
                f"expected support vectors (S, {dim}) with S dual coefficients, got {support.shape} and "
                f"{self._arrays['dual'].shape}; the classifier's files do not belong together, train it again"
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
            raise ValueError(f"expected features (N, {self.dim}) of {self.config.embedder}, got {features.shape}")
        scaled = (features.astype(np.float64) - self._arrays["mean"]) / self._arrays["scale"]
        blocks = [scaled[i : i + SCORE_ROWS] for i in range(0, len(scaled), SCORE_ROWS)]
        parts = [rbf_kernel(b, self._arrays["support"], gamma=self.config.gamma) @ self._arrays["dual"] for b in blocks]
        return np.concatenate([np.empty(0), *parts]) + self.config.intercept

    def score(self, features: np.ndarray) -> np.ndarray:
        """Clean score (N,) float64, 0 to 1, of features (N, D)."""
        return sigmoid(self.config.platt_slope * self.decision(features) + self.config.platt_offset)

    def save(self, directory: str | Path) -> None:
        """Write `model.json` and `weights.safetensors`; no pickle."""
        tensors = {name: torch.from_numpy(array.copy()) for name, array in self._arrays.items()}
        save_model(directory, KIND, config_to_dict(self.config), tensors)

    @classmethod
    def load(cls, directory: str | Path) -> "CleanClassifier":
        """Read what `save` wrote.

        Raises:
            ValueError: no filter there, or files that do not fit together.
        """
        config, tensors = load_model(directory, KIND)
        if missing := {"mean", "scale", "support", "dual"} ^ set(tensors):
            raise ValueError(f"{directory}: expected the tensors of a filter, missing or extra: {sorted(missing)}")
        arrays = {name: tensor.numpy() for name, tensor in tensors.items()}
        return cls(config_from_dict(ClassifierConfig, config, directory), arrays)


def load_embedder_of(classifier: CleanClassifier, device: str = "cpu") -> Embedder:
    """The embedder a classifier was trained with.

    Raises:
        ValueError: it is not installed, or its weights are others.
    """
    embedder = load_embedder(classifier.config.embedder, device)
    if embedder.digest != classifier.config.embedder_digest:
        raise ValueError(
            f"expected {embedder.name} {classifier.config.embedder_digest[:12]}, got {embedder.digest[:12]}; this "
            "filter was trained on other features: train it again with `python -m stages.train_filter`"
        )
    return embedder


@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """How the SVM is fitted."""

    C: float = 20.0
    """Cost of an error (paper: 20)."""
    gamma: float = 1.0
    """Kernel width times the number of features; features are scaled to variance 1, so 1 is scikit-learn's `scale`."""
    folds: int = 5
    """Folds of the cross-validation that fits the sigmoid; a video is never in two."""


@dataclass(frozen=True)
class Fitted:
    """A trained classifier and what it said of the videos held out from it."""

    classifier: CleanClassifier
    held_out_scores: np.ndarray
    """(N,) score of each training frame from a fit without its video; nan where the frame was not to be scored."""


def fit(
    features: np.ndarray,
    is_clean: np.ndarray,
    groups: np.ndarray,
    embedder: tuple[str, str],
    options: FitOptions = FitOptions(),
    is_real: np.ndarray | None = None,
) -> Fitted:
    """Train a classifier.

    Args:
        features: (N, D). is_clean: (N,) bool. groups: (N,) the video of each frame.
        embedder: name and digest.
        is_real: (N,) bool, False for frames with a drawn overlay: they train, but nothing is measured on them.

    Raises:
        ValueError: one class only, or fewer than two videos.
    """
    groups, is_clean = np.asarray(groups), np.asarray(is_clean, bool)
    is_real = np.ones(len(is_clean), bool) if is_real is None else is_real
    if is_clean.all() or not is_clean.any() or len(set(groups.tolist())) < 2:
        raise ValueError(
            f"expected clean and unclean frames from at least two videos, got {int(is_clean.sum())} clean of "
            f"{len(is_clean)} frames from {len(set(groups.tolist()))}; label more frames"
        )
    decisions = held_out_decisions(features, is_clean, groups, options)
    known = np.isfinite(decisions)
    slope, offset = platt(decisions[known], is_clean[known])
    arrays, gamma, intercept = _fit_svm(features, is_clean, options)
    config = ClassifierConfig(
        embedder=embedder[0],
        embedder_digest=embedder[1],
        gamma=gamma,
        intercept=intercept,
        platt_slope=slope,
        platt_offset=offset,
    )
    scores = np.where(is_real, sigmoid(slope * decisions + offset), np.nan)
    return Fitted(CleanClassifier(config, arrays), scores)


def held_out_decisions(
    features: np.ndarray, is_clean: np.ndarray, groups: np.ndarray, options: FitOptions
) -> np.ndarray:
    """Decision (N,) on each frame of a fit without its video; nan where no fit is possible."""
    decisions = np.full(len(is_clean), np.nan)
    for fold in folds(groups, options.folds):
        train, test = ~fold, fold
        if is_clean[train].all() or not is_clean[train].any():
            continue
        arrays, gamma, intercept = _fit_svm(features[train], is_clean[train], options)
        scaled = (features[test].astype(np.float64) - arrays["mean"]) / arrays["scale"]
        decisions[test] = rbf_kernel(scaled, arrays["support"], gamma=gamma) @ arrays["dual"] + intercept
    return decisions


def folds(groups: np.ndarray, count: int) -> list[np.ndarray]:
    """Masks (N,) of at most `count` folds of whole videos, balanced by frames, the same for the same input."""
    names, sizes = np.unique(groups, return_counts=True)
    loads, members = np.zeros(min(count, len(names))), {}
    for index in np.lexsort((names, -sizes)):
        members[names[index]] = lightest = int(np.argmin(loads))
        loads[lightest] += sizes[index]
    fold_of = np.array([members[group] for group in groups.tolist()])
    return [fold_of == fold for fold in range(len(loads))]


def _fit_svm(features: np.ndarray, is_clean: np.ndarray, options: FitOptions) -> tuple[dict[str, Any], float, float]:
    """Arrays of the classifier, gamma, intercept."""
    scaler = StandardScaler().fit(features.astype(np.float64))
    gamma = options.gamma / features.shape[1]
    svm = SVC(C=options.C, kernel="rbf", gamma=gamma, class_weight="balanced")
    svm.fit(scaler.transform(features.astype(np.float64)), is_clean)
    arrays = {"mean": scaler.mean_, "scale": scaler.scale_, "support": svm.support_vectors_, "dual": svm.dual_coef_[0]}
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
