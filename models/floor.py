"""The camera's turn and the player's step, aligned together: over a floor, and past a wall.

To a turn alone, floor that comes nearer looks like a view that lifts, and a wide floor hides a turn that only the
horizon shows. But eyes are at one height above the floor, so once it is known how far the view looks down
(`models/tilt.py`), the distance of all that is floor is known as well, in eye heights: below the horizon a step moves
the picture as it moves a plane (its homography: Hartley and Zisserman 2004, section 13.1), above it nothing moves but
by the turn. Pitch, yaw and a step ahead, to the right and up are refined together (`models/alignment.py`), from the
turns that fit best without a step, standing and walking.

Close to a wall a step looks like a turn, and there the same is done with an upright plane straight ahead; its distance
counts as 1. Weights are robust, so that of slopes, corners and trees what is nearest to such a plane is aligned.

Shapes: pictures of `side` pixels a side, N = side * side. Steps a frame, in eye heights or in distances of the wall.
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
REFINED = 2
"""Starts over the floor that are refined, and the better is told."""
ANSWERS = 2
"""Walks that are told, the likelier first: the best over the floor and the best past the wall."""
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
WALL_DOUBTED = 0.04
"""Price that a walk past the wall must save to be believed: fewer pictures are of walls straight ahead."""
NUMBERS = 6 * ANSWERS + 2
"""What is told: of each answer pitch, yaw, the step and the misfit; how much of what counts may be floor; whether the
first answer is past the wall, 1 or 0."""
TURNED_BY_MIRROR = tuple(6 * answer + number for answer in range(ANSWERS) for number in (1, 3))
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


class WalkMotion(NamedTuple):
    """What is known of a camera that a player carries between two frames."""

    turn: np.ndarray
    """(3, 3): that of the first answer."""
    numbers: np.ndarray
    """(NUMBERS,): what is told."""


class Floor:
    """The motions of a camera that looks down by `tilt` radians, never rolls, and is carried over a floor."""

    def __init__(self, tilt: float) -> None:
        self.turns = Upright(tilt)
        down = self.turns.down
        self.ways = np.array([[0.0, -np.sin(tilt), np.cos(tilt)], [1, 0, 0], -down])
        """(3, 3): the directions ahead, to the right and up."""
        self.normal = self._normal()
        """(3,): towards the plane."""
        self.nearness = {side: np.maximum(self.normal @ VIEWS[side].rays, 0) for side in (SMALL, SIDE)}
        """(N,): 1 over the distance of the plane in each pixel, along the view; 0 where it is never met."""

    def _normal(self) -> np.ndarray:
        return self.turns.down

    def back(self, image: Image, numbers: np.ndarray) -> Image:
        side, turn = len(image), self.turns.matrix(numbers[:2])
        stepped = turn @ (np.eye(3) - np.outer(numbers[2:] @ self.ways, self.normal))
        plane, met = VIEWS[side].turned_back(image, stepped, OUTSIDE), self.nearness[side].reshape(side, side) > 0
        return plane if met.all() else np.where(met, plane, VIEWS[side].turned_back(image, turn, OUTSIDE))

    def slopes(self, pair: Pair, side: int, numbers: np.ndarray) -> np.ndarray:
        steps = self.ways @ (pair.step_slopes[side] * self.nearness[side])
        return np.concatenate([self.turns.slopes(pair, side, numbers[:2]), steps])

    def held(self, normal: np.ndarray) -> np.ndarray:
        shown = np.trace(normal[:2, :2])
        return np.array([HELD * shown] * 2 + [STEP_HELD * shown] * 3) + HELD_AT_LEAST

    def stepped(self, numbers: np.ndarray, step: np.ndarray) -> np.ndarray:
        return numbers + np.concatenate([step[:2], step[2:].clip(-BOLDEST, BOLDEST)])


class Wall(Floor):
    """The same, past an upright wall straight ahead."""

    def _normal(self) -> np.ndarray:
        return self.ways[0]


def best_walk(pair: Pair, family: Floor, starts: Iterable[np.ndarray], refined: int = 1) -> Walk:
    """The best of the family, from the `refined` starts, (5,), that fit best on the small picture."""
    ranked = sorted(starts, key=lambda numbers: pair.unexplained(family, numbers, SMALL) + _price(numbers))
    found = []
    for numbers in ranked[:refined]:
        for side in (SMALL, SIDE):
            numbers = pair.refined(family, numbers, side)
        found.append(Walk(pair.unexplained(family, numbers, SIDE), numbers))
    return min(found, key=lambda walk: walk.price)


def walk_motion(pair: Pair, tilt_deg: float, turns: Iterable[np.ndarray]) -> WalkMotion:
    """Of two frames, of which the first looks down by `tilt_deg`, and the turns, (2,), that fit them best."""
    tilt, turns = float(np.deg2rad(tilt_deg)), [np.zeros(2), *turns]
    floor = Floor(tilt)
    starts = [np.concatenate([turn, step]) for turn in turns for step in (0 * WALK, WALK)]
    over = best_walk(pair, floor, starts, REFINED)
    past = best_walk(pair, Wall(tilt), [np.concatenate([turn, 0 * WALK]) for turn in (*turns, over.numbers[:2])])
    walled = past.price + WALL_DOUBTED < over.price
    first, second = (past, over) if walled else (over, past)
    weight = pair.weight[SMALL].ravel()
    share = (weight * (floor.nearness[SMALL] > NEAR)).sum() / (weight.sum() + 1)
    told = np.concatenate([_told(first), _told(second), [share, walled]])
    return WalkMotion(floor.turns.matrix(first.numbers[:2]), told)


def _told(walk: Walk) -> np.ndarray:
    """(6,): pitch and yaw, the step, the misfit."""
    step = (walk.numbers[2:] / STEP_UNIT).clip(-LARGEST, LARGEST)
    return np.array([*np.rad2deg(walk.numbers[:2]) / TURN_UNIT_DEG, *step, walk.misfit])


def _price(numbers: np.ndarray) -> float:
    """Of the turn."""
    return PRICE_PER_DEG * float(np.rad2deg(np.linalg.norm(numbers[:2])))
