"""The geometry of a picture: what a turn of the camera does to its pixels, and which of them show the world at all.

Shapes: a picture of 16:9 squashed to a square of `side` pixels. A turn is a rotation matrix that takes directions seen
in the first picture to directions in the second (x right, y down, z ahead).
"""

import cv2
import numpy as np

Image = np.ndarray

SIDE = 128
VIEW_DEG = 72.0
"""Vertical field of view of the recordings. For another game's the turns come out scaled, as the network learns."""
ASPECT = 16 / 9
"""Of the picture before it was squashed."""
SIZES = (32, 64, 128)
"""Sides of the pictures on which a turn is searched, refined, refined again."""
OUTSIDE = 1e4
"""Stands for what a picture does not show."""
HAND = 0.25
"""How much the part of the picture counts in which the hand is, and..."""
HAND_TURNING = 0.05
"""...where turns are looked for: it swings."""


class View:
    """The geometry of a square picture of `side` pixels."""

    def __init__(self, side: int) -> None:
        self.side = side
        down = side / 2 / np.tan(np.deg2rad(VIEW_DEG / 2))
        right = down / ASPECT
        centre = (side - 1) / 2
        self.camera = np.array([[right, 0, centre], [0, down, centre], [0, 0, 1]])
        self.inverse = np.linalg.inv(self.camera)
        rows, columns = np.indices((side, side))
        x, y = (columns - centre) / right, (rows - centre) / down
        self.rightward = (right * np.stack([-x * y, 1 + x * x, -y])).astype(np.float32)
        """(3, side, side): pixels to the right per radian about each axis."""
        self.downward = (down * np.stack([-1 - y * y, x * y, x])).astype(np.float32)
        self.rays = self.inverse @ np.stack([columns.ravel(), rows.ravel(), np.ones(side * side)])
        """(3, side * side): the direction of each pixel, z = 1."""
        self.weight = _overlay_weight(side, HAND)
        """(side, side): how much a place says about the world."""

    def moved(self, turn: np.ndarray) -> np.ndarray:
        """(3, 3): the homography from pixels of the first picture to those of the second."""
        return self.camera @ turn @ self.inverse

    def turned_back(self, image: Image, turn: np.ndarray, outside: float | None = None) -> Image:
        """The second picture as the first camera would have seen it; beyond its edge `outside`, or its last pixels."""
        matrix = self.moved(turn)
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        size = (self.side, self.side)
        if outside is None:
            return cv2.warpPerspective(image, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE)
        return cv2.warpPerspective(image, matrix, size, flags=flags, borderValue=outside)


def _overlay_weight(side: int, hand: float) -> Image:
    """(side, side): how much a place says about the world. Bars, crosshair and hand do not turn with it."""
    weight = np.ones((SIDE, SIDE), np.float32)
    weight[106:, 26:100] = 0
    weight[76:, 88:] = hand
    weight[60:68, 61:67] = 0
    return cv2.resize(weight, (side, side), interpolation=cv2.INTER_AREA)


VIEWS = {side: View(side) for side in SIZES}
_TURNING = _overlay_weight(SIDE, HAND_TURNING)


def weights(counts: Image) -> dict[int, Image]:
    """How much each place says of a turn, on all sizes: of how much it counts, (128, 128), 0 to 1."""
    weight = _TURNING * counts
    return {side: cv2.resize(weight, (side, side), interpolation=cv2.INTER_AREA) for side in SIZES}
