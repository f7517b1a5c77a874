"""A progress bar for trainings on a terminal: share, rate, time left, loss."""

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from models.training import Progress


@contextmanager
def progress_bar(name: str) -> Iterator[Progress]:
    """A bar on standard error, as a `Progress` callback."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TextColumn("{task.fields[rate]}"))
    times = (TimeElapsedColumn(), TextColumn("left"), TimeRemainingColumn(), TextColumn("loss {task.fields[loss]:.3f}"))
    with Bar(*columns, *times, console=Console(stderr=True)) as bar:
        task = bar.add_task(name, total=None, loss=float("nan"), rate="")

        def show(step: int, total: int, metrics: dict[str, float]) -> None:
            doing, unit = (name, "steps") if metrics else (f"{name}, motion of frames", "frames")
            if bar.tasks[0].description != doing:
                bar.reset(task, description=doing)
            speed = bar.tasks[0].speed
            rate = f"{speed:.3g} {unit}/s" if speed else ""
            bar.update(task, completed=step, total=total, loss=metrics.get("loss", float("nan")), rate=rate)

        yield show
