"""How much of the picture changes between two frames: in a menu almost nothing, but where a click moves an item.

The game draws a menu over a view that stands still, and where nothing happens the recorded picture of it is the same
to the last grey level. Players click while the cursor rests: a click that moves an item is one of the few changes
then, beside captions that come and go. A count of pixels over so wide a range is told as its logarithm.

Shapes: L frames uint8 (L, H, W, 3).
"""

from itertools import pairwise

import cv2
import numpy as np

LEAST = 12
"""Grey levels that a channel of a pixel changes by, at least: compression changes it by less where nothing moves."""
UNIT = 4.0
"""What counts as 1 of the logarithm: a change of 54 pixels."""
NUMBERS = 1


def changed(frames: np.ndarray) -> np.ndarray:
    """Logarithm of 1 + the pixels that change from each frame to the next: float32 (L - 1, NUMBERS)."""
    counts = [(cv2.absdiff(a, b).max(axis=-1) > LEAST).sum() for a, b in pairwise(frames)]
    return np.log1p(np.array(counts, np.float32).reshape(-1, NUMBERS)) / UNIT
