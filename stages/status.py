"""What a run would do: units wanted, done, open and quarantined per stage, from the ledger alone.

`python -m stages.status --store URI [--config JSON]`. Starts no Ray, reads no video; safe at any time.
"""

from dataclasses import replace
from typing import Any

from stages.errors import ConfigError
from stages.plan import make_plan
from stages.stage import Context, Recipe

ORDER = (
    "ingest",
    "shard_truth",
    "train_idm",
    "train_filter",
    "scrape",
    "segment",
    "filter",
    "cut",
    "label",
    "shard",
    "train",
)
"""Everything a flow runs, in the order in which work becomes visible; `shard_truth` is `shard` on ground truth."""


def status(ctx: Context, names: tuple[str, ...] = ORDER) -> dict[str, dict[str, Any]]:
    """Per stage: wanted, done, open and held (quarantined) units; `blocked` says why a stage cannot plan yet."""
    return {name: _plan(ctx, name) for name in names}


def _plan(ctx: Context, name: str) -> dict[str, Any]:
    if name == "shard_truth":
        sections = {**ctx.recipe, "shard": {**ctx.recipe.get("shard", {}), "labels": "truth"}}
        name, ctx = "shard", replace(ctx, recipe=Recipe(sections))
    try:
        plan = make_plan(ctx.stage(name), ctx)
    except ConfigError as error:
        return {"wanted": 0, "done": 0, "open": 0, "held": 0, "blocked": str(error)}
    counts = {"wanted": plan.wanted, "done": plan.skipped, "open": len(plan.todo), "held": plan.held.total()}
    return {**counts, "blocked": ""}


def table(rows: dict[str, dict[str, Any]]) -> str:
    """The plan as text for a person."""
    lines = [f"{'stage':<13} {'wanted':>7} {'done':>7} {'open':>7} {'held':>7}"]
    for name, row in rows.items():
        note = f"  {row['blocked']}" if row["blocked"] else ""
        lines.append(f"{name:<13} {row['wanted']:>7} {row['done']:>7} {row['open']:>7} {row['held']:>7}{note}")
    return "\n".join(lines)


if __name__ == "__main__":
    import sys

    from stages.cli import inspect

    sys.exit(inspect("status", __doc__ or "", status, table))
