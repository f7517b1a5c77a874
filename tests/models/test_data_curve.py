"""The data curve: nested parts, whole worlds before others, and points that are not measured twice."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models import train_idm as module
from models.data_curve import FRAMES_PER_MINUTE, main, subset
from models.dataset import Episode
from models.evaluate import read_curve
from models.idm import InverseDynamicsModel
from models.train_idm import IDMTrainConfig
from tests.models.game import write_recording
from tests.models.test_train_idm import TINY


def clip(world: str, name: str, minutes: float) -> Episode:
    length = int(minutes * FRAMES_PER_MINUTE)
    actions = np.zeros((length, 20), bool), np.zeros((length, 2)), np.ones(length, np.float32)
    return Episode(name, world, np.zeros((length, 1, 1, 3), np.uint8), *actions)


CLIPS = [clip(world, f"{world}-{i}", 0.5) for world in ("elk", "fox", "owl") for i in range(2)]


def test_each_part_holds_the_one_before_and_fills_world_by_world() -> None:
    small, large = subset(CLIPS, 0.75, seed=0), subset(CLIPS, 1.75, seed=0)
    assert sum(map(len, small)) == 0.75 * FRAMES_PER_MINUTE
    assert len({e.world for e in small}) == 1
    assert len({e.world for e in large}) == 2
    sizes = {e.id: len(e) for e in large}
    assert all(sizes[e.id] >= len(e) for e in small)
    assert subset(CLIPS, 1.75, seed=0)[0].id == subset(CLIPS[::-1], 1.75, seed=0)[0].id, "order does not matter"


def test_more_than_there_is_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"at most the 3\.0 minutes that are not held out, got 4"):
        subset(CLIPS, 4, seed=0)


def test_points_are_measured_once_and_drawn_by_evaluate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    config = IDMTrainConfig(learning_rate=1e-3, batch=2, window=8, max_steps=1)
    monkeypatch.setitem(module.RECIPES, "tiny", (lambda: replace(TINY, members=2), lambda: config))
    for seed, world in enumerate(("elk-aaaaaaaaaaaa", "fox-bbbbbbbbbbbb", "owl-cccccccccccc")):
        write_recording(tmp_path, f"{world}-20260101-000000", length=24, seed=seed)
    out = tmp_path / "curve"
    common = ["--recordings", str(tmp_path), "--held-out", "owl", "--recipe", "tiny", "--out", str(out)]
    assert main([*common, "--minutes", "0.02"]) == 0
    first = read_curve(out / "curve.json")
    assert main([*common, "--minutes", "0.02", "0.04"]) == 0
    points = read_curve(out / "curve.json")
    assert points[0] == first[0], "seconds included: it was not trained again"
    assert [(p["minutes"], p["worlds"], p["steps"]) for p in points] == [(0.02, 1, 1), (0.04, 2, 1)]
    assert InverseDynamicsModel.load(out / "0.04").config.members == 1, "one of the recipe's two"
    assert main([*common, "--minutes", "9"]) == 2
    assert "at most the 0.0 minutes" in capsys.readouterr().err
    assert main([*common, "--minutes", "0.02", "--seed", "1"]) == 2
    assert "use another --out" in capsys.readouterr().err


def test_what_is_no_curve_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text(json.dumps({"points": [{"minutes": 5}]}))
    for name in ("other.json", "none.json"):
        with pytest.raises(ValueError, match=r"expected the curve\.json of `python -m models\.data_curve`"):
            read_curve(tmp_path / name)
