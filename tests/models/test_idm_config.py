"""The IDM's config: what it refuses."""

import dataclasses

import pytest

from tests.models.test_idm import TINY, TINY_MOTION


def test_impossible_configs_are_refused() -> None:
    with pytest.raises(ValueError, match="attention_heads to divide hidsize 16, got 3"):
        dataclasses.replace(TINY, attention_heads=3)
    with pytest.raises(ValueError, match="front"):
        dataclasses.replace(TINY, front="optical")
    with pytest.raises(ValueError, match="expected 1 or more members, got 0"):
        dataclasses.replace(TINY, members=0)
    with pytest.raises(ValueError, match="expected weight_bits, one of 32, 16, 8; got 4"):
        dataclasses.replace(TINY, weight_bits=4)
    with pytest.raises(ValueError, match="expected a camera_habit from 0 to 1, got 2"):
        dataclasses.replace(TINY, camera_habit=2)
    for share in (-0.1, 1.5):
        with pytest.raises(ValueError, match=f"expected a camera_share from 0 to 1, got {share}"):
            dataclasses.replace(TINY_MOTION, opinion_width=4, camera_share=share)
