"""Draw the overlays that the filter must notice: face camera, logo or watermark, banner, subscribe button.

VPT had 8,800 labelled frames (paper, Appendix A.2); with a few hundred, a classifier learns the worlds instead of the
overlays. Every clean frame is therefore trained on several times: as it is (clean), with overlays, and without its HUD
(unclean), so that these are all that tells the copies apart. Figures: `docs/log.md`, clean filter.
"""

import functools
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from PIL import Image, ImageDraw, ImageFont

WORDS = ("SUBSCRIBE", "LIKE & SHARE", "FOLLOW ME", "@blockplay", "twitch.tv/live", "Join Discord", "NEW VIDEO", "GG TV",
         "discord.gg/play", "PLAYS", "Day 12", "EPISODE 3", "youtube.com/c", "Patreon", "!giveaway")  # fmt: skip
FONTS = ("DejaVuSans-Bold", "DejaVuSans", "DejaVuSans-BoldOblique", "DejaVuSansMono-Bold", "DejaVuSerif-Bold",
         "STIXGeneralBol", "cmss10", "DejaVuSans-Oblique", "DejaVuSansMono", "DejaVuSerif", "STIXGeneral")  # fmt: skip
"""Fonts that come with matplotlib: the same text gives the same pixels on every machine."""
OVERLAYS_VERSION = 3
"""Raised by hand when the same seed draws other pixels."""
FAINT = 0.5
"""Share of watermarks that hide at most half of what is behind them: those are what a filter misses."""


def add_overlay(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A copy of an RGB image (H, W, 3) uint8 with one random overlay, in two of ten cases with two."""
    out = image.copy()
    for _ in range(1 + int(rng.random() < 0.2)):
        draw = (face_camera, watermark, banner, badge)[rng.choice(4, p=[0.25, 0.5, 0.15, 0.1])]
        draw(out, rng)
    return out


def face_camera(image: np.ndarray, rng: np.random.Generator) -> None:
    """A person in front of a plain room, or another picture, in a rectangle or an ellipse at an edge. In place."""
    height, width = image.shape[:2]
    h = int(height * rng.uniform(0.15, 0.42))
    w = h if (is_round := rng.random() < 0.4) else int(h * rng.uniform(0.8, 1.8))
    camera = _person(h, w, rng) if rng.random() < 0.7 else _other_picture(image, h, w, rng)
    mask = np.zeros((h, w), np.uint8)
    if is_round:
        cv2.circle(mask, (w // 2, h // 2), min(h, w) // 2, 1, -1)
    else:
        mask[:] = 1
        if rng.random() < 0.6:
            cv2.rectangle(camera, (0, 0), (w - 1, h - 1), _colour(rng, bright=0.4), int(rng.integers(1, 4)))
    top, left = _corner(height, width, h, w, rng)
    _blend(image, camera, mask[..., None] * 1.0, top, left)


def watermark(image: np.ndarray, rng: np.random.Generator) -> None:
    """A channel's name or logo, often see-through, near a corner or, rarer, along an edge. In place."""
    height, width = image.shape[:2]
    tone = _grey(rng) if rng.random() < 0.15 else _colour(rng, bright=0.4)
    patch, mask = _text(_words(rng), height * rng.uniform(0.025, 0.08), tone, rng)
    if rng.random() < 0.35:
        side = patch.shape[0]
        logo, shape = _logo(side, rng)
        patch, mask = np.hstack([logo, patch]), np.hstack([shape, mask])
        if rng.random() < 0.3:
            scale = int(side * rng.uniform(1.2, 2.5))
            patch, mask = _logo(min(scale, height // 6), rng)
    top, left = _corner(height, width, mask.shape[0], mask.shape[1], rng)
    if rng.random() < 0.15:
        left = int(rng.uniform(0, max(1, width - mask.shape[1])))
    opacity = rng.uniform(0.15, 0.5) if rng.random() < FAINT else rng.uniform(0.4, 1.0)
    if rng.random() < 0.2:
        _blend(image, np.zeros_like(patch), mask[..., None] * opacity * rng.uniform(0.4, 1.0), top + 1, left + 1)
    _blend(image, patch, mask[..., None] * opacity, top, left)


def banner(image: np.ndarray, rng: np.random.Generator) -> None:
    """A strip with text along the top or, rarer, the bottom edge. In place."""
    height, width = image.shape[:2]
    h = int(height * rng.uniform(0.05, 0.13))
    strip = np.empty((h, width, 3), np.uint8)
    strip[:] = _colour(rng)
    words = " | ".join(_words(rng) for _ in range(int(rng.integers(1, 4))))
    patch, mask = _text(words, h * rng.uniform(0.5, 0.8), _colour(rng, bright=0.7), rng)
    left = int(rng.integers(0, max(1, width - mask.shape[1])))
    _blend(strip, patch, mask[..., None], max(0, (h - mask.shape[0]) // 2), left)
    top = 0 if rng.random() < 0.75 else height - h
    _blend(image, strip, np.full((h, width, 1), rng.uniform(0.5, 1.0)), top, 0)


def badge(image: np.ndarray, rng: np.random.Generator) -> None:
    """A filled box with text, like a subscribe button, anywhere but the centre. In place."""
    height, width = image.shape[:2]
    patch, mask = _text(_words(rng), height * rng.uniform(0.04, 0.08), (255, 255, 255), rng)
    box = np.empty((mask.shape[0] + 6, mask.shape[1] + 10, 3), np.uint8)
    box[:] = (200, 20, 20) if rng.random() < 0.6 else _colour(rng)
    _blend(box, patch, mask[..., None], 3, 5)
    top, left = _corner(height, width, box.shape[0], box.shape[1], rng)
    _blend(image, box, np.ones((*box.shape[:2], 1)), top, left)


def _person(h: int, w: int, rng: np.random.Generator) -> np.ndarray:
    camera = np.empty((h, w, 3), np.uint8)
    ramp = np.linspace(rng.uniform(0.5, 1), rng.uniform(0.5, 1), w)[None, :, None]
    camera[:] = ramp * np.array(_colour(rng))
    cv2.rectangle(camera, (int(w * rng.uniform(0, 0.6)), 0), (int(w * rng.uniform(0.6, 1.3)), h // 3), _colour(rng), -1)
    skin = np.array([224, 172, 105]) * rng.uniform(0.45, 1.1)
    x, y, r = int(w * rng.uniform(0.4, 0.6)), int(h * rng.uniform(0.4, 0.52)), h * rng.uniform(0.18, 0.28)
    cv2.ellipse(camera, (x, h), (int(r * 2), int(h * 0.3)), 0, 180, 360, _colour(rng), -1)
    cv2.ellipse(camera, (x, int(y - r * 0.4)), (int(r * 0.95), int(r)), 0, 0, 360, _colour(rng, bright=0.0), -1)
    cv2.ellipse(camera, (x, y), (int(r * 0.8), int(r)), 0, 0, 360, tuple(skin.clip(0, 255).tolist()), -1)
    for side in (-1, 1):
        cv2.circle(camera, (int(x + side * r * 0.35), int(y - r * 0.2)), max(1, int(r * 0.12)), (30, 30, 30), -1)
    cv2.ellipse(camera, (x, int(y + r * 0.5)), (int(r * 0.3), max(1, int(r * 0.1))), 0, 0, 360, (120, 40, 40), -1)
    return camera


def _other_picture(image: np.ndarray, h: int, w: int, rng: np.random.Generator) -> np.ndarray:
    """Smooth noise, or the picture itself turned and small: something that is not the view behind it."""
    if rng.random() < 0.4:
        return cv2.resize(np.ascontiguousarray(image[::-1, ::-1]), (w, h), interpolation=cv2.INTER_AREA)
    coarse = rng.integers(0, 256, (int(rng.integers(2, 7)), int(rng.integers(2, 7)), 3)).astype(np.uint8)
    return cv2.resize(coarse, (w, h), interpolation=cv2.INTER_CUBIC)


def _logo(side: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """A plain shape with a smaller one inside: colours (side, side, 3) and cover (side, side)."""
    side = max(6, side)
    logo, shape = np.zeros((side, side, 3), np.uint8), np.zeros((side, side), np.float64)
    logo[:] = _colour(rng)
    if rng.random() < 0.6:
        cv2.circle(shape, (side // 2, side // 2), side // 2, 1.0, -1)
    else:
        shape[:] = 1.0
    corners = (np.array([[0.35, 0.25], [0.75, 0.5], [0.35, 0.75]]) * side).astype(np.int32)
    cv2.fillPoly(logo, [corners], _colour(rng, bright=0.7))
    return logo, shape


def _words(rng: np.random.Generator) -> str:
    """A call to follow, or an invented name like those of channels."""
    if rng.random() < 0.4:
        return str(rng.choice(WORDS))
    letters = "".join(chr(97 + int(i)) for i in rng.integers(0, 26, int(rng.integers(4, 11))))
    cut = int(rng.integers(2, len(letters)))
    return letters[:cut].capitalize() + letters[cut:].capitalize()


@functools.lru_cache(maxsize=512)
def _font(name: str, size: int) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / f"{name}.ttf", size)


def _text(
    text: str, height_px: float, colour: tuple[int, ...], rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A text's colours (h, w, 3) and its cover (h, w), 0 to 1; in three of ten cases with a dark edge."""
    name = FONTS[int(rng.integers(len(FONTS)))] if rng.random() < 0.7 else FONTS[0]
    font = _font(name, max(6, round(height_px)))
    edge = 1 if rng.random() < 0.3 else 0
    left, top, right, bottom = font.getbbox(text, stroke_width=edge)
    size = (int(right - left) + 2, int(bottom - top) + 2)
    cover, ink = Image.new("L", size), Image.new("RGB", size)
    at = (1 - left, 1 - top)
    ImageDraw.Draw(cover).text(at, text, fill=255, font=font, stroke_width=edge)
    ImageDraw.Draw(ink).text(at, text, fill=colour[:3], font=font)
    patch = np.array(ink)
    if not edge:
        patch[:] = colour
    return patch, np.asarray(cover) / 255.0


def _colour(rng: np.random.Generator, bright: float | None = None) -> tuple[int, ...]:
    """A random colour; `bright` is the chance of plain white, 0 gives dark ones."""
    if bright is not None and rng.random() < bright:
        return (255, 255, 255)
    return tuple(int(v) for v in rng.integers(0, 90 if bright == 0 else 256, 3))


def _grey(rng: np.random.Generator) -> tuple[int, ...]:
    return (int(rng.integers(120, 256)),) * 3


def _corner(height: int, width: int, h: int, w: int, rng: np.random.Generator) -> tuple[int, int]:
    """Top left of a box of (h, w) near one of the four corners, at most 4 % of the width away from the edges."""
    gap_y, gap_x = int(rng.uniform(0, 0.04) * width), int(rng.uniform(0, 0.04) * width)
    top = gap_y if rng.random() < 0.65 else height - h - gap_y
    left = gap_x if rng.random() < 0.5 else width - w - gap_x
    return max(0, top), max(0, left)


def _blend(image: np.ndarray, patch: np.ndarray, cover: np.ndarray, top: int, left: int) -> None:
    """Lay `patch` over `image` where `cover` (h, w, 1), 0 to 1, says so; what sticks out is cut off. In place."""
    part = image[top : top + patch.shape[0], left : left + patch.shape[1]]
    patch, cover = patch[: part.shape[0], : part.shape[1]], cover[: part.shape[0], : part.shape[1]]
    part[:] = (part * (1 - cover) + patch * cover).round().astype(np.uint8)


def hide_health(image: np.ndarray) -> np.ndarray | None:
    """A copy without the row of hearts, as creative mode shows the game; None if no hearts are found.

    Hearts are the red pixels in the lower part, left of the middle; what lies right above is copied over their box.
    """
    height, width = image.shape[:2]
    top, left, right = int(height * 0.7), int(width * 0.15), int(width * 0.52)
    part = image[top:, left:right].astype(np.int16)
    red = (part[..., 0] > 140) & (part[..., 1] < 80) & (part[..., 2] < 80)
    rows = np.flatnonzero(red.sum(1) >= 8)
    if len(rows) == 0:
        return None
    first, last = int(rows[0]), int(rows[-1])
    columns = np.flatnonzero(red[first : last + 1].any(0))
    h, gap = last - first + 5, 2
    if last - first > height * 0.1 or np.ptp(columns) < width * 0.1:
        return None  # something red and large, or a single red thing: not a row of hearts
    a, b = max(0, left + int(columns[0]) - 4), left + int(columns[-1]) + 5
    y = top + first - gap
    out = image.copy()
    out[y : y + h, a:b] = image[y - h : y, a:b][: image.shape[0] - y]
    return out


def recompress(image: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A copy as another encoder would leave it: in half of the cases softer, always through JPEG of some quality."""
    if rng.random() < 0.5:
        height, width = image.shape[:2]
        share = rng.uniform(0.7, 1.0)
        small = cv2.resize(image, (int(width * share), int(height * share)), interpolation=cv2.INTER_AREA)
        image = cv2.resize(small, (width, height), interpolation=cv2.INTER_LINEAR)
    _, data = cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, int(rng.uniform(40, 95))])
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR))
