"""Processes that are started, recognised and ended: only ours, with their children."""

import os
import sys
import time

import psutil
import pytest

from infra.processes import Recorded, end, family, free_ports, is_free, spawn, tail

PARENT = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', {child!r}]); time.sleep(60)"
STUBBORN = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"


def start(tmp_path, code: str) -> Recorded:
    return spawn([sys.executable, "-c", code], env=os.environ, log=tmp_path / "log", cwd=tmp_path)


def wait_for_children(recorded: Recorded, count: int) -> list[Recorded]:
    deadline = time.monotonic() + 20
    while len(found := family(recorded)) < count + 1:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    time.sleep(0.5)  # the child sets its signal handler
    return found


def test_a_process_and_its_stubborn_child_are_ended(tmp_path):
    parent = start(tmp_path, PARENT.format(child=STUBBORN))
    members = wait_for_children(parent, 1)
    assert end([parent], grace_s=1) == 1
    assert [member.process() for member in members] == [None, None]


def test_a_pid_that_belongs_to_somebody_else_is_left_alone(tmp_path):
    other = start(tmp_path, "import time; time.sleep(60)")
    stale = Recorded(pid=other.pid, started=other.started - 3600)
    assert stale.process() is None
    assert end([stale]) == 0
    assert psutil.pid_exists(other.pid)
    assert end([other]) == 1


def test_output_goes_to_the_log_of_which_the_tail_is_shown(tmp_path):
    recorded = start(tmp_path, "for i in range(40): print('line', i)")
    deadline = time.monotonic() + 20
    while recorded.process() is not None and time.monotonic() < deadline:
        time.sleep(0.05)
    shown = tail(tmp_path / "log", lines=3)
    assert shown == "  line 37\n  line 38\n  line 39"


def test_free_ports_are_distinct_free_and_below_the_kernels_own_range():
    ports = free_ports(20)
    assert len(set(ports)) == 20
    assert all(is_free(port) and port < 32768 for port in ports)


@pytest.mark.parametrize("text", ["", None])
def test_tail_of_nothing_says_so(tmp_path, text):
    if text is not None:
        (tmp_path / "log").write_text(text)
    assert tail(tmp_path / "log").startswith("  (")
