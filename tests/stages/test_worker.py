"""One unit on a worker: committed, quarantined, or a reason to stop."""

import pytest

from stages.errors import ServiceError
from stages.settings import Settings
from stages.stage import Context
from stages.worker import prepare_unit, process_unit
from tests.toy import Toy, ToyConfig


def outcome(ctx: Context, number: int, ahead: bool) -> str:
    stage = Toy(ToyConfig(numbers=(number,)))
    (unit,) = stage.units(ctx)
    return process_unit(stage, ctx, unit, prepare_unit(stage, ctx, unit) if ahead else None).reason


@pytest.mark.parametrize("ahead", [False, True])
def test_ends_of_a_unit(file_settings: Settings, ahead: bool) -> None:
    ctx = Context(file_settings)
    assert outcome(ctx, 3, ahead) == ""
    assert outcome(ctx, 13, ahead) == "bad_luck"
    assert outcome(ctx, 404, ahead) == "unexpected_error"
    with pytest.raises(ServiceError):
        outcome(ctx, 500, ahead)
    assert len(ctx.ledger.committed("toy")) == 1
    assert {q.reason for q in ctx.ledger.quarantined("toy").values()} == {"bad_luck", "unexpected_error"}
