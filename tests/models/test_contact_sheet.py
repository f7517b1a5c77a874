"""The sheet: its size follows the pictures, and none is fine too."""

from pathlib import Path

import cv2
import numpy as np

from models.contact_sheet import CAPTION, COLUMNS, TILE, TILES, draw_sheet


def test_size_and_colours(tmp_path: Path) -> None:
    red = np.zeros((50, 90, 3), np.uint8)
    red[..., 0] = 250
    draw_sheet([red] * 7, ["clean 0.03"] * 7, tmp_path / "a.png")
    sheet = cv2.imread(str(tmp_path / "a.png"))
    assert sheet is not None
    assert sheet.shape == (2 * (TILE[1] + CAPTION), COLUMNS * TILE[0], 3)
    assert sheet[10, 10].tolist() == [0, 0, 250], "OpenCV's order: blue, green, red"


def test_none_and_too_many(tmp_path: Path) -> None:
    draw_sheet([], [], tmp_path / "none.png")
    image = np.zeros((9, 16, 3), np.uint8)
    draw_sheet([image] * 99, ["x"] * 99, tmp_path / "many.png")
    many = cv2.imread(str(tmp_path / "many.png"))
    assert many is not None
    assert many.shape[0] == TILES // COLUMNS * (TILE[1] + CAPTION)
