"""Frames at given times are the frames shown at those times."""

from pathlib import Path

import numpy as np
import pytest

from models.sampling import frames_at, through_jpeg, video_duration
from tests.videos import numbered, read_number, write_video


@pytest.fixture
def video(tmp_path: Path) -> Path:
    """3 seconds at 30 fps, each frame showing its number."""
    path = tmp_path / "video.mp4"
    write_video(path, [index * 3000 for index in range(90)])
    return path


def test_each_time_gives_the_frame_shown_then(video: Path) -> None:
    times = [0.0, 0.02, 0.05, 1.0, 1.0, 2.98]
    assert [read_number(image) for image in frames_at(video, times, 180)] == [0, 0, 1, 30, 30, 89]


def test_a_time_after_the_end_ends_it(video: Path) -> None:
    assert len(list(frames_at(video, [2.9, 3.5], 180))) == 1


def test_frames_are_brought_to_the_short_side_and_never_enlarged(video: Path) -> None:
    assert next(frames_at(video, [0.0], 90)).shape == (90, 160, 3)
    assert next(frames_at(video, [0.0], 1000)).shape == (180, 320, 3)


def test_duration_counts_the_last_frame(video: Path) -> None:
    assert video_duration(video) == pytest.approx(3.0, abs=0.001)


def test_a_broken_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "bad.mp4"
    path.write_bytes(b"not a video")
    with pytest.raises(ValueError, match=r"bad\.mp4: expected a video that decodes"):
        list(frames_at(path, [0.0], 90))


def test_a_stored_sample_keeps_channel_order() -> None:
    red = np.zeros((64, 64, 3), np.uint8)
    red[..., 0] = 200
    assert abs(through_jpeg(red).astype(int) - red).max() < 8
    assert read_number(through_jpeg(numbered(777))) == 777
