"""What a run would do: units wanted, done, open and quarantined per stage, from the store alone.

`python -m stages.status --store URI [--config JSON] [--exact]`. Starts no Ray, reads no video, asks no source: quick
and safe at any time. What the store alone cannot say is a dash. `ingest`, `train_filter` and `scrape` plan from what
lies outside of it, so theirs is what they ever did and what they put aside. A training counts as done once a model was
trained on the newest snapshot, by whatever recipe. `--exact` asks the sources and works the recipes out: it shows what
each stage's own run would plan, and takes the network and torch.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from stages.errors import ConfigError
from stages.plan import make_plan
from stages.snapshot import load_snapshot
from stages.stage import Context, Recipe, Stage

ORDER = (
    "ingest",
    "shard_truth",
    "train_idm",
    "train_filter",
    "scrape",
    "segment",
    "duplicates",
    "filter",
    "cut",
    "label",
    "shard",
    "train",
)
"""Everything a flow runs, in the order in which work becomes visible; `shard_truth` is `shard` on ground truth."""
OUTSIDE = ("ingest", "train_filter", "scrape")
"""Stages whose units are listed from sources, recordings and labelled frames."""
TRAININGS = ("train_idm", "train")
"""Stages whose work keys hold what a recipe stands for, which only the models know."""

Counts = dict[str, int | None]
"""wanted, done, open and held (quarantined) units; None where the store alone does not tell."""


def status(ctx: Context, names: tuple[str, ...] = ORDER) -> dict[str, dict[str, Any]]:
    """Per stage what its run would plan; `blocked` says why it cannot plan yet. Lists sources and imports torch."""
    return {name: _row(ctx, name, _plan) for name in names}


def glance(ctx: Context, names: tuple[str, ...] = ORDER) -> dict[str, dict[str, Any]]:
    """The same rows from the store alone, with None for what it does not tell."""
    return {name: _row(ctx, name, _look) for name in names}


def _row(ctx: Context, name: str, count: Callable[[Context, Stage[Any]], Counts]) -> dict[str, Any]:
    if name == "shard_truth":
        sections = {**ctx.recipe, "shard": {**ctx.recipe.get("shard", {}), "labels": "truth"}}
        name, ctx = "shard", replace(ctx, recipe=Recipe(sections))
    try:
        return {**count(ctx, ctx.stage(name)), "blocked": ""}
    except ConfigError as error:
        return {"wanted": 0, "done": 0, "open": 0, "held": 0, "blocked": str(error)}


def _plan(ctx: Context, stage: Stage[Any]) -> Counts:
    plan = make_plan(stage, ctx)
    return {"wanted": plan.wanted, "done": plan.skipped, "open": len(plan.todo), "held": plan.held.total()}


def _look(ctx: Context, stage: Stage[Any]) -> Counts:
    if stage.name in TRAININGS:
        return _of_newest(ctx, stage)
    return _ever(ctx, stage) if stage.name in OUTSIDE else _plan(ctx, stage)


def _ever(ctx: Context, stage: Stage[Any]) -> Counts:
    done = {unit for unit, _ in ctx.ledger.committed(stage.name)}
    held = {unit for unit, _ in ctx.ledger.quarantined(stage.name)} - done
    return {"wanted": None, "done": len(done), "open": None, "held": len(held)}


def _of_newest(ctx: Context, stage: Stage[Any]) -> Counts:
    """Whether any training has read the snapshot that the next one would read."""
    config = stage.config
    which = (config.labels, config.snapshot) if stage.name == "train" else ("truth", "latest")
    snapshot = load_snapshot(ctx, *which)
    if not snapshot.totals["rows"]:
        raise ConfigError(f"expected a snapshot with rows to train on, got the empty {snapshot.digest[:16]}")
    done = any(record.inputs["snapshot"] == snapshot.digest for record in ctx.ledger.records(stage.name).values())
    held = _ever(ctx, stage)["held"]
    # a training that was put aside does not tell which snapshot it was of
    return {"wanted": 1, "done": int(done), "open": 0 if done else None if held else 1, "held": held}


def table(rows: dict[str, dict[str, Any]]) -> str:
    """The plan as text for a person."""
    lines = [f"{'stage':<13} {'wanted':>7} {'done':>7} {'open':>7} {'held':>7}"]
    for name, row in rows.items():
        counts = ("-" if row[column] is None else row[column] for column in ("wanted", "done", "open", "held"))
        note = f"  {row['blocked']}" if row["blocked"] else ""
        lines.append(f"{name:<13} " + " ".join(f"{count:>7}" for count in counts) + note)
    return "\n".join(lines)


if __name__ == "__main__":
    import sys

    from stages.cli import inspect

    sys.exit(inspect("status", __doc__ or "", glance, table, exact=status))
