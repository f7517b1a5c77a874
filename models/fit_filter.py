"""Train the clean filter and say what it makes of videos that it has not seen.

Every clean frame trains with copies: overlays drawn on it, its hearts hidden, a picture of something else. Everything
that is fitted (detectors, middles, SVM) is fitted again for each fold of the cross-validation, so that nothing of a
held-out video is in what scores it. Legend: N frames with their copies, R x C cells, K channels.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.cards import draw_other
from models.cells import (
    ABSENT,
    HEALTH,
    OVERLAY,
    PRESENT,
    UNKNOWN,
    CellDetectors,
    CellOptions,
    cover,
    fit_cells,
    present_where,
)
from models.classifier import ClassifierConfig, CleanClassifier, FitOptions, fit_svm, folds, platt, sigmoid
from models.clean_filter import CleanFilter, FilterConfig, features, observe
from models.embedding import Embedder
from models.overlays import add_overlay, hide_health, recompress

OUT_OF_REACH = 1e3
ALONE_S = 1e3
"""Seconds between frames that have no neighbours in time."""


@dataclass
class TrainingSet:
    """Frames and copies with everything that a fit needs."""

    maps: np.ndarray
    """(N, R, C, K) float16."""
    is_clean: np.ndarray
    """(N,) bool."""
    targets: np.ndarray
    """(N, R, C, 2) int8 for `models.cells`."""
    groups: np.ndarray
    """(N,) the video of each frame."""
    times_s: np.ndarray
    """(N,) seconds in that video."""
    is_real: np.ndarray
    """(N,) bool, False for copies: they train, but nothing is measured on them."""


@dataclass(frozen=True)
class Fitted:
    """A trained filter and what it said of the videos held out from it."""

    clean_filter: CleanFilter
    held_out_scores: np.ndarray
    """(N,) score of each frame from a fit without its video; nan for copies and where no fit was possible."""


@dataclass(frozen=True)
class _Parts:
    detectors: CellDetectors
    middles: tuple[float, float]
    arrays: dict[str, np.ndarray]
    gamma: float
    intercept: float

    def svm(self, slope: float = 1.0, offset: float = 0.0) -> CleanClassifier:
        config = ClassifierConfig(gamma=self.gamma, intercept=self.intercept, platt_slope=slope, platt_offset=offset)
        return CleanClassifier(config, self.arrays)


class SetBuilder:
    """Collects frames, draws their copies and embeds both, a frame at a time: pictures are never held all at once."""

    def __init__(self, embedder: Embedder, copies: int, seed: int) -> None:
        """`copies`: overlays drawn on each clean frame; 0 draws nothing at all."""
        self._embedder, self._copies, self._rng = embedder, copies, np.random.default_rng(seed)
        self._rows: list[tuple[np.ndarray, bool, np.ndarray, str, float, bool]] = []

    def add(self, image: np.ndarray, label: str, video: str, time_s: float) -> None:
        """One labelled frame (H, W, 3) uint8 RGB; label `clean`, `artifact` or `other`."""
        shape = self._embedder.shape[:2]
        pictures, targets = [image], [np.full((*shape, 2), UNKNOWN, np.int8)]
        if label == "other":
            targets[0][..., HEALTH] = ABSENT
        if label == "clean":
            targets[0][..., OVERLAY] = ABSENT
            for picture, target in self._draw(image, targets[0]):
                pictures.append(picture)
                targets.append(target)
        maps = self._embedder.embed(pictures)
        for index, target in enumerate(targets):
            is_real = index == 0
            self._rows.append((maps[index], label == "clean" and is_real, target, video, time_s, is_real))

    def _draw(self, image: np.ndarray, clean: np.ndarray) -> list[tuple[np.ndarray, np.ndarray]]:
        """Unclean copies with their targets; fills in where the frame itself shows hearts."""
        if not self._copies:
            return []
        rng, shape = self._rng, self._embedder.shape[:2]
        out = []
        bare = hide_health(image)
        if bare is not None:
            clean[..., HEALTH] = present_where(cover(bare, image, shape))
            target = np.full_like(clean, ABSENT)
            out.append((recompress(bare, rng), target))
        for _ in range(self._copies):
            drawn, target = add_overlay(image, rng), clean.copy()
            covered = cover(drawn, image, shape)
            target[..., OVERLAY] = present_where(covered)
            target[..., HEALTH][covered > 0] = UNKNOWN
            out.append((recompress(drawn, rng), target))
        other = np.full_like(clean, UNKNOWN)
        other[..., HEALTH] = ABSENT
        return [*out, (recompress(draw_other(image, rng), rng), other)]

    def build(self) -> TrainingSet:
        maps, is_clean, targets, groups, times_s, is_real = zip(*self._rows, strict=True)
        return TrainingSet(
            np.stack(maps),
            np.array(is_clean),
            np.stack(targets),
            np.array(groups),
            np.array(times_s),
            np.array(is_real),
        )


def refuse_one_sided(is_clean: Sequence[bool], videos: Sequence[str]) -> None:
    """Raises ValueError: one class only, or fewer than two videos."""
    if all(is_clean) or not any(is_clean) or len(set(videos)) < 2:
        raise ValueError(
            f"expected clean and unclean frames from at least two videos, got {sum(is_clean)} clean of "
            f"{len(is_clean)} frames from {len(set(videos))}; label more frames"
        )


def fit(data: TrainingSet, embedder: Embedder, options: FitOptions, cells: CellOptions) -> Fitted:
    """Train a filter and score every real frame by a fit without its video.

    Raises:
        ValueError: one class only, or fewer than two videos.
    """
    refuse_one_sided(data.is_clean[data.is_real].tolist(), data.groups.tolist())
    decisions = held_out_decisions(data, options, cells)
    known = np.isfinite(decisions)
    slope, offset = platt(decisions[known], data.is_clean[known]) if known.any() else (1.0, 0.0)
    parts = fit_parts(data, np.arange(len(data.maps)), options, cells)
    svm = parts.svm(slope, offset)
    config = FilterConfig(
        embedder=embedder.name,
        embedder_digest=embedder.digest,
        rows=data.maps.shape[1],
        columns=data.maps.shape[2],
        overlay_middle=parts.middles[OVERLAY],
        health_middle=parts.middles[HEALTH],
        evidence_weight=options.evidence_weight,
        svm=vars(svm.config),
    )
    scores = np.where(data.is_real, sigmoid(slope * decisions + offset), np.nan)
    return Fitted(CleanFilter(config, parts.detectors, svm), scores)


def held_out_decisions(data: TrainingSet, options: FitOptions, cells: CellOptions) -> np.ndarray:
    """Decision (N,) on each frame of a fit without its video; nan where no fit is possible."""
    decisions = np.full(len(data.maps), np.nan)
    for fold in folds(data.groups, options.folds):
        clean = data.is_clean[~fold]
        if clean.all() or not clean.any():
            continue
        parts = fit_parts(data, np.flatnonzero(~fold), options, cells)
        for name in sorted(set(data.groups[fold].tolist())):
            for is_real in (True, False):
                rows = np.flatnonzero((data.groups == name) & (data.is_real == is_real))
                rows = rows[np.argsort(data.times_s[rows], kind="stable")]
                times_s = data.times_s[rows] if is_real else np.arange(len(rows)) * ALONE_S
                decisions[rows] = decide(parts, data.maps[rows], times_s)
    return decisions


def decide(parts: _Parts, maps: np.ndarray, times_s: np.ndarray) -> np.ndarray:
    """The SVM's decision on one video's samples."""
    cells = maps.shape[1] * maps.shape[2]
    return parts.svm().decision(features(observe(maps, parts.detectors), times_s, cells, parts.middles))


def fit_parts(data: TrainingSet, rows: np.ndarray, options: FitOptions, cells: CellOptions) -> _Parts:
    """Fit detectors, middles and SVM on some rows. The SVM learns from frames without neighbours in time."""
    detectors = fit_cells(data.maps, data.targets, rows, cells)
    observed = observe(data.maps[rows], detectors)
    count = data.maps.shape[1] * data.maps.shape[2]
    targets, clean = data.targets[rows].reshape(len(rows), count, 2), data.is_clean[rows]
    has = (targets == PRESENT).any(axis=1)
    none = (targets == ABSENT).any(axis=1) & ~has
    strongest = observed[:, :count].astype(np.float64).max(axis=1)
    middles = (
        _middle(strongest, has[:, OVERLAY], none[:, OVERLAY]),
        _middle(observed[:, count].astype(np.float64), has[:, HEALTH] & clean, none[:, HEALTH]),
    )
    seen = features(observed, np.arange(len(rows)) * ALONE_S, count, middles)
    weights = np.ones(seen.shape[1])
    weights[:2] = options.evidence_weight
    return _Parts(detectors, middles, *fit_svm(seen, clean, weights, options))


def _middle(values: np.ndarray, present: np.ndarray, absent: np.ndarray) -> float:
    """The value (N,) at even odds between two kinds of frames; out of reach if one kind is missing.

    A detector that was never shown both kinds says nothing: with a middle out of reach its evidence is constant.
    """
    if not present.any() or not absent.any():
        return OUT_OF_REACH
    either = present | absent
    slope, offset = platt(values[either], present[either])
    return float(-offset / slope)
