"""Labels of a whole episode: every frame once, from the window in whose middle it lies, with an honest confidence."""

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from models.actions import MINECRAFT
from models.habits import steadied
from models.idm import IDMConfig, InverseDynamicsModel
from models.predict import chosen_buttons, log_probabilities, predict_episode, weighed


class Reader(nn.Module):
    """Reads what is written into the picture: pixel 0 the button, pixel 1 the yaw bin, and the window's own size."""

    def __init__(self, sure: float = 0.9) -> None:
        super().__init__()
        self.config = IDMConfig(hidsize=2, attention_heads=1)
        self.sure = nn.Parameter(torch.tensor(sure))
        self.calls: list[tuple[int, ...]] = []

    def forward(self, frames: torch.Tensor) -> dict[str, torch.Tensor]:
        self.calls.append(tuple(frames.shape[:2]))
        button, yaw = frames[..., 0, 0, 0].long(), frames[..., 0, 1, 0].long()
        pressed = nn.functional.one_hot(button, 20).bool()
        buttons = torch.where(pressed, self.sure, 1 - self.sure)
        camera = torch.full((*frames.shape[:2], 2, 11), 0.01)
        camera[..., 0, 5] = camera[..., 0, 5] + 0.89
        camera[..., 1, :] = torch.where(nn.functional.one_hot(yaw, 11).bool(), 0.9, 0.01)
        return {"buttons": torch.stack([1 - buttons, buttons], -1).log(), "camera": camera.log()}


def written(length: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    button, yaw = rng.integers(0, 20, length), rng.integers(0, 11, length)
    frames = np.zeros((length, 2, 2, 3), dtype=np.uint8)
    frames[:, 0, 0, 0], frames[:, 0, 1, 0] = button, yaw
    return frames, button, yaw


@pytest.mark.parametrize("length", [1, 31, 128, 129, 200, 700])
def test_every_frame_gets_its_own_label(length: int) -> None:
    frames, button, _ = written(length)
    found = predict_episode(Reader(), frames)  # type: ignore[arg-type]
    assert len(found) == length
    assert (found.buttons.argmax(axis=1) == button).all()
    assert found.buttons.sum() == length
    assert (found.camera_deg[:, 0] == 0).all()


def test_camera_is_the_bin_centre_and_the_expected_value_shrinks_towards_the_middle() -> None:
    frames, _, yaw = written(100)
    found = predict_episode(Reader(), frames)  # type: ignore[arg-type]
    assert found.camera_deg[yaw == 10, 1] == pytest.approx(10.0)
    assert found.camera_deg[yaw == 6, 1] == pytest.approx(0.6154, abs=1e-3)
    assert found.camera_expected_deg[yaw == 10, 1] == pytest.approx(10 * 0.9 - 10 * 0.01, abs=1e-4)


@pytest.mark.parametrize("temperature", [1.0, 3.0])
def test_the_habit_of_turning_fills_a_hole_at_any_temperature(temperature: float) -> None:
    """One frame of ten says still at odds of 90, in the middle of a turn; to stop and to start is dearer than that."""
    logits = torch.full((10, 2, 11), 0.01).log()
    logits[:, :, 9], logits[4, :, 9], logits[4, :, 5] = np.log(0.9), np.log(0.01), np.log(0.9)
    said = {"buttons": torch.zeros(10, 20, 2), "camera": (logits / temperature).log_softmax(-1)}
    model = InverseDynamicsModel(IDMConfig(hidsize=2, attention_heads=1, camera_habit=0.5, temperature=temperature))
    assert weighed(said, model)[1].argmax(-1).unique().tolist() == [5, 9], "nothing is learned yet"
    model.habits[:] = 6 * torch.eye(11)
    found = weighed(said, model)[1]
    assert (found.argmax(-1) == 9).all()
    alone = steadied(logits.numpy(), model.habits.numpy(), 0.5) / temperature
    torch.testing.assert_close(found, torch.from_numpy(alone).log_softmax(-1), atol=1e-4, rtol=1e-4)


def test_a_price_on_changes_takes_out_what_flickers_at_any_temperature() -> None:
    """Button 0 is down but for one frame of button 1: two changes may cost more than one frame at 0.9 is worth."""
    frames = np.zeros((20, 2, 2, 3), dtype=np.uint8)
    frames[10, 0, 0, 0] = 1
    model = Reader()
    for temperature in (1.0, 4.0):
        for price, taken in ((0.0, 1), (1.0, 1), (3.0, 0)):
            price *= temperature  # the reader's probabilities stay, so its logits are larger
            model.config = IDMConfig(hidsize=2, attention_heads=1, change_price=price, temperature=temperature)
            found = predict_episode(model, frames)  # type: ignore[arg-type]
            assert (found.buttons[10, :2].argmax(), int(found.buttons[:, 0].sum())) == (taken, 20 - taken)
    assert found.confidence[10] == pytest.approx(0.9**18 * 0.1**2 * 0.81, rel=1e-3)


class Crooked(Reader):
    """Sees the button pixel wherever it is, and more surely on the left; the yaw bin likewise."""

    def forward(self, frames: torch.Tensor) -> dict[str, torch.Tensor]:
        is_left = frames[0, 0, 0, 0, 2] > 0
        self.sure.data.fill_(0.9 if is_left else 0.6)
        return super().forward(frames if is_left else frames.flip(3))


def test_of_buttons_that_replace_each_other_the_likeliest_is_pressed_where_none_is_less_likely() -> None:
    schema = MINECRAFT.buttons
    slots, steps = ([schema.index(name) for name in names] for names in (("hotbar.2", "hotbar.5"), ("sprint", "sneak")))
    odds = np.full((4, 20), 0.01)
    odds[0, slots] = 0.5, 0.6  # one of both: 1.1 times as likely as none, and more
    odds[1, slots] = 0.3, 0.4
    odds[2, slots] = 0.7, 1.5  # pressed by itself
    odds[3, steps] = 0.8, 0.9  # of two it is seen which
    log_odds = torch.from_numpy(odds).float().log()
    log_probs = torch.stack([torch.zeros_like(log_odds), log_odds], -1).log_softmax(-1)
    config = IDMConfig(hidsize=2, attention_heads=1, change_price=1e-6)
    for temperature in (1.0, 2.0):  # which confidence needs, and which labels must not know of
        warm = (log_probs / temperature).log_softmax(-1)
        found = chosen_buttons(warm, dataclasses.replace(config, temperature=temperature))
        assert [np.flatnonzero(row).tolist() for row in found] == [[slots[1]], [], [slots[1]], []]
    alone = chosen_buttons(log_probs, dataclasses.replace(config, change_price=0.0))
    assert [np.flatnonzero(row).tolist() for row in alone] == [[], [], [slots[1]], []], "as the paper"


def test_both_ways_is_the_mean_of_logits_and_left_becomes_right() -> None:
    frames, (left, right) = np.zeros((6, 2, 2, 3), dtype=np.uint8), (4, 5)
    frames[:, 0, 0] = left, 0, 1  # of the mirrored picture, the reader says the same as of this one
    frames[:, 0, 1, 0] = 8
    model = Crooked()
    model.config = IDMConfig(hidsize=2, attention_heads=1, both_ways=True)
    buttons, camera = log_probabilities(model, frames)  # type: ignore[arg-type]
    odds = buttons[0, :, 1] - buttons[0, :, 0]
    sure, unsure = np.log(0.9 / 0.1), np.log(0.6 / 0.4)
    assert odds[left] == pytest.approx((sure - unsure) / 2, abs=1e-5)
    assert odds[right] == pytest.approx((unsure - sure) / 2, abs=1e-5)
    assert odds[0] == pytest.approx(-(sure + unsure) / 2, abs=1e-5)
    assert camera[0, 1, 8].item() == camera[0, 1, 2].item() == camera[0, 1].max()
    assert camera[0].exp().sum(-1) == pytest.approx(1, abs=1e-5)


def test_confidence_is_the_probability_of_the_whole_action() -> None:
    found = predict_episode(Reader(0.98), written(10)[0])  # type: ignore[arg-type]
    assert found.confidence == pytest.approx(0.98**20 * 0.9 * 0.9, rel=1e-4)


def test_windows_are_128_long_and_batched() -> None:
    model = Reader()
    predict_episode(model, written(128 + 64 * 5)[0])  # type: ignore[arg-type]
    assert model.calls == [(4, 128), (2, 128)]


def test_edges_have_less_context() -> None:
    found = predict_episode(Reader(), written(200)[0])  # type: ignore[arg-type]
    assert np.flatnonzero(~found.edge).tolist() == list(range(32, 168))


def test_no_frames_are_an_error() -> None:
    with pytest.raises(ValueError, match="at least one frame"):
        predict_episode(Reader(), np.zeros((0, 2, 2, 3), np.uint8))  # type: ignore[arg-type]


class Counting(Reader):
    """Notes in how many threads it computes."""

    def forward(self, frames: torch.Tensor, maps: torch.Tensor | None = None) -> dict[str, torch.Tensor]:
        self.threads = torch.get_num_threads()
        return super().forward(frames)


@pytest.mark.parametrize(("front", "threads"), [("motion", 1), ("conv3d", 2)])
def test_small_models_compute_in_one_thread_and_others_as_they_were(front: str, threads: int) -> None:
    before, model = torch.get_num_threads(), Counting()
    model.config = IDMConfig(hidsize=2, attention_heads=1, front=front)
    torch.set_num_threads(2)
    try:
        predict_episode(model, np.zeros((3, 128, 128, 3), np.uint8))
        assert (model.threads, torch.get_num_threads()) == (threads, 2)
    finally:
        torch.set_num_threads(before)
