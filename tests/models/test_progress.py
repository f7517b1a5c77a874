"""The bar tells step, rate and loss to a log as well as to a terminal."""

import pytest

from models.progress import progress_bar


def test_the_last_state_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("train_idm") as progress:
        for step in range(1, 4):
            progress(step, 3, {"loss": 1.5 / step})
    text = capsys.readouterr().err
    assert "train_idm" in text
    assert "3/3" in text
    assert "loss 0.500" in text


def test_what_is_made_ready_first_is_counted_by_itself(capsys: pytest.CaptureFixture[str]) -> None:
    with progress_bar("train_idm") as progress:
        progress(500, 500, {})
    assert "train_idm, looking at frames" in (text := capsys.readouterr().err)
    assert "500/500" in text
    with progress_bar("train_idm") as progress:
        progress(500, 500, {})
        progress(1, 7, {"loss": 2.0})
    text = capsys.readouterr().err
    assert "1/7" in text
    assert "motion" not in text.splitlines()[-1]


def test_a_log_gets_lines_while_it_runs(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Of five minutes, a line for every thirty seconds; none sooner."""
    now = 0.0
    monkeypatch.setattr("models.progress.time.monotonic", lambda: now)
    with progress_bar("train_idm") as progress:
        for step in range(1, 31):
            now = 10.0 * step
            progress(step, 30, {"loss": 3.0 / step})
        lines = capsys.readouterr().err.splitlines()
    assert [line.split()[2] for line in lines] == [f"{step}/30" for step in range(3, 31, 3)]
    assert lines[0].endswith("loss 1.000")
