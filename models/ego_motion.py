"""How did the camera turn between two frames? Found by aligning the pictures, without training.

A turn moves every pixel in a way that only the field of view decides, so two or three numbers say how all of a picture
moves. They are searched on a small picture and refined on larger ones (`models/alignment.py`). Where the player stands,
the turn comes out to a few hundredths of a degree, far finer than the camera's bins. Where he walks close to a wall, or
the picture has no texture, the best turn may be wrong by degrees; how well it fits, and further answers, are told
beside it, and the network weighs them.

It is looked for twice: first any turn, roll and all. That says how far the view looks down (`models/tilt.py`), which
leaves a player's camera two ways to turn; the second search has these only, and is wrong less often and by less.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from models.alignment import Pair, pyramid
from models.tilt import Seen, tilts
from models.turns import Free, Turning, Upright, trials, vector
from models.view import SIZES, Image

TRIED, KEPT = 6, 4
"""Turns that are refined up to the middle picture, and up to the largest."""
PRICE_PER_DEG = 0.006
"""Misfit that a degree must save: walls repeat themselves, and players turn little in most frames."""
DISTINCT = 0.01
"""Turns nearer than this, in radians about each axis, are one."""
ANSWERS = KEPT + 1
"""Turns that are told of a pair: those of an upright camera, and the best of any."""
TURN_UNIT_DEG = 4.0
"""What counts as 1."""
NUMBERS = 3 * ANSWERS + 1
"""What is told of a pair: of each answer pitch, yaw and misfit, and the misfit of no turn."""
TURNED_BY_MIRROR = tuple(3 * answer + 1 for answer in range(ANSWERS))
"""The numbers that change their sign when the pictures are mirrored: each yaw."""

_FREE, _LEVEL = Free(), Upright(0.0)


class Turn(NamedTuple):
    """A turn, and the share of the picture that it does not explain: 0 to 1."""

    misfit: float
    numbers: np.ndarray
    """By which its family knows it, radians."""
    matrix: np.ndarray

    @property
    def price(self) -> float:
        """By which turns are ranked."""
        return self.misfit + PRICE_PER_DEG * float(np.linalg.norm(self.degrees))

    @property
    def degrees(self) -> np.ndarray:
        """Its numbers in degrees."""
        return np.rad2deg(self.numbers)

    @property
    def seen(self) -> Seen:
        """Of any turn: what it says of the tilt. The view goes against the directions."""
        pitch, yaw, roll = self.degrees
        return Seen(pitch, -yaw, -roll, self.misfit)


class EgoMotion(NamedTuple):
    """What is known of the camera between two frames."""

    turns: list[Turn]
    """KEPT of them, of an upright camera, best first; if fewer were found, the best again."""
    free: Turn
    """The best of any."""
    still: float
    """The misfit of no turn."""
    tilt: float
    """How far the view looks down, degrees."""

    @property
    def numbers(self) -> np.ndarray:
        """float32 (NUMBERS,), in units of 4 degrees; pitch down, yaw to the right."""
        told = [(*turn.degrees / TURN_UNIT_DEG, turn.misfit) for turn in self.turns]
        pitch, yaw, roll, misfit = self.free.seen
        free = (pitch / TURN_UNIT_DEG, np.copysign(np.hypot(yaw, roll), yaw) / TURN_UNIT_DEG, misfit)
        return np.concatenate([*told, free, [self.still]]).astype(np.float32)


def pairs(frames: Iterable[Image]) -> Iterator[Pair]:
    """Neighbouring frames of an episode; none is held for longer than it takes to look at it."""
    return (Pair(before, after) for before, after in pairwise(map(pyramid, frames)))


def ego_motions(frames: np.ndarray) -> Iterator[tuple[Pair, EgoMotion]]:
    """Each pair of neighbouring frames (L, 128, 128, 3) of an episode, and how the camera turned between them."""
    free = [free_turn(pair) for pair in pairs(frames)]
    for pair, turn, tilt in zip(pairs(frames), free, tilts([turn.seen for turn in free]), strict=True):
        yield pair, EgoMotion(upright_turns(pair, tilt), turn, pair.misfit(np.eye(3)), tilt)


def free_turn(pair: Pair) -> Turn:
    """The best turn of any, roll and all."""
    tried = [vector(_LEVEL.matrix(numbers)) for numbers in _promising(pair, 0.0)]
    return _searched(pair, _FREE, [np.zeros(3), *tried])[0]


def upright_turns(pair: Pair, tilt_deg: float) -> list[Turn]:
    """The KEPT best turns of a camera that looks down by `tilt_deg` and never rolls, best first."""
    tilt = float(np.deg2rad(tilt_deg))
    found = _searched(pair, Upright(tilt), [np.zeros(2), *_promising(pair, tilt)])
    return found + found[:1] * (KEPT - len(found))


def _promising(pair: Pair, tilt: float) -> np.ndarray:
    """(TRIED, 2): pitch and yaw of the trials that fit best on the smallest picture."""
    tried = trials(tilt)
    return tried.numbers[np.argsort(pair.misfits(tried), kind="stable")[:TRIED]]


def _searched(pair: Pair, family: Turning, starts: Sequence[np.ndarray]) -> list[Turn]:
    """Up to KEPT different turns that these become, best first; what becomes of the first is one of them."""
    near, *others = (_judged(pair, family, numbers, SIZES[:2]) for numbers in starts)
    kept = [near.numbers]
    for turn in sorted(others, key=lambda turn: turn.misfit):
        if all(np.abs(turn.numbers - other).max() > DISTINCT for other in kept):
            kept.append(turn.numbers)
    return sorted((_judged(pair, family, numbers, SIZES[2:]) for numbers in kept[:KEPT]), key=lambda turn: turn.price)


def _judged(pair: Pair, family: Turning, numbers: np.ndarray, sides: Iterable[int]) -> Turn:
    """A turn after its refinement on these sizes."""
    for side in sides:
        numbers = pair.refined(family, numbers, side)
    matrix = family.matrix(numbers)
    return Turn(pair.misfit(matrix, side), numbers, matrix)
