"""What happens to one unit on a worker: process it, then commit it or quarantine it. The same with and without Ray."""

import logging
import traceback
from dataclasses import dataclass
from typing import Any

from stages.errors import BadInput, SmelterError
from stages.records import Record
from stages.stage import Context, Stage, Unit

logger = logging.getLogger(__name__)

UNEXPECTED = "unexpected_error"
"""Reason of a unit that raised something nobody foresaw; many of these stop the run (`stages/runner.py`)."""
WORKER_CRASHED = "worker_crashed"
"""Reason of a unit whose worker process died under it more than once."""


@dataclass(frozen=True)
class Outcome:
    """How one unit ended: done, or quarantined for a reason."""

    unit: str
    reason: str = ""
    message: str = ""

    @property
    def done(self) -> bool:
        return not self.reason


@dataclass(frozen=True)
class Prepared:
    """What `Stage.prepare` made, or why it could not."""

    value: Any = None
    error: BadInput | None = None


def prepare_unit(stage: Stage[Any], ctx: Context, unit: Unit) -> Prepared:
    """Run the CPU side of a unit; a bad input travels on as a value, to be quarantined by the worker."""
    try:
        return Prepared(value=_guarded(lambda: stage.prepare(unit, ctx)))
    except BadInput as error:
        return Prepared(error=error)


def process_unit(stage: Stage[Any], ctx: Context, unit: Unit, prepared: Prepared | None = None) -> Outcome:
    """Do one unit and write down how it ended.

    Raises:
        ConfigError, ServiceError: every unit would fail the same way; the run must stop.
    """
    prepared = prepared or prepare_unit(stage, ctx, unit)
    try:
        if prepared.error is not None:
            raise prepared.error
        result = _guarded(lambda: stage.process(unit, ctx, prepared.value))
    except BadInput as error:
        return quarantine_unit(stage, ctx, unit, error)
    ctx.ledger.commit(Record(stage.name, unit.id, unit.key, unit.inputs, result.outputs, result.info))
    return Outcome(unit.id)


def quarantine_unit(stage: Stage[Any], ctx: Context, unit: Unit, error: BadInput) -> Outcome:
    """Put a unit aside with its reason; the run goes on."""
    ctx.ledger.quarantine(stage.name, unit.id, unit.key, error, unit.gate)
    logger.warning("%s: quarantined %s: %s: %s", stage.name, unit.id, error.reason, error.message)
    return Outcome(unit.id, error.reason, error.message)


def _guarded(action: Any) -> Any:
    """Our own errors pass; anything else becomes a BadInput with its traceback: one odd input cannot stop the rest."""
    try:
        return action()
    except SmelterError:
        raise
    except Exception as error:
        raise BadInput(UNEXPECTED, f"{type(error).__name__}: {error}\n{traceback.format_exc(limit=-6)}") from error
