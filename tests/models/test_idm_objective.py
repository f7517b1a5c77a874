"""What the IDM minimises: the loss by hand, windows that are mirrored, and the further lessons."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from models.actions import BUTTONS
from models.batches import Batch, RandomWindows
from models.idm import InverseDynamicsModel
from models.idm_objective import IDMObjective, menu_error, mirrored, walk_error
from tests.models.game import episode
from tests.models.test_train_idm import TINY


class Uniform(torch.nn.Module):
    """Every choice equally likely."""

    def forward(self, frames: torch.Tensor, maps: torch.Tensor | None = None, *_: object) -> dict[str, torch.Tensor]:
        shape = frames.shape[:2]
        return {"buttons": torch.full((*shape, 20, 2), 0.5).log(), "camera": torch.full((*shape, 2, 11), 1 / 11).log()}


def test_loss_is_the_sum_over_heads_and_unknown_frames_do_not_count() -> None:
    weight = np.array([[1, 1, 0, 1]], dtype=np.float32)
    batch = Batch(
        np.zeros((1, 4, 2, 2, 3), np.uint8),
        np.zeros((1, 4, 20), bool),
        np.zeros((1, 4, 2)),
        weight,
        np.zeros((1, 4), bool),
    )
    loss, figures = IDMObjective().loss(Uniform(), batch, "cpu")
    assert float(loss) == pytest.approx(20 * np.log(2) + 2 * np.log(11), rel=1e-5)
    assert figures["camera_loss"] == pytest.approx(2 * np.log(11), rel=1e-5)


def test_the_camera_may_be_asked_for_its_mean_as_well() -> None:
    """Even chances have the mean 0; 4 degrees off is two bins' widths, and what is clipped is the bin's centre off."""
    camera = np.array([[[4.0, 0], [0, -30], [9, 9]]])
    batch = Batch(
        np.zeros((1, 3, 2, 2, 3), np.uint8),
        np.zeros((1, 3, 20), bool),
        camera,
        np.array([[1, 1, 0]], dtype=np.float32),
        np.zeros((1, 3), bool),
    )
    plain, _ = IDMObjective().loss(Uniform(), batch, "cpu")
    loss, figures = IDMObjective(mean_weight=0.5).loss(Uniform(), batch, "cpu")
    assert figures["camera_mean_loss"] == pytest.approx((2**2 + 5**2) / 2, rel=1e-5)
    assert float(loss - plain) == pytest.approx(0.5 * (2**2 + 5**2) / 2, rel=1e-5)


def test_unknown_frames_have_no_gradient() -> None:
    """Flipping the label of an unknown frame leaves the loss alone; of a known one it does not."""
    model = InverseDynamicsModel(TINY)
    batch = next(RandomWindows([episode("w", 40, seed=1)], 16, 1, seed=0))
    batch.weight[0, 5] = 0
    losses = []
    for frame in (None, 5, 6):
        buttons = batch.buttons.copy()
        if frame is not None:
            buttons[0, frame] = ~buttons[0, frame]
        changed = Batch(batch.frames, buttons, batch.camera_deg, batch.weight, batch.first)
        losses.append(IDMObjective().loss(model, changed, "cpu")[0].item())
    assert losses[0] == losses[1] != losses[2]


def test_mirrored_windows_turn_keys_and_yaw_round_with_the_picture() -> None:
    batch = next(RandomWindows([episode("w", 40, seed=1)], 16, 2, seed=0))
    batch = replace(batch, walk=np.random.default_rng(0).normal(size=(2, 16, 4)).astype(np.float32))
    turned = mirrored(batch, np.array([True, False]))
    left, right = BUTTONS.index("left"), BUTTONS.index("right")
    np.testing.assert_array_equal(turned.frames[0, 3, 5], batch.frames[0, 3, 5, ::-1])
    np.testing.assert_array_equal(turned.buttons[0, :, right], batch.buttons[0, :, left])
    slots = [BUTTONS.index(f"hotbar.{slot}") for slot in range(1, 10)]
    np.testing.assert_array_equal(turned.buttons[0][:, slots], batch.buttons[0][:, slots[::-1]])
    np.testing.assert_array_equal(turned.camera_deg[0], batch.camera_deg[0] * [1, -1])
    np.testing.assert_array_equal(turned.walk[0], batch.walk[0] * [1, -1, 1, 1])
    again = mirrored(turned, np.array([True, False]))
    for name in ("frames", "buttons", "camera_deg", "weight", "walk"):
        np.testing.assert_array_equal(getattr(turned, name)[1], getattr(batch, name)[1])
        np.testing.assert_array_equal(getattr(again, name), getattr(batch, name))


def test_the_walk_is_taught_where_it_is_known() -> None:
    """Half a unit off is the end of the quadratic part, 2 off are on the linear one; unknown is 0."""
    walk = np.array([[[0.5, 0, 0, 0], [2, 2, 2, 2], [np.nan] * 4]], np.float32)
    said = torch.zeros(1, 3, 4, requires_grad=True)
    error = walk_error(said, walk)
    assert error[0].tolist() == pytest.approx([0.25 / 4, 1.75, 0])
    error.sum().backward()
    assert said.grad is not None
    assert said.grad[0, 0].tolist() == pytest.approx([-0.25, 0, 0, 0])
    assert not said.grad[0, 2].any()


def test_where_no_walk_is_known_every_weight_has_a_gradient_of_nothing() -> None:
    said = torch.ones(1, 3, 4, requires_grad=True)
    walk_error(said, None).sum().backward()
    assert said.grad is not None
    assert not said.grad.any()


def test_menus_are_taught_where_they_are_known() -> None:
    """Log odds of 2 for a menu cost log(1 + e^-2) where there is one and 2 more where there is none."""
    said = torch.full((1, 2, 1), 2.0, requires_grad=True)
    error = menu_error(said, np.array([[True, False]]))
    assert error[0].tolist() == pytest.approx([np.log1p(np.exp(-2)), 2 + np.log1p(np.exp(-2))])
    menu_error(said, None).sum().backward()
    assert said.grad is not None
    assert not said.grad.any(), "a gradient of nothing where nobody knows"


def test_a_head_that_says_menus_learns_what_the_recordings_say() -> None:
    class Menus(Uniform):
        def forward(self, frames: torch.Tensor, *rest: object) -> dict[str, torch.Tensor]:
            return {**super().forward(frames), "menu": torch.full((*frames.shape[:2], 1), 2.0)}

    play = replace(episode("w", 16, seed=1), gui_open=np.arange(16) < 4)
    batch = next(RandomWindows([play], 16, 1, seed=0))
    assert batch.gui_open is not None
    assert batch.gui_open[0].tolist() == [True] * 4 + [False] * 12
    plain, _ = IDMObjective().loss(Uniform(), batch, "cpu")
    loss, figures = IDMObjective().loss(Menus(), batch, "cpu")
    assert figures["menu_loss"] == pytest.approx(12 / 16 * 2 + np.log1p(np.exp(-2)), rel=1e-5)
    assert float(loss - plain) == pytest.approx(figures["menu_loss"], rel=1e-3)
    unknown = next(RandomWindows([replace(play, gui_open=None)], 16, 1, seed=0))
    assert IDMObjective().loss(Menus(), unknown, "cpu")[1]["menu_loss"] == 0


def test_the_walk_weighs_what_the_config_says() -> None:
    class Walks(Uniform):
        def forward(
            self, frames: torch.Tensor, maps: torch.Tensor | None = None, *_: object
        ) -> dict[str, torch.Tensor]:
            return {**super().forward(frames, maps), "walk": torch.zeros(*frames.shape[:2], 4)}

    batch = next(RandomWindows([episode("w", 40, seed=1)], 16, 2, seed=0))
    batch = replace(batch, walk=np.full((2, 16, 4), 2, np.float32))
    plain, _ = IDMObjective().loss(Uniform(), batch, "cpu")
    loss, figures = IDMObjective(walk_weight=2.0).loss(Walks(), batch, "cpu")
    assert figures["walk_loss"] == pytest.approx(1.75)
    assert float(loss - plain) == pytest.approx(3.5, rel=1e-4)
    assert torch.equal(IDMObjective(walk_weight=2.0).loss(Uniform(), batch, "cpu")[0], plain), "no head, no lesson"


def test_a_second_opinion_has_lessons_of_its_own() -> None:
    class Two(Uniform):
        def forward(
            self, frames: torch.Tensor, maps: torch.Tensor | None = None, *_: object
        ) -> dict[str, torch.Tensor]:
            sure = torch.log(torch.tensor([0.9, 0.1])).expand(*frames.shape[:2], 20, 2)
            return {
                **super().forward(frames, maps),
                "walk": torch.full((*frames.shape[:2], 4), 2.0),
                "second_buttons": sure,
                "second_camera": torch.log_softmax(torch.eye(11)[5], -1).expand(*frames.shape[:2], 2, 11),
                "second_walk": torch.zeros(*frames.shape[:2], 4),
            }

    batch = next(RandomWindows([episode("w", 40, seed=1)], 16, 2, seed=0))
    still = {"buttons": np.zeros_like(batch.buttons), "camera_deg": np.zeros_like(batch.camera_deg)}
    batch = replace(batch, walk=np.full((2, 16, 4), 2, np.float32), **still)
    plain, _ = IDMObjective().loss(Uniform(), batch, "cpu")
    loss, figures = IDMObjective(mean_weight=0.5, walk_weight=2.0).loss(Two(), batch, "cpu")
    camera = 2 * np.log((np.e + 10) / np.e)
    assert figures["second_button_loss"] == pytest.approx(-20 * np.log(0.9), rel=1e-4)
    assert figures["second_camera_loss"] == pytest.approx(camera, rel=1e-4)
    assert figures["camera_mean_loss"] == pytest.approx(0, abs=1e-6)
    assert figures["second_camera_mean_loss"] == pytest.approx(0, abs=1e-6)
    assert figures["second_walk_loss"] == pytest.approx(1.75)
    assert float(loss - plain) == pytest.approx(-20 * np.log(0.9) + camera + 3.5, rel=1e-4)


def test_half_of_the_windows_are_mirrored_by_the_seed_of_the_step() -> None:
    """A model that reads which way the picture lies sees both ways, and the same ones for the same seed."""
    batch = next(RandomWindows([episode("w", 60, seed=1)], 4, 10, seed=0))
    seen = []

    class Watch(Uniform):
        def forward(
            self, frames: torch.Tensor, maps: torch.Tensor | None = None, *_: object
        ) -> dict[str, torch.Tensor]:
            seen.append((frames.numpy() != batch.frames).any(axis=(1, 2, 3, 4)))
            return super().forward(frames, maps)

    for seed in (0, 0, 1):
        torch.manual_seed(seed)
        IDMObjective(mirror=True).loss(Watch(), batch, "cpu")
    assert seen[0].tolist() == seen[1].tolist() != seen[2].tolist()
    assert 0 < seen[0].sum() < 10
