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
