"""The second opinion: blind to pictures, taught by itself, and counted by its shares."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from models.actions import MINECRAFT, mirror_of
from models.dropout import Dropout
from models.idm import InverseDynamicsModel
from models.motion import NUMBERS, TURNS, mirrored_maps, seen
from models.motion_encoder import Change, HideBlocks
from models.predict import log_probabilities, opinions
from models.second_opinion import NUMBERS_HIDDEN, SecondOpinion, mean_opinion
from models.train_idm import pretrained_model
from tests.models.game import played
from tests.models.test_train_idm import TINY

BINS = 2 * MINECRAFT.camera.bins
WITH_SECOND = replace(TINY, front="motion", dilations=(2,), opinion_width=8)


def model_of(**changes: object) -> InverseDynamicsModel:
    torch.manual_seed(0)
    model = InverseDynamicsModel(replace(WITH_SECOND, **changes)).eval()
    for head in (*model.pi_head.values(), *model.second_head.values()):
        torch.nn.init.normal_(head.linear_layer.weight)
    return model


def test_it_hides_numbers_of_whole_windows_in_training_only() -> None:
    torch.manual_seed(0)
    opinion, numbers = SecondOpinion(4, 0, (2,), 0.0, MINECRAFT), torch.ones(200, 3, NUMBERS)
    shown = opinion.hide(numbers.transpose(1, 2))
    assert (shown == shown[..., :1]).all()
    assert (shown == 0).float().mean().item() == pytest.approx(NUMBERS_HIDDEN, abs=0.01)
    opinion.eval()
    assert torch.equal(opinion(numbers), opinion(numbers))
    assert opinion(numbers).shape == (200, 3, 4 + BINS)


def test_it_remembers_the_whole_window_both_ways() -> None:
    torch.manual_seed(0)
    numbers = torch.zeros(1, 60, NUMBERS)
    for memory, remembers in ((0, False), (3, True)):
        opinion = SecondOpinion(4, memory, (2,), 0.0, MINECRAFT).eval()
        said = opinion(numbers)
        assert said.shape == (1, 60, 4 + 2 * memory + BINS) == (1, 60, opinion.width)
        for changed, far in ((0, slice(10, None)), (59, slice(0, 50))):
            other = numbers.clone()
            other[:, changed] = 1
            assert bool((opinion(other) - said)[:, far].abs().max() > 1e-5) == remembers


def test_it_computes_in_float32_whatever_the_rest_does() -> None:
    torch.manual_seed(0)
    opinion, numbers = SecondOpinion(4, 3, (2,), 0.0, MINECRAFT).eval(), torch.randn(1, 20, NUMBERS)
    with torch.autocast("cpu", torch.bfloat16):
        said = opinion(numbers)
    assert said.dtype == torch.float32
    assert torch.equal(said, opinion(numbers))


def test_in_training_the_first_sees_pieces_and_the_second_the_whole_window() -> None:
    frames, maps = seen(played(32))  # two pieces of 16
    model = model_of(opinion_memory=4)
    whole = model(frames, maps)
    halves = [model(frames[:, part], maps[:, part]) for part in (slice(0, 16), slice(16, 32))]
    model.train()
    for layer in model.modules():
        if isinstance(layer, Dropout | torch.nn.Dropout1d | HideBlocks | Change):
            layer.eval()
    said = model(frames, maps)
    pieces = torch.cat([half["buttons"] for half in halves], dim=1)
    torch.testing.assert_close(said["buttons"], pieces, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(said["second_buttons"], whole["second_buttons"], atol=1e-4, rtol=1e-4)
    assert (whole["buttons"] - pieces).abs().max() > 1e-3


def test_it_sees_the_numbers_and_no_picture() -> None:
    model = model_of()
    frames, maps = seen(played(8))
    said = model(frames, maps)["second_buttons"]
    other = torch.randint_like(frames, 256)
    without_pictures = maps.clone()
    without_pictures[:, :, :TURNS] = 0
    torch.testing.assert_close(model(other, without_pictures)["second_buttons"], said)
    without_numbers = maps.clone()
    without_numbers[:, :, TURNS] = 0
    assert (model(frames, without_numbers)["second_buttons"] - said).abs().max() > 0.01


def test_shares_weigh_the_two_by_button_in_labels() -> None:
    frames = played(8)[0].numpy()
    shares = tuple(np.linspace(0, 1, 20).tolist())
    said = opinions(model_of(opinion_shares=shares), frames)
    both, camera = log_probabilities(model_of(opinion_shares=shares), frames)
    first, second, mean = (b[..., 1] - b[..., 0] for b in (said["buttons"], said["second_buttons"], both))
    share = torch.tensor(shares)
    torch.testing.assert_close(mean, (1 - share) * first + share * second, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(both.exp().sum(-1), torch.ones(8, 20))
    assert torch.equal(camera, said["camera"])
    assert torch.equal(log_probabilities(model_of(), frames)[0], said["buttons"]), "no shares, no second opinion"


@pytest.mark.parametrize(("log_odds", "menu"), [(-50.0, 0.0), (0.0, 0.5), (50.0, 1.0)])
def test_the_share_in_the_camera_counts_where_no_menu_is_open(log_odds: float, menu: float) -> None:
    frames, model = played(8)[0].numpy(), model_of(camera_share=0.25)
    torch.nn.init.constant_(model.menu_head.bias, log_odds)
    said, share = opinions(model, frames), 0.25 * (1 - menu)
    assert said["menu"].shape == (8, 1)
    mean = ((1 - share) * said["camera"] + share * said["second_camera"]).log_softmax(-1)
    torch.testing.assert_close(log_probabilities(model, frames)[1], mean, atol=1e-5, rtol=1e-5)


def test_it_is_asked_both_ways_and_left_becomes_right() -> None:
    frames = played(6)
    model, order = model_of(both_ways=True), mirror_of(MINECRAFT)[0]
    pictures, maps = seen(frames)
    straight = model(pictures, maps)["second_buttons"][0]
    round_maps = torch.from_numpy(mirrored_maps(maps.numpy()))
    turned = model(pictures.flip(3), round_maps)["second_buttons"][0][:, order]
    found = opinions(model, frames[0].numpy())
    said = found["second_buttons"]
    torch.testing.assert_close(said, ((straight + turned) / 2).log_softmax(-1), atol=1e-4, rtol=1e-4)
    assert (straight - turned).abs().max() > 0.1
    straight, turned = (model(x, m)["second_camera"][0] for x, m in ((pictures, maps), (pictures.flip(3), round_maps)))
    turned = torch.stack([turned[:, 0], turned[:, 1].flip(-1)], dim=1)
    camera = ((straight + turned) / 2).log_softmax(-1)
    torch.testing.assert_close(found["second_camera"], camera, atol=1e-4, rtol=1e-4)


def test_the_two_learn_apart() -> None:
    frames, maps = seen(played(8))
    model = model_of(opinion_shares=(1.0,) * 20)
    said = model(frames, maps)
    heads = {"buttons", "camera", "walk"}
    assert set(said) == heads | {f"second_{name}" for name in heads} | {"menu"}
    said["buttons"].sum().backward()
    assert all(p.grad is None for p in model.second.parameters())


def test_weights_that_were_calibrated_are_trained_on(tmp_path: Path) -> None:
    """Their shares and temperature are no other architecture, and stay until they are fitted anew."""
    shares = (0.5,) * 20
    model_of(opinion_shares=shares, camera_share=0.25, temperature=2.0).save(tmp_path)
    config = pretrained_model(WITH_SECOND, tmp_path).config
    assert (config.opinion_shares, config.camera_share, config.temperature) == (shares, 0.25, 2.0)
    assert config.uncalibrated == WITH_SECOND
    with pytest.raises(ValueError, match=r"opinion_width 4.*got opinion_width 8"):
        pretrained_model(replace(WITH_SECOND, opinion_width=4), tmp_path)


@pytest.mark.parametrize("shares", [(0.5,), (0.5,) * 19 + (1.5,), (-0.1,) * 20])
def test_wrong_shares_are_an_error(shares: tuple[float, ...]) -> None:
    with pytest.raises(ValueError, match="expected 20 opinion_shares from 0 to 1 or none"):
        replace(WITH_SECOND, opinion_shares=shares)


@pytest.mark.parametrize("field", [{"opinion_shares": (0.5,) * 20}, {"camera_share": 0.5}, {"opinion_memory": 4}])
def test_shares_or_memory_of_nothing_are_an_error(field: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=f"expected no {next(iter(field))} without a second opinion"):
        replace(WITH_SECOND, opinion_width=0, **field)


def test_it_needs_the_motion_front() -> None:
    with pytest.raises(ValueError, match="expected front 'motion' for a second opinion, got 'conv3d'"):
        replace(WITH_SECOND, front="conv3d")


def test_the_mean_of_two() -> None:
    first, second = torch.tensor([[0.0, -50.0]]), torch.tensor([[-50.0, 0.0]])
    assert mean_opinion(first, second, torch.tensor([0.5])).exp().tolist() == [[0.5, 0.5]]
    assert mean_opinion(first, second, torch.tensor([0.0])).exp()[0, 0].item() == pytest.approx(1)
    each = mean_opinion(first.expand(2, 1, 2), second.expand(2, 1, 2), torch.tensor([[0.0], [1.0]]))
    assert each.exp()[:, 0, 0].tolist() == pytest.approx([1, 0])
