"""Planning: limit, batches that cover everything exactly once, and the cost of planning many units."""

from dataclasses import replace

import pytest

from stages.errors import Again, BadInput, ConfigError
from stages.plan import LATER_ATTEMPTS, Batch, make_plan
from stages.runner import run_stage
from stages.settings import Settings
from stages.stage import Context, Unit
from tests.toy import Toy, ToyConfig


def test_limit_leaves_the_rest_open(file_settings: Settings) -> None:
    ctx, stage = Context(file_settings), Toy(ToyConfig(numbers=tuple(range(10))))
    run_stage(stage, ctx, ray="off", limit=4)
    plan = make_plan(stage, ctx, limit=4)
    assert (len(plan.todo), plan.skipped, plan.beyond_limit, plan.wanted) == (4, 4, 2, 10)


def test_a_unit_wanted_twice_is_planned_once(file_settings: Settings) -> None:
    assert len(make_plan(Toy(ToyConfig(numbers=(1, 1, 1))), Context(file_settings)).todo) == 1


def test_batches_cover_every_unit_once(file_settings: Settings) -> None:
    ctx, stage = Context(file_settings), Toy(ToyConfig(numbers=tuple(range(200))))
    parts = [make_plan(stage, ctx, batch=Batch(i, 4)).todo for i in range(4)]
    assert sorted(unit.inputs["number"] for part in parts for unit in part) == list(range(200))
    assert all(30 <= len(part) <= 70 for part in parts), "nearly even"


@pytest.mark.parametrize("text", ["", "1", "2/2", "-1/2", "a/b", "0/0"])
def test_a_wrong_batch_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="expected I/N"):
        Batch.parse(text)


def hold(ctx: Context, unit: Unit, again: Again, times: int = 1) -> None:
    for _ in range(times):
        ctx.ledger.quarantine("toy", unit.id, unit.key, BadInput("bad_luck", "m", again), unit.gate)


@pytest.mark.parametrize(
    ("again", "times", "planned"),
    [("never", 1, 0), ("later", 1, 1), ("later", LATER_ATTEMPTS - 1, 1), ("later", LATER_ATTEMPTS, 0)],
)
def test_what_may_pass_comes_back_by_itself_for_a_while(
    file_settings: Settings, again: Again, times: int, planned: int
) -> None:
    ctx, stage = Context(file_settings), Toy(ToyConfig(numbers=(1,)))
    hold(ctx, next(stage.units(ctx)), again, times)
    plan = make_plan(stage, ctx)
    assert (len(plan.todo), dict(plan.held)) == (planned, {} if planned else {"bad_luck": 1})
    assert len(make_plan(stage, ctx, retry="bad_luck").todo) == 1, "a person may always ask"


def test_what_rules_refused_comes_back_with_other_rules(
    file_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    ctx, stage = Context(file_settings), Toy(ToyConfig(numbers=(1,)))
    unit = replace(next(stage.units(ctx)), gate="old")
    hold(ctx, unit, "rules")
    monkeypatch.setattr(stage, "units", lambda _: iter([unit]))
    assert make_plan(stage, ctx).todo == []
    monkeypatch.setattr(stage, "units", lambda _: iter([replace(unit, gate="new")]))
    assert len(make_plan(stage, ctx).todo) == 1


def test_planning_reads_no_record_of_its_own_stage(file_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only listings: what keeps planning cheap at 10^5 units."""
    ctx, stage = Context(file_settings), Toy(ToyConfig(numbers=tuple(range(20, 40))))
    run_stage(stage, ctx, ray="off")
    monkeypatch.setattr(type(ctx.store), "get", lambda *_: pytest.fail("planning read an object"))
    assert make_plan(stage, ctx).skipped == 20
