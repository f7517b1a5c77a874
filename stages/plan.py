"""Planning: units wanted, less units committed, less units quarantined. Reads the ledger, touches no input.

A quarantined unit comes back when a person asks (`--retry-quarantined`), when the rules that refused it have changed,
or by itself, a limited number of times, when its trouble may pass.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from stages.errors import ConfigError
from stages.records import Quarantined
from stages.stage import Context, Stage, Unit

RETRY_ALL = "all"
LATER_ATTEMPTS = 7
"""Runs that try a unit whose trouble may pass (`later`); then it is held like any other. A week of nights."""


@dataclass(frozen=True)
class Batch:
    """One of `count` parts of the units, by hash of the video, so that no manifest is needed to share work out."""

    index: int = 0
    count: int = 1

    @classmethod
    def parse(cls, text: str) -> "Batch":
        """From `I/N`, I from 0 to N-1."""
        index, slash, count = text.partition("/")
        if not (slash and index.isdigit() and count.isdigit() and int(index) < int(count)):
            raise ConfigError(f"--batch: expected I/N with I from 0 to N-1, as in 0/4, got {text!r}")
        return cls(int(index), int(count))

    def holds(self, unit: Unit) -> bool:
        """Unit ids begin with a hex digest (of a video, a source or a bucket), which is uniform already."""
        return int(unit.id[:8], 16) % self.count == self.index


@dataclass
class Plan:
    """What a run will do and what it leaves alone."""

    todo: list[Unit] = field(default_factory=list)
    skipped: int = 0
    """Wanted and committed already."""
    held: Counter[str] = field(default_factory=Counter)
    """Wanted but quarantined, by reason."""
    beyond_limit: int = 0
    """Wanted and open, left for another run because of --limit."""

    @property
    def wanted(self) -> int:
        return len(self.todo) + self.skipped + sum(self.held.values()) + self.beyond_limit


def make_plan(stage: Stage[Any], ctx: Context, *, limit: int = 0, batch: Batch | None = None, retry: str = "") -> Plan:
    """Plan one run of a stage.

    Args:
        limit: most units to do; 0 means all.
        batch: this run's part of the units; None means all of them.
        retry: `all`, or one reason: units quarantined for it are tried again.
    """
    committed = ctx.ledger.committed(stage.name)
    quarantined = ctx.ledger.quarantined(stage.name)
    plan, seen = Plan(), set()
    for unit in stage.units(ctx):
        unit_key = (unit.id, unit.key)
        if unit_key in seen or (batch is not None and not batch.holds(unit)):
            continue
        seen.add(unit_key)
        held = quarantined.get(unit_key)
        if unit_key in committed:
            plan.skipped += 1
        elif held is not None and not _tried_again(held, unit, retry):
            plan.held[held.reason] += 1
        elif limit and len(plan.todo) >= limit:
            plan.beyond_limit += 1
        else:
            plan.todo.append(unit)
    return plan


def _tried_again(held: Quarantined, unit: Unit, retry: str) -> bool:
    """Whether a quarantined unit is planned once more: because a person asks, or because its case may have changed."""
    if retry in (RETRY_ALL, held.reason):
        return True
    if held.again == "rules":
        return held.gate != unit.gate
    return held.again == "later" and held.attempt < LATER_ATTEMPTS
