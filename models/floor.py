"""The camera's turn and the player's step over a floor, aligned together.

To a turn alone, floor that comes nearer looks like a view that lifts, and a wide floor hides a turn that only the
horizon shows. But eyes are at one height above the floor, so once it is known how far the view looks down
(`models/tilt.py`), the distance of all that is floor is known as well, in eye heights: below the horizon a step moves
the picture as it moves a plane (its homography: Hartley and Zisserman 2004, section 13.1), above it nothing moves but
by the turn. Pitch, yaw and a step ahead, to the right and up are refined together (`models/alignment.py`), from the
turns that fit best without a step, standing and walking. Walls and slopes are no floor; weights are robust.

Shapes: pictures of `side` pixels a side, N = side * side. Steps in eye heights a frame.
"""

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np

from models.alignment import Pair
from models.ego_motion import PRICE_PER_DEG, TURN_UNIT_DEG
from models.turns import HELD, HELD_AT_LEAST, Upright
from models.view import OUTSIDE, SIDE, VIEWS, Image

EYES = 1.625
"""Height of the eyes in blocks. Another game's steps come out scaled, as the network learns."""
FRAME_S = 0.05
"""Seconds from frame to frame."""
STEP_UNIT = 4.0 * FRAME_S / EYES
"""A step at 4 blocks a second, about a walk, counts as 1, ..."""
LARGEST = 3.0
"""...and larger ones say no more."""
WALK = np.array([3.9 * FRAME_S / EYES, 0.0, 0.0])
"""A walk ahead, from which answers start as well as from standing."""
KEPT = 2
"""Answers that are refined and told."""
SMALL = 64
"""Side of the pictures on which they are chosen."""
PRICE_PER_STEP = 0.05
"""Misfit that a step of an eye height must save, beside what its turn must."""
STEP_HELD = 1e-5
"""What holds a step to nothing, as a share of what turns show: little, so that it is not told too small."""
BOLDEST = 0.1
"""Eye heights by which one improvement may change a step."""
NEAR = 0.05
"""Slope below the horizon from which on floor tells of a step."""
NUMBERS = 6 * KEPT + 1
"""What is told: of each answer pitch, yaw, the step and the misfit; how much of what counts may be floor."""
TURNED_BY_MIRROR = tuple(6 * answer + number for answer in range(KEPT) for number in (1, 3))
"""Numbers that change their sign when the picture is mirrored left to right."""


class Walk(NamedTuple):
    """A turn with a step, and the share of the picture that they do not explain: 0 to 1."""

    misfit: float
    numbers: np.ndarray
    """(5,): pitch, down, and yaw, to the right, in radians; the step ahead, to the right and up."""

    @property
    def price(self) -> float:
        """By which they are ranked."""
        return self.misfit + _price(self.numbers) + PRICE_PER_STEP * float(np.linalg.norm(self.numbers[2:]))


class Floor:
    """The motions of a camera that looks down by `tilt` radians, never rolls, and is carried over a floor."""

    def __init__(self, tilt: float) -> None:
        self.turns = Upright(tilt)
        self.down = self.turns.down
        self.ways = np.array([[0.0, -np.sin(tilt), np.cos(tilt)], [1, 0, 0], -self.down])
        """(3, 3): the directions ahead, to the right and up."""
        self.nearness = {side: np.maximum(self.down @ VIEWS[side].rays, 0) for side in (SMALL, SIDE)}
        """(N,): 1 over the distance of each pixel's floor, along the view; 0 above the horizon."""

    def back(self, image: Image, numbers: np.ndarray) -> Image:
        side, turn = len(image), self.turns.matrix(numbers[:2])
        stepped = turn @ (np.eye(3) - np.outer(numbers[2:] @ self.ways, self.down))
        floor, rest = (VIEWS[side].turned_back(image, matrix, OUTSIDE) for matrix in (stepped, turn))
        return np.where(self.nearness[side].reshape(side, side) > 0, floor, rest)

    def slopes(self, pair: Pair, side: int, numbers: np.ndarray) -> np.ndarray:
        steps = self.ways @ (pair.step_slopes[side] * self.nearness[side])
        return np.concatenate([self.turns.slopes(pair, side, numbers[:2]), steps])

    def held(self, normal: np.ndarray) -> np.ndarray:
        shown = np.trace(normal[:2, :2])
        return np.array([HELD * shown] * 2 + [STEP_HELD * shown] * 3) + HELD_AT_LEAST

    def stepped(self, numbers: np.ndarray, step: np.ndarray) -> np.ndarray:
        return numbers + np.concatenate([step[:2], step[2:].clip(-BOLDEST, BOLDEST)])


def walks(pair: Pair, floor: Floor, turns: Iterable[np.ndarray]) -> list[Walk]:
    """The KEPT best answers, best first: from no turn and `turns`, (2,), standing and walking ahead."""
    starts = [np.concatenate([turn, step]) for turn in (np.zeros(2), *turns) for step in (0 * WALK, WALK)]
    starts.sort(key=lambda numbers: pair.unexplained(floor, numbers, SMALL) + _price(numbers))
    found = []
    for numbers in starts[:KEPT]:
        for side in (SMALL, SIDE):
            numbers = pair.refined(floor, numbers, side)
        found.append(Walk(pair.unexplained(floor, numbers, SIDE), numbers))
    return sorted(found, key=lambda walk: walk.price)


def floor_walk(pair: Pair, tilt_deg: float, turns: Iterable[np.ndarray]) -> np.ndarray:
    """The `NUMBERS` of two frames, of which the first looks down by `tilt_deg`, and the turns that fit them best."""
    floor = Floor(float(np.deg2rad(tilt_deg)))
    told = [_told(walk) for walk in walks(pair, floor, turns)]
    weight = pair.weight[SMALL].ravel()
    return np.concatenate([*told, [(weight * (floor.nearness[SMALL] > NEAR)).sum() / (weight.sum() + 1)]])


def _told(walk: Walk) -> np.ndarray:
    """(6,): pitch and yaw, the step, the misfit."""
    step = (walk.numbers[2:] / STEP_UNIT).clip(-LARGEST, LARGEST)
    return np.array([*np.rad2deg(walk.numbers[:2]) / TURN_UNIT_DEG, *step, walk.misfit])


def _price(numbers: np.ndarray) -> float:
    """Of the turn."""
    return PRICE_PER_DEG * float(np.rad2deg(np.linalg.norm(numbers[:2])))
