"""The clean filter: a frozen network's map of a frame, two detectors on its cells, their evidence over time, an SVM.

    frame -> embedder -> cell detectors -> evidence -> chains over the video's samples -> SVM -> clean score, 0 to 1

The SVM (paper, Appendix A.2) decides on the strongest overlay of a frame, its row of hearts, and the mean of its map.
Everything per frame happens in `observe`, batch by batch; `score` needs the rows of a whole video, which are small.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from models.cells import HEALTH, OVERLAY, CellDetectors
from models.chain import smooth
from models.classifier import ClassifierConfig, CleanClassifier
from models.embedding import Embedder, load_embedder
from models.weights import config_from_dict, config_to_dict, load_model, save_model

KIND = "filter"
HEALTH_CELLS = 3
"""The row of hearts is seen in this many cells at least; their mean counts."""
CELL_LIMIT = 8.0
"""Overlay logit of one cell at most, so that a single cell does not speak for its neighbours."""
OVERLAY_PRICE = 12.0
"""Log odds against an overlay appearing or vanishing between two samples."""
HEALTH_PRICE = 4.0
DOUBT = 1.0
"""Log odds, either way, from which the SVM takes the chains at their word. Beside a boundary they are sure, but less so
than in mid-stretch, and an RBF kernel says nothing of values between those that it was fitted on."""

Middles = tuple[np.ndarray, float]
"""Overlay logit of each cell (R x C,) and mean logit of the hearts' cells at even odds."""


@dataclass(frozen=True, kw_only=True)
class FilterConfig:
    """Everything about a filter that is not an array."""

    embedder: str
    """Name of the embedder whose maps it reads."""
    embedder_digest: str
    """The embedder's digest; maps from other weights are refused."""
    rows: int
    columns: int
    """Cells of a map."""
    health_middle: float
    """Mean logit of the hearts' cells at even odds."""
    evidence_weight: float
    """How much the two kinds of evidence weigh against the mean of the map in the SVM's kernel."""
    doubt: float
    """Log odds to which the SVM sees the evidence cut off."""
    svm: dict[str, float]
    """`models.classifier.ClassifierConfig`."""
    threshold: float = 0.5
    """Score from which a frame counts as clean where the user names none."""


class CleanFilter:
    """Scores videos: 1 is clean survival play, 0 is anything else."""

    def __init__(
        self, config: FilterConfig, detectors: CellDetectors, overlay_middles: np.ndarray, svm: CleanClassifier
    ) -> None:
        """`overlay_middles`: (R x C,) overlay logit of each cell from which it speaks for an overlay."""
        if overlay_middles.shape != (config.rows * config.columns,):
            raise ValueError(
                f"expected a middle for each of {config.rows}x{config.columns} cells, got {overlay_middles.shape}"
            )
        self.config, self.detectors, self.svm = config, detectors, svm
        self.overlay_middles = overlay_middles.astype(np.float32)

    def observe(self, maps: np.ndarray) -> np.ndarray:
        """What of each frame is kept until the video is complete: (N, R x C + 1 + K) float16 of maps (N, R, C, K).

        Raises:
            ValueError: maps of another shape.
        """
        wanted = (self.config.rows, self.config.columns, len(self.detectors.mean))
        if maps.shape[1:] != wanted:
            raise ValueError(f"expected maps of {wanted} of {self.config.embedder}, got {maps.shape}")
        return observe(maps, self.detectors)

    def score(self, observed: np.ndarray, times_s: np.ndarray) -> np.ndarray:
        """Clean score (N,) float64, 0 to 1, of one video's samples at increasing times in seconds."""
        return self.svm.score(settled(self.features(observed, times_s), self.config.doubt))

    def features(self, observed: np.ndarray, times_s: np.ndarray) -> np.ndarray:
        """The evidence on each sample and its picture, (N, 2 + K) float32."""
        cells = self.config.rows * self.config.columns
        return features(observed, times_s, cells, (self.overlay_middles, self.config.health_middle))

    def save(self, directory: str | Path) -> None:
        """Write `model.json` and `weights.safetensors`; no pickle."""
        tensors = {f"cells.{name}": tensor for name, tensor in self.detectors.state_dict().items()}
        tensors["overlay_middles"] = torch.from_numpy(self.overlay_middles.copy())
        tensors |= {f"svm.{name}": torch.from_numpy(array.copy()) for name, array in self.svm.arrays.items()}
        save_model(directory, KIND, config_to_dict(self.config), tensors)

    @classmethod
    def load(cls, directory: str | Path) -> "CleanFilter":
        """Read what `save` wrote.

        Raises:
            ValueError: no filter there, one of an older form, or files that do not fit together.
        """
        values, tensors = load_model(directory, KIND)
        if "overlay_middles" not in tensors or "doubt" not in values:
            raise ValueError(
                f"{directory}: expected a filter with a middle per cell and a doubt, got an older one; train it again"
            )
        config = config_from_dict(FilterConfig, values, directory)
        svm = config_from_dict(ClassifierConfig, config.svm, directory)
        arrays = {name: tensor.numpy() for name, tensor in _part(tensors, "svm.").items()}
        detectors = CellDetectors.from_tensors(_part(tensors, "cells."))
        return cls(config, detectors, tensors["overlay_middles"].numpy(), CleanClassifier(svm, arrays))


def _part(tensors: Mapping[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in tensors.items() if name.startswith(prefix)}


def observe(maps: np.ndarray, detectors: CellDetectors) -> np.ndarray:
    """Overlay logits of all cells, the hearts' logit, the mean of the map: (N, R x C + 1 + K) float16."""
    count, rows, columns, _ = maps.shape
    logits = detectors.logits(maps)
    overlay = beside(logits[..., OVERLAY].clip(-CELL_LIMIT, CELL_LIMIT)).reshape(count, rows * columns)
    hearts = np.sort(logits[..., HEALTH].reshape(count, rows * columns), axis=1)[:, -HEALTH_CELLS:]
    means = maps.mean(axis=(1, 2), dtype=np.float32)
    return np.concatenate([overlay, hearts.mean(axis=1, keepdims=True), means], axis=1).astype(np.float16)


def beside(logits_NRC: np.ndarray) -> np.ndarray:
    """Mean of each cell and its left and right neighbours: what is written over a picture is wider than a cell."""
    padded = np.pad(logits_NRC, ((0, 0), (0, 0), (1, 1)), mode="edge")
    return (padded[:, :, :-2] + padded[:, :, 1:-1] + padded[:, :, 2:]) / 3


def features(observed: np.ndarray, times_s: np.ndarray, cells: int, middles: Middles, lasts: float = 1.0) -> np.ndarray:
    """Strongest overlay and hearts after the chains, as log odds, and the mean of the map: (N, 2 + K) float32.

    `lasts`: samples that each row stands for; more than 1 where frames are fewer than a video's samples.
    """
    if len(observed) == 0:
        return np.empty((0, observed.shape[1] - cells + 1), np.float32)
    logits = observed[:, : cells + 1].astype(np.float32)
    overlay = smooth(lasts * (logits[:, :cells] - middles[0]), times_s, OVERLAY_PRICE).max(axis=1)
    hearts = smooth(lasts * (logits[:, cells:] - middles[1]), times_s, HEALTH_PRICE)[:, 0]
    return np.concatenate([overlay[:, None], hearts[:, None], observed[:, cells + 1 :]], axis=1, dtype=np.float32)


def settled(features: np.ndarray, doubt: float = DOUBT) -> np.ndarray:
    """What the SVM sees of `features` (N, 2 + K): evidence beyond `doubt` is all alike."""
    return np.concatenate([features[:, :2].clip(-doubt, doubt), features[:, 2:]], axis=1)


def load_embedder_of(clean_filter: CleanFilter, device: str = "cpu") -> Embedder:
    """The embedder a filter was trained with.

    Raises:
        ValueError: it is not installed, or its weights are others.
    """
    config = clean_filter.config
    embedder = load_embedder(config.embedder, device)
    if embedder.digest != config.embedder_digest:
        raise ValueError(
            f"expected {embedder.name} {config.embedder_digest[:12]}, got {embedder.digest[:12]}; this filter was "
            "trained on other features: train it again with `python -m stages.train_filter`"
        )
    return embedder
