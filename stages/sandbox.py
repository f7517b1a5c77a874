"""Run a function on untrusted input in a child process with limits on memory, CPU time and wall time.

A decoder that crashes, hangs or eats memory takes down the child, not the worker. A function that calls `beat` as it
goes on is ended soon after it stops doing so, long before its wall time is over. The child starts in about half a
second (most of it: importing av, cv2, numpy). What it sends back is unpickled with an allow list, so that a decoder
bug that gives a file control of the child does not give it control of the worker.
"""

import contextlib
import ctypes
import importlib
import io
import mmap
import os
import pickle
import resource
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable
from dataclasses import dataclass, is_dataclass
from typing import Any, TypeVar

from stages.errors import BadInput, ServiceError, SmelterError

T = TypeVar("T")

_CRASHES = (signal.SIGSEGV, signal.SIGABRT, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP, signal.SIGSYS)
_NUMPY = {
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    ("numpy._core.multiarray", "_reconstruct"),
    ("numpy._core.multiarray", "scalar"),
    ("numpy._core.numeric", "_frombuffer"),
    ("fractions", "Fraction"),
}
_PULSE_BYTES = 8
_LOOK_EVERY_S = 0.5
"""Seconds between two looks at a child's pulse."""


@dataclass(frozen=True)
class Limits:
    """What a child may take. Beyond it, the input is quarantined: `<what>_timeout`, `_stalled`, `_memory`."""

    memory_bytes: int = 4 * 2**30
    """Address space of the child, libraries included."""
    cpu_seconds: int = 4 * 3600
    wall_seconds: float = 8 * 3600.0
    stall_seconds: float = float("inf")
    """Longest silence between two calls of `beat`."""
    what: str = "decode"
    """First half of the reason slugs."""
    reservations_are_free: bool = False
    """Bound what is written instead of the address space: deno reserves more than 32 GiB and uses few."""


def run_limited(function: Callable[..., T], *args: Any, limits: Limits = Limits(), **kwargs: Any) -> T:
    """Call a top-level function of an importable module in a child process and return what it returns.

    Arguments and result are pickled; a result may hold plain values, numpy arrays and dataclasses of `stages`.

    Raises:
        BadInput: what the function raised; `<what>_timeout`, `<what>_stalled`, `<what>_memory`, `decoder_crashed`.
        SmelterError: any other error of ours that the function raised.
        RuntimeError: the function failed in another way; the message holds the child's traceback.
        ServiceError: the child could not start.
    """
    call = pickle.dumps((limits, function.__module__, function.__qualname__, args, kwargs))
    with tempfile.TemporaryFile() as errors, tempfile.TemporaryFile() as pulse:
        pulse.truncate(_PULSE_BYTES)
        reader, writer = os.pipe()
        try:
            child = _start(writer, pulse.fileno(), errors)
        finally:
            os.close(writer)
        with child, os.fdopen(reader, "rb") as results, mmap.mmap(pulse.fileno(), _PULSE_BYTES) as beats:
            overrun, data = _talk(child, call, results, _Watch(child.pid, limits, beats))
        errors.seek(0)
        message = errors.read()[-2000:].decode(errors="replace")
    if overrun:
        raise overrun
    if not data:
        raise _why_silent(child.returncode, limits, message)
    return _open_result(data)


def _start(writer: int, pulse: int, errors: Any) -> "subprocess.Popen[bytes]":
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in [os.getcwd(), *sys.path] if path),
        "OMP_NUM_THREADS": "1",  # each thread of a maths library would reserve address space
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONSAFEPATH": "1",
    }
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "stages.sandbox", str(writer), str(pulse), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            pass_fds=[writer, pulse],
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        raise ServiceError(f"expected a child process for untrusted input, got: {error}; check the worker") from error


def _talk(
    child: "subprocess.Popen[bytes]", call: bytes, results: io.BufferedReader, watch: "_Watch"
) -> tuple[BadInput | None, bytes]:
    """Send the call, read the result; (why it was ended, result). The child's whole group is gone afterwards."""
    watch.start()
    try:
        assert child.stdin is not None
        with contextlib.suppress(BrokenPipeError), child.stdin as pipe:
            pipe.write(call)
        data = results.read()
        child.wait()
    finally:
        watch.stop()
        _kill_group(child.pid)
    return watch.overrun, data


class _Watch(threading.Thread):
    """Ends a child that runs too long or has stopped beating; `overrun` says why."""

    def __init__(self, pid: int, limits: Limits, beats: mmap.mmap) -> None:
        super().__init__(daemon=True)
        self.overrun: BadInput | None = None
        self._pid, self._limits, self._beats = pid, limits, beats
        self._done = threading.Event()

    def stop(self) -> None:
        self._done.set()
        self.join()

    def run(self) -> None:
        limits, now = self._limits, time.monotonic()
        deadline, silent_since, last = now + limits.wall_seconds, now, self._beats[:]
        while self.overrun is None and not self._done.wait(max(0.0, min(_LOOK_EVERY_S, deadline - now))):
            now = time.monotonic()
            if (beats := self._beats[:]) != last:
                silent_since, last = now, beats
            if now >= deadline:
                self._end("timeout", f"an end within {limits.wall_seconds:.0f} s")
            elif now - silent_since >= limits.stall_seconds:
                self._end("stalled", f"progress every {limits.stall_seconds:.0f} s")

    def _end(self, how: str, expected: str) -> None:
        self.overrun = BadInput(f"{self._limits.what}_{how}", f"expected {expected}, got none")
        _kill_group(self._pid)


def _kill_group(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(pid, signal.SIGKILL)


def _why_silent(code: int, limits: Limits, message: str) -> SmelterError:
    """The error for a child that died without a result."""
    if code == -signal.SIGXCPU:
        return BadInput(f"{limits.what}_timeout", f"expected at most {limits.cpu_seconds} s of CPU time, got more")
    if code == -signal.SIGKILL:  # not by us: the kernel or the container ran out of memory
        return BadInput(f"{limits.what}_memory", "expected to fit in memory, got killed by the system; see dmesg")
    if -code in _CRASHES:
        name = signal.Signals(-code).name
        return BadInput("decoder_crashed", f"expected a result, got {name} from the child. {message[-500:]}")
    return ServiceError(f"expected the child process to start, got exit status {code}: {message}")


def _open_result(data: bytes) -> Any:
    kind, value = _Unpickler(io.BytesIO(data)).load()
    if kind == "returned":
        return value
    if kind == "bad_input":
        raise BadInput(*value)
    if kind == "smelter_error":
        name, message = value
        import stages.errors

        raise getattr(stages.errors, name, SmelterError)(message)
    raise RuntimeError(f"the function failed in its child process:\n{value}")


class _Unpickler(pickle.Unpickler):
    """Plain values, numpy arrays and dataclasses of `stages`; nothing that runs code of the sender's choice."""

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in _NUMPY:
            return super().find_class(module, name)
        if module.startswith("stages."):
            found = super().find_class(module, name)
            if isinstance(found, type) and (is_dataclass(found) or issubclass(found, tuple)):
                return found
        raise pickle.UnpicklingError(f"the child sent {module}.{name}, which is not allowed")


# The child

_pulse: mmap.mmap | None = None
_beats = 0


def beat() -> None:
    """Say that this process gets on. Costs next to nothing; outside a sandbox it does nothing."""
    global _beats
    if _pulse is not None:
        _beats += 1
        _pulse[:] = _beats.to_bytes(_PULSE_BYTES, "little")


def _child(writer: int, pulse: int, parent: int) -> None:
    _die_with(parent)
    import stages.sandbox as shared  # this file runs as __main__; the function's `beat` is in the module

    shared._pulse = mmap.mmap(pulse, _PULSE_BYTES)
    limits, module, name, args, kwargs = pickle.loads(sys.stdin.buffer.read())
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (limits.cpu_seconds, limits.cpu_seconds + 5))
    function = importlib.import_module(module)
    for part in name.split("."):
        function = getattr(function, part)
    memory = resource.RLIMIT_DATA if limits.reservations_are_free else resource.RLIMIT_AS
    resource.setrlimit(memory, (limits.memory_bytes, limits.memory_bytes))
    data = pickle.dumps(_outcome(function, args, kwargs, limits))
    with os.fdopen(writer, "wb") as pipe:
        pipe.write(data)


def _outcome(function: Any, args: Any, kwargs: Any, limits: Limits) -> tuple[str, Any]:
    try:
        return "returned", function(*args, **kwargs)
    except BadInput as error:
        return "bad_input", error.args
    except SmelterError as error:
        return "smelter_error", (type(error).__name__, str(error))
    except Exception as error:
        if isinstance(error, MemoryError) or "nsufficient memory" in str(error):  # the latter is OpenCV's
            allowed = f"{limits.memory_bytes / 2**20:.0f} MiB"
            return "bad_input", (f"{limits.what}_memory", f"expected to fit in {allowed}, got {type(error).__name__}")
        return "failed", traceback.format_exc()


def _die_with(parent: int) -> None:
    """Ask the kernel to kill this child when the worker dies; without Linux, the CPU limit must do."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    _child(*map(int, sys.argv[1:]))
