"""Families of turns of a camera: all there are, and those of a player's camera, which never rolls.

A player turns right and left about the world's upright axis, and up and down about the camera's own. So how far the
view looks down, its tilt, decides which turns there are; to a camera that looks down by 60 degrees, a turn to the right
is half a roll. A turn is a rotation matrix that takes directions seen in the first frame to directions in the second (x
right, y down, z ahead).
"""

from abc import ABC, abstractmethod
from functools import cache
from typing import TYPE_CHECKING, NamedTuple, Protocol

import cv2
import numpy as np

from models.view import OUTSIDE, SIZES, VIEWS, Image

if TYPE_CHECKING:
    from models.alignment import Pair

SEARCHED_DEG = (np.linspace(-15, 15, 13), np.linspace(-16, 16, 13))
"""Pitch and yaw that are tried on the smallest picture; they are a pixel or so apart there."""
TILTS_APART_DEG = 5
"""Between the tilts for which trials are made ready."""
HELD, HELD_AT_LEAST = 3e-4, 1e-3
"""What holds a turn's steps to nothing where a picture shows little: a share of what it shows, and something."""
_RIGHT = np.array([1.0, 0.0, 0.0])


class Family(Protocol):
    """Motions of the camera that some numbers decide."""

    def back(self, image: Image, numbers: np.ndarray) -> Image:
        """The second picture as the camera saw it before the motion, `OUTSIDE` where it does not show that."""

    def slopes(self, pair: "Pair", side: int, numbers: np.ndarray) -> np.ndarray:
        """(numbers, side * side): by how much each pixel's grey level grows with each of `stepped`'s steps."""

    def held(self, normal: np.ndarray) -> np.ndarray:
        """(numbers,): what holds each step to nothing, of the matrix of the normal equations."""

    def stepped(self, numbers: np.ndarray, step: np.ndarray) -> np.ndarray:
        """The numbers after a small motion."""


class Turning(ABC):
    """Families of turns; steps turn about `axes`, radians."""

    @abstractmethod
    def matrix(self, numbers: np.ndarray) -> np.ndarray:
        """(3, 3): the turn."""

    @abstractmethod
    def axes(self, numbers: np.ndarray) -> np.ndarray:
        """(numbers, 3): about which axis of the first frame each number turns."""

    @abstractmethod
    def stepped(self, numbers: np.ndarray, step: np.ndarray) -> np.ndarray: ...

    def back(self, image: Image, numbers: np.ndarray) -> Image:
        return VIEWS[len(image)].turned_back(image, self.matrix(numbers), OUTSIDE)

    def slopes(self, pair: "Pair", side: int, numbers: np.ndarray) -> np.ndarray:
        return self.axes(numbers) @ pair.slopes[side]

    def held(self, normal: np.ndarray) -> np.ndarray:
        return np.full(len(normal), HELD * np.trace(normal) + HELD_AT_LEAST)


class Free(Turning):
    """All turns, by their rotation vectors."""

    def matrix(self, numbers: np.ndarray) -> np.ndarray:
        return rotation(numbers)

    def axes(self, numbers: np.ndarray) -> np.ndarray:
        return np.eye(3, dtype=np.float32)

    def stepped(self, numbers: np.ndarray, step: np.ndarray) -> np.ndarray:
        return vector(rotation(numbers) @ rotation(step))


class Upright(Turning):
    """The turns of a camera that looks down by `tilt` radians and never rolls: pitch, down, and yaw, to the right."""

    def __init__(self, tilt: float) -> None:
        self.down = np.array([0.0, np.cos(tilt), np.sin(tilt)])

    def matrix(self, numbers: np.ndarray) -> np.ndarray:
        pitch, yaw = numbers
        return rotation(_RIGHT * pitch) @ rotation(self.down * -yaw)

    def axes(self, numbers: np.ndarray) -> np.ndarray:
        return np.stack([rotation(self.down * numbers[1]) @ _RIGHT, -self.down]).astype(np.float32)

    def stepped(self, numbers: np.ndarray, step: np.ndarray) -> np.ndarray:
        return numbers + step


class Trials(NamedTuple):
    """Turns that are tried on the smallest picture."""

    numbers: np.ndarray
    """(N, 2): their pitch and yaw, radians."""
    places: tuple[Image, Image]
    """x and y in the second picture of each pixel of the first, one trial below the other: (N * side, side)."""


def trials(tilt: float) -> Trials:
    """Those of a camera that looks down by about `tilt` radians."""
    return _trials(round(np.rad2deg(tilt) / TILTS_APART_DEG) * TILTS_APART_DEG)


@cache
def _trials(tilt_deg: int) -> Trials:
    family, view = Upright(np.deg2rad(tilt_deg)), VIEWS[SIZES[0]]
    pitch, yaw = np.meshgrid(*map(np.deg2rad, SEARCHED_DEG), indexing="ij")
    numbers = np.stack([pitch.ravel(), yaw.ravel()], axis=1)
    here = np.indices((view.side, view.side))[::-1].transpose(1, 2, 0).astype(float)  # x and y
    there = [cv2.perspectiveTransform(here, view.moved(family.matrix(turn))) for turn in numbers]
    x, y = cv2.split(np.concatenate(there).astype(np.float32))
    return Trials(numbers, (x, y))


def rotation(vector: np.ndarray) -> np.ndarray:
    """(3, 3), of a rotation vector (3,)."""
    return cv2.Rodrigues(vector)[0]


def vector(matrix: np.ndarray) -> np.ndarray:
    """(3,): the rotation vector of a matrix."""
    return cv2.Rodrigues(matrix)[0].ravel()
