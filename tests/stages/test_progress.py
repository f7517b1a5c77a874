"""Progress lines: what a log and the demo read."""

import subprocess
import sys

import pytest

from infra.demo_bars import LINE
from stages.progress import StageProgress, StepReporter, progress_line


def test_a_line_has_count_rate_and_eta() -> None:
    line = progress_line("segment", 12, 40, 10.0, "quarantined 1")
    assert line == "[segment] 12/40 30% 1.2 units/s ETA 0:23 quarantined 1"
    found = LINE.search(line)
    assert found is not None
    assert found.groupdict() == {
        "stage": "segment",
        "done": "12",
        "total": "40",
        "note": "1.2 units/s ETA 0:23 quarantined 1",
    }


def test_nothing_done_yet_has_no_eta() -> None:
    assert progress_line("cut", 0, 3, 0.0) == "[cut] 0/3 0% 0 units/s ETA ?"


def test_the_last_unit_is_always_said(capsys: pytest.CaptureFixture[str]) -> None:
    with StageProgress("cut", 3) as progress:
        for reason in ("", "truncated", ""):
            progress.add(reason)
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("[cut] 3/3 100%")
    assert line.endswith("quarantined 1")


def test_steps_inside_a_long_unit(capsys: pytest.CaptureFixture[str]) -> None:
    report = StepReporter("train_idm")
    report(1, 2, {"loss": 3.0})
    report(2, 2, {"loss": 1.25})
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("[train_idm] 2/2 100%")
    assert line.endswith("loss 1.25")


def test_without_a_terminal_no_bar_is_imported() -> None:
    code = "import sys, stages.runner; sys.exit('rich' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_what_a_training_makes_ready_is_no_step(capsys: pytest.CaptureFixture[str]) -> None:
    report = StepReporter("train_idm")
    report(50, 50, {})
    report(3, 3, {"loss": 1.0})
    ready, steps = capsys.readouterr().err.splitlines()
    assert (ready.split()[1], steps.split()[1]) == ("50/50", "3/3")
    assert ("frames ready/s" in ready, "frames ready/s" in steps) == (True, False)
