"""What the clean filter trains on: labelled frames, copies of the clean ones, and what each cell of them shows.

Every clean frame trains with copies: overlays drawn on it, its hearts hidden, a picture of something else. Legend:
N frames with their copies, R x C cells, K channels.
"""

import zlib
from dataclasses import dataclass

import numpy as np

from models.cards import draw_other
from models.cells import ABSENT, HEALTH, OVERLAY, UNKNOWN, UNTOUCHED, cover, present_where
from models.embedding import Embedder
from models.overlays import add_overlay, hide_health, recompress


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


class SetBuilder:
    """Collects frames, draws their copies and embeds both, a frame at a time: pictures are never held all at once."""

    def __init__(self, embedder: Embedder, copies: int, seed: int) -> None:
        """`copies`: overlays drawn on each clean frame; 0 draws nothing at all."""
        self._embedder, self._copies, self._seed = embedder, copies, seed
        self._rows: list[tuple[np.ndarray, bool, np.ndarray, str, float, bool]] = []

    def add(self, image: np.ndarray, label: str, video: str, time_s: float) -> None:
        """One labelled frame (H, W, 3) uint8 RGB; label `clean`, `artifact` or `other`."""
        shape = self._embedder.shape[:2]
        pictures, targets = [image], [np.full((*shape, 2), UNKNOWN, np.int8)]
        if label == "other":
            targets[0][..., HEALTH] = ABSENT
        if label == "clean":
            targets[0][..., OVERLAY] = ABSENT
            # a frame's copies do not depend on the frames before it
            rng = np.random.default_rng([self._seed, zlib.crc32(video.encode()), round(time_s * 1000)])
            for picture, target in self._draw(image, targets[0], rng):
                pictures.append(picture)
                targets.append(target)
        maps = self._embedder.embed(pictures)
        for index, target in enumerate(targets):
            is_real = index == 0
            self._rows.append((maps[index], label == "clean" and is_real, target, video, time_s, is_real))

    def _draw(
        self, image: np.ndarray, clean: np.ndarray, rng: np.random.Generator
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Unclean copies with their targets; fills in where the frame itself shows hearts."""
        if not self._copies:
            return []
        shape = self._embedder.shape[:2]
        out = []
        bare = hide_health(image)
        if bare is not None:
            clean[..., HEALTH] = present_where(cover(bare, image, shape))
            target = np.full_like(clean, ABSENT)
            out.append((recompress(bare, rng), target))
        for _ in range(self._copies):
            drawn, target = add_overlay(image, rng), clean.copy()
            covered = cover(drawn, image, shape)
            if covered.max() < UNTOUCHED:
                continue  # white on white: nobody sees it
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
