"""`python -m models.train_idm`: what it leaves behind, how it resumes, how it fine-tunes, and what it refuses."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from models import recipes
from models import train_idm as module
from models.idm import InverseDynamicsModel
from models.train_idm import IDMTrainConfig
from models.train_idm_cli import main
from tests.models.game import line, write_jsonl, write_recording
from tests.models.test_train_idm import TINY

ROOT = Path(__file__).resolve().parents[2]
CONFIG = IDMTrainConfig(learning_rate=1e-3, batch=2, window=16, max_steps=20, log_every=1)
WORLDS = ("elk-aaaaaaaaaaaa", "owl-bbbbbbbbbbbb", "fox-cccccccccccc")


@pytest.fixture
def recordings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Three worlds, 40 frames each, and a recipe for a tiny model."""
    monkeypatch.setitem(module.RECIPES, "tiny", (lambda: TINY, lambda: CONFIG))
    folder = tmp_path / "recordings"
    folder.mkdir()
    for seed, world in enumerate(WORLDS):
        write_recording(folder, f"{world}-20260101-000000", length=40, seed=seed)
    return folder


def train(recordings: Path, out: Path, *more: str) -> int:
    """Run the command line with `owl` held out."""
    common = ["--recordings", str(recordings), "--held-out", "owl", "--recipe", "tiny", "--out", str(out)]
    return main([*common, *more])


def test_it_leaves_a_model_a_card_a_report_and_events(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "idm"
    assert train(recordings, out, "--max-steps", "3", "--licence", "CC0-1.0") == 0
    summary = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert summary["steps"] == 3
    assert InverseDynamicsModel.load(out).config == TINY
    assert json.loads((out / "report.json").read_text())["worlds"].keys() == {"owl-bbbbbbbbbbbb"}
    assert (out / "report.png").stat().st_size > 1000
    assert any("tfevents" in path.name for path in (out / "tensorboard").iterdir())
    assert not (out / "checkpoints").exists(), "nothing is left to resume"
    card = json.loads((out / "card.json").read_text())
    assert card["data"]["licence"] == "CC0-1.0"
    assert card["data"]["trained_on_worlds"] == ["elk-aaaaaaaaaaaa", "fox-cccccccccccc"]
    assert card["data"]["tested_on_worlds"] == ["owl-bbbbbbbbbbbb"]
    assert card["training"]["steps"] == 3
    assert card["training"]["cpu_seconds"] > 0
    assert card["training"]["config"]["learning_rate"] == 1e-3
    assert set(card["baselines"]) == {"always_released", "persistence"}
    assert card["metrics"]["joint_accuracy"] == summary["joint_accuracy"]


def test_a_stopped_training_goes_on_where_it_was(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = replace(CONFIG, max_steps=6, checkpoint_every=2)
    monkeypatch.setitem(module.RECIPES, "tiny", (lambda: TINY, lambda: config))
    assert train(recordings, tmp_path / "whole") == 0

    def stop(*values: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr("models.checkpoint.KEPT", 1)
        patched.setattr("models.training._save", lambda run, where: (SAVE(run, where), run.step == 4 and stop()))
        assert train(recordings, tmp_path / "halves") == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert [p.name for p in (tmp_path / "halves" / "checkpoints").iterdir()] == ["step-00000004"]
    assert train(recordings, tmp_path / "halves") == 0
    histories = [json.loads((tmp_path / n / "training.json").read_text())["history"] for n in ("whole", "halves")]
    assert [row["loss"] for row in histories[0]] == [row["loss"] for row in histories[1]]
    weights = [load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "halves")]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


from models.training import _save as SAVE  # noqa: E402


def test_kill_nine_and_the_same_command_again(recordings: Path, tmp_path: Path) -> None:
    """A real process, killed in the middle: the second one starts from a checkpoint and ends at the last step."""
    out = tmp_path / "out"
    arguments = ["--recordings", str(recordings), "--held-out", "owl", "--max-steps", "8", "--out", str(out)]
    script = (
        "from dataclasses import replace\n"
        "from models import train_idm as m\n"
        "from models.train_idm_cli import main\n"
        "make_model, make = m.RECIPES['nano_cpu']\n"
        "m.RECIPES['nano_cpu'] = make_model, lambda: replace(make(), batch=4, window=8, checkpoint_every=1)\n"
        f"raise SystemExit(main({arguments!r}))\n"
    )
    command = [sys.executable, "-c", script]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, env=env, stderr=subprocess.DEVNULL, stdout=subprocess.PIPE)
    while not list((out / "checkpoints").glob("step-*")):
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    again = subprocess.run(command, env=env, capture_output=True, check=True)
    assert json.loads(again.stdout.splitlines()[-1])["steps"] == 8
    assert InverseDynamicsModel.load(out)


def test_fine_tuning_starts_from_given_weights_and_is_short(
    recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train(recordings, tmp_path / "base") == 0
    assert train(recordings, tmp_path / "tuned", "--from", str(tmp_path / "base")) == 0
    base, tuned = (json.loads((tmp_path / name / "card.json").read_text()) for name in ("base", "tuned"))
    assert (base["training"]["steps"], tuned["training"]["steps"]) == (20, 1)
    assert tuned["training"]["started_from"] == str(tmp_path / "base")
    assert tuned["training"]["config"]["learning_rate"] == pytest.approx(1e-3 / 5)
    first = [json.loads((tmp_path / name / "training.json").read_text())["history"] for name in ("base", "tuned")]
    assert first[1][0]["loss"] < first[0][0]["loss"] - 1, "it starts where the other one ended"


def test_max_seconds_ends_a_training_whatever_the_step(recordings: Path, tmp_path: Path) -> None:
    assert train(recordings, tmp_path / "idm", "--max-steps", "1000000", "--max-seconds", "1") == 0
    card = json.loads((tmp_path / "idm" / "card.json").read_text())
    assert 1 <= card["training"]["steps"] < 1_000_000


def test_calibration_worlds_are_neither_trained_nor_tested_on(recordings: Path, tmp_path: Path) -> None:
    assert train(recordings, tmp_path / "idm", "--max-steps", "3", "--calibrate", "fox") == 0
    card = json.loads((tmp_path / "idm" / "card.json").read_text())
    fitted = card["data"]["calibrated_on"]
    assert (fitted["worlds"], fitted["frames"]) == (["fox-cccccccccccc"], 40)
    assert card["data"]["trained_on_worlds"] == ["elk-aaaaaaaaaaaa"]
    assert InverseDynamicsModel.load(tmp_path / "idm").config.temperature == pytest.approx(fitted["temperature"])


def test_worlds_that_members_left_out_calibrate_unless_others_are_named(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = (lambda: replace(TINY, members=2), lambda: replace(CONFIG, leave_out=True, max_steps=2))
    monkeypatch.setitem(module.RECIPES, "tiny", recipe)
    for seed, world in enumerate(("hen-dddddddddddd", "yak-eeeeeeeeeeee", "ape-ffffffffffff")):
        write_recording(recordings, f"{world}-20260101-000000", length=40, seed=10 + seed)
    for named in ((), ("fox",)):
        out = tmp_path / f"idm{len(named)}"
        assert train(recordings, out, *(("--calibrate", *named) if named else ())) == 0
        data = json.loads((out / "card.json").read_text())["data"]
        fitted = data["calibrated_on"]
        assert fitted["worlds"] == (["fox-cccccccccccc"] if named else data["trained_on_worlds"])
        assert fitted["frames"] == 40 * len(fitted["worlds"])
        assert InverseDynamicsModel.load(out).config.temperature == pytest.approx(fitted["temperature"])


def test_torchrun_trains_one_model_with_two_processes(recordings: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    arguments = ["--recordings", str(recordings), "--held-out", "owl", "--max-steps", "2", "--out", str(out)]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([*torchrun, "-m", "models.train_idm", *arguments], env=env, capture_output=True, check=True)
    (summary,) = [json.loads(line) for line in done.stdout.splitlines() if line.startswith(b"{")]
    card = json.loads((out / "card.json").read_text())
    assert (summary["steps"], card["training"]["workers"]) == (2, 2)
    assert card["command"].startswith("torchrun --standalone --nproc-per-node 2 -m models.train_idm --recordings ")
    assert InverseDynamicsModel.load(out).config == recipes.idm_nano_cpu()


def refused(capsys: pytest.CaptureFixture[str], out: Path) -> str:
    """The one line of a refusal that wrote no model."""
    assert not (out / "model.json").exists()
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("train_idm: ")]
    assert len(lines) == 1
    return lines[0]


def test_what_it_refuses(
    recordings: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    common = ["--recordings", str(recordings), "--recipe", "tiny", "--out", str(out)]
    assert main([*common, "--held-out", "cat"]) == 2
    assert "'cat' is not among the recordings; there are elk" in refused(capsys, out)
    assert main([*common, "--held-out", "elk", "owl", "fox"]) == 2
    assert "the split leaves 0 training and 3 held-out episodes; both need one" in refused(capsys, out)
    InverseDynamicsModel(replace(TINY, hidsize=16)).save(tmp_path / "other")
    assert train(recordings, out, "--from", str(tmp_path / "other")) == 2
    assert "expected weights of the recipe's architecture (hidsize 32), got hidsize 16; choose" in refused(capsys, out)
    broken = replace(CONFIG, learning_rate=1e30)
    monkeypatch.setitem(module.RECIPES, "tiny", (lambda: TINY, lambda: broken))
    assert train(recordings, out) == 2
    assert "expected a finite number. Lower learning_rate" in refused(capsys, out)


def test_recordings_of_another_schema(recordings: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Lines without the fields of the contractor format are refused with what they lack; nothing is trained."""
    for path in recordings.glob("*.jsonl"):
        write_jsonl(path, [{"buttons": ["fire"], "stick": [0.1, 0.0]}] * 40)
    assert train(recordings, tmp_path / "out") == 2
    text = refused(capsys, tmp_path / "out")
    assert "expected at least one usable recording" in text
    assert "elk-aaaaaaaaaaaa" in text
    assert line  # the format they should have had: tests/models/game.py
