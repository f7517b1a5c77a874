"""Turns at a host, shared by real processes; no assertion depends on how fast the machine is."""

import subprocess
import sys
from pathlib import Path

from stages.politeness import BURST, MAX_PAUSE_S, HostLimit, pause_before, pause_s


def test_a_burst_is_free_and_then_turns_are_a_step_apart() -> None:
    pauses, until = [], 0.0
    for _ in range(BURST + 3):  # all at the same moment
        until = max(until, 100.0) + 0.5
        pauses.append(pause_before(until, 100.0, 0.5))
    assert pauses == [0.0] * BURST + [0.5, 1.0, 1.5]
    assert pause_before(max(until, 200.0) + 0.5, 200.0, 0.5) == 0.0, "after a silence the burst is back"


def ahead_s(limit: HostLimit, host: str) -> float:
    """Seconds from now until which a host's turns are given away."""
    until, now = limit._advance(host, lambda until, now: until)
    return until - now


def test_processes_share_the_turns_of_a_host(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from stages.politeness import HostLimit\n"
        "HostLimit(0.0001, Path(sys.argv[1])).wait('a.org')\n"
    )
    for _ in range(2):
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=120)
    assert 10_000 < ahead_s(HostLimit(0.0001, tmp_path), "a.org") <= 20_000
    assert ahead_s(HostLimit(0.0001, tmp_path), "b.org") <= 0


def test_a_blocked_host_is_left_alone(tmp_path: Path) -> None:
    limit = HostLimit(per_second=1.0, folder=tmp_path)
    limit.block("a.org", 50)
    assert ahead_s(limit, "a.org") > BURST, "no burst at a host that is blocked"
    limit.block("a.org", 10**6)
    assert ahead_s(limit, "a.org") <= MAX_PAUSE_S + BURST


def test_no_limit_keeps_no_state(tmp_path: Path) -> None:
    limit = HostLimit(0.0, tmp_path / "none")
    assert limit.wait("a.org") == 0.0
    limit.block("a.org", 5)
    assert not (tmp_path / "none").exists()


def test_a_state_of_before_a_restart_or_a_broken_one_is_forgotten(tmp_path: Path) -> None:
    limit = HostLimit(per_second=1.0, folder=tmp_path)
    limit.wait("a.org")
    (state,) = tmp_path.iterdir()
    for text in ("1e15", "rubbish", ""):
        state.write_text(text)
        assert limit.wait("a.org") == 0.0


def test_names_of_hosts_become_no_paths(tmp_path: Path) -> None:
    HostLimit(1.0, tmp_path / "state").wait("../../evil")
    assert [path.name for path in tmp_path.iterdir()] == ["state"]


def test_pauses_double_with_a_spread_and_heed_the_server() -> None:
    for attempt in range(4):
        assert all(0.5 * 2**attempt <= pause_s(attempt) <= 1.5 * 2**attempt for _ in range(50))
    assert len({pause_s(1) for _ in range(10)}) > 1
    assert pause_s(0, asked=20.0) == 20.0
    assert pause_s(30) == MAX_PAUSE_S
