"""How does motion compare with the motion before? The ratio of two speeds is found, whatever the distances."""

import numpy as np
import pytest

from models.flow_change import LAGS, LARGEST, NUMBERS, ORDER_MIRRORED, REGIONS, flow_change

S, R = 32, len(REGIONS)
ALIKE = {lag: slice(i * R, (i + 1) * R) for i, lag in enumerate(LAGS)}
GROWTH = {lag: slice((i + len(LAGS)) * R, (i + len(LAGS) + 1) * R) for i, lag in enumerate(LAGS)}
LENGTH = slice(NUMBERS - R, NUMBERS)


def flows(*speeds: float, near: float = 1.0, seed: int = 0) -> np.ndarray:
    """(L, S, S, 3): steps of these speeds ahead in one room, whose cells are at random distances."""
    ways = np.dstack(np.meshgrid(np.linspace(-1, 1, S), np.linspace(-1, 1, S)))
    nearness = near * np.random.default_rng(seed).uniform(0.2, 1, (S, S, 1))
    motion = np.array(speeds)[:, None, None, None] * 5 * nearness * ways
    return np.concatenate([motion, np.zeros((len(speeds), S, S, 1))], axis=-1).astype(np.float32)


@pytest.mark.parametrize("near", [0.5, 2.0])
def test_the_ratio_of_two_speeds_is_found_near_and_far(near: float) -> None:
    """A key that is up for a single frame: slower, and at once as fast as before."""
    told = flow_change(flows(1, 1, 0.5, 1, near=near))
    for region in range(R):
        growth = np.exp(told[1:, GROWTH[1]][:, region])
        np.testing.assert_allclose(growth, (1, 0.5, 2), rtol=0.06)
    np.testing.assert_allclose(np.exp(told[2:, GROWTH[2]]), [[0.5] * R, [1] * R], rtol=0.06)
    assert (told[1:, ALIKE[1]] > 0.9).all()


def test_backward_is_the_opposite_and_another_room_unlike() -> None:
    turned_round = flow_change(flows(1, -1))
    assert (turned_round[1, ALIKE[1]] < -0.9).all()
    sideways = np.zeros((1, S, S, 3), np.float32)
    sideways[..., 0] = 3
    assert abs(flow_change(np.concatenate([flows(1), sideways]))[1, ALIKE[1]][0]) < 0.2


def test_regions_are_told_apart() -> None:
    flow = flows(1, 1)
    flow[1, S // 2 :, :, :2] *= 2
    growth = dict(zip(REGIONS, np.exp(flow_change(flow)[1, GROWTH[1]]), strict=True))
    assert growth["lower"] == pytest.approx(2, rel=0.06)
    assert growth["upper"] == pytest.approx(1, rel=0.06)
    assert 1 < growth["whole"] < 2


def test_the_first_pairs_have_none_to_compare_with() -> None:
    told = flow_change(flows(1, 1, 1))
    assert told.shape == (3, NUMBERS)
    assert not told[0, : NUMBERS - R].any()
    assert not told[1, GROWTH[2]].any()
    assert not told[1, ALIKE[2]].any()
    assert told[2, ALIKE[2]].all()
    np.testing.assert_allclose(told[:, LENGTH], told[:1, LENGTH].repeat(3, axis=0), atol=1e-5)
    assert flow_change(flows()).shape == (0, NUMBERS)


def test_standing_is_neither_faster_nor_slower() -> None:
    told = flow_change(np.zeros((4, S, S, 3), np.float32))
    assert not told[:, : NUMBERS - R].any()


def test_what_disagrees_both_ways_counts_little() -> None:
    flow = flows(1, 0.5)
    flow[1, :8, :8, :2] = 9
    lost = flow.copy()
    lost[:, :8, :8, 2] = 8
    whole, lower = (GROWTH[1].start + place for place in (0, 1))
    assert flow_change(lost)[1, whole] == pytest.approx(flow_change(flow)[1, lower], abs=0.1)
    assert flow_change(flow)[1, whole] > flow_change(lost)[1, whole] + 0.3


def test_a_mirrored_flow_has_these_numbers_at_these_places(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no hand at one side counts less."""
    monkeypatch.setattr("models.flow_change._TRUST", np.ones((S, S), np.float32))
    flow = flows(1, 0.6, 1.3) + np.random.default_rng(1).normal(size=(3, S, S, 3)).astype(np.float32)
    mirrored = flow[:, :, ::-1] * np.array([-1, 1, 1], np.float32)
    np.testing.assert_allclose(flow_change(mirrored), flow_change(flow)[:, ORDER_MIRRORED], atol=1e-4)
    assert sorted(ORDER_MIRRORED) == list(range(NUMBERS))


def test_wild_flow_has_finite_numbers() -> None:
    wild = flow_change(np.stack([np.full((S, S, 3), length) for length in (0, 1e4, 0)]))
    assert np.isfinite(wild).all()
    assert np.abs(wild[:, : NUMBERS - R]).max() <= LARGEST
