"""The action mapping against vectors of OpenAI's released mapping, and the rules in words."""

import time
from pathlib import Path

import numpy as np
import pytest

from models import actions
from models.action_schema import load_schema
from models.actions import BUTTONS, MINECRAFT

GOLDEN = np.load(Path(__file__).parents[1] / "data" / "golden" / "actions.golden.npz")


def pressed(*names: str) -> np.ndarray:
    """One frame (1, 20) with these buttons held."""
    return np.array([[name in names for name in BUTTONS]])


STILL = np.array([[5, 5]])


def test_buttons_are_in_the_released_order() -> None:
    assert list(BUTTONS) == GOLDEN["button_names"].tolist()


def test_camera_bins_equal_the_released_ones() -> None:
    np.testing.assert_array_equal(actions.camera_to_bins(GOLDEN["camera_degrees"]), GOLDEN["camera_bins"])
    np.testing.assert_allclose(actions.bins_to_camera(GOLDEN["camera_bins"]), GOLDEN["undiscretized"], atol=1e-9)


def test_joint_actions_equal_the_released_ones_both_ways() -> None:
    buttons, camera = actions.to_joint(GOLDEN["buttons"], GOLDEN["camera_bins"])
    np.testing.assert_array_equal(buttons, GOLDEN["joint_buttons"])
    np.testing.assert_array_equal(camera, GOLDEN["joint_camera"])
    back_buttons, back_bins = actions.from_joint(buttons, camera)
    np.testing.assert_array_equal(back_buttons, GOLDEN["back_buttons"])
    np.testing.assert_array_equal(back_bins, GOLDEN["back_camera_bins"])


def test_every_joint_action_survives_the_round_trip() -> None:
    index = np.arange(MINECRAFT.n_joint_buttons)
    camera = np.where(actions.camera_is_used(index), 61, 60)
    again, camera_again = actions.to_joint(*actions.from_joint(index, camera))
    assert MINECRAFT.n_joint_buttons == 8641
    np.testing.assert_array_equal(again, index)
    np.testing.assert_array_equal(camera_again, camera)


def test_bin_edges_in_mouse_pixels() -> None:
    """1 px is still "no motion", 2 px (0.3 degrees, lost if degrees were truncated) is bin 6, from 52 px it clips."""
    pixels = np.array([0, 1, 2, 7, 8, 15, 16, 29, 30, 51, 52, 400])
    degrees = np.stack([-pixels, pixels], axis=1) * MINECRAFT.camera.degrees_per_pixel
    bins = actions.camera_to_bins(degrees)
    assert bins[:, 1].tolist() == [5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10]
    assert bins[:, 0].tolist() == (10 - bins[:, 1]).tolist()


@pytest.mark.parametrize(
    ("held", "kept"),
    [
        (("forward", "back"), ()),
        (("left", "right", "jump"), ("jump",)),
        (("sprint", "sneak"), ("sneak",)),
        (("hotbar.2", "hotbar.7"), ("hotbar.7",)),
        (("inventory", "forward", "attack"), ("inventory",)),
    ],
)
def test_conflicts(held: tuple[str, ...], kept: tuple[str, ...]) -> None:
    buttons, bins = actions.from_joint(*actions.to_joint(pressed(*held), STILL))
    np.testing.assert_array_equal(buttons.astype(bool), pressed(*kept))
    np.testing.assert_array_equal(bins, STILL)


def test_inventory_excludes_the_camera() -> None:
    buttons, camera = actions.to_joint(pressed("inventory"), np.array([[0, 10]]))
    assert (buttons[0], camera[0]) == (8640, 60)


def test_the_camera_beside_inventory_is_passed_on_as_released() -> None:
    """The released decoding silences the camera where the joint action says so, and inventory says nothing."""
    _, bins = actions.from_joint(np.array([8640, 0, 1]), np.array([3, 3, 3]))
    assert bins.tolist() == [[0, 3], [5, 5], [0, 3]]


def test_null_is_decided_in_the_policys_action_space() -> None:
    frames = np.concatenate([pressed(), pressed("forward", "back"), pressed("hotbar.3"), pressed(), pressed("jump")])
    bins = np.array([[5, 5], [5, 5], [5, 5], [5, 6], [5, 5]])
    assert actions.null_mask(frames, bins).tolist() == [True, True, False, False, False]


def test_a_hundred_thousand_actions_take_less_than_50_ms() -> None:
    """Of processor time, the best of five, so that a busy machine does not fail it."""
    rng = np.random.default_rng(0)
    buttons, bins = rng.random((100_000, 20)) < 0.2, rng.integers(0, 11, (100_000, 2))
    seconds = []
    for _ in range(5):
        start = time.process_time()
        actions.to_joint(buttons, bins)
        seconds.append(time.process_time() - start)
    assert min(seconds) < 0.05


def test_packed_masks_hold_the_same_buttons() -> None:
    masks = actions.pack_buttons(GOLDEN["buttons"])
    assert masks.dtype == np.uint32
    assert actions.pack_buttons(pressed("attack", "hotbar.9")).tolist() == [1 + 2**19]
    np.testing.assert_array_equal(actions.unpack_buttons(masks), GOLDEN["buttons"].astype(bool))
    with pytest.raises(ValueError, match="another schema"):
        actions.unpack_buttons(np.array([2**20]))


def test_no_frames_are_no_trouble() -> None:
    empty = np.zeros((0, 20)), np.zeros((0, 2), dtype=int)
    assert actions.to_joint(*empty)[0].shape == (0,)
    assert actions.null_mask(*empty).shape == (0,)
    assert actions.camera_to_bins(np.zeros((0, 2))).shape == (0, 2)


def test_wrong_input_is_named() -> None:
    with pytest.raises(ValueError, match=r"expected buttons \(N, 20\)"):
        actions.to_joint(np.zeros((4, 19)), np.zeros((4, 2), dtype=int))
    with pytest.raises(ValueError, match=r"camera bins in 0\.\.10, got 0\.\.11"):
        actions.bins_to_camera(np.array([[0, 11]]))
    with pytest.raises(ValueError, match=r"joint_buttons in 0\.\.8640"):
        actions.from_joint(np.array([8641]), np.array([60]))
    with pytest.raises(ValueError, match="got NaN"):
        actions.camera_to_bins(np.array([[np.nan, 0.0]]))


def test_another_game_needs_only_a_schema() -> None:
    desktop = load_schema("desktop")
    rng = np.random.default_rng(1)
    index = rng.integers(0, desktop.n_joint_buttons, 500)
    camera = np.where(actions.camera_is_used(index, desktop), 3, desktop.null_camera)
    buttons, bins = actions.from_joint(index, camera, desktop)
    assert buttons.shape == (500, len(desktop.buttons)) == (500, 52)
    np.testing.assert_array_equal(actions.to_joint(buttons, bins, desktop)[0], index)
    assert actions.camera_to_bins(np.array([[-20.0, 20.0]]), desktop).tolist() == [[0, 14]]
    masks = actions.pack_buttons(buttons, desktop)
    assert masks.dtype == np.uint64, "52 buttons do not fit into 32 bits"
    np.testing.assert_array_equal(actions.unpack_buttons(masks, desktop), buttons.astype(bool))


def test_mirroring_is_data_and_may_be_missing() -> None:
    order, signs = actions.mirror_of()
    moved = {BUTTONS[i]: BUTTONS[j] for i, j in enumerate(order) if i != j}
    slots = {f"hotbar.{slot}": f"hotbar.{10 - slot}" for slot in (1, 2, 3, 4, 6, 7, 8, 9)}  # the bar is centred
    assert (moved, signs.tolist()) == ({"left": "right", "right": "left"} | slots, [1.0, -1.0])
    with pytest.raises(ValueError, match="schema desktop: its pictures cannot be mirrored"):
        actions.mirror_of(load_schema("desktop"))
