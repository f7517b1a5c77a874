"""Train the clean filter and say what it makes of videos that it has not seen.

Everything that is fitted (detectors, middles, SVM) is fitted again for each fold of the cross-validation, and frames
that lie apart are scored as a video's samples are. Legend: N frames with their copies, R x C cells, K channels.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from models.cells import ABSENT, HEALTH, OVERLAY, PRESENT, CellOptions, fit_cells
from models.chain import LIMIT, MAX_GAP_S
from models.classifier import ClassifierConfig, CleanClassifier, FitOptions, fit_svm, folds, platt, sigmoid
from models.clean_filter import DOUBT, CleanFilter, FilterConfig, Middles, features, observe, settled
from models.embedding import Embedder
from models.filter_set import TrainingSet
from models.sampling import SAMPLES_PER_S

OUT_OF_REACH = 1e3
ALONE_S = 1e3
"""Seconds between frames that have no neighbours in time."""
STRETCH = 15
"""Samples of the shortest clean run that the paper keeps, 5 s."""
CLEAN_CELL, CLEAN_FRAME = 0.99, 0.95
"""Shares of clean frames that stay below a cell's level, and whose strongest cell stays below its middle."""


@dataclass(frozen=True)
class Fitted:
    """A trained filter and what it said of the videos held out from it."""

    clean_filter: CleanFilter
    held_out_scores: np.ndarray
    """(N,) score of each frame from a fit without its video; nan for copies and where no fit was possible."""


@dataclass(frozen=True)
class _Head:
    """Everything that is fitted after the detectors."""

    middles: Middles
    arrays: dict[str, np.ndarray]
    gamma: float
    intercept: float

    def svm(self, slope: float = 1.0, offset: float = 0.0) -> CleanClassifier:
        config = ClassifierConfig(gamma=self.gamma, intercept=self.intercept, platt_slope=slope, platt_offset=offset)
        return CleanClassifier(config, self.arrays)


class _HeldOut(NamedTuple):
    """Decisions on held-out videos, the sigmoid that fits them, and how many real frames are called rightly by it."""

    decisions: np.ndarray
    slope: float
    offset: float
    right: int


def refuse_one_sided(is_clean: Sequence[bool], videos: Sequence[str]) -> None:
    """Raises ValueError: one class only, or fewer than two videos."""
    if all(is_clean) or not any(is_clean) or len(set(videos)) < 2:
        raise ValueError(
            f"expected clean and unclean frames from at least two videos, got {sum(is_clean)} clean of "
            f"{len(is_clean)} frames from {len(set(videos))}; label more frames"
        )


def fit(data: TrainingSet, embedder: Embedder, options: FitOptions, cells: CellOptions) -> Fitted:
    """Train a filter and score every real frame by a fit without its video.

    Whether evidence is taken at its word (`DOUBT`) or weighed by degrees (`LIMIT`) is decided by the frames held out:
    with few frames the middles lie wrong, and degrees are what mends them.

    Raises:
        ValueError: one class only, or fewer than two videos.
    """
    refuse_one_sided(data.is_clean[data.is_real].tolist(), data.groups.tolist())
    parts = folds(data.groups, options.folds)
    observed = observe_held_out(data, parts, cells)
    ways = {doubt: _scored_held_out(data, parts, observed, options, doubt) for doubt in (LIMIT, DOUBT)}
    doubt = max(ways, key=lambda way: ways[way].right)
    decisions, slope, offset, _ = ways[doubt]
    everything = np.arange(len(data.maps))
    head = fit_head(data, everything, observed, options, doubt)
    svm = head.svm(slope, offset)
    config = FilterConfig(
        embedder=embedder.name,
        embedder_digest=embedder.digest,
        rows=data.maps.shape[1],
        columns=data.maps.shape[2],
        health_middle=head.middles[1],
        evidence_weight=options.evidence_weight,
        doubt=doubt,
        svm=vars(svm.config),
    )
    scores = np.where(data.is_real, sigmoid(slope * decisions + offset), np.nan)
    detectors = fit_cells(data.maps, data.targets, everything, cells)
    return Fitted(CleanFilter(config, detectors, head.middles[0], svm), scores)


def _scored_held_out(
    data: TrainingSet, parts: Sequence[np.ndarray], observed: np.ndarray, options: FitOptions, doubt: float
) -> _HeldOut:
    decisions = held_out_decisions(data, parts, observed, options, doubt)
    known = np.isfinite(decisions)
    slope, offset = platt(decisions[known], data.is_clean[known]) if known.any() else (1.0, 0.0)
    found = sigmoid(slope * decisions + offset) >= 0.5
    return _HeldOut(decisions, slope, offset, int((found == data.is_clean)[data.is_real & known].sum()))


def observe_held_out(data: TrainingSet, parts: Sequence[np.ndarray], cells: CellOptions) -> np.ndarray:
    """What detectors that have not seen a frame's video see of it, (N, R x C + 1 + K) float16.

    Middles and SVM learn from this: on frames that they trained on, detectors are so sure that a middle between them
    lies too low for any other video (docs/log.md, filters from few frames).
    """
    count, rows, columns, channels = data.maps.shape
    observed = np.empty((count, rows * columns + 1 + channels), np.float16)
    for fold in parts:
        detectors = fit_cells(data.maps, data.targets, np.flatnonzero(~fold), cells)
        observed[fold] = observe(data.maps[fold], detectors)
    return observed


def held_out_decisions(
    data: TrainingSet, parts: Sequence[np.ndarray], observed: np.ndarray, options: FitOptions, doubt: float = DOUBT
) -> np.ndarray:
    """Decision (N,) on each frame of a fit without its video; nan where no fit is possible.

    The one thing that a fit shares with a video held out from it are detectors that trained on that video while
    observing others.
    """
    decisions = np.full(len(data.maps), np.nan)
    for fold in parts:
        clean = data.is_clean[~fold]
        if clean.all() or not clean.any():
            continue
        head = fit_head(data, np.flatnonzero(~fold), observed, options, doubt)
        rows = np.flatnonzero(fold)
        decisions[rows] = head.svm().decision(settled(seen_as_samples(data, rows, observed, head.middles), doubt))
    return decisions


def fit_head(
    data: TrainingSet, rows: np.ndarray, observed: np.ndarray, options: FitOptions, doubt: float = DOUBT
) -> _Head:
    """Fit middles and SVM on some rows; `doubt` cuts the evidence off, and `LIMIT` leaves evidence and copies alone.

    Otherwise the SVM trains without copies of which both detectors say that they are clean: nothing but the picture
    tells these from the frame that they were drawn on, and an SVM that learns pictures by heart refuses others like
    them.
    """
    middles = (overlay_middles(data, rows, observed), _health_middle(data, rows, observed))
    seen = settled(seen_as_samples(data, rows, observed, middles), doubt)
    weights = np.ones(seen.shape[1])
    weights[:2] = options.evidence_weight
    without_hearts = (seen[:, 1] <= 0) & (middles[1] < OUT_OF_REACH)
    told = data.is_real[rows] | (seen[:, 0] >= 0) | without_hearts | (doubt >= LIMIT)
    return _Head(middles, *fit_svm(seen[told], data.is_clean[rows][told], weights, options))


def seen_as_samples(data: TrainingSet, rows: np.ndarray, observed: np.ndarray, middles: Middles) -> np.ndarray:
    """Features of labelled frames as the samples of a video have them, (len(rows), 2 + K) float32.

    Evidence adds up over a video's samples, so a frame alone says little about what a filter does to a video. Frames of
    a video between which the label stays are brought as near to each other as samples are, and a stretch of too few
    frames, or a copy, is looked at as if it stood still for `STRETCH` samples.
    """
    cells = data.maps.shape[1] * data.maps.shape[2]
    seen = np.empty((len(rows), 2 + data.maps.shape[3]), np.float32)
    for place, times_s, lasts in _stretches(data, rows):
        seen[place] = features(observed[rows[place]], times_s, cells, middles, lasts)
    return seen


def _stretches(data: TrainingSet, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, float]]:
    """Places in `rows`, their times in seconds and the samples that each frame stands for."""
    copies = np.flatnonzero(~data.is_real[rows])
    yield copies, np.arange(len(copies)) * ALONE_S, STRETCH
    for name in sorted(set(data.groups[rows].tolist())):
        place = np.flatnonzero((data.groups[rows] == name) & data.is_real[rows])
        place = place[np.argsort(data.times_s[rows[place]], kind="stable")]
        gaps_s = np.diff(data.times_s[rows[place]])
        stays = np.diff(data.is_clean[rows[place]].astype(np.int8)) == 0
        gaps_s[stays] = np.minimum(gaps_s[stays], 1 / SAMPLES_PER_S)
        for part in np.split(np.arange(len(place)), np.flatnonzero(gaps_s > MAX_GAP_S) + 1):
            if len(part):
                times_s = np.concatenate([[0.0], np.cumsum(gaps_s[part[:-1]])])
                yield place[part], times_s, max(1.0, STRETCH / len(part))


def overlay_middles(data: TrainingSet, rows: np.ndarray, observed: np.ndarray) -> np.ndarray:
    """Overlay logit (R x C,) from which each cell counts as covered, so that clean footage rarely does.

    A cell that now and then looks like an overlay in clean play, as a menu's tabs do, must say more than it says there;
    its neighbours too, because menus come in several sizes. What is left of a clean frame's strongest cell is the rest.
    """
    grid = data.maps.shape[1:3]
    clean = observed[rows[data.is_clean[rows]], : grid[0] * grid[1]].astype(np.float32)
    if not (data.targets[rows, ..., OVERLAY] == PRESENT).any() or not len(clean):
        return np.full(clean.shape[1], OUT_OF_REACH, np.float32)
    often = np.quantile(clean, CLEAN_CELL, axis=0).reshape(grid)
    padded = np.pad(often, 1, mode="edge")
    around = np.lib.stride_tricks.sliding_window_view(padded, (3, 3)).max(axis=(2, 3)).reshape(-1)
    levels = np.maximum(around, 0.0)
    rest = np.quantile((clean - levels).max(axis=1), CLEAN_FRAME)
    return np.asarray(levels + rest, np.float32)


def _health_middle(data: TrainingSet, rows: np.ndarray, observed: np.ndarray) -> float:
    """Between clean frames with hearts and frames without."""
    targets = data.targets[rows, ..., HEALTH].reshape(len(rows), -1)
    has = (targets == PRESENT).any(axis=1)
    none = (targets == ABSENT).any(axis=1) & ~has
    values = observed[rows, data.maps.shape[1] * data.maps.shape[2]].astype(np.float64)
    return _middle(values[has & data.is_clean[rows]], values[none])


def _middle(present: np.ndarray, absent: np.ndarray) -> float:
    """The value at even odds between values of two kinds; out of reach if one kind is missing.

    A detector that was never shown both kinds says nothing: with a middle out of reach its evidence is constant.
    """
    if not len(present) or not len(absent):
        return OUT_OF_REACH
    values = np.concatenate([present, absent])
    slope, offset = platt(values, np.arange(len(values)) < len(present))
    return float(-offset / slope)
