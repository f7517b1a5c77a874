"""How the player moves through the world, out of a recording's positions: a further lesson in training.

Recordings say where the player stood and looked beside what he pressed. The keys of a step say only which way he wants
to go; how fast he really goes is in the picture too, tells sprinting from walking and pushing against a wall from
both, and every frame teaches it. No position is needed to label: the lesson's answer is not used.

Positions come late by one to three frames and in steps of half a block, so a frame's speed is taken over `SPAN`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

SPAN = (-1, 6)
"""Frames, from a line's own, between which its speed is measured."""
FRAMES_PER_S = 20
UNITS = np.array([4.0, 4.0, 4.0, 45.0], np.float32)
"""What counts as 1: a walk's four blocks a second, and 45 degrees."""
FASTEST = 3.0
"""Largest value told, in these units; a teleport is no walk."""
SIDEWAYS = 1
"""The number whose sign a mirror image turns."""
FARTHEST = 1e9
"""Blocks from the origin, or degrees; what is farther is no position."""
FIELDS = ("xpos", "ypos", "zpos", "yaw", "pitch")


def walk(lines: Sequence[dict[str, Any] | None]) -> np.ndarray:
    """float32 (T, 4) in `UNITS`: speed forward, to the right and up, and how far the view looks down.

    All four are NaN where a position is missing. Yaw grows to the right. Whether the x axis then runs as Minecraft's or
    against it is a recorder's habit; it is the one of the two in which the player goes forward more.
    """
    rows = np.array([[_number(line, name) for name in FIELDS] for line in lines], np.float64).reshape(-1, len(FIELDS))
    where = np.arange(len(rows))
    first, last = (np.clip(where + offset, 0, len(rows) - 1) for offset in SPAN)
    per_s = (rows[last, :3] - rows[first, :3]) * (FRAMES_PER_S / np.maximum(last - first, 1))[:, None]
    x, up, z = per_s.T
    sine, cosine = np.sin(np.deg2rad(rows[:, 3])), np.cos(np.deg2rad(rows[:, 3]))
    ways = [(z * cosine + sign * x * sine, sign * x * cosine - z * sine) for sign in (-1, 1)]
    forward, right = max(ways, key=lambda way: np.nansum(way[0]))
    found = np.stack([forward, right, up, rows[:, 4]], axis=1) / UNITS
    found[~np.isfinite(found).all(axis=1)] = np.nan
    return found.clip(-FASTEST, FASTEST).astype(np.float32)


def _number(line: dict[str, Any] | None, name: str) -> float:
    value = (line or {}).get(name)
    return float(value) if isinstance(value, int | float) and abs(value) < FARTHEST else np.nan
