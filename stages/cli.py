"""The command line of every stage, `python -m stages.<name> --store URI ...`, and of the commands that only look.

Progress goes to standard error; the last line on standard output is one JSON summary. Exit status 0 only if the run
completed; quarantined units do not make a run fail, a broken service or a wrong configuration does.
"""

import argparse
import itertools
import json
import logging
import sys
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from typing import Any

from stages.errors import SmelterError
from stages.pipeline import MODULES
from stages.plan import Batch
from stages.settings import load_settings
from stages.stage import Context, Recipe, load_stage


def main(name: str, argv: list[str] | None = None) -> int:
    """Run one stage from the command line; returns the exit status."""
    args = _parser(name).parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s", stream=sys.stderr)
    try:
        recipe = Recipe.parse(args.config, name)
        stage = load_stage(name)(recipe.config(name))
        ctx = Context(load_settings(store=args.store), recipe)
        ctx.settings.require_store()
        batch = Batch.parse(args.batch) if args.batch else None
        from stages.runner import run_stage

        summary = run_stage(stage, ctx, limit=args.limit, batch=batch, retry=args.retry_quarantined, ray=args.ray)
    except SmelterError as error:
        print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"{name}: stopped; what was committed stays, run the same command to go on", file=sys.stderr)
        return 130
    print(json.dumps(summary), flush=True)
    return 0


def inspect(
    name: str,
    doc: str,
    figures: Callable[[Context], dict[str, Any]],
    text: Callable[[dict[str, Any]], str],
    argv: list[str] | None = None,
    exact: Callable[[Context], dict[str, Any]] | None = None,
) -> int:
    """Run a command that only looks at a store: print what `figures` found as `text`, or as JSON.

    `exact` finds more and takes longer; where there is one, the command has `--exact`.
    """
    args = inspect_parser(name, doc, exact is not None).parse_args(argv)
    try:
        find = exact if exact and args.exact else figures
        found = find(Context(load_settings(store=args.store), Recipe.parse(args.config, MODULES[0])))
    except SmelterError as error:
        print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(json.dumps(found) if args.json else text(found))
    return 0


def inspect_parser(name: str, doc: str, has_exact: bool) -> argparse.ArgumentParser:
    """The command line of `inspect`."""
    parser = argparse.ArgumentParser(
        prog=f"python -m stages.{name}", description=doc.strip(), formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--store", help="file:///path or s3://bucket/prefix (SMELTER_STORE)")
    parser.add_argument("--config", default="", help="JSON or a JSON file with sections by stage, as given to the run")
    parser.add_argument("--json", action="store_true", help="print JSON")
    if has_exact:
        parser.add_argument("--exact", action="store_true", help="ask the sources and work the recipes out, too")
    return parser


def _parser(name: str) -> argparse.ArgumentParser:
    stage = load_stage(name)
    parser = argparse.ArgumentParser(
        prog=f"python -m stages.{name}",
        description=(sys.modules[stage.__module__].__doc__ or "").strip(),
        epilog=_config_help(stage.Config),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--store", help="where everything is kept: file:///path or s3://bucket/prefix (SMELTER_STORE)")
    parser.add_argument("--config", default="", help="JSON or a JSON file: fields below, or sections by stage name")
    parser.add_argument("--limit", type=int, default=0, metavar="N", help="do at most N units (default: all)")
    parser.add_argument("--batch", default="", metavar="I/N", help="do only part I of N, by hash of the video")
    parser.add_argument(
        "--retry-quarantined", default="", metavar="all|REASON", help="try units again that were put aside before"
    )
    parser.add_argument(
        "--ray",
        choices=("auto", "off"),
        default="auto",
        help="auto: the cluster of RAY_ADDRESS, else a local one; off: in this process (default: auto)",
    )
    return parser


def _config_help(config: type) -> str:
    """The config fields with their defaults and the first line of each field's docstring."""
    import ast
    import textwrap
    from inspect import getsource

    classes = [base for base in reversed(config.__mro__) if is_dataclass(base)]
    trees = [ast.parse(textwrap.dedent(getsource(base))).body[0].body for base in classes]  # type: ignore[attr-defined]
    notes = {
        field.target.id: " ".join(str(doc.value.value).split())
        for body in trees
        for field, doc in itertools.pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name)
        if isinstance(doc, ast.Expr) and isinstance(doc.value, ast.Constant)
    }
    lines = ["config fields (--config), with defaults:"]
    for field in fields(config):
        default = "required" if field.default is MISSING and field.default_factory is MISSING else repr(field.default)
        text = f"{field.name} = {default}: {notes.get(field.name, '')}"
        lines.append(textwrap.fill(text, 110, initial_indent="  ", subsequent_indent="      "))
    return "\n".join(lines)
