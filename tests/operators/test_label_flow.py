"""How many batches a run gets, and what a publish task passes on."""

import pytest

from operators.assets import plain_values
from operators.label_flow import count_batches


@pytest.mark.parametrize(
    ("videos", "size", "batches"), [(0, 20, 0), (1, 20, 1), (20, 20, 1), (21, 20, 2), (4000, 20, 200), (10**7, 20, 200)]
)
def test_batches_grow_with_the_videos_up_to_a_cap(videos, size, batches):
    assert count_batches(videos, size) == batches


def test_an_events_extra_has_the_plain_values_only():
    summary = {"stage": "shard", "rows": 3, "changed": True, "reasons": {"a": 1}, "loss": [1], "none": None}
    assert plain_values(summary) == {"stage": "shard", "rows": 3, "changed": True}
