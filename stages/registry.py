"""Registering models in the store under their digest, and moving the champion pointer only to a better one."""

from pathlib import Path
from typing import Any

from stages import paths
from stages.ledger import Pointer
from stages.records import Output, Record
from stages.stage import Context


def register(ctx: Context, kind: str, folder: Path) -> tuple[str, tuple[Output, ...]]:
    """Put every file of a model's folder in the store; returns the model's digest and what was written.

    `model.json` goes last: a registered model that can be found is whole.
    """
    from models.weights import MODEL_FILE, model_digest

    digest = model_digest(folder)
    files = sorted(
        (path for path in folder.iterdir() if path.is_file()), key=lambda path: (path.name == MODEL_FILE, path.name)
    )
    return digest, tuple(ctx.put_file(key_of(kind, digest, path.name), path) for path in files)


def key_of(kind: str, digest: str, name: str) -> str:
    """Where a file of a model lies: policies are the flow's product and have a prefix of their own."""
    return paths.policy(digest, name) if kind == "policy" else paths.model(kind, digest, name)


def decide(score: float, champion: Pointer | None, champion_score: float | None, metric: str) -> dict[str, Any]:
    """The comparison that is kept with a model: higher is better, and the first model wins unopposed."""
    return {
        "metric": metric,
        "score": score,
        "champion": champion.target if champion else "",
        "champion_score": champion_score,
        "promote": champion is None or champion_score is None or score > champion_score,
    }


def promote(ctx: Context, kind: str, records: list[Record]) -> dict[str, Any]:
    """Move the champion pointer to a model that won its comparison; a second run finds it moved and does nothing."""
    changed = False
    for record in records:
        history = ctx.ledger.history(kind)
        known = {pointer.target for pointer in history}
        if record.info["comparison"]["promote"] and record.info["model"] not in known:
            ctx.ledger.advance(kind, record.info["model"], history[-1] if history else None, record.info["comparison"])
            changed = True
    champion = ctx.ledger.pointer(kind)
    return {"changed": changed, "champion": champion.target[:12] if champion else ""}
