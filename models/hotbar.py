"""What changes in the hotbar between two frames: which slot is chosen, and what the hand holds.

Its keys show nowhere else, and there for certain: the bar has a bright frame, which is dark under the chosen slot. In
eleven worlds each of the 353 keys that chose another slot is seen so, in its own frame. The chosen slot is black behind
the item in the hand, so what changes in it is that item: one fewer a frame after a block was placed, none left when it
was dropped. Other slots let the world shine through.

Shapes: L frames uint8 (L, 128, 128, 3), 16:9 squashed to a square.
"""

import numpy as np

SLOTS = 9
LEFT, SLOT = 31.5, 7.19
"""Where the first slot begins, and how wide each is, in pixels of 128. Another game's bar is elsewhere: what is told
of it is noise, which the network learns to leave alone."""
INSIDE = slice(2, 7)
"""Columns of a slot that are its own, from its first."""
TOP = 115
"""The first row of the items; the last of the picture is the bar's frame below them."""
FRAME_UNIT = 4.0
"""Grey levels of the frame's change that count as 1: few, since a weight grows by the learning rate a step at most, and
the keys are rare."""
ITEM_UNIT = 2.0
"""What counts as 1 of the logarithm of 1 + the change of the item, grey levels."""
NUMBERS = SLOTS + 1
"""What is told of a pair: how much brighter the frame becomes under each slot, how much the item in hand changes."""
ORDER_MIRRORED = [*reversed(range(SLOTS)), SLOTS]
"""Which number takes each one's place when the picture is mirrored left to right."""


def hotbar(frames: np.ndarray) -> np.ndarray:
    """What changes from each frame to the next: uint8 (L, 128, 128, 3) -> float32 (L - 1, NUMBERS)."""
    grey = frames[:, TOP:].mean(axis=-1, dtype=np.float32)
    firsts = np.rint(LEFT + SLOT * np.arange(SLOTS)).astype(int)
    slots = np.stack([grey[..., first + INSIDE.start : first + INSIDE.stop] for first in firsts], axis=1)
    below = slots[:, :, -1].mean(axis=-1)  # (L, SLOTS)
    chosen = below.argmin(axis=1)
    items = slots[np.arange(len(slots)), chosen, :-1]
    change = np.abs(np.diff(items, axis=0)).mean(axis=(1, 2))
    held = np.where(np.diff(chosen) == 0, np.log1p(change), 0)
    return np.column_stack([np.diff(below, axis=0) / FRAME_UNIT, held / ITEM_UNIT]).astype(np.float32)
