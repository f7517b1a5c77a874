"""A frame as a viewer sees it: squashed as the models saw it, one field, true proportions."""

from fractions import Fraction
from typing import Any

import av
import cv2
import numpy as np
import pytest

from stages.media_picture import display_size, one_field, shrink, squash, to_rgb


def test_squash_averages_large_pictures_and_squashes_contractor_sizes_as_the_models_saw_it() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (360, 640, 3), dtype=np.uint8)
    assert (squash(noise) == cv2.resize(noise, (128, 128), interpolation=cv2.INTER_LINEAR)).all()
    large = np.repeat(np.repeat(noise, 2, axis=0), 2, axis=1)
    assert (squash(large) == squash(noise)).all()  # the average of four equal pixels is that pixel
    assert squash(noise[:100, :100]).shape == (128, 128, 3)


@pytest.mark.parametrize(
    ("aspect", "size"),
    [
        (None, (720, 576)),
        (Fraction(1), (720, 576)),
        (Fraction(16, 15), (768, 576)),
        (Fraction(8, 9), (720, 648)),
        (Fraction(1, 1000), (720, 576)),  # a mistake of the header
        (Fraction(0), (720, 576)),
    ],
)
def test_pixels_that_are_not_square_are_made_square(aspect: Fraction | None, size: tuple[int, int]) -> None:
    assert display_size(av.VideoFrame(720, 576), aspect) == size


def lines(plane: Any) -> np.ndarray[Any, Any]:
    return np.frombuffer(memoryview(plane), np.uint8).reshape(-1, plane.line_size)


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv422p", "yuv444p", "nv12", "yuv420p10le"])
def test_a_field_keeps_its_colours(pixel_format: str) -> None:
    """Red lines and blue lines by turns: each field has one colour, chroma included."""
    woven, colours = av.VideoFrame(64, 64, pixel_format), [(200, 0, 0), (0, 0, 200)]
    for first, colour in enumerate(colours):
        field = av.VideoFrame.from_ndarray(np.full((32, 64, 3), colour, np.uint8)).reformat(format=pixel_format)
        for source, target in zip(field.planes, woven.planes, strict=True):
            lines(target)[first::2] = lines(source)
    for first, colour in enumerate(colours):
        field = one_field(woven, first)
        assert (field.width, field.height) == (64, 32)
        assert np.abs(to_rgb(field).astype(int) - colour).max() <= 6


@pytest.mark.parametrize("size", [(1920, 1080), (640, 360), (1000, 700), (3840, 2160)])
def test_shrinking_is_averaging_but_for_what_nobody_sees(size: tuple[int, int]) -> None:
    picture = cv2.resize(np.random.default_rng(1).integers(0, 256, (90, 160, 3), dtype=np.uint8), size)
    averaged = cv2.resize(picture, (455, 256), interpolation=cv2.INTER_AREA)
    assert np.abs(shrink(picture, 455, 256).astype(int) - averaged).mean() < 4


def test_shrinking_to_the_same_size_changes_nothing_and_growing_works() -> None:
    picture = np.random.default_rng(1).integers(0, 256, (90, 160, 3), dtype=np.uint8)
    assert (shrink(picture, 160, 90) == picture).all()
    assert shrink(picture, 160, 120).shape == (120, 160, 3)
