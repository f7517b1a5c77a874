"""Long-running child processes that outlive the command that starts them: start, recognise, stop.

A process is remembered as its pid and its start time, because a pid alone may belong to somebody else tomorrow.
Only processes remembered this way, and their children, are ever signalled.
"""

import itertools
import json
import os
import random
import socket
import subprocess
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

import psutil

START_TIME_SLACK_S = 1.0  # psutil derives start times from clock ticks since boot
LOG_TAIL_LINES = 25


@dataclass(frozen=True)
class Recorded:
    """A process that we started: enough to recognise it later."""

    pid: int
    started: float
    """Start time, seconds since the epoch, as the kernel reports it."""

    def process(self) -> psutil.Process | None:
        """The live process, or None if it ended or its pid now belongs to another."""
        try:
            process = psutil.Process(self.pid)
            ours = abs(process.create_time() - self.started) < START_TIME_SLACK_S
            return process if ours and process.status() != psutil.STATUS_ZOMBIE else None
        except psutil.NoSuchProcess:
            return None


def record(process: psutil.Process) -> Recorded:
    """What to remember of a live process."""
    return Recorded(pid=process.pid, started=process.create_time())


def family(recorded: Recorded) -> list[Recorded]:
    """The process and its descendants, as far as they are alive."""
    process = recorded.process()
    if process is None:
        return []
    found = []
    for member in [process, *process.children(recursive=True)]:
        try:
            found.append(record(member))
        except psutil.NoSuchProcess:
            continue
    return found


def spawn(command: list[str], *, env: Mapping[str, str], log: Path, cwd: Path) -> Recorded:
    """Start a command in its own session, its output appended to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as sink:
        child = subprocess.Popen(
            command,
            env=dict(env),
            cwd=cwd,
            stdin=subprocess.DEVNULL,
            stdout=sink,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    return record(psutil.Process(child.pid))


def end(recorded: Iterable[Recorded], grace_s: float = 10.0) -> int:
    """Ask the processes to end, then kill those of them and of their children that stay. Returns how many lived."""
    roots = [process for item in recorded if (process := item.process())]
    members = [process for root in roots for item in family(record(root)) if (process := item.process())]
    for process in roots:
        _signal(process.terminate)
    _, alive = psutil.wait_procs(members, timeout=grace_s)
    for process in alive:
        _signal(process.kill)
    psutil.wait_procs(alive, timeout=5)
    return len(roots)


def _signal(send: Callable[[], None]) -> None:
    try:
        send()
    except psutil.NoSuchProcess:
        return


def free_ports(count: int) -> list[int]:
    """Distinct TCP ports that are free now.

    They lie below the range from which the kernel draws the ports of outgoing connections (32768 and up on Linux), so
    that none is taken between now and the moment the service listens.
    """
    candidates = random.sample(range(10_000, 15_000), 50 * count)
    return list(itertools.islice((port for port in candidates if is_free(port)), count))


def is_free(port: int) -> bool:
    """Whether a service could listen on the port, on every address of this machine."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("0.0.0.0", port))
        except OSError:
            return False
        return True


def get_json(url: str, headers: Mapping[str, str] | None = None) -> Any:
    """The JSON that a GET of the URL gives; None without an answer of 200 within three seconds."""
    try:
        with urlopen(Request(url, headers=dict(headers or {})), timeout=3) as response:
            return json.load(response)
    except (URLError, OSError, ValueError):
        return None


def tail(log: Path, lines: int = LOG_TAIL_LINES) -> str:
    """The last lines of a log file, indented."""
    if not log.exists():
        return "  (no log yet)"
    text = log.read_text(errors="replace").splitlines()[-lines:]
    return "\n".join(f"  {line}" for line in text) or f"  (empty, {os.path.basename(log)})"
