"""Recordings of another "game": a desktop on which somebody types, clicks, scrolls and moves the mouse.

What is pressed lights a lamp and the mouse moves a stripe, so that a tiny model could read it off the picture.
"""

from pathlib import Path

import numpy as np

from tests.models.game import line, write_jsonl, write_mp4

SIDE = 128
KEYS = {"q": "key.keyboard.q", "7": "key.keyboard.7", "shift": "key.keyboard.right.shift"}
LAMPS = ("q", "7", "shift", "mouse.left", "mouse.right", "scroll.up", "scroll.down")
"""Buttons that are pressed at some time, by their names in the schema `desktop`."""


def play(length: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Lamps bool (length, 7), each on for 5 frames of 14, and mouse motion in whole pixels (length, 2) dy, dx."""
    rng = np.random.default_rng(seed)
    lamps = (np.arange(length)[:, None] + rng.integers(0, 14, len(LAMPS))) % 14 < 5
    lamps[:, LAMPS.index("scroll.down")] &= ~lamps[:, LAMPS.index("scroll.up")]
    return lamps, np.repeat(rng.choice([-200, -40, 0, 40, 200], size=(length // 4 + 1, 2)), 4, axis=0)[:length]


def render(lamps: np.ndarray, mouse: np.ndarray) -> np.ndarray:
    """Frames uint8 (length, 128, 128, 3)."""
    frames = np.full((len(lamps), SIDE, SIDE, 3), 60, np.uint8)
    place = np.cumsum(mouse, axis=0) // 10 % SIDE
    for t, on in enumerate(lamps):
        frames[t, :, place[t, 1]], frames[t, place[t, 0]] = 200, 200
        for i in np.flatnonzero(on):
            frames[t, 8:24, 4 + 17 * i : 18 + 17 * i] = 255
    return frames


def write_recording(folder: Path, name: str, length: int, seed: int) -> None:
    """`NAME.mp4` + `NAME.jsonl` in the contractor format: letters, mouse buttons and the wheel."""
    lamps, mouse = play(length, seed)
    write_mp4(folder / f"{name}.mp4", render(lamps, mouse))
    lines = []
    for row, (dy, dx) in zip(lamps, mouse, strict=True):
        on = dict(zip(LAMPS, row, strict=True))
        keys, clicks = [KEYS[name] for name in KEYS if on[name]], [n for n, b in enumerate(LAMPS[3:5]) if on[b]]
        wheel = float(on["scroll.up"]) - float(on["scroll.down"])
        lines.append(line(keys=keys, buttons=clicks, dwheel=wheel, dy=float(dy), dx=float(dx)))
    write_jsonl(folder / f"{name}.jsonl", lines)
