"""Calibration: an IDM that is too sure of itself learns how often it is right, and labels what it labelled."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models.calibrate import calibrate, main, set_temperature
from models.dataset import Episode
from models.evaluate import evaluate_episodes
from models.idm import InverseDynamicsModel
from models.predict import predict_episode
from tests.models.game import write_recording
from tests.models.test_train_idm import TINY


def sure_and_often_wrong(seed: int, length: int = 200) -> tuple[InverseDynamicsModel, Episode]:
    """A model with one steep answer to everything, and play in which it is right on 70 % of the frames."""
    torch.manual_seed(0)
    model = InverseDynamicsModel(TINY).eval()
    for head in model.pi_head.values():
        choices, options = head.shape
        answer = nn.functional.one_hot(torch.randint(options, (choices,)), options)
        head.linear_layer.bias.data = 12.0 * answer.flatten()
    rng = np.random.default_rng(seed)
    frames = rng.integers(0, 256, (length, 128, 128, 3), dtype=np.uint8)
    said = predict_episode(model, frames)
    right = rng.random(length) < 0.7
    buttons = np.where(right[:, None], said.buttons, ~said.buttons)
    return model, Episode("e", "w", frames, buttons, said.camera_deg, np.ones(length, np.float32))


def test_confidence_becomes_the_share_of_right_actions_on_other_play() -> None:
    model, fitted_on = sure_and_often_wrong(seed=1)
    _, tested_on = sure_and_often_wrong(seed=2)
    before, labels = evaluate_episodes(model, [tested_on]), predict_episode(model, tested_on.frames)
    found = calibrate(model, [fitted_on])
    after = evaluate_episodes(model, [tested_on])
    errors = [r["headline"]["overall"]["model"]["calibration_error"] for r in (before, after)]
    assert errors[0] > 0.2
    assert errors[1] < 0.1
    assert found.error_before > found.error_after
    assert found.factor > 1.5, "cooler heads"
    assert found.frames == 200
    again = predict_episode(model, tested_on.frames)
    assert (again.buttons == labels.buttons).all()
    assert (again.camera_deg == labels.camera_deg).all()


def test_no_temperature_changes_the_labels_of_both_ways() -> None:
    """What a picture and its mirror image say is averaged before the price of changes, and cools alike."""
    torch.manual_seed(0)
    model = InverseDynamicsModel(replace(TINY, both_ways=True, change_price=0.5)).eval()
    for head in model.pi_head.values():
        nn.init.normal_(head.linear_layer.weight, std=2.0)
    frames = np.random.default_rng(0).integers(0, 256, (24, 128, 128, 3), dtype=np.uint8)
    labels = predict_episode(model, frames)
    set_temperature(model, 3.0)
    cooler = predict_episode(model, frames)
    assert 0 < labels.buttons.mean() < 1
    assert (cooler.buttons == labels.buttons).all()
    assert (cooler.camera_deg == labels.camera_deg).all()
    assert (cooler.confidence < labels.confidence).all()


def test_the_temperature_is_saved_with_the_model(tmp_path: Path) -> None:
    model = InverseDynamicsModel(replace(TINY, temperature=2.0)).eval()
    frames = torch.zeros((1, 4, 128, 128, 3), dtype=torch.uint8)
    logits = model(frames)["camera"].detach() * 2.0
    set_temperature(model, 4.0)
    model.save(tmp_path)
    loaded = InverseDynamicsModel.load(tmp_path)
    assert loaded.config.temperature == 4.0
    torch.testing.assert_close(loaded(frames)["camera"].detach(), torch.log_softmax(logits / 4.0, -1))


def test_no_known_action_is_an_error() -> None:
    model, episode = sure_and_often_wrong(seed=1, length=20)
    with pytest.raises(ValueError, match="expected frames with a known action to calibrate on, got none"):
        calibrate(model, [replace(episode, weight=np.zeros(20, np.float32))])


def test_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    torch.manual_seed(0)
    InverseDynamicsModel(TINY).save(tmp_path / "idm")
    write_recording(tmp_path, "elk-aaaaaaaaaaaa-20260101-000000", length=30, seed=0)
    write_recording(tmp_path, "owl-bbbbbbbbbbbb-20260101-000000", length=30, seed=1)
    common = ["--idm", str(tmp_path / "idm"), "--recordings", str(tmp_path), "--out", str(tmp_path / "out")]
    assert main([*common, "--worlds", "owl"]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert summary["frames"] == 30
    assert InverseDynamicsModel.load(tmp_path / "out").config.temperature == summary["temperature"]
    assert main([*common, "--worlds", "cat"]) == 2
    assert "'cat' is not among the recordings" in capsys.readouterr().err
