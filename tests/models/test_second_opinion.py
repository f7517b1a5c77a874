"""The second opinion: blind to pictures, taught by itself, and counted by its shares."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.idm import InverseDynamicsModel
from models.motion import NUMBERS, TURNS, seen
from models.second_opinion import NUMBERS_HIDDEN, SecondOpinion, mean_opinion
from tests.models.game import played
from tests.models.test_train_idm import TINY

WITH_SECOND = replace(TINY, front="motion", dilations=(2,), opinion_width=8)


def model_of(**changes: object) -> InverseDynamicsModel:
    torch.manual_seed(0)
    model = InverseDynamicsModel(replace(WITH_SECOND, **changes)).eval()
    for head in (model.pi_head["buttons"], model.second_head):
        torch.nn.init.normal_(head.linear_layer.weight)
    return model


def test_it_hides_numbers_of_whole_windows_in_training_only() -> None:
    torch.manual_seed(0)
    opinion, numbers = SecondOpinion(4, (2,), 0.0), torch.ones(200, 3, NUMBERS)
    shown = opinion.hide(numbers.transpose(1, 2))
    assert (shown == shown[..., :1]).all()
    assert (shown == 0).float().mean().item() == pytest.approx(NUMBERS_HIDDEN, abs=0.01)
    opinion.eval()
    assert torch.equal(opinion(numbers), opinion(numbers))
    assert opinion(numbers).shape == (200, 3, 4)


def test_it_sees_the_numbers_and_no_picture() -> None:
    model = model_of(opinion_shares=(1.0,) * 20)
    frames, maps = seen(played(8))
    said = model(frames, maps)["buttons"]
    other = torch.randint_like(frames, 256)
    without_pictures = maps.clone()
    without_pictures[:, :, :TURNS] = 0
    torch.testing.assert_close(model(other, without_pictures)["buttons"], said)
    without_numbers = maps.clone()
    without_numbers[:, :, TURNS] = 0
    assert (model(frames, without_numbers)["buttons"] - said).abs().max() > 0.01


def test_shares_weigh_the_two_by_button() -> None:
    frames, maps = seen(played(8))
    shares = tuple(np.linspace(0, 1, 20).tolist())
    first, second, both = (model_of(opinion_shares=s)(frames, maps) for s in ((), (1.0,) * 20, shares))
    odds = [(said["buttons"][..., 1] - said["buttons"][..., 0]) for said in (first, second, both)]
    share = torch.tensor(shares)
    torch.testing.assert_close(odds[2], (1 - share) * odds[0] + share * odds[1], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(both["buttons"].exp().sum(-1), torch.ones(1, 8, 20))
    assert torch.equal(first["camera"], both["camera"])
    assert set(both) == {"buttons", "camera", "walk"}


def test_training_hears_both_apart_whatever_the_shares() -> None:
    frames, maps = seen(played(8))
    model = model_of(opinion_shares=(1.0,) * 20, dropout=0.0).train()
    model.second.hide.eval()
    said = model(frames, maps)
    assert set(said) == {"buttons", "camera", "walk", "second_buttons", "second_walk"}
    torch.testing.assert_close(model.eval()(frames, maps)["buttons"], said["second_buttons"])
    said["buttons"].sum().backward()
    assert all(p.grad is None for p in model.second.parameters())


@pytest.mark.parametrize("shares", [(0.5,), (0.5,) * 19 + (1.5,), (-0.1,) * 20])
def test_wrong_shares_are_an_error(shares: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="expected 20 opinion_shares from 0 to 1 or none"):
        replace(WITH_SECOND, opinion_shares=shares)


def test_it_needs_the_motion_front() -> None:
    with pytest.raises(ValueError, match="expected front 'motion' for a second opinion, got 'conv3d'"):
        replace(WITH_SECOND, front="conv3d")


def test_the_mean_of_two() -> None:
    first, second = torch.tensor([[0.0, -50.0]]), torch.tensor([[-50.0, 0.0]])
    assert mean_opinion(first, second, torch.tensor([0.5])).exp().tolist() == [[0.5, 0.5]]
    assert mean_opinion(first, second, torch.tensor([0.0])).exp()[0, 0].item() == pytest.approx(1)
