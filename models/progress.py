"""A progress bar for trainings: share, rate, time left, loss. It moves on a terminal; a log gets lines now and then."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from models.training import Progress

LOG_EVERY_S = 30.0
"""Seconds between two lines where standard error is no terminal, and..."""
LOG_WIDTH = 120
"""...how many columns they have."""


@contextmanager
def progress_bar(name: str) -> Iterator[Progress]:
    """A bar on standard error, as a `Progress` callback."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), TextColumn("{task.fields[loss]}"))
    width = None if sys.stderr.isatty() else LOG_WIDTH
    with Bar(*columns, *times, console=Console(stderr=True, width=width)) as bar:
        task = bar.add_task(name, total=None, loss="", rate="")
        next_line = time.monotonic() + LOG_EVERY_S

        def show(step: int, total: int, metrics: dict[str, float]) -> None:
            nonlocal next_line
            doing, unit = (name, "steps") if metrics else (f"{name}, looking at frames", "frames")
            if bar.tasks[0].description != doing:
                bar.reset(task, description=doing)
            speed = bar.tasks[0].speed
            rate = f"{speed:.3g} {unit}/s" if speed else ""
            loss = f"loss {metrics['loss']:.3f}" if "loss" in metrics else ""
            bar.update(task, completed=step, total=total, loss=loss, rate=rate)
            if not bar.console.is_terminal and time.monotonic() >= next_line:
                bar.print(bar.get_renderable())
                next_line = time.monotonic() + LOG_EVERY_S

        yield show
