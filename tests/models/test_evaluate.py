"""The report: which frames enter it, that menus and worlds are told apart, and the command line."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from models.dataset import Episode
from models.evaluate import compare, main, segments
from models.idm import IDMConfig, InverseDynamicsModel
from models.predict import Predictions
from tests.models.game import line, write_jsonl, write_recording

TINY = IDMConfig(
    hidsize=16, attention_heads=2, n_recurrence_layers=1, pointwise_ratio=1, impala_chans=(2, 2, 2), conv3d_outchan=2
)


def played(world: str, seed: int, length: int = 300) -> Episode:
    """An episode without pictures, the first 100 frames in a menu."""
    rng = np.random.default_rng(seed)
    gui_open = np.arange(length) < 100
    return Episode(
        f"{world}-{seed}",
        world,
        np.zeros((length, 1, 1, 3), np.uint8),
        rng.random((length, 20)) < 0.2,
        rng.normal(0, 3, (length, 2)),
        np.ones(length, np.float32),
        gui_open,
    )


def guess(episode: Episode, wrong: np.ndarray) -> Predictions:
    """The truth, but for `wrong` frames, on which every button is the opposite."""
    buttons = np.where(wrong[:, None], ~episode.buttons, episode.buttons)
    camera = episode.camera_deg.astype(np.float32)
    return Predictions(buttons, camera, camera, np.full(len(episode), 0.5, np.float32), wrong)


def test_overall_menus_and_worlds_are_told_apart() -> None:
    """All wrong in the menus of one world: overall suffers, outside menus and the other world do not."""
    elk, owl = played("elk", 0), played("owl", 1)
    nothing = np.zeros(300, bool)
    report = compare([elk, owl], [guess(elk, elk.gui_open), guess(owl, nothing)])
    assert report["overall"]["keypress_accuracy"]["joint"] == pytest.approx(500 / 600)
    assert report["outside_menus"]["keypress_accuracy"]["joint"] == 1.0
    assert report["outside_menus"]["frames"] == 400
    assert {w: r["keypress_accuracy"]["joint"] for w, r in report["worlds"].items()} == {
        "elk": pytest.approx(2 / 3),
        "owl": 1.0,
    }
    assert set(report["baselines"]) == {"always_released", "persistence"}


def test_unknown_frames_do_not_count() -> None:
    elk = played("elk", 0)
    unknown = np.arange(300) % 7 == 0
    elk.weight[unknown] = 0
    report = compare([elk], [guess(elk, unknown)])
    assert report["overall"]["keypress_accuracy"]["joint"] == 1.0
    assert report["recordings"]["elk-0"]["known"] == (~unknown).sum()


def test_confidence_is_compared_with_exact_actions() -> None:
    """Half sure and always right: an error of one half."""
    elk = played("elk", 0)
    report = compare([elk], [guess(elk, np.zeros(300, bool))])
    assert report["overall"]["confidence"]["expected_calibration_error"] == pytest.approx(0.5)


def test_segments_break_at_gaps_and_between_episodes() -> None:
    masks = [np.array([1, 1, 0, 1], bool), np.array([1, 0, 1, 1], bool)]
    numbers = segments(masks)
    assert (np.diff(numbers) != 0).tolist() == [False, True, True, True, False]


def test_no_known_action_is_an_error() -> None:
    elk = played("elk", 0)
    elk.weight[:] = 0
    with pytest.raises(ValueError, match="at least one frame"):
        compare([elk], [guess(elk, np.zeros(300, bool))])


@pytest.fixture
def recordings(tmp_path: Path) -> Path:
    folder = tmp_path / "recordings"
    folder.mkdir()
    write_recording(folder, "elk-aaaaaaaaaaaa-20260101-000000", length=30, seed=0)
    write_recording(folder, "owl-bbbbbbbbbbbb-20260101-000000", length=30, seed=1)
    write_jsonl(folder / "owl-bbbbbbbbbbbb-20260101-000000.jsonl", [line()] * 99)
    return folder


def test_command_line_writes_report_and_picture(
    tmp_path: Path, recordings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    torch.manual_seed(0)
    InverseDynamicsModel(TINY).save(tmp_path / "idm")
    out = tmp_path / "new" / "report.json"
    assert main(["--idm", str(tmp_path / "idm"), "--recordings", str(recordings), "--out", str(out)]) == 0
    report = json.loads(out.read_text())
    assert report["refused"]["owl-bbbbbbbbbbbb-20260101-000000"]["reason"] == "count_mismatch"
    assert report["overall"]["frames"] == 30
    assert len(report["idm"]) == 12
    assert out.with_suffix(".png").read_bytes().startswith(b"\x89PNG")
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert (summary["recordings"], summary["refused"]) == (1, 1)


def test_mistakes_on_the_command_line_are_explained(
    tmp_path: Path, recordings: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["--idm", str(tmp_path / "none"), "--recordings", str(recordings)]) == 2
    assert "expected a model directory" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--idm", "x"])
    assert "--recordings" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["--out", "x.json"])
    assert "either --idm" in capsys.readouterr().err
