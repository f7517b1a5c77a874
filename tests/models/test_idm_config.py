"""The IDM's config: what it refuses."""

import dataclasses

import pytest

from tests.models.test_idm import TINY


def test_impossible_configs_are_refused() -> None:
    with pytest.raises(ValueError, match="attention_heads to divide hidsize 16, got 3"):
        dataclasses.replace(TINY, attention_heads=3)
    with pytest.raises(ValueError, match="front"):
        dataclasses.replace(TINY, front="optical")
    with pytest.raises(ValueError, match="expected 1 or more members, got 0"):
        dataclasses.replace(TINY, members=0)
