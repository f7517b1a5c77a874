"""A child that hangs, eats memory, crashes or lies takes nothing else with it, and its input gets the right reason."""

import os
import pickle
import time
from fractions import Fraction
from pathlib import Path

import pytest

from stages.errors import BadInput, ConfigError, ServiceError
from stages.media_grid import Span
from stages.sandbox import Limits, run_limited
from tests import sandboxed


def reason(*call: object, limits: Limits) -> str:
    with pytest.raises(BadInput) as caught:
        run_limited(*call, limits=limits)  # type: ignore[arg-type]
    return caught.value.reason


def test_arguments_and_results_travel() -> None:
    assert run_limited(sandboxed.echo, 1, two=2) == ((1,), {"two": 2})
    assert run_limited(sandboxed.echo, [("x", 1)], {"y": 2.5, "z": None}) == (([("x", 1)], {"y": 2.5, "z": None}), {})


def test_arrays_fractions_and_our_dataclasses_come_back() -> None:
    grid, spans, number = run_limited(sandboxed.grid, 5)
    assert grid.frame.tolist() == [0, 1, 2, 3, 4]
    assert grid.frame.dtype == "int32"
    assert grid.time_base == Fraction(1, 90_000)
    assert spans == [Span(1, 2)]
    assert number == 0.5


def test_what_the_function_raises_is_raised_here() -> None:
    with pytest.raises(BadInput) as caught:
        run_limited(sandboxed.refuse)
    assert (caught.value.reason, caught.value.message) == ("no_frames", "expected frames, got none")
    with pytest.raises(ConfigError, match="expected 1, got 2"):
        run_limited(sandboxed.misconfigure)
    with pytest.raises(ServiceError, match="expected a service, got none"):
        run_limited(sandboxed.break_service)
    with pytest.raises(RuntimeError, match="KeyError: 'a bug'"):
        run_limited(sandboxed.fail)


def test_a_hanging_child_is_killed_with_its_own_children(tmp_path: Path) -> None:
    started = time.monotonic()
    marker = tmp_path / "pid"
    assert reason(sandboxed.sleep_with_child, marker, limits=Limits(wall_seconds=2)) == "decode_timeout"
    assert time.monotonic() - started < 10
    assert gone(int(marker.read_text()))


def gone(pid: int, within_s: float = 10.0) -> bool:
    """Whether a process ends soon; the kernel takes a moment to end one that was killed."""
    deadline = time.monotonic() + within_s
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not alive(pid)


def alive(pid: int) -> bool:
    """Whether a process runs; one that nobody has waited for yet does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_child_that_stops_getting_on_is_ended_long_before_its_time(tmp_path: Path) -> None:
    started = time.monotonic()
    limits = Limits(wall_seconds=300, stall_seconds=2)
    assert reason(sandboxed.beat_then_hang, limits=limits) == "decode_stalled"
    assert reason(sandboxed.spin, limits=limits) == "decode_stalled"
    assert time.monotonic() - started < 100


def test_a_child_that_gets_on_slowly_may_go_on() -> None:
    assert run_limited(sandboxed.beat_slowly, limits=Limits(stall_seconds=3)) == "done"


def test_cpu_time_is_limited() -> None:
    assert reason(sandboxed.spin, limits=Limits(cpu_seconds=1, wall_seconds=30)) == "decode_timeout"


def test_memory_is_limited() -> None:
    assert reason(sandboxed.eat, limits=Limits(memory_bytes=2**30, wall_seconds=60)) == "decode_memory"


def test_a_crash_is_one_bad_input() -> None:
    assert reason(sandboxed.crash, limits=Limits()) == "decoder_crashed"
    assert reason(sandboxed.be_killed, limits=Limits()) == "decode_memory"


def test_the_slug_names_the_kind_of_work() -> None:
    assert reason(sandboxed.spin, limits=Limits(wall_seconds=1, what="fetch")) == "fetch_timeout"


def test_a_child_cannot_make_its_parent_run_code(tmp_path: Path) -> None:
    with pytest.raises(pickle.UnpicklingError, match="not allowed"):
        run_limited(sandboxed.send_trap, tmp_path / "created")
    assert not (tmp_path / "created").exists()


def test_what_a_child_prints_is_not_its_result() -> None:
    assert run_limited(sandboxed.talk) == "result"


def test_a_child_loads_nothing_heavy() -> None:
    heavy, pid = run_limited(sandboxed.environment)
    assert heavy == []
    assert pid != os.getpid()
