"""The IDM's config: what it refuses."""

import dataclasses
import json
from pathlib import Path

import pytest

from models.idm import InverseDynamicsModel
from models.motion import EDITION
from tests.models.test_idm import TINY, TINY_MOTION, model


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


@pytest.mark.parametrize("edition", [None, 1])
def test_weights_that_know_other_motion_maps_are_refused(tmp_path: Path, edition: int | None) -> None:
    """They would fit, and label badly. The released front sees no maps, so its models are of no edition."""
    model(TINY_MOTION).save(tmp_path / "motion")
    model(TINY).save(tmp_path / "released")
    for name, expected in (("motion", EDITION), ("released", 0)):
        path = tmp_path / name / "model.json"
        saved = json.loads(path.read_text())
        assert saved["config"].pop("maps") == expected
        if edition is not None:
            saved["config"]["maps"] = edition * bool(expected)
        path.write_text(json.dumps(saved))
    assert InverseDynamicsModel.load(tmp_path / "released").config == TINY
    got = edition or 0
    with pytest.raises(
        ValueError, match=f"expected maps {EDITION} by its other fields and this version, got {got}; train"
    ):
        InverseDynamicsModel.load(tmp_path / "motion")
