"""Calibration: an IDM that is too sure of itself learns how often it is right, and labels what it labelled."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from models.actions import BUTTONS
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


def two_opinions(odds: dict[str, float], length: int = 60) -> tuple[InverseDynamicsModel, Episode]:
    """The first knows nothing, the second is sure of these buttons; forward, left and jump are always held."""
    torch.manual_seed(0)
    model = InverseDynamicsModel(replace(TINY, front="motion", both_ways=True, opinion_width=8)).eval()
    for head in (*model.pi_head.values(), *model.second_head.values()):
        nn.init.zeros_(head.linear_layer.weight)
        nn.init.zeros_(head.linear_layer.bias)
    for name, value in odds.items():
        model.second_head["buttons"].linear_layer.bias.data[2 * BUTTONS.index(name) + 1] = value
    frames = np.zeros((length, 128, 128, 3), np.uint8)
    buttons = np.zeros((length, 20), bool)
    buttons[:, [BUTTONS.index(name) for name in ("forward", "left", "jump")]] = True
    return model, Episode("e", "w", frames, buttons, np.zeros((length, 2)), np.ones(length, np.float32))


@pytest.fixture
def little_evidence(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two nats are enough, so that tests need few frames."""
    monkeypatch.setattr("models.calibrate.EVIDENCE", 2.0)


@pytest.mark.usefixtures("little_evidence")
def test_the_second_opinion_counts_where_it_is_right() -> None:
    """And for both of a mirrored pair or for none: left is held, right is not."""
    model, episode = two_opinions({"forward": 4, "jump": -4, "left": 4, "right": 4, "hotbar.1": -4, "hotbar.9": -4})
    shares = {"forward": 0.75, "hotbar.1": 0.75, "hotbar.9": 0.75}
    assert calibrate(model, [episode]).shares == shares
    assert dict(zip(BUTTONS, model.config.opinion_shares, strict=True)) == dict.fromkeys(BUTTONS, 0.0) | shares
    said = predict_episode(model, episode.frames)
    assert said.buttons[:, BUTTONS.index("forward")].all()
    assert not said.buttons[:, BUTTONS.index("jump")].any()


@pytest.mark.usefixtures("little_evidence")
def test_shares_need_evidence_and_stay_without(tmp_path: Path) -> None:
    """Some hundredths of a nat for each of 240 frames are enough, of 3 frames they are not."""
    for length, changed in ((3, {}), (240, {"forward": 0.75})):
        model, episode = two_opinions({"forward": 0.3}, length)
        set_temperature(model, 2.0)
        model.config = replace(model.config, opinion_shares=(0.5,) * 20)
        assert calibrate(model, [episode]).shares == dict.fromkeys(BUTTONS, 0.5) | changed
        model.save(tmp_path)
        assert InverseDynamicsModel.load(tmp_path).config.opinion_shares == model.config.opinion_shares
        assert model.second_head["buttons"].temperature == model.config.temperature


def test_a_key_that_is_never_pressed_keeps_its_share(monkeypatch: pytest.MonkeyPatch) -> None:
    """The second opinion is a little wrong of it for 60 frames: too little to be heard no more, if not for two nats."""
    model, episode = two_opinions({"back": 0.5})
    model.config = replace(model.config, opinion_shares=(0.5,) * 20)
    assert calibrate(model, [episode]).shares == dict.fromkeys(BUTTONS, 0.5)
    monkeypatch.setattr("models.calibrate.EVIDENCE", 2.0)
    assert "back" not in calibrate(model, [episode]).shares


@pytest.mark.usefixtures("little_evidence")
def test_the_camera_counts_by_a_share_of_its_own() -> None:
    """The second says what was played, a still camera; the first knows nothing."""
    model, episode = two_opinions({})
    model.second_head["camera"].linear_layer.bias.data[[5, 16]] = 4.0
    assert calibrate(model, [episode]).shares == {"camera": 0.75}
    assert model.config.camera_share == 0.75
    assert (predict_episode(model, episode.frames).camera_deg == 0).all()
    model.second_head["camera"].linear_layer.bias.data[[5, 16]] = -4.0
    assert calibrate(model, [episode]).shares == {}


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
