"""The one number of an IDM that a promotion compares: the loss of what its labels come from."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.actions import camera_to_bins
from models.dataset import Episode
from models.held_out import idm_loss
from models.idm import InverseDynamicsModel
from tests.models.game import played
from tests.models.test_second_opinion import model_of

LENGTH = 12
HEADS = ("buttons", "camera")


def episode(known: slice = slice(0, LENGTH)) -> Episode:
    rng, weight = np.random.default_rng(0), np.zeros(LENGTH, np.float32)
    weight[known] = 1
    buttons, camera = rng.random((LENGTH, 20)) < 0.3, rng.uniform(-10, 10, (LENGTH, 2)).astype(np.float32)
    return Episode("play", "world", played(LENGTH)[0].numpy(), buttons, camera, weight)


@torch.no_grad()
def losses(model: InverseDynamicsModel, name: str, rows: slice) -> np.ndarray:
    """Of one head in one window, by hand."""
    play = episode()
    said = model(torch.from_numpy(play.frames[rows])[None])[name][0].exp().numpy()
    true = camera_to_bins(play.camera_deg[rows]) if name.endswith("camera") else play.buttons[rows].astype(int)
    return -np.log(np.take_along_axis(said, true[..., None], -1)).sum((1, 2))


def test_the_loss_is_that_of_buttons_and_camera_over_windows() -> None:
    model = model_of()
    by_hand = [losses(model, name, rows) for name in ("buttons", "camera") for rows in (slice(0, 8), slice(8, 12))]
    assert idm_loss(model, [episode()], 8) == pytest.approx(sum(map(np.sum, by_hand)) / LENGTH, rel=1e-4)
    assert idm_loss(model.train(), [episode()], 8) == pytest.approx(idm_loss(model.eval(), [episode()], 8))


def test_a_second_opinion_counts_by_its_shares_and_not_beside_the_first() -> None:
    apart = {f"{o}{n}": losses(model_of(), f"{o}{n}", slice(0, LENGTH)).mean() for o in ("", "second_") for n in HEADS}

    def found(buttons: float, camera: float) -> float:
        model = model_of(opinion_shares=(buttons,) * 20, camera_share=camera)
        torch.nn.init.constant_(model.menu_head.bias, -50)  # a menu is never open
        return idm_loss(model, [episode()], LENGTH)

    for buttons, of_buttons in ((0.0, apart["buttons"]), (1.0, apart["second_buttons"])):
        for camera, of_camera in ((0.0, apart["camera"]), (1.0, apart["second_camera"])):
            assert found(buttons, camera) == pytest.approx(of_buttons + of_camera, rel=1e-4)
    buttons_mean, camera_mean = ((apart[name] + apart[f"second_{name}"]) / 2 for name in HEADS)
    assert found(0.5, 0.0) < buttons_mean + apart["camera"], "log-probabilities are concave"
    assert found(0.0, 0.5) < apart["buttons"] + camera_mean


def test_frames_without_a_known_action_do_not_count() -> None:
    model = model_of()
    known = slice(2, 5)
    by_hand = sum(losses(model, name, slice(0, LENGTH))[known].mean() for name in ("buttons", "camera"))
    assert idm_loss(model, [episode(known), episode(slice(0, 0))], LENGTH) == pytest.approx(by_hand, rel=1e-4)
    with pytest.raises(ValueError, match="expected held-out frames with a known action, got none"):
        idm_loss(model, [episode(slice(0, 0))], LENGTH)


def test_another_games_play_is_refused() -> None:
    play = episode()
    with pytest.raises(ValueError, match="schema"):
        idm_loss(model_of(), [replace(play, schema=replace(play.schema, name="other"))], LENGTH)
