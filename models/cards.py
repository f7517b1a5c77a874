"""Draw pictures that are no play at all: title cards, test patterns, menus, views without the HUD.

A web video holds stretches of them, each unlike the next; a few labelled ones teach a classifier those few. These are
unclean by construction, so any number of them costs nothing to label.
"""

import cv2
import numpy as np

from models.overlays import _blend, _colour, _text, _words


def draw_other(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A picture of the shape of an RGB frame (H, W, 3) that shows something else, sometimes made from the frame."""
    draw = (title_card, pattern, menu, without_hud)[rng.choice(4, p=[0.3, 0.3, 0.15, 0.25])]
    return draw(image, rng)


def title_card(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Large text and a few shapes on a colour ramp, or on the blurred frame."""
    height, width = image.shape[:2]
    out = _ramp(height, width, rng)
    if rng.random() < 0.25:
        out = cv2.GaussianBlur(without_hud(image, rng), (0, 0), width / 60)
    for _ in range(int(rng.integers(0, 8))):
        centre = (int(rng.integers(width)), int(rng.integers(height)))
        cv2.circle(out, centre, int(rng.integers(4, height // 6)), _colour(rng, 0.5), int(rng.choice([-1, 1, 2])))
    for share, row in ((rng.uniform(0.08, 0.2), 0.3), (rng.uniform(0.05, 0.1), 0.6)):
        patch, cover = _text(_words(rng), height * share, _colour(rng, bright=0.8), rng)
        left = max(0, (width - cover.shape[1]) // 2)
        _blend(out, patch, cover[..., None], int(height * (row + rng.uniform(-0.25, 0.2))) % height, left)
    return out


def pattern(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Colour bars, cells, smooth noise, or one colour with grain."""
    height, width = image.shape[:2]
    kind = int(rng.integers(4))
    cells = {0: (1, int(rng.integers(4, 12))), 1: (int(rng.integers(20, 90)), int(rng.integers(30, 150))),
             2: (int(rng.integers(2, 9)), int(rng.integers(2, 9))), 3: (1, 1)}[kind]  # fmt: skip
    coarse = rng.integers(0, 256, (*cells, 3)).astype(np.uint8)
    if kind == 1 and rng.random() < 0.6:
        coarse[:] = 255 * (rng.random(cells) < rng.uniform(0.2, 0.8))[..., None]
    smooth = cv2.INTER_CUBIC if kind == 2 else cv2.INTER_NEAREST
    out = cv2.resize(coarse, (width, height), interpolation=smooth).astype(np.int16)
    if rng.random() < 0.5:
        out += np.asarray(rng.normal(0, rng.uniform(2, 30), out.shape)).astype(np.int16)
    return out.clip(0, 255).astype(np.uint8)


def menu(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A grey window with rows of text and buttons, in front of a ramp or a view."""
    height, width = image.shape[:2]
    out = without_hud(image, rng) if rng.random() < 0.5 else _ramp(height, width, rng)
    h, w = int(height * rng.uniform(0.35, 0.8)), int(width * rng.uniform(0.3, 0.7))
    window = np.empty((h, w, 3), np.uint8)
    window[:] = int(rng.integers(20, 110))
    for _ in range(int(rng.integers(3, 9))):
        patch, cover = _text(_words(rng), height * rng.uniform(0.03, 0.06), _colour(rng, bright=0.8), rng)
        y, x = int(rng.integers(h)), int(rng.integers(w))
        cv2.rectangle(window, (x - 4, y - 3), (x + cover.shape[1] + 4, y + cover.shape[0] + 3), (60, 60, 70), -1)
        _blend(window, patch, cover[..., None], y, x)
    cover_h1 = np.full((h, w, 1), rng.uniform(0.7, 1.0))
    _blend(out, window, cover_h1, int((height - h) * rng.random()), int((width - w) * rng.random()))
    return out


def without_hud(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The frame above its HUD, enlarged to the whole picture, in half of the cases mirrored."""
    height, width = image.shape[:2]
    keep = rng.uniform(0.4, 0.8)
    left = int(width * (1 - keep) * rng.random())
    part = image[: int(height * keep), left : left + int(width * keep)]
    part = part[:, ::-1] if rng.random() < 0.5 else part
    return cv2.resize(np.ascontiguousarray(part), (width, height), interpolation=cv2.INTER_LINEAR)


def _ramp(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """From one colour to another, downwards; in half of the cases above or below a plain stripe."""
    first, last = (np.array(_colour(rng), float) for _ in range(2))
    out = np.linspace(first, last, height)[:, None, :].repeat(width, axis=1).astype(np.uint8)
    if rng.random() < 0.5:
        out[: int(height * rng.uniform(0, 0.7))] = _colour(rng)
    return np.ascontiguousarray(out)
