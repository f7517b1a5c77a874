"""The funnel of a store: what came in, what was kept, why the rest was not, what was made of it.

`python -m stages.report --store URI [--config JSON] [--json]` reads the ledger only; it starts nothing.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from stages.errors import ConfigError
from stages.pipeline import MODULES
from stages.stage import Context


def funnel(ctx: Context) -> dict[str, Any]:
    """Figures of every stage under this recipe; a stage that has not run yet is simply absent."""
    videos, segments, verdicts = (_records(ctx, name) for name in ("scrape", "segment", "filter"))
    labels, policies, idms = (_records(ctx, name) for name in ("label", "train", "train_idm"))
    seconds = Counter[str]()
    for record in verdicts:
        seconds.update(record.info["seconds"])
    return {
        "videos": len({record.info["video_id"] for record in videos}),
        "hours_in": sum(record.info["duration_s"] for record in segments) / 3600,
        "hours_clean": seconds.pop("clean", 0.0) / 3600,
        "hours_dropped": {reason: value / 3600 for reason, value in seconds.most_common() if value},
        "quarantined": {name: held for name in MODULES if (held := _held(ctx, name))},
        "clips": len(labels),
        "frames_labelled": sum(record.info["rows"] for record in labels),
        "null_share": _share(labels, "null_rows", "rows"),
        "snapshot": _pointer_info(ctx, "snapshot"),
        "ground_truth": _pointer_info(ctx, "ground_truth"),
        "policy": policies[-1].info["metrics"] if policies else {},
        "idm": {**idms[-1].info["accuracy"], "held_out": idms[-1].info["held_out"]} if idms else {},
    }


def render(figures: dict[str, Any]) -> Iterator[str]:
    """The funnel as lines of text for a person."""
    yield f"videos            {figures['videos']}"
    yield f"hours in          {figures['hours_in']:.3f}"
    yield f"hours clean       {figures['hours_clean']:.3f}"
    for reason, hours in figures["hours_dropped"].items():
        yield f"  not kept        {hours:.3f}  {reason}"
    for stage, held in figures["quarantined"].items():
        yield f"  quarantined     {sum(held.values())} in {stage}: {', '.join(f'{r} {n}' for r, n in held.items())}"
    yield f"frames labelled   {figures['frames_labelled']:,} in {figures['clips']} clips"
    yield f"null share        {figures['null_share']:.1%} (dropped by behavioural cloning)"
    if snapshot := figures["snapshot"]:
        yield f"shards            {snapshot['shards']} with {snapshot['rows']:,} rows, {snapshot['bytes']:,} bytes"
    if policy := figures["policy"]:
        before, after = policy["before"]["loss"], policy["after"]["loss"]
        yield f"policy loss       {before:.3f} before, {after:.3f} after (nats per frame, held out: {policy['split']})"
    if idm := figures["idm"]:
        yield f"IDM, unseen world {', '.join(idm['held_out'])}"
        baseline = idm["joint_accuracy_always_released"]
        yield f"  joint accuracy  {idm['joint_accuracy']:.1%} (always released: {baseline:.1%})"
        camera_r2, event_f1 = (_figure(idm[name]) for name in ("camera_r2", "event_f1_pooled"))
        yield f"  camera R2       {camera_r2}; event F1 {event_f1} (presses and releases, pooled)"


def _figure(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _records(ctx: Context, stage: str) -> list[Any]:
    try:
        return ctx.committed(stage)
    except ConfigError:  # no champion or no snapshot yet: the stage cannot have run
        return []


def _held(ctx: Context, stage: str) -> dict[str, int]:
    committed = ctx.ledger.committed(stage)
    entries = ctx.ledger.quarantined(stage).items()
    return dict(Counter(entry.reason for unit_key, entry in entries if unit_key not in committed))


def _share(records: list[Any], part: str, whole: str) -> float:
    total = sum(record.info[whole] for record in records)
    return sum(record.info[part] for record in records) / total if total else 0.0


def _pointer_info(ctx: Context, name: str) -> dict[str, Any]:
    pointer = ctx.ledger.pointer(name)
    return {**pointer.info, "digest": pointer.target[:16]} if pointer else {}


if __name__ == "__main__":
    import sys

    from stages.cli import inspect

    sys.exit(inspect("report", __doc__ or "", funnel, lambda figures: "\n".join(render(figures))))
