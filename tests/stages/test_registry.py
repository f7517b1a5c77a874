"""Promotion: only a better model moves the pointer, once, and only against what is there."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from models.idm import InverseDynamicsModel
from stages.errors import ConfigError
from stages.ledger import Pointer
from stages.records import Record
from stages.registry import decide, promote, register
from stages.settings import Settings
from stages.stage import Context
from tests.stages.test_promote import TINY


def trained(ctx: Context, model: str, score: float, champion_score: float | None, **test: Any) -> list[Record]:
    comparison = decide(score, ctx.ledger.pointer("idm"), champion_score, "minus held-out loss", **test)
    return [Record("train_idm", model, "k", {}, (), {"model": model * 64, "comparison": comparison})]


def test_only_a_better_model_is_promoted(file_settings: Settings) -> None:
    ctx = Context(file_settings)
    first = trained(ctx, "a", -9.0, None)
    assert promote(ctx, "idm", first) == {"changed": True, "champion": "a" * 12}
    assert promote(ctx, "idm", first) == {"changed": False, "champion": "a" * 12}, "a second run does nothing"
    worse, better = trained(ctx, "b", -9.5, -9.0), trained(ctx, "c", -8.0, -9.0)
    assert promote(ctx, "idm", worse) == {"changed": False, "champion": "a" * 12}
    assert promote(ctx, "idm", better) == {"changed": True, "champion": "c" * 12}
    pointer = ctx.ledger.pointer("idm")
    assert pointer is not None
    assert (pointer.number, pointer.info["champion"][:3], pointer.info["champion_score"]) == (2, "aaa", -9.0)
    assert promote(ctx, "idm", first)["changed"] is False, "an old winner does not come back by itself"


@pytest.mark.parametrize(
    ("score", "champion_score", "promoted", "reason"),
    [
        (0.5, None, True, "no champion to compare with"),
        (0.5, math.nan, True, "no champion to compare with"),
        (0.5, 0.5, False, "not better"),
        (0.6, 0.5, True, "better"),
    ],
)
def test_decisions(score: float, champion_score: float | None, promoted: bool, reason: str) -> None:
    """A tie keeps the champion; a champion whose score is no number cannot hold its place."""
    champion = Pointer("idm", 1, "a" * 64, {})
    comparison = decide(score, champion, champion_score, "F1", test="x")
    assert (comparison["promote"], comparison["reason"], comparison["test"]) == (promoted, reason, "x")


def test_a_score_that_is_no_number_is_an_error() -> None:
    with pytest.raises(ConfigError, match="expected a finite F1, got nan; nothing was registered"):
        decide(math.nan, None, None, "F1")


def test_a_win_against_a_champion_that_fell_counts_only_in_the_same_test(file_settings: Settings) -> None:
    """Three trainings at once, all decided against nobody: the second must beat the first, not its memory of it."""
    ctx = Context(file_settings)
    first, better, worse = (trained(ctx, m, s, None, test="t") for m, s in (("a", -9.0), ("b", -8.0), ("c", -8.5)))
    elsewhere = trained(ctx, "d", -1.0, None, test="easier")
    assert [promote(ctx, "idm", records)["changed"] for records in (first, better, worse, elsewhere)] == [
        True,
        True,
        False,
        False,
    ]
    pointer = ctx.ledger.pointer("idm")
    assert pointer is not None
    assert pointer.target == "b" * 64


def test_what_holds_a_clock_is_kept_from_the_first_run_and_in_no_record(
    file_settings: Settings, tmp_path: Path
) -> None:
    ctx = Context(file_settings)
    torch.manual_seed(0)
    InverseDynamicsModel(TINY).save(tmp_path / "model")
    for seconds in ("1", "2"):
        (tmp_path / "model" / "card.json").write_text(seconds)
        version, outputs = register(ctx, "idm", tmp_path / "model", measured=("card.json",))
    assert [output.key.rsplit("/", 1)[1] for output in outputs] == ["weights.safetensors", "model.json"]
    assert ctx.store.get(f"models/idm/{version[:12]}/card.json") == b"1"
