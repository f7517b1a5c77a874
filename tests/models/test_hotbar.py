"""What changes in the hotbar: the chosen slot, the item in hand, and nothing by the world behind it."""

from pathlib import Path

import numpy as np
import pytest

from models.actions import MINECRAFT
from models.contractor import read_recording
from models.hotbar import FRAME_UNIT, ITEM_UNIT, LEFT, NUMBERS, ORDER_MIRRORED, SLOT, SLOTS, TOP, hotbar
from models.view import SIDE

SAMPLE = Path(__file__).parents[2] / "data/sample/contractor"
BRIGHT = 200


def bar(chosen: int, item: int = 90, world: int = 60) -> np.ndarray:
    """A frame with a hotbar: the chosen slot is black around its item, the world shines through the others."""
    frame = np.full((SIDE, SIDE, 3), world, np.uint8)
    frame[-1, int(LEFT) : int(LEFT + SLOTS * SLOT)] = BRIGHT
    first = round(LEFT + chosen * SLOT)
    frame[TOP:, first : first + round(SLOT)] = 0
    frame[TOP + 4 : -5, first : first + round(SLOT)] = item
    return frame


@pytest.mark.parametrize(("before", "after"), [(0, 8), (8, 0), (3, 4), (5, 2)])
def test_under_the_chosen_slot_the_frame_is_dark(before: int, after: int) -> None:
    told = hotbar(np.stack([bar(before), bar(after)]))[0]
    expected = np.zeros(NUMBERS)
    expected[[before, after]] = BRIGHT / FRAME_UNIT, -BRIGHT / FRAME_UNIT
    np.testing.assert_allclose(told, expected, atol=1e-6)


def test_the_item_in_hand_changes_and_the_world_behind_the_others_does_not_count() -> None:
    frames = np.stack([bar(2), bar(2, world=180), bar(2, item=110, world=180), bar(2, item=110)])
    told = hotbar(frames)
    rows = SIDE - 1 - TOP
    changed = np.log1p(20 * (rows - 8) / rows) / ITEM_UNIT
    np.testing.assert_allclose(told[:, SLOTS], [0, changed, 0], atol=1e-6)
    assert not told[:, :SLOTS].any()


def test_another_item_in_hand_is_no_change_of_it() -> None:
    assert hotbar(np.stack([bar(2, item=20), bar(3, item=250)]))[0, SLOTS] == 0


def test_the_mirrored_picture_has_its_slots_in_the_other_order() -> None:
    frames = np.stack([bar(1), bar(6), bar(6, item=120)])
    mirrored = hotbar(frames[:, :, ::-1])
    np.testing.assert_allclose(mirrored, hotbar(frames)[:, ORDER_MIRRORED], atol=1e-6)


@pytest.mark.parametrize("length", [1, 2])
def test_there_is_a_row_for_each_pair(length: int) -> None:
    assert hotbar(np.zeros((length, SIDE, SIDE, 3), np.uint8)).shape == (length - 1, NUMBERS)


@pytest.mark.parametrize("episode", ["frosty-ibex-keeper", "keen-vole-digger"])
def test_in_recordings_keys_of_the_hotbar_are_seen_in_their_frame_and_nowhere_else(episode: str) -> None:
    """Outside menus, 16 keys each; one that is down in the first frame was seen before it."""
    (video,) = SAMPLE.glob(f"{episode}-*.mp4")
    frames, recording = read_recording(video, video.with_suffix(".jsonl"))
    slots = [MINECRAFT.buttons.index(f"hotbar.{slot + 1}") for slot in range(SLOTS)]
    down = recording.buttons[:-1, slots].astype(int)
    pressed = np.diff(down, axis=0, prepend=down[:1]) == 1
    told, item = np.split(hotbar(frames), [SLOTS], axis=1)
    clear = 40 / FRAME_UNIT
    seen = (told < -clear) & (told.max(axis=1, keepdims=True) > clear)
    outside = ~recording.gui_open[:-1]
    outside[0] = False
    np.testing.assert_array_equal(seen[outside], pressed[outside])
    assert pressed[outside].sum() == 16
    used = recording.buttons[:-1, MINECRAFT.buttons.index("use")].astype(int)
    after_press = np.diff(used, prepend=used[:2])[:-1] == 1
    changes = item[:, 0] > np.log1p(3) / ITEM_UNIT
    assert changes[outside & after_press].mean() > 0.25, "a block is placed from the hand"
    assert changes[outside & (used == 0) & ~after_press].mean() < 0.02
