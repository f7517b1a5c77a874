"""Promotion: only a better model moves the pointer, once."""

from stages.records import Record
from stages.registry import decide, promote
from stages.settings import Settings
from stages.stage import Context


def trained(ctx: Context, model: str, score: float, champion_score: float | None) -> list[Record]:
    comparison = decide(score, ctx.ledger.pointer("idm"), champion_score, "minus held-out loss")
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
