"""Functions that misbehave in a child process; `stages.sandbox` imports them there by name."""

import os
import signal
import subprocess
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from stages.errors import BadInput, ConfigError, ServiceError
from stages.media_grid import Grid, Span
from stages.sandbox import beat


def echo(*values: Any, **named: Any) -> Any:
    return values, named


def grid(steps: int) -> tuple[Grid, list[Span], np.float64]:
    frame, pts = np.arange(steps, dtype=np.int32), np.arange(steps, dtype=np.int64) * 50_000
    return Grid(frame, pts, 7, Fraction(1, 90_000), True), [Span(1, 2)], np.float64(0.5)


def refuse() -> None:
    raise BadInput("no_frames", "expected frames, got none")


def misconfigure() -> None:
    raise ConfigError("expected 1, got 2")


def break_service() -> None:
    raise ServiceError("expected a service, got none")


def fail() -> None:
    raise KeyError("a bug")


def sleep_with_child(marker: Path) -> None:
    child = subprocess.Popen(["sleep", "60"])
    marker.write_text(str(child.pid))
    time.sleep(60)


def spin() -> None:
    while True:
        pass


def beat_then_hang() -> None:
    beat()
    time.sleep(300)


def beat_slowly() -> str:
    for _ in range(12):
        time.sleep(0.5)
        beat()
    return "done"


def eat() -> None:
    blocks = []
    while True:
        blocks.append(np.ones(2**24, dtype=np.uint8))


def crash() -> None:
    os.kill(os.getpid(), signal.SIGSEGV)


def be_killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


class Trap:
    """Unpickling this in the parent would create a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self._path,)


def send_trap(path: Path) -> Trap:
    return Trap(path)


def talk() -> str:
    print("libraries may print what they like")
    return "result"


def environment() -> tuple[list[str], int]:
    import sys

    return sorted(name for name in ("ray", "torch", "pyarrow", "pandas", "airflow") if name in sys.modules), os.getpid()
