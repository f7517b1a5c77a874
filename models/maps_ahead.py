"""The motion of recordings, computed once before a training that looks at them many times."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import torch

from models.dataset import Episode
from models.motion import GRID, MAPS, episode_maps, half_size
from models.parallel import Workers, one_thread
from models.train_types import Progress


def with_maps(
    episodes: Sequence[Episode], workers: Workers | None = None, progress: Progress | None = None
) -> list[Episode]:
    """The episodes at half size with their motion maps as float16, computed on all cores, by all workers together."""
    workers = workers or Workers()
    mine = episodes[workers.rank :: workers.size]
    found, done, total = [], 0, sum(map(len, mine))
    with ThreadPoolExecutor(torch.get_num_threads()) as pool, one_thread():
        for maps in pool.map(episode_maps, [episode.frames for episode in mine]):
            found.append(maps)
            done += len(maps)
            if progress:
                progress(done, total, {})
    complete, ready = [], iter(found)
    for i, episode in enumerate(episodes):
        rank = i % workers.size
        maps = next(ready) if rank == workers.rank else np.empty((len(episode), MAPS, GRID, GRID), np.float16)
        maps = workers.send_around(torch.from_numpy(maps), rank).numpy()
        complete.append(replace(episode, frames=half_size(episode.frames), maps=maps))
    return complete
