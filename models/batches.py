"""Fixed-length windows of episodes, in a fixed, resumable order.

The same seed gives the same windows in the same batches. A source hands out its `position` after every batch; a new
source started from that position continues as if it had never stopped.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from models.dataset import Episode
from models.parallel import Workers


@dataclass(frozen=True)
class Batch:
    """B windows of T frames: arrays as in `Episode` with a leading (B, T)."""

    frames: np.ndarray
    buttons: np.ndarray
    camera_deg: np.ndarray
    weight: np.ndarray
    first: np.ndarray
    """bool (B, T): True on the frame at which an episode starts, so that no memory crosses from the one before."""
    maps: np.ndarray | None = None
    walk: np.ndarray | None = None
    gui_open: np.ndarray | None = None
    number: np.ndarray | None = None
    """int (B,): which windows of the whole batch these are, where several workers share it; None for all."""


def _check_source(episodes: Sequence[Episode], length: int, batch: int) -> None:
    if not episodes or not any(episode.weight.any() for episode in episodes):
        raise ValueError(f"expected episodes with known actions to train on, got {len(episodes)} episodes with none")
    if length < 1 or batch < 1:
        raise ValueError(f"expected windows and batches of at least 1, got length {length} and batch {batch}")


def take_window(episode: Episode, rows: np.ndarray, length: int) -> Batch:
    """One window without the leading B: the given rows, padded to `length` by the last one with weight 0."""
    padded = np.concatenate([rows, np.full(length - len(rows), rows[-1])])
    weight = episode.weight[padded].astype(np.float32)
    weight[len(rows) :] = 0.0
    first = np.zeros(length, dtype=bool)
    maps, walk, gui_open = (None if x is None else x[padded] for x in (episode.maps, episode.walk, episode.gui_open))
    action = episode.buttons[padded], episode.camera_deg[padded]
    return Batch(episode.frames[padded], *action, weight, first, maps, walk, gui_open)


def stack(windows: Sequence[Batch]) -> Batch:
    """Windows of one length to a batch; a column that is missing in one of them is missing in all."""
    columns = {name: [vars(window)[name] for window in windows] for name in vars(windows[0])}
    arrays: dict[str, Any] = {
        name: None if any(part is None for part in column) else np.stack(column) for name, column in columns.items()
    }
    return Batch(**arrays)


class _Epochs:
    """An endless sequence of windows: each epoch cuts the chosen episodes at a new random phase and shuffles them."""

    def __init__(self, episodes: Sequence[Episode], chosen: Sequence[int], length: int, seed: Sequence[int]) -> None:
        self._episodes, self._chosen, self._length, self._seed = episodes, chosen, length, seed
        self._epoch, self._done_before = 0, 0
        self._windows = self._cut()

    def window(self, number: int) -> tuple[int, np.ndarray]:
        """Window `number`, as (episode index, rows). Numbers never fall."""
        while number >= self._done_before + len(self._windows):
            self._done_before += len(self._windows)
            self._epoch += 1
            self._windows = self._cut()
        return self._windows[number - self._done_before]

    def _cut(self) -> list[tuple[int, np.ndarray]]:
        rng, length = np.random.default_rng([*self._seed, self._epoch]), self._length
        windows = []
        for e in self._chosen:
            frames = len(self._episodes[e])
            start = int(rng.integers(max(frames - length, 0) % length + 1))
            stops = range(start, max(frames - length, 0) + 1, length)
            windows += [(e, np.arange(s, min(s + length, frames))) for s in stops]
        useful = [(e, rows) for e, rows in windows if self._episodes[e].weight[rows].any()] or windows
        return [useful[i] for i in rng.permutation(len(useful))]


class RandomWindows:
    """Independent windows for the IDM. Each epoch cuts every episode at a new random phase and shuffles the windows.

    So all frames are seen about once an epoch, in contexts that change from epoch to epoch. `position` counts the
    batches handed out; an epoch's last batch is filled up from the next epoch. `workers` take every `size`-th window.
    `seen`: the indices of the episodes that each member sees; window i of a batch is then for member i modulo their
    number, which has epochs of its own.
    """

    def __init__(
        self,
        episodes: Sequence[Episode],
        length: int,
        batch: int,
        seed: int,
        position: int = 0,
        workers: Workers | None = None,
        seen: Sequence[Sequence[int]] = (),
    ) -> None:
        _check_source(episodes, length, batch)
        self._mine = (workers or Workers()).part_of(batch)
        self.episodes, self.length, self.batch = list(episodes), length, batch
        self.position = position
        seeds = [[seed, member] for member in range(len(seen))] or [[seed]]
        parts = seen or [range(len(episodes))]
        self._epochs = [_Epochs(self.episodes, *own) for own in zip(parts, [length] * len(parts), seeds, strict=True)]

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        chosen = []
        for i in self._mine:
            number, member = divmod(self.position * self.batch + i, len(self._epochs))
            chosen.append(self._epochs[member].window(number))
        self.position += 1
        windows = stack([take_window(self.episodes[e], rows, self.length) for e, rows in chosen])
        return replace(windows, number=np.array(self._mine))


class EpisodeStreams:
    """Consecutive windows for the policy: B lanes, each of which plays one episode after the other from its start.

    A lane's memory therefore goes on from window to window; `first` marks the frame at which it must be forgotten.
    `rows` (one array per episode) leaves frames out, for instance null actions; None plays all frames. `workers` play
    every `size`-th lane.
    """

    def __init__(
        self,
        episodes: Sequence[Episode],
        length: int,
        batch: int,
        seed: int,
        rows: Sequence[np.ndarray] | None = None,
        position: dict[str, Any] | None = None,
        workers: Workers | None = None,
    ) -> None:
        _check_source(episodes, length, batch)
        self._mine = (workers or Workers()).part_of(batch)
        rows = rows if rows is not None else [np.arange(len(e)) for e in episodes]
        kept = [(e, r) for e, r in zip(episodes, rows, strict=True) if len(r) and e.weight[r].any()]
        if not kept:
            raise ValueError("no frame is left to train on: every action is unknown or null")
        self.episodes, self.rows = [e for e, _ in kept], [r for _, r in kept]
        self.length, self.batch, self.seed = length, batch, seed
        start = {"started": batch, "lanes": [[i, 0] for i in range(batch)]}
        self.position: dict[str, Any] = position or start

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        started, lanes, windows = self.position["started"], [], []
        for lane, (turn, offset) in enumerate(self.position["lanes"]):
            if lane in self._mine:
                windows.append(self._window(turn, offset))
            rows_left = len(self.rows[self._episode(turn)]) - offset - self.length
            lanes.append([turn, offset + self.length] if rows_left > 0 else [started, 0])
            started += rows_left <= 0
        self.position = {"started": started, "lanes": lanes}
        return stack(windows)

    def _episode(self, turn: int) -> int:
        """Which episode is the `turn`-th to be played: each epoch is a new permutation of all of them."""
        epoch, place = divmod(turn, len(self.episodes))
        return int(np.random.default_rng([self.seed, epoch]).permutation(len(self.episodes))[place])

    def _window(self, turn: int, offset: int) -> Batch:
        episode = self._episode(turn)
        window = take_window(self.episodes[episode], self.rows[episode][offset : offset + self.length], self.length)
        window.first[0] = offset == 0
        return window
