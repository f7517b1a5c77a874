"""Videos of a toy world as maps: noise, a row of hearts in clean play, and now and then an overlay in three cells."""

import numpy as np

from models.cells import HEALTH, OVERLAY, PRESENT
from models.filter_set import TrainingSet

SHAPE = (4, 6, 8)


class ToyEmbedder:
    """Names the toy maps; they are drawn, not computed from images."""

    name = "toy"
    digest = "d" * 64
    shape = SHAPE


def toy_videos(videos: int = 4, frames: int = 60, seed: int = 0) -> TrainingSet:
    """Videos of 3 samples a second: half is clean, then an overlay comes and stays. Hearts are always there."""
    rng = np.random.default_rng(seed)
    count = videos * frames
    maps = rng.normal(size=(count, *SHAPE)).astype(np.float16)
    targets = np.zeros((count, *SHAPE[:2], 2), np.int8)
    is_clean = np.tile(np.arange(frames) < frames // 2, videos)
    maps[:, 3, 1:4, 1] += 6
    targets[:, 3, 1:4, HEALTH] = PRESENT
    for index in np.flatnonzero(~is_clean).tolist():
        column = index // frames % (SHAPE[1] - 2)
        maps[index, 0, column : column + 3, 0] += 5
        targets[index, 0, column : column + 3, OVERLAY] = PRESENT
    groups = np.repeat([f"video{i}" for i in range(videos)], frames)
    times_s = np.tile(np.arange(frames) / 3, videos)
    return TrainingSet(maps, is_clean, targets, groups, times_s, np.ones(count, bool))
