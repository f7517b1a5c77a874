"""Run a function on untrusted input in a child process with limits on memory, CPU time and wall time.

A decoder that crashes, hangs or eats memory takes down the child, not the worker. The child starts in about half a
second (most of it: importing av, cv2, numpy). What it sends back is unpickled with an allow list, so that a decoder
bug that gives a file control of the child does not give it control of the worker.
"""

import contextlib
import ctypes
import importlib
import io
import os
import pickle
import resource
import signal
import subprocess
import sys
import tempfile
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


@dataclass(frozen=True)
class Limits:
    """What a child may take. Beyond it, the input is quarantined: `<what>_timeout`, `<what>_memory`."""

    memory_bytes: int = 4 * 2**30
    """Address space of the child, libraries included."""
    cpu_seconds: int = 4 * 3600
    wall_seconds: float = 8 * 3600.0
    what: str = "decode"
    """First half of the reason slugs."""
    reservations_are_free: bool = False
    """Bound what is written instead of the address space: deno reserves more than 32 GiB and uses few."""


def run_limited(function: Callable[..., T], *args: Any, limits: Limits = Limits(), **kwargs: Any) -> T:
    """Call a top-level function of an importable module in a child process and return what it returns.

    Arguments and result are pickled; a result may hold plain values, numpy arrays and dataclasses of `stages`.

    Raises:
        BadInput: what the function raised; `<what>_timeout`, `<what>_memory`, `decoder_crashed`.
        SmelterError: any other error of ours that the function raised.
        RuntimeError: the function failed in another way; the message holds the child's traceback.
        ServiceError: the child could not start.
    """
    call = pickle.dumps((limits, function.__module__, function.__qualname__, args, kwargs))
    with tempfile.TemporaryFile() as errors:
        reader, writer = os.pipe()
        try:
            child = _start(writer, errors)
        finally:
            os.close(writer)
        with child, os.fdopen(reader, "rb") as results:
            timed_out, data = _talk(child, call, results, limits.wall_seconds)
        errors.seek(0)
        message = errors.read()[-2000:].decode(errors="replace")
    if timed_out:
        raise BadInput(f"{limits.what}_timeout", f"expected an end within {limits.wall_seconds:.0f} s, got none")
    if not data:
        raise _why_silent(child.returncode, limits, message)
    return _open_result(data)


def _start(writer: int, errors: Any) -> "subprocess.Popen[bytes]":
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(path for path in [os.getcwd(), *sys.path] if path),
        "OMP_NUM_THREADS": "1",  # each thread of a maths library would reserve address space
        "OPENBLAS_NUM_THREADS": "1",
        "PYTHONSAFEPATH": "1",
    }
    try:
        return subprocess.Popen(
            [sys.executable, "-m", "stages.sandbox", str(writer), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=errors,
            pass_fds=[writer],
            env=environment,
            start_new_session=True,
        )
    except OSError as error:
        raise ServiceError(f"expected a child process for untrusted input, got: {error}; check the worker") from error


def _talk(
    child: "subprocess.Popen[bytes]", call: bytes, results: io.BufferedReader, wall_s: float
) -> tuple[bool, bytes]:
    """Send the call, read the result; (did it run out of time, result). The child's whole group is gone afterwards."""
    import threading

    timed_out = threading.Event()

    def stop() -> None:
        timed_out.set()
        _kill_group(child.pid)

    timer = threading.Timer(wall_s, stop)
    timer.start()
    try:
        assert child.stdin is not None
        with contextlib.suppress(BrokenPipeError), child.stdin as pipe:
            pipe.write(call)
        data = results.read()
        child.wait()
    finally:
        timer.cancel()
        _kill_group(child.pid)
    return timed_out.is_set(), data


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


def _child(writer: int, parent: int) -> None:
    _die_with(parent)
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
    _child(int(sys.argv[1]), int(sys.argv[2]))
