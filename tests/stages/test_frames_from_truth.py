"""Frames from truth: evenly inside each interval, off its ends, and ready for training."""

import json
from pathlib import Path

import pytest

from stages.frames_from_truth import labelled_times, main
from stages.labelled_frames import find_frames, read_images
from tests.videos import read_number, write_video


def write_truth(path: Path, *intervals: tuple[float, float, str]) -> Path:
    rows = [{"start": a, "end": b, "label": label} for a, b, label in intervals]
    path.write_text(json.dumps({"intervals": rows}))
    return path


def test_times_lie_inside_their_interval(tmp_path: Path) -> None:
    truth = write_truth(tmp_path / "a.truth.json", (0, 2.2, "clean"), (2.2, 3, "other"), (3, 3.1, "clean"))
    assert list(labelled_times(truth, 1.0)) == [(0.2, "clean"), (1.2, "clean"), (2.4, "other")]
    with pytest.raises(ValueError, match="expected a label of clean, artifact, other, got 'dirty'"):
        list(labelled_times(write_truth(tmp_path / "b.truth.json", (0, 9, "dirty")), 1.0))


def test_folders_become_a_table_to_train_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for folder, name in (("web", "a"), ("recordings", "r")):
        (tmp_path / folder).mkdir()
        write_video(tmp_path / folder / f"{name}.mp4", [i * 3000 for i in range(90)])
    write_truth(tmp_path / "web/a.truth.json", (0, 1.5, "clean"), (1.5, 3, "artifact"))
    folders = ["--videos", str(tmp_path / "web"), "--recordings", str(tmp_path / "recordings")]
    assert main([*folders, "--out", str(tmp_path / "out"), "--every", "1", "--recordings-every", "2"]) == 0
    assert json.loads(capsys.readouterr().out)["frames"] == 5
    frames = find_frames(tmp_path / "out/labels.csv")
    assert [(f.video, f.time_s, f.label) for f in frames] == [
        ("a", 0.2, "clean"), ("a", 1.2, "clean"), ("a", 1.7, "artifact"), ("a", 2.7, "artifact"), ("r", 0.0, "clean")
    ]  # fmt: skip
    assert [read_number(image) for image in read_images(frames)] == [6, 36, 51, 81, 0]


def test_no_truth_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--videos", str(tmp_path), "--out", str(tmp_path / "out")]) == 1
    assert "got 0 truth files" in capsys.readouterr().err
