"""How did the camera turn between two frames? Found by aligning the pictures, without training.

A turn moves every pixel in a way that only the field of view decides, so three numbers say how all of a picture moves.
They are searched on a small picture and refined on larger ones (Gauss-Newton on grey values, robust: what does not fit
counts little). Where the player stands, the turn comes out to a few hundredths of a degree, far finer than the camera's
bins. Where he walks close to a wall, or the picture has no texture, the best turn may be wrong by degrees; how well it
fits, and a second answer, the best small turn, are told beside it, and the network weighs them.

Shapes: frames uint8 (128, 128, 3), 16:9 squashed to a square. A turn is a rotation matrix that takes directions seen in
the first frame to directions in the second (x right, y down, z ahead), or its rotation vector in degrees.
"""

from collections.abc import Iterable
from typing import NamedTuple

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
SEARCHED_DEG = (np.linspace(-15, 15, 13), np.linspace(-16, 16, 13))
"""Pitch and yaw that are tried on the smallest picture; they are a pixel or so apart there."""
SURROUNDINGS = 25
"""Side of the square, in pixels, whose mean and contrast are taken out: dusk changes the light, not the view."""
CONTRAST_FLOOR = 3.0
"""Grey levels of contrast below which there is compression noise."""
CONTRAST = 25.0
"""Grey levels to which contrast is set."""
OUTSIDE = 1e4
"""Stands for what the second frame does not show."""
SOFTNESS = {32: (20.0, 15.0), 64: (15.0, 12.0, 10.0), 128: (9.0, 7.0, 5.0, 4.0)}
"""Grey levels of misfit that count half, one per step of the refinement."""
JUDGED_AT = {32: 12.0, 64: 6.0, 128: 4.0}
"""The same, where turns are compared."""
TRIED, KEPT = 6, 4
"""Turns that are refined up to the middle picture, and up to the largest."""
PRICE_PER_DEG = 0.006
"""Misfit that a degree must save: walls repeat themselves, and players turn little in most frames."""
DISTINCT = 0.01
"""Turns nearer than this, in any entry of their matrices, are one."""
TURN_UNIT_DEG = 4.0
NUMBERS = 4 * KEPT + 1
"""What is told of a pair: the turns of three numbers with their misfits, and the misfit of no turn."""
TURNED_BY_MIRROR = tuple(4 * i + axis for i in range(KEPT) for axis in (1, 2))
"""The numbers that change their sign when the pictures are mirrored: yaw and roll."""


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
        self.weight = cv2.resize(_overlay_weight(), (side, side), interpolation=cv2.INTER_AREA)

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


def _overlay_weight() -> Image:
    """(128, 128): how much a place says about the world. Bars, crosshair and hand do not turn with it."""
    weight = np.ones((SIDE, SIDE), np.float32)
    weight[112:, 30:98] = 0
    weight[76:, 88:] = 0.25
    weight[60:68, 61:67] = 0
    return weight


VIEWS = {side: View(side) for side in SIZES}
TRIALS = [
    cv2.Rodrigues(np.array([pitch, yaw, 0.0]))[0]
    for pitch in np.deg2rad(SEARCHED_DEG[0])
    for yaw in np.deg2rad(SEARCHED_DEG[1])
]


def _tried_at() -> tuple[Image, Image]:
    """x and y in the second picture of each pixel of the first, one trial below the other: (TRIALS * side, side)."""
    view = VIEWS[SIZES[0]]
    here = np.indices((view.side, view.side))[::-1].transpose(1, 2, 0).astype(float)  # x and y
    there = np.concatenate([cv2.perspectiveTransform(here, view.moved(turn)) for turn in TRIALS])
    x, y = cv2.split(there.astype(np.float32))
    return x, y


TRIED_AT = _tried_at()

Pyramid = dict[int, Image]


class Turn(NamedTuple):
    """A turn, and the share of the picture that it does not explain: 0 to 1."""

    misfit: float
    matrix: np.ndarray

    @property
    def price(self) -> float:
        """By which turns are ranked."""
        return self.misfit + PRICE_PER_DEG * float(np.linalg.norm(self.degrees))

    @property
    def degrees(self) -> np.ndarray:
        """(3,): its rotation vector."""
        return np.rad2deg(cv2.Rodrigues(self.matrix)[0].ravel())


class EgoMotion(NamedTuple):
    """What is known of the camera between two frames."""

    turns: list[Turn]
    """KEPT of them, best first; if fewer were found, the best again."""
    still: Turn
    """No turn."""

    @property
    def numbers(self) -> np.ndarray:
        """float32 (NUMBERS,): each turn in units of 4 degrees with its misfit, and the misfit of no turn."""
        told = [np.append(turn.degrees / TURN_UNIT_DEG, turn.misfit) for turn in self.turns]
        return np.append(told, self.still.misfit).astype(np.float32)


def pyramid(frame: Image) -> Pyramid:
    """The frame in grey with even contrast, on all sizes: float32."""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
    square = (SURROUNDINGS, SURROUNDINGS)
    centred = grey - cv2.blur(grey, square)
    contrast = np.sqrt(cv2.blur(centred * centred, square) + CONTRAST_FLOOR**2)
    image, images = centred / contrast * CONTRAST, {}
    for side in reversed(SIZES):
        image = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
        image = images[side] = cv2.GaussianBlur(image, (0, 0), 0.8)
    return images


def ego_motion(before: Pyramid, after: Pyramid) -> EgoMotion:
    """The turn of the camera from one frame to the next."""
    tried = np.argsort(misfits_of_trials(before, after), kind="stable")[:TRIED]
    near, *others = (_judged(before, after, turn, SIZES[:2]) for turn in [np.eye(3), *(TRIALS[i] for i in tried)])
    kept = [near.matrix]
    for turn in sorted(others, key=lambda turn: turn.misfit):
        if all(np.abs(turn.matrix - other).max() > DISTINCT for other in kept):
            kept.append(turn.matrix)
    final = sorted((_judged(before, after, turn, SIZES[2:]) for turn in kept[:KEPT]), key=lambda turn: turn.price)
    final += final[:1] * (KEPT - len(final))
    return EgoMotion(final, Turn(_misfit(before, after, np.eye(3), SIDE), np.eye(3)))


def misfit_map(before: Pyramid, after: Pyramid, turn: np.ndarray, side: int, softness: float) -> tuple[Image, Image]:
    """What a turn does not explain, 0 to 1 per pixel, and how much each pixel counts: (side, side) both."""
    return _compared(before[side], VIEWS[side].turned_back(after[side], turn, OUTSIDE), softness)


def misfits_of_trials(before: Pyramid, after: Pyramid) -> np.ndarray:
    """(TRIALS,): what each of them does not explain on the smallest picture; at once, for a third of the time."""
    side = SIZES[0]
    seen = cv2.remap(after[side], *TRIED_AT, cv2.INTER_LINEAR, borderValue=OUTSIDE).reshape(-1, side, side)
    return _share(*_compared(before[side], seen, JUDGED_AT[side]))


def _compared(before: Image, seen: Image, softness: float) -> tuple[Image, Image]:
    """`misfit_map` of pictures that are turned back: (..., side, side)."""
    square = (seen - before) ** 2
    return square / (square + softness**2), (seen < OUTSIDE / 2) * VIEWS[before.shape[-1]].weight


def _share(unexplained: Image, weight: Image) -> np.ndarray:
    """Of the picture: (..., side, side) -> (...)."""
    return (unexplained * weight).sum((-2, -1)) / (weight.sum((-2, -1)) + 1)


def _misfit(before: Pyramid, after: Pyramid, turn: np.ndarray, side: int) -> float:
    return float(_share(*misfit_map(before, after, turn, side, JUDGED_AT[side])))


def _judged(before: Pyramid, after: Pyramid, turn: np.ndarray, sides: Iterable[int]) -> Turn:
    """A turn after its refinement on these sizes."""
    for side in sides:
        turn = _refined(before[side], after[side], turn, side)
    return Turn(_misfit(before, after, turn, side), turn)


def _refined(before: Image, after: Image, turn: np.ndarray, side: int) -> np.ndarray:
    """Gauss-Newton, inverse compositional (Baker and Matthews 2004), with the weights of Geman and McClure."""
    view = VIEWS[side]
    across, along = (cv2.Sobel(before, -1, *order, ksize=3, scale=1 / 8) for order in ((1, 0), (0, 1)))
    slopes = (across * view.rightward + along * view.downward).reshape(3, -1)
    for softness in SOFTNESS[side]:
        seen = view.turned_back(after, turn, OUTSIDE)
        inside = seen < OUTSIDE / 2
        error = np.where(inside, seen - before, 0).ravel()
        weighed = slopes * ((view.weight * inside).ravel() / (1 + (error / softness) ** 2) ** 2)
        normal = weighed @ slopes.T
        damped = normal + (3e-4 * np.trace(normal) + 1e-3) * np.eye(3)
        turn = turn @ cv2.Rodrigues(-np.linalg.solve(damped, weighed @ error))[0]
    return turn
