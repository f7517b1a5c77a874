"""Turns at a host: a rate limit that all workers of one machine share, and pauses between tries.

The state of a host is one number in a small file under a lock: the moment until which its turns are given away (the
"generic cell rate algorithm", a token bucket without a token count). A host that says "too many requests" has its
moment pushed on, so that every worker on the machine waits. Machines do not know of each other.
"""

import fcntl
import hashlib
import os
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

BURST = 5
"""Requests to a host that may follow each other at once after a silence: a page, its player, its manifest."""
FAR_S = 86_400.0
"""A moment further ahead than this is a leftover."""
MAX_PAUSE_S = 60.0
"""Longest pause between two tries; whoever asks for more is asked again by a later run."""


@dataclass(frozen=True)
class HostLimit:
    """A request rate for each host.

    Args:
        per_second: requests a second; 0 means no limit.
        folder: where the state of hosts is kept; the same folder for all workers of a machine.
    """

    per_second: float
    folder: Path

    def wait(self, host: str) -> float:
        """Wait for a turn at this host; returns the seconds waited."""
        if not self.per_second:
            return 0.0
        step = 1 / self.per_second
        until, now = self._advance(host, lambda until, now: max(until, now) + step)
        pause = pause_before(until, now, step)
        time.sleep(pause)
        return pause

    def block(self, host: str, seconds: float) -> None:
        """Give no turn at this host for a while."""
        if self.per_second:
            reserve = BURST / self.per_second
            self._advance(host, lambda until, now: max(until, now + min(seconds, MAX_PAUSE_S) + reserve))

    def _advance(self, host: str, change: Callable[[float, float], float]) -> tuple[float, float]:
        """Change a host's moment under its lock; returns the new moment and the present one."""
        self.folder.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256(host.lower().encode()).hexdigest()[:20]
        handle = os.open(self.folder / name, os.O_RDWR | os.O_CREAT, 0o600)
        with os.fdopen(handle, "r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            now = time.monotonic()  # counts from the machine's start: the same clock for all its processes
            until = _number(file.read())
            # A moment far ahead is one of before a restart of the machine, when the clock began anew.
            until = change(until if until < now + FAR_S else 0.0, now)
            file.seek(0)
            file.truncate()
            file.write(repr(until))
        return until, now


def pause_before(until: float, now: float, step: float) -> float:
    """Seconds to wait for a turn that ends at `until`, when turns are `step` apart and BURST of them may be early."""
    return max(0.0, until - BURST * step - now)


def pause_s(attempt: int, asked: float = 0.0) -> float:
    """Seconds before the next try: 1, 2, 4 and so on, spread by a half to both sides; at least what a server asked."""
    return min(MAX_PAUSE_S, max(asked, 2.0**attempt * random.uniform(0.5, 1.5)))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
