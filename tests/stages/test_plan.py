"""Planning: limit, batches that cover everything exactly once, and the cost of planning many units."""

import pytest

from stages.errors import ConfigError
from stages.plan import Batch, make_plan
from stages.runner import run_stage
from stages.settings import Settings
from stages.stage import Context
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


def test_planning_reads_no_record_of_its_own_stage(file_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only listings: what keeps planning cheap at 10^5 units."""
    ctx, stage = Context(file_settings), Toy(ToyConfig(numbers=tuple(range(20, 40))))
    run_stage(stage, ctx, ray="off")
    monkeypatch.setattr(type(ctx.store), "get", lambda *_: pytest.fail("planning read an object"))
    assert make_plan(stage, ctx).skipped == 20
