"""The card that lies beside every model: what it is, what it was made of, how, at what cost, and how good it is.

`card.json` for programs, `card.md` for people. A card is not part of the model: `model_digest` does not see it.
"""

import json
import math
import os
import platform
import shlex
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from models.idm import InverseDynamicsModel
from models.policy import Policy
from models.training import TrainResult
from models.weights import config_to_dict

CARD_FILE = "card.json"
PACKAGES = ("torch", "numpy", "opencv-python-headless", "av", "safetensors")
"""Packages that a model's numbers may depend on."""


@dataclass(frozen=True, kw_only=True)
class Card:
    """All fields are JSON-able."""

    title: str
    """Heading of the card."""
    kind: str
    """`idm`, `policy` or `filter`."""
    data: dict[str, Any]
    """What it was trained and tested on: snapshot or folder, frames, worlds or videos, origin and licence."""
    model: dict[str, Any]
    """Configuration and number of parameters."""
    training: dict[str, Any]
    """Recipe, configuration, seed, steps and costs: wall time, CPU seconds, GPU seconds."""
    metrics: dict[str, Any]
    """Figures on data it was not trained on, by name."""
    baselines: dict[str, dict[str, Any]] = field(default_factory=dict)
    """The same figures of models that look at no picture, by the baseline's name."""
    comparison: dict[str, Any] = field(default_factory=dict)
    """Against which champion, by which metric, and the decision; empty where nothing was compared."""
    command: str = field(default_factory=lambda: this_command())
    """What a person types to make it again."""
    versions: dict[str, str] = field(default_factory=lambda: package_versions())
    """Packages and Python."""


def write_card(folder: Path, card: Card) -> None:
    """Write `card.json` and `card.md`."""
    (folder / CARD_FILE).write_text(json.dumps(asdict(card), indent=1, sort_keys=True) + "\n")
    (folder / "card.md").write_text(card_text(card))


def read_card(folder: Path) -> dict[str, Any]:
    """The card of a model, or an empty one if it has none."""
    path = folder / CARD_FILE
    return json.loads(path.read_text()) if path.is_file() else {}


def card_text(card: Card) -> str:
    """The card as Markdown."""
    names = list(card.baselines)
    titles = "".join(f" {name.replace('_', ' ')} |" for name in names)
    lines = [f"# {card.title}", "", "## How good", "", "On data it was not trained on.", ""]
    lines += [f"| figure | this model |{titles}"]
    lines += ["|---|---|" + "---|" * len(names)]
    for figure, value in card.metrics.items():
        others = "".join(f" {_cell(card.baselines[name].get(figure))} |" for name in names)
        lines.append(f"| {figure.replace('_', ' ')} | {_cell(value)} |{others}")
    sections = {"Data": card.data, "Training": card.training, "Model": card.model, "Champion": card.comparison}
    for title, values in sections.items():
        if values:
            lines += ["", f"## {title}", "", *_rows(values)]
    lines += ["", "## Again", "", "```bash", card.command, "```", ""]
    lines += [", ".join(f"{name} {version}" for name, version in card.versions.items()) + "."]
    return "\n".join(lines) + "\n"


def _rows(values: Mapping[str, Any]) -> list[str]:
    return ["| | |", "|---|---|", *(f"| {name.replace('_', ' ')} | {_cell(value)} |" for name, value in values.items())]


def _cell(value: Any) -> str:
    """A value as a table cell; nested ones become `name value` lists."""
    if isinstance(value, float):
        return f"{value:.4g}" if math.isfinite(value) else "-"
    if isinstance(value, Mapping):
        known = {name: v for name, v in value.items() if v is not None}
        cells = (f"({_cell(v)})" if isinstance(v, Mapping) else _cell(v) for v in known.values())
        return ", ".join(f"{name} {cell}" for name, cell in zip(known, cells, strict=True)) or "-"
    if isinstance(value, list | tuple):
        return ", ".join(map(_cell, value)) or "-"
    return "-" if value is None or value == "" else str(value).replace("|", "\\|")


def this_command() -> str:
    """The command line of this process as one would type it."""
    main = sys.modules["__main__"].__spec__
    python = ["python"]
    if dist.is_torchelastic_launched():
        python = ["torchrun", "--standalone", "--nproc-per-node", os.environ["LOCAL_WORLD_SIZE"]]
    program = [*python, "-m", main.name] if main is not None else [*python, Path(sys.argv[0]).name]
    return shlex.join([*program, *sys.argv[1:]])


def package_versions() -> dict[str, str]:
    """Installed versions of `PACKAGES`, and Python's."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def described(model: InverseDynamicsModel | Policy) -> dict[str, Any]:
    """Size, schema by name (`model.json` has it whole) and configuration of a model."""
    config = {name: value for name, value in config_to_dict(model.config).items() if name != "schema"}
    parameters = sum(parameter.numel() for parameter in model.parameters())
    return {"parameters": parameters, "schema": model.config.schema.name, "config": config}


def costs(result: TrainResult) -> dict[str, Any]:
    """Steps, last loss, machine and price of a training."""
    return {
        "steps": result.steps,
        "final_loss": round(result.final_loss, 5),
        "wall_seconds": round(result.seconds, 1),
        "cpu_seconds": round(result.cpu_seconds, 1),
        "gpu_seconds": round(result.gpu_seconds, 1),
        "threads": torch.get_num_threads(),
        **result.machine,
    }
