"""Pictures of a made-up place at any time, so that one performance can be shown at any rate, size and offset."""

from collections.abc import Callable
from fractions import Fraction
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np

from tests.videos import write_video

WIDTH, HEIGHT = 320, 180
Change = Callable[[np.ndarray], np.ndarray]


@lru_cache
def _place(seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).integers(0, 256, (40, 60, 3), dtype=np.uint8)
    return cv2.resize(noise, (1200, 800), interpolation=cv2.INTER_CUBIC)


def scene(seed: int, time_s: float) -> np.ndarray:
    """What is seen at a time: an RGB picture (180, 320, 3) with a hotbar; the view wanders and never repeats."""
    x = 440 + 250 * np.sin(0.31 * time_s + seed) + 180 * np.sin(0.113 * time_s * np.e)
    y = 310 + 170 * np.sin(0.27 * time_s + 2 * seed) + 130 * np.sin(0.071 * time_s * np.pi)
    picture = _place(seed)[int(y) : int(y) + HEIGHT, int(x) : int(x) + WIDTH].copy()
    return cv2.rectangle(picture, (110, 165), (210, 178), (60, 60, 60), -1)


def film(
    path: Path, seed: int, start_s: float, end_s: float, fps: int = 10, width: int = WIDTH, change: Change | None = None
) -> Path:
    """A video of the place from one time to another."""
    count, size = int((end_s - start_s) * fps), (width, width * HEIGHT // WIDTH // 2 * 2)
    found = (scene(seed, start_s + n / fps) for n in range(count))
    shown = (cv2.resize(change(picture) if change else picture, size) for picture in found)
    return write_video(path, range(count), Fraction(1, fps), rate=fps, size=size, pictures=shown)
