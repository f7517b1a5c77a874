"""Progress with rate and ETA: a bar on a terminal, one plain line every few seconds in a log."""

import sys
import time
from collections import Counter
from types import TracebackType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress

LINE_EVERY_S = 5.0


def progress_line(name: str, done: int, total: int, seconds: float, note: str = "", unit: str = "units") -> str:
    """`[segment] 12/40 30% 1.2 units/s ETA 0:23 quarantined 1`; the demo and the task log read this form."""
    rate = done / seconds if seconds > 0 else 0.0
    left = int((total - done) / rate) if rate > 0 else 0
    eta = f"{left // 60}:{left % 60:02d}" if rate > 0 else "?"
    percent = 100 * done // total if total else 100
    return f"[{name}] {done}/{total} {percent}% {rate:.3g} {unit}/s ETA {eta} {note}".rstrip()


def _bar() -> "Progress":
    """A bar for a terminal. Most stages run without one, and importing rich takes a tenth of their start-up."""
    from rich import progress as p
    from rich.console import Console

    columns = (p.SpinnerColumn(), p.TextColumn("{task.description}"), p.BarColumn(), p.MofNCompleteColumn())
    notes = (p.TextColumn("{task.fields[rate]}"), p.TimeRemainingColumn(), p.TextColumn("{task.fields[note]}"))
    return p.Progress(*columns, *notes, console=Console(stderr=True))


class StageProgress:
    """Counts outcomes and shows them; use with `with`."""

    def __init__(self, name: str, total: int) -> None:
        self.name, self.total, self.done = name, total, 0
        self.reasons: Counter[str] = Counter()
        self._started = self._shown = time.monotonic()
        self._bar = _bar() if sys.stderr.isatty() and total else None
        if self._bar is not None:
            self._task = self._bar.add_task(name, total=total, rate="", note="")

    def add(self, reason: str = "") -> None:
        """One unit ended: done, or quarantined for a reason."""
        self.done += 1
        if reason:
            self.reasons[reason] += 1
        self._show(final=self.done == self.total)

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def _show(self, final: bool = False) -> None:
        note = f"quarantined {self.reasons.total()}" if self.reasons else ""
        if self._bar is not None:
            self._bar.update(self._task, completed=self.done, rate=f"{self.done / self.seconds:.3g}/s", note=note)
        elif final or time.monotonic() - self._shown > LINE_EVERY_S:
            self._shown = time.monotonic()
            print(progress_line(self.name, self.done, self.total, self.seconds, note), file=sys.stderr, flush=True)

    def __enter__(self) -> "StageProgress":
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()


PREPARED = "frames ready"


class StepReporter:
    """Progress inside one long unit (training): a line every few seconds from the worker that does it.

    Called with empty metrics, it counts what a training makes ready before its first step.
    """

    def __init__(self, name: str, unit: str = "steps") -> None:
        self._name, self._unit, self._showing = name, unit, unit
        self._started = self._shown = time.monotonic()

    def __call__(self, done: int, total: int, metrics: dict[str, float] | None = None) -> None:
        now = time.monotonic()
        unit = PREPARED if metrics == {} else self._unit
        if unit != self._showing:
            self._showing, self._started = unit, now
        if done == total or now - self._shown > LINE_EVERY_S:
            self._shown = now
            note = " ".join(f"{key} {value:.4g}" for key, value in (metrics or {}).items())
            print(progress_line(self._name, done, total, now - self._started, note, unit), file=sys.stderr, flush=True)
