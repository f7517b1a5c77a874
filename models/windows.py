"""Overlapping windows for labelling (VPT, appendix D): 128 frames, stride 64, only frames 32..95 of each are kept.

A frame near a window's end has little context on one side, so its prediction is taken from the window in whose middle
it lies. The first 32 frames of a clip come from its first window, the tail from its last one, which ends with the
clip. (The released demo cuts disjoint chunks instead.)
"""

from typing import NamedTuple

import numpy as np

LENGTH = 128
STRIDE = 64


class Window(NamedTuple):
    """Frames `start..stop` go in, predictions of `keep_start..keep_stop` are kept; both count from the clip's start."""

    start: int
    stop: int
    keep_start: int
    keep_stop: int


def windows(n_frames: int, length: int = LENGTH, stride: int = STRIDE) -> list[Window]:
    """Windows over a clip whose kept parts hold every frame exactly once, in order.

    Args:
        n_frames: frames of the clip; fewer than `length` give one short window, none give no window.
        length: frames per window.
        stride: frames between window starts, at most `length`; `length - stride` must be even, since half of it is
            the context that a kept frame has on each side.

    Raises:
        ValueError: lengths that cannot work.
    """
    margin = context(length, stride)
    if n_frames < 0:
        raise ValueError(f"expected a number of frames, got {n_frames}")
    if n_frames == 0:
        return []
    last = max(0, n_frames - length)
    starts = [*range(0, last, stride), last]
    cuts = [0, *(start + margin for start in starts[1:]), n_frames]
    return [
        Window(start, min(start + length, n_frames), keep_start, keep_stop)
        for start, keep_start, keep_stop in zip(starts, cuts[:-1], cuts[1:], strict=True)
    ]


def context(length: int = LENGTH, stride: int = STRIDE) -> int:
    """Frames of context on each side of a kept frame, but for those at a clip's edges: 32 as in the paper."""
    if not 0 < stride <= length or (length - stride) % 2:
        raise ValueError(f"expected 0 < stride <= length with an even difference, got length {length}, stride {stride}")
    return (length - stride) // 2


def edge_mask(n_frames: int, length: int = LENGTH, stride: int = STRIDE) -> np.ndarray:
    """(n_frames,) bool: frames with less than the full context on one side, so with less certain labels."""
    margin = context(length, stride)
    frame = np.arange(n_frames)
    return (frame < margin) | (frame >= n_frames - margin)
