"""Decoding, the cursor and the resize."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from models.errors import BadRecording
from models.video import cursor_sprite, draw_cursor, iter_frames, resize_frame
from tests.models.game import write_mp4


def test_frames_come_in_order_and_in_rgb(tmp_path: Path) -> None:
    """Frame i is i*10 bright in red only; H.264 keeps that within a few steps."""
    frames = np.zeros((20, 64, 96, 3), dtype=np.uint8)
    frames[..., 0] = (np.arange(20) * 10)[:, None, None]
    write_mp4(tmp_path / "a.mp4", frames)
    read = np.stack(list(iter_frames(tmp_path / "a.mp4")))
    assert read.shape == (20, 64, 96, 3)
    assert np.abs(read[..., 0].mean(axis=(1, 2)) - np.arange(20) * 10).max() < 6
    assert read[..., 2].mean() < 6


@pytest.mark.parametrize("content", [b"", b"no video at all", b"#EXTM3U\n#EXTINF:1,\nhttp://127.0.0.1:9/x.ts\n"])
def test_what_is_not_an_mp4_is_refused(tmp_path: Path, content: bytes) -> None:
    """A playlist is refused as well: it would open other files or addresses."""
    (tmp_path / "a.mp4").write_bytes(content)
    with pytest.raises(BadRecording, match=r"a\.mp4") as caught:
        list(iter_frames(tmp_path / "a.mp4"))
    assert caught.value.reason == "video_unreadable"


def test_the_cursor_tip_is_drawn_at_the_scaled_position() -> None:
    frame = np.full((360, 640, 3), 100, dtype=np.uint8)
    draw_cursor(frame, 640.0, 360.0)
    changed = np.argwhere((frame != 100).any(axis=2))
    assert changed.min(axis=0).tolist() == [180, 320]
    assert changed.max(axis=0)[0] < 196
    assert (frame == 255).any()


@pytest.mark.parametrize("position", [(-5.0, -5.0), (1279.0, 719.0), (-3000.0, 99999.0), (float("nan"), 0.0)])
def test_a_cursor_at_or_beyond_the_edge_is_cut_off(position: tuple[float, float]) -> None:
    frame = np.full((360, 640, 3), 100, dtype=np.uint8)
    draw_cursor(frame, *position)
    inside = abs(position[0]) < 2000
    assert (frame != 100).any() == inside


def test_the_sprite_has_a_transparent_and_an_opaque_part() -> None:
    sprite = cursor_sprite()
    assert sprite.shape == (16, 16, 4)
    assert set(np.unique(sprite[..., 3])) == {0, 255}


def test_resize_is_bilinear_and_squashes_the_aspect() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (360, 640, 3), dtype=np.uint8)
    expected = cv2.resize(frame, (128, 128), interpolation=cv2.INTER_LINEAR)
    assert (resize_frame(frame) == expected).all()
