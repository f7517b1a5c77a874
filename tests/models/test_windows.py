"""Windows keep every frame exactly once, each with the context that the paper gives it."""

import pytest

from models.windows import context, edge_mask, windows


def test_the_papers_windows() -> None:
    """300 frames: frames 32..95 of each window, the first 32 and the tail from the outer windows."""
    assert windows(300) == [
        (0, 128, 0, 96),
        (64, 192, 96, 160),
        (128, 256, 160, 204),
        (172, 300, 204, 300),
    ]


@pytest.mark.parametrize("n_frames", [1, 2, 31, 63, 64, 127, 128, 129, 191, 192, 193, 256, 500, 1000, 4097])
def test_every_frame_is_kept_once_with_full_context(n_frames: int) -> None:
    kept = []
    for window in windows(n_frames):
        assert window.stop - window.start == min(128, n_frames)
        assert 0 <= window.start <= window.keep_start < window.keep_stop <= window.stop <= n_frames
        assert window.start == 0 or window.keep_start - window.start >= 32
        assert window.stop == n_frames or window.stop - window.keep_stop >= 32
        kept += range(window.keep_start, window.keep_stop)
    assert kept == list(range(n_frames))


def test_no_frames_no_windows() -> None:
    assert windows(0) == []
    assert edge_mask(0).shape == (0,)


def test_disjoint_windows_are_stride_equal_to_length() -> None:
    assert windows(10, length=4, stride=4) == [(0, 4, 0, 4), (4, 8, 4, 6), (6, 10, 6, 10)]


def test_edges_are_the_frames_without_full_context() -> None:
    assert [i for i, edge in enumerate(edge_mask(100)) if not edge] == list(range(32, 68))
    assert edge_mask(40).all()


def test_lengths_that_cannot_work_are_refused() -> None:
    assert context() == 32
    for length, stride in [(128, 0), (64, 128), (128, 63)]:
        with pytest.raises(ValueError, match="even difference"):
            windows(10, length, stride)
    with pytest.raises(ValueError, match="got -1"):
        windows(-1)
