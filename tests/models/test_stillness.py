"""How much of the picture changes: pixels are counted, and in a menu at rest clicks are seen by it."""

from pathlib import Path

import numpy as np
import pytest

from models.actions import MINECRAFT
from models.contractor import read_recording
from models.stillness import LEAST, NUMBERS, UNIT, changed

SAMPLE = Path(__file__).parents[2] / "data/sample/contractor"


@pytest.mark.parametrize(("step", "pixels"), [(LEAST, 0), (LEAST + 1, 35), (255, 35), (-LEAST - 1, 35)])
def test_pixels_are_counted_that_change_in_any_channel(step: int, pixels: int) -> None:
    frames = np.full((3, 64, 96, 3), 255 if step < 0 else 0, np.uint8)
    frames[1:, 10:15, 20:27, 2] += np.uint8(step % 256)
    np.testing.assert_allclose(changed(frames)[:, 0], [np.log1p(pixels) / UNIT, 0], rtol=1e-6)


@pytest.mark.parametrize("length", [1, 2])
def test_there_is_a_row_for_each_pair(length: int) -> None:
    told = changed(np.zeros((length, 8, 8, 3), np.uint8))
    assert (told.shape, told.dtype) == ((length - 1, NUMBERS), np.float32)


def test_in_recordings_clicks_are_seen_of_a_menu_at_rest() -> None:
    """Most clicks move nothing. What else changes is mostly a caption, after the cursor has rested."""
    clicked, others = [], []
    for player in ("gentle-crane-digger", "keen-vole-digger"):
        (video,) = SAMPLE.glob(f"{player}-*.mp4")
        frames, recording = read_recording(video, video.with_suffix(".jsonl"))
        menu = recording.gui_open & np.roll(recording.gui_open, 1) & np.roll(recording.gui_open, -1)
        rests = (menu & ~recording.camera_deg.any(axis=1))[:-1]
        used = recording.buttons[:-1, [MINECRAFT.buttons.index(name) for name in ("attack", "use")]].any(axis=1)
        seen = changed(frames)[:, 0] > 0.75  # 20 pixels
        clicked += seen[rests & used & ~np.roll(used, 1)].tolist()
        others += seen[rests & ~used].tolist()
    assert len(clicked) == 26
    assert np.mean(clicked) > 0.3
    assert np.mean(others) < 0.05
