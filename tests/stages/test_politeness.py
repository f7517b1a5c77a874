"""Turns at a host, with real processes and a real clock read by the code alone."""

import subprocess
import sys
import time
from pathlib import Path

from stages.politeness import BURST, MAX_PAUSE_S, HostLimit, pause_s


def test_a_burst_is_free_and_then_turns_are_a_step_apart(tmp_path: Path) -> None:
    limit = HostLimit(per_second=20.0, folder=tmp_path)
    pauses = [limit.wait("a.org") for _ in range(BURST + 4)]
    assert pauses[:BURST] == [0.0] * BURST
    assert 0 < sum(pauses) <= 4 / 20.0
    assert limit.wait("b.org") == 0.0, "another host has turns of its own"


def test_processes_share_the_turns_of_a_host(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from stages.politeness import HostLimit\n"
        "limit = HostLimit(0.01, Path(sys.argv[1])); limit.folder.mkdir(exist_ok=True)\n"
        "limit._advance('a.org', lambda until, now: max(until, now) + 100)\n"
    )
    for _ in range(2):
        subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, timeout=120)
    ahead = HostLimit(0.01, tmp_path)._advance("a.org", lambda until, now: until) - time.monotonic()
    assert 100 < ahead <= 200


def test_a_blocked_host_is_left_alone(tmp_path: Path) -> None:
    limit = HostLimit(per_second=50.0, folder=tmp_path)
    limit.block("a.org", 0.2)
    assert limit.wait("a.org") > 0.05
    assert limit.wait("b.org") == 0.0


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
