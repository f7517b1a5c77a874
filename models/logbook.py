"""A training's figures as TensorBoard events: `tensorboard --logdir DIR` draws them, while it runs and afterwards."""

from collections.abc import Iterable, Mapping
from pathlib import Path

from tensorboardX import SummaryWriter

EVENTS_FILE = "events.out.tfevents.training"
"""Name of the events that are stored beside a model; TensorBoard looks for `tfevents` in it."""


class Logbook:
    """Takes rows of the history as they come. A run that resumes writes on in the same folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._writer: SummaryWriter | None = None

    def __call__(self, row: Mapping[str, float]) -> None:
        step = int(row["step"])
        if self._writer is None:  # rows of a killed run beyond its last checkpoint are forgotten
            self._writer = SummaryWriter(str(self._folder), purge_step=step, flush_secs=10)
        for name, value in row.items():
            if name != "step":
                self._writer.add_scalar(f"train/{name}", value, step)

    def __enter__(self) -> "Logbook":
        return self

    def __exit__(self, *_: object) -> None:
        if self._writer is not None:
            self._writer.close()


def write_events(history: Iterable[Mapping[str, float]], folder: Path) -> Path:
    """The whole history as one events file in `folder`; returns its path."""
    with Logbook(folder / ".events") as logbook:
        for row in history:
            logbook(row)
    (written,) = (folder / ".events").iterdir()
    target = written.replace(folder / EVENTS_FILE)
    (folder / ".events").rmdir()
    return target
