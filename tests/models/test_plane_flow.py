"""The flow of planes in eight numbers: exact where it is one, robust, told by parts, and mirrored as the picture is."""

import numpy as np
import pytest

from models.plane_flow import LARGEST, PARTS, PLANE_NUMBERS, SIDE, TERMS, TURNED_BY_MIRROR, plane_flow

TRUE = np.array([0.5, -0.2, 0.1, -0.3, 0.15, 0.25, 0.05, -0.1])


def flow_of(numbers: np.ndarray) -> np.ndarray:
    """(S, S, 3), written out by hand; both ways agree."""
    a, b, c, d, e, f, g, h = numbers
    y, x = np.meshgrid(*[(np.arange(SIDE) + 0.5) / SIDE * 2 - 1] * 2, indexing="ij")
    right = a + b * x + c * y + g * x**2 + h * x * y
    down = d + e * x + f * y + g * x * y + h * y**2
    return np.dstack([right, down, 0 * x]).astype(np.float32)


def parts(told: np.ndarray) -> np.ndarray:
    return told.reshape(len(PARTS), TERMS + 1)


def test_a_plane_is_found_in_every_part() -> None:
    told = plane_flow(flow_of(TRUE))
    assert told.shape == (PLANE_NUMBERS,)
    for part in parts(told):
        np.testing.assert_allclose(part[:TERMS], TRUE, atol=0.01)
        assert part[TERMS] < 0.002


def test_what_moves_by_itself_and_what_disagrees_counts_little() -> None:
    flow = flow_of(TRUE)
    flow[20:28, 4:14, :2] += 3  # an animal
    flow[2:8, 20:30, :2] -= 5
    flow[2:8, 20:30, 2] = 4  # no match there
    np.testing.assert_allclose(parts(plane_flow(flow))[0, :TERMS], TRUE, atol=0.03)


def test_halves_are_told_apart() -> None:
    """Ground that flows below a sky that stands."""
    ground = flow_of(np.array([0, 0, 0, 1.0, 0, 0, 0, 0]))
    ground[: SIDE // 2] = 0
    _, upper, lower, _ = parts(plane_flow(ground))
    assert (upper[3], lower[3]) == (pytest.approx(0, abs=0.01), pytest.approx(1, abs=0.01))


def test_a_mirrored_flow_has_the_same_numbers_with_these_signs_turned() -> None:
    rng = np.random.default_rng(0)
    flow = rng.normal(size=(SIDE, SIDE, 3)).astype(np.float32)
    flow[..., 2] = abs(flow[..., 2])
    mirrored = flow[:, ::-1] * np.array([-1, 1, 1], np.float32)
    signs = np.ones(PLANE_NUMBERS)
    signs[list(TURNED_BY_MIRROR)] = -1
    np.testing.assert_allclose(plane_flow(mirrored), plane_flow(flow) * signs, atol=1e-6)


def test_no_flow_and_wild_flow_have_finite_numbers() -> None:
    assert not plane_flow(np.zeros((SIDE, SIDE, 3), np.float32)).any()
    wild = plane_flow(np.full((SIDE, SIDE, 3), 1e4, np.float32))
    assert np.isfinite(wild).all()
    assert np.abs(wild).max() <= LARGEST
