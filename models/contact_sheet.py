"""Pictures side by side with a line of text each, as one PNG."""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

COLUMNS = 6
TILES = 36
"""Pictures on a sheet at most."""
TILE = (256, 144)
"""Pixels of a picture, width and height."""
CAPTION = 18


def draw_sheet(images: Sequence[np.ndarray], captions: Sequence[str], path: Path) -> None:
    """Write the first `TILES` RGB images (H, W, 3) with their captions; a blank row if there are none."""
    width, height = TILE[0], TILE[1] + CAPTION
    rows = max(1, -(-min(len(images), TILES) // COLUMNS))
    sheet = np.full((rows * height, COLUMNS * width, 3), 24, np.uint8)
    for index, (image, caption) in enumerate(zip(images[:TILES], captions, strict=False)):
        y, x = index // COLUMNS * height, index % COLUMNS * width
        sheet[y : y + TILE[1], x : x + width] = cv2.resize(image, TILE, interpolation=cv2.INTER_AREA)[:, :, ::-1]
        place = (x + 4, y + height - 5)
        cv2.putText(sheet, caption, place, cv2.FONT_HERSHEY_SIMPLEX, 0.38, (230, 230, 230), 1, cv2.LINE_AA)
    cv2.imwrite(str(path), sheet)
