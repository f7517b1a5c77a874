"""Registering models in the store under their digest, and moving the champion pointer only to a better one."""

import math
from collections.abc import Collection
from pathlib import Path
from typing import Any

from stages import paths
from stages.errors import ConfigError
from stages.ledger import Pointer
from stages.records import Output, Record
from stages.stage import Context


def register(ctx: Context, kind: str, folder: Path, measured: Collection[str] = ()) -> tuple[str, tuple[Output, ...]]:
    """Put every file of a model's folder in the store; returns the model's digest and what was written.

    `model.json` goes last: a registered model that can be found is whole. Files named in `measured` hold a clock: the
    first ones stay, and they are not among the outputs, which must be the same bytes whenever the work is repeated.
    """
    from models.weights import MODEL_FILE, model_digest

    digest = model_digest(folder)
    files = sorted(
        (path for path in folder.iterdir() if path.is_file()), key=lambda path: (path.name == MODEL_FILE, path.name)
    )
    for path in files:
        if path.name in measured:
            ctx.store.put_if_absent(key_of(kind, digest, path.name), path.read_bytes())
    kept = [path for path in files if path.name not in measured]
    return digest, tuple(ctx.put_file(key_of(kind, digest, path.name), path) for path in kept)


def key_of(kind: str, digest: str, name: str) -> str:
    """Where a file of a model lies: policies are the flow's product and have a prefix of their own."""
    return paths.policy(digest, name) if kind == "policy" else paths.model(kind, digest, name)


def decide(
    score: float, champion: Pointer | None, champion_score: float | None, metric: str, **test: Any
) -> dict[str, Any]:
    """The comparison that is kept with a model: higher is better, a tie keeps the champion.

    Without a champion, or with one that has no score, the model wins unopposed. `test` says on what both were judged;
    equal tests make scores of different decisions comparable (`promote`).

    Raises:
        ConfigError: the new model's score is no number.
    """
    if not math.isfinite(score):
        raise ConfigError(f"expected a finite {metric}, got {score}; nothing was registered, look at the labels")
    unopposed = champion is None or champion_score is None or not math.isfinite(champion_score)
    better = unopposed or score > (champion_score or 0.0)
    return {
        "metric": metric,
        "score": score,
        "champion": champion.target if champion else "",
        "champion_score": None if unopposed else champion_score,
        "promote": better,
        "reason": "no champion to compare with" if unopposed else "better" if better else "not better",
        **test,
    }


def promote(ctx: Context, kind: str, records: list[Record]) -> dict[str, Any]:
    """Move the champion pointer to a model that won its comparison; a second run finds it moved and does nothing.

    A win counts against the champion it was won against. If the pointer moved since, the model must also beat what is
    there now, by the scores that both got in the same test; otherwise it stays registered and a person decides.
    """
    changed = False
    for record in records:
        history = ctx.ledger.history(kind)
        present, comparison = history[-1] if history else None, record.info["comparison"]
        is_new = record.info["model"] not in {pointer.target for pointer in history}
        if comparison["promote"] and is_new and _beats(comparison, present):
            ctx.ledger.advance(kind, record.info["model"], present, comparison)
            changed = True
    champion = ctx.ledger.pointer(kind)
    return {"changed": changed, "champion": champion.target[:12] if champion else ""}


def _beats(comparison: dict[str, Any], present: Pointer | None) -> bool:
    if comparison["champion"] == (present.target if present else ""):
        return True
    theirs = present.info if present else {}
    same_test = all(theirs.get(name) == comparison.get(name) is not None for name in ("metric", "test"))
    return same_test and comparison["score"] > theirs["score"]
