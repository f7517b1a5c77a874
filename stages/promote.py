"""Look at a pointer's history, promote a model by hand, or roll back: one gesture, an appended entry.

`python -m stages.promote --kind idm` lists; `--to VERSION` moves; `--from-folder DIR` registers a model first, such as
one that `models.convert` made of OpenAI's weights. Nothing is ever overwritten.
"""

import argparse
import json
import sys
from pathlib import Path

from stages.errors import ConfigError, SmelterError
from stages.ledger import Pointer
from stages.registry import key_of, register
from stages.settings import load_settings
from stages.stage import Context
from stages.training import MEASURED

KINDS = ("idm", "filter", "policy")


def history(ctx: Context, kind: str) -> list[str]:
    """One line per entry, oldest first."""
    entries = ctx.ledger.history(kind)
    return [f"{entry.number:>4}  {entry.target[:12]}  {json.dumps(entry.info, sort_keys=True)}" for entry in entries]


def move(ctx: Context, kind: str, version: str, reason: str) -> Pointer:
    """Append an entry that names a registered model.

    Raises:
        ConfigError: no model of that version is in the store.
    """
    if not ctx.store.exists(key_of(kind, version, "model.json")):
        folder = key_of(kind, version, "").rsplit("/", 2)[0]
        raise ConfigError(f"--to: expected a registered {kind}, got {version!r}; see {folder}/ in the store")
    return ctx.ledger.advance(kind, version, ctx.ledger.pointer(kind), {"by_hand": True, "reason": reason})


def add(ctx: Context, kind: str, folder: Path) -> str:
    """Register a model that was made elsewhere, with its card and report; returns its digest.

    Raises:
        ConfigError: the folder holds no model of this kind, or one that does not load; nothing is written.
    """
    from models.weights import read_description

    try:
        found = read_description(folder)["kind"]
        if found == kind:
            _load(kind, folder)
    except (ValueError, OSError) as error:
        raise ConfigError(f"--from-folder: {error}") from None
    if found != kind:
        raise ConfigError(f"--from-folder: expected a model of kind {kind!r} in {folder}, got {found!r}")
    return register(ctx, kind, folder, MEASURED)[0]


def _load(kind: str, folder: Path) -> None:
    """Read a model to see that its weights fit its configuration."""
    if kind == "idm":
        from models.idm import InverseDynamicsModel

        InverseDynamicsModel.load(folder)
    elif kind == "policy":
        from models.policy import Policy

        Policy.load(folder)
    else:
        from models.clean_filter import CleanFilter

        CleanFilter.load(folder)


def main(argv: list[str] | None = None) -> int:
    args = _parser().parse_args(argv)
    try:
        ctx = Context(load_settings(store=args.store))
        version = add(ctx, args.kind, args.from_folder) if args.from_folder else args.to
        if version:
            move(ctx, args.kind, version, args.reason)
        print("\n".join(history(ctx, args.kind)) or f"no {args.kind} was ever promoted")
    except SmelterError as error:
        print(f"promote: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m stages.promote", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--store", help="file:///path or s3://bucket/prefix (SMELTER_STORE)")
    parser.add_argument("--kind", choices=KINDS, required=True, help="which pointer")
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--to", help="version (12 hex digits) to promote or to roll back to")
    where.add_argument("--from-folder", type=Path, help="register the model in this folder and promote it")
    parser.add_argument("--reason", default="", help="kept with the entry")
    return parser


if __name__ == "__main__":
    sys.exit(main())
