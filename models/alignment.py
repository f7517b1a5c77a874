"""Two pictures, and how well a turn of the camera makes one out of the other.

Pictures are compared in even contrast, on three sizes. What does not fit counts little (robust, on grey values), and a
place counts by its contrast before that was made even: in sand, sea and sky it is the noise of compression, which stays
where it was or changes as it likes, whatever the camera does. A bush on the horizon says how it turned.

Shapes: frames uint8 (128, 128, 3), 16:9 squashed to a square. A turn is a rotation matrix that takes directions seen in
the first frame to directions in the second (x right, y down, z ahead).
"""

from functools import cached_property
from typing import NamedTuple

import cv2
import numpy as np

from models.turns import Family, Trials
from models.view import OUTSIDE, SIDE, SIZES, VIEWS, Image, weights

SURROUNDINGS = 25
"""Side of the square, in pixels, whose mean and contrast are taken out: dusk changes the light, not the view."""
CONTRAST_FLOOR = 3.0
"""Grey levels of contrast below which there is compression noise."""
CONTRAST = 25.0
"""Grey levels to which contrast is set."""
CONTRAST_AROUND = 5
"""Side of the square, in pixels, over which contrast is looked for."""
CONTRAST_SOFTNESS = 12.0
"""Grey levels of contrast that count half."""
EVEN = 0.01
"""How much a place without contrast counts: there may be nothing else."""
SOFTNESS = {32: (20.0, 15.0), 64: (15.0, 12.0, 10.0), 128: (9.0, 7.0, 5.0, 4.0)}
"""Grey levels of misfit that count half, one per step of the refinement."""
JUDGED_AT = {32: 12.0, 64: 6.0, 128: 4.0}
"""The same, where turns are compared."""


class Pyramid(NamedTuple):
    """What alignment sees of a frame."""

    grey: Image
    """uint8 (128, 128)."""
    even: dict[int, Image]
    """In grey with even contrast, on all sizes: float32."""


def pyramid(frame: Image) -> Pyramid:
    """A frame as alignment sees it."""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    square = (SURROUNDINGS, SURROUNDINGS)
    centred = grey - cv2.blur(grey.astype(np.float32), square)
    contrast = np.sqrt(cv2.blur(centred * centred, square) + CONTRAST_FLOOR**2)
    image, images = centred / contrast * CONTRAST, {}
    for side in reversed(SIZES):
        image = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        image = images[side] = cv2.GaussianBlur(image, (0, 0), 0.8)
    return Pyramid(grey, images)


class Pair:
    """Two frames, one after the other."""

    def __init__(self, before: Pyramid, after: Pyramid) -> None:
        self.before, self.after = before, after

    @cached_property
    def weight(self) -> dict[int, Image]:
        """How much each place counts, on all sizes."""
        seen = _variance(self.before.grey.astype(np.float32), CONTRAST_AROUND)
        return weights(EVEN + (1 - EVEN) * seen / (seen + CONTRAST_SOFTNESS**2))

    @cached_property
    def gradients(self) -> dict[int, tuple[Image, Image]]:
        """By how much the grey level grows per pixel to the right and down, (side, side) both, on all sizes."""
        found = {}
        for side in SIZES:
            image = self.before.even[side]
            across, along = (cv2.Sobel(image, -1, *order, ksize=3, scale=1 / 8) for order in ((1, 0), (0, 1)))
            found[side] = across, along
        return found

    @cached_property
    def slopes(self) -> dict[int, Image]:
        """By how much each pixel's grey level grows per radian about each axis, (3, side * side)."""
        found = {}
        for side, view in VIEWS.items():
            across, along = self.gradients[side]
            found[side] = (across * view.rightward + along * view.downward).reshape(3, -1)
        return found

    @cached_property
    def step_slopes(self) -> dict[int, Image]:
        """The same per step to the right, down and ahead, as long as the pixel's distance: (3, side * side)."""
        found = {}
        for side, view in VIEWS.items():
            x, y, _ = view.rays
            focal = np.diag(view.camera)
            right, down = (f * gradient.ravel() for f, gradient in zip(focal, self.gradients[side], strict=False))
            found[side] = np.stack([-right, -down, right * x + down * y])
        return found

    def misfit_map(self, turn: np.ndarray, side: int, softness: float) -> tuple[Image, Image]:
        """What a turn does not explain, 0 to 1 per pixel, and how much each pixel counts: (side, side) both."""
        return self._compared(VIEWS[side].turned_back(self.after.even[side], turn, OUTSIDE), softness)

    def misfit(self, turn: np.ndarray, side: int = SIDE) -> float:
        """The share of the picture that a turn does not explain: 0 to 1."""
        return float(_share(*self.misfit_map(turn, side, JUDGED_AT[side])))

    def unexplained(self, family: Family, numbers: np.ndarray, side: int) -> float:
        """The share of the picture that a motion of the family does not explain: 0 to 1."""
        return float(_share(*self._compared(family.back(self.after.even[side], numbers), JUDGED_AT[side])))

    def misfits(self, trials: Trials) -> np.ndarray:
        """(N,): the same, of many turns on the smallest picture; at once, for a third of the time."""
        side = SIZES[0]
        seen = cv2.remap(self.after.even[side], *trials.places, cv2.INTER_LINEAR, borderValue=OUTSIDE)
        return _share(*self._compared(seen.reshape(-1, side, side), JUDGED_AT[side]))

    def refined(self, family: Family, numbers: np.ndarray, side: int) -> np.ndarray:
        """The motion of the family that fits better: Gauss-Newton, inverse compositional (Baker and Matthews 2004),
        with the weights of Geman and McClure."""
        before, after = self.before.even[side], self.after.even[side]
        for softness in SOFTNESS[side]:
            seen = family.back(after, numbers)
            inside = seen < OUTSIDE / 2
            error = np.where(inside, seen - before, 0).ravel()
            slopes = family.slopes(self, side, numbers)
            weighed = slopes * ((self.weight[side] * inside).ravel() / (1 + (error / softness) ** 2) ** 2)
            normal = weighed @ slopes.T
            damped = normal + np.diag(family.held(normal))
            numbers = family.stepped(numbers, -np.linalg.solve(damped, weighed @ error))
        return numbers

    def _compared(self, seen: Image, softness: float) -> tuple[Image, Image]:
        """`misfit_map` of second pictures that are turned back: (..., side, side)."""
        side = seen.shape[-1]
        square = (seen - self.before.even[side]) ** 2
        return square / (square + softness**2), (seen < OUTSIDE / 2) * self.weight[side]


def _share(unexplained: Image, weight: Image) -> np.ndarray:
    """Of the picture: (..., side, side) -> (...)."""
    return (unexplained * weight).sum((-2, -1)) / (weight.sum((-2, -1)) + 1)


def _variance(image: Image, side: int) -> Image:
    """Of each pixel's surroundings, a square of `side`."""
    mean, of_squares = (cv2.blur(powers, (side, side)) for powers in (image, image * image))
    return np.maximum(of_squares - mean * mean, 0)
