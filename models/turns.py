"""Families of turns of a camera: all there are, and those of a player's camera, which never rolls.

A player turns right and left about the world's upright axis, and up and down about the camera's own. So how far the
view looks down, its tilt, decides which turns there are; to a camera that looks down by 60 degrees, a turn to the right
is half a roll. A turn is a rotation matrix that takes directions seen in the first frame to directions in the second (x
right, y down, z ahead).
"""

from functools import cache
from typing import NamedTuple, Protocol

import cv2
import numpy as np

from models.view import SIZES, VIEWS, Image

SEARCHED_DEG = (np.linspace(-15, 15, 13), np.linspace(-16, 16, 13))
"""Pitch and yaw that are tried on the smallest picture; they are a pixel or so apart there."""
TILTS_APART_DEG = 5
"""Between the tilts for which trials are made ready."""
_RIGHT = np.array([1.0, 0.0, 0.0])


class Family(Protocol):
    """Turns that some numbers decide, radians."""

    def matrix(self, numbers: np.ndarray) -> np.ndarray:
        """(3, 3): the turn."""

    def axes(self, numbers: np.ndarray) -> np.ndarray:
        """(numbers, 3): about which axis of the first frame each number turns."""

    def stepped(self, numbers: np.ndarray, step: np.ndarray) -> np.ndarray:
        """The numbers after small turns about `axes`."""


class Free:
    """All turns, by their rotation vectors."""

    def matrix(self, numbers: np.ndarray) -> np.ndarray:
        return rotation(numbers)

    def axes(self, numbers: np.ndarray) -> np.ndarray:
        return np.eye(3, dtype=np.float32)

    def stepped(self, numbers: np.ndarray, step: np.ndarray) -> np.ndarray:
        return vector(rotation(numbers) @ rotation(step))


class Upright:
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
