"""Models on disk: `model.json` (kind and config) and `weights.safetensors`, nothing that can run code.

The same model gives the same bytes, and `model_digest` names it in work keys and object keys. Cards and reports that
lie beside the two files are not part of the model.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import MISSING, asdict, fields
from pathlib import Path
from typing import Any, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from models.action_schema import schema_content, schema_of

MODEL_FILE = "model.json"
WEIGHTS_FILE = "weights.safetensors"
FORMAT = 1
CHUNK_BYTES = 1 << 20

ConfigT = TypeVar("ConfigT")


def save_model(directory: str | Path, kind: str, config: Mapping[str, Any], state_dict: Mapping[str, Tensor]) -> None:
    """Write a model. Each file appears whole or not at all; the weights first, then `model.json`.

    Args:
        directory: made if missing; a model already there is replaced.
        kind: "idm", "policy" or another name that the loader asks for.
        config: JSON-able keyword arguments of the model's config.
        state_dict: tensors by name.
    """
    directory = Path(directory)
    directory.mkdir(parents=True, exist_ok=True)
    tensors = {name: state_dict[name].detach().cpu().contiguous() for name in sorted(state_dict)}
    temporary = directory / f".{WEIGHTS_FILE}.{os.getpid()}"
    save_file(tensors, temporary)
    os.replace(temporary, directory / WEIGHTS_FILE)
    temporary = directory / f".{MODEL_FILE}.{os.getpid()}"
    temporary.write_bytes(_canonical({"format": FORMAT, "kind": kind, "config": dict(config)}))
    os.replace(temporary, directory / MODEL_FILE)


def load_model(directory: str | Path, kind: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Read (config, tensors by name, on the CPU).

    Raises:
        ValueError: no model there, one of another kind or format, or a broken file.
    """
    directory = Path(directory)
    description = read_description(directory)
    if description["kind"] != kind:
        raise ValueError(f"{directory}: expected a model of kind {kind!r}, got {description['kind']!r}")
    try:
        return description["config"], load_file(directory / WEIGHTS_FILE)
    except (SafetensorError, OSError) as error:
        raise ValueError(f"{directory / WEIGHTS_FILE}: expected safetensors weights, got {error}") from error


def read_description(directory: str | Path) -> dict[str, Any]:
    """The parsed `model.json`: {"format", "kind", "config"}.

    Raises:
        ValueError: missing or not of this format.
    """
    path = Path(directory) / MODEL_FILE
    if not path.is_file():
        raise ValueError(
            f"{path}: expected a model directory with {MODEL_FILE} and {WEIGHTS_FILE}, found none; "
            "OpenAI's .model and .weights files go through `python -m models.convert` first"
        )
    try:
        description = json.loads(path.read_bytes())
    except ValueError as error:
        raise ValueError(f"{path}: expected JSON, got {error}") from error
    complete = isinstance(description, dict) and {"format", "kind", "config"} <= set(description)
    if not complete or description["format"] != FORMAT:
        raise ValueError(f"{path}: expected a model description of format {FORMAT}, got {str(description)[:80]}")
    return description


def model_digest(directory: str | Path) -> str:
    """sha256 hex over the canonical `model.json` and the weights' bytes: the model's name everywhere."""
    digest = hashlib.sha256(_canonical(read_description(directory)))
    weights = Path(directory) / WEIGHTS_FILE
    if not weights.is_file():
        raise ValueError(f"{weights}: expected the weights beside {MODEL_FILE}, found none; copy the whole directory")
    with weights.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            digest.update(chunk)
    return digest.hexdigest()


def config_from_dict(cls: type[ConfigT], values: Mapping[str, Any], where: str | Path) -> ConfigT:
    """Build a config dataclass from what `config_to_dict` gave; lists become tuples.

    Raises:
        ValueError: unknown, missing or contradicting fields, named.
    """
    given = {field.name: field.init for field in fields(cls)}  # type: ignore[arg-type]
    if unknown := sorted(set(values) - set(given)):
        raise ValueError(f"{where}: {cls.__name__} has no fields {unknown}; was it written by a newer version?")
    arguments = {name: tuple(v) if isinstance(v, list) else v for name, v in values.items() if given[name]}
    if "schema" in values:
        arguments["schema"] = schema_of(values["schema"], where)
    try:
        config = cls(**arguments)
    except TypeError as error:
        raise ValueError(f"{where}: {cls.__name__} is incomplete: {error}") from error
    except ValueError as error:
        raise ValueError(f"{where}: {error}; if another version wrote it, train or convert the model again") from error
    for field in fields(cls):  # type: ignore[arg-type]
        follows, got = getattr(config, field.name), values.get(field.name, field.default)
        if not field.init and got not in (follows, MISSING):
            raise ValueError(
                f"{where}: expected {field.name} {follows} by its other fields and this version, got {got}; "
                "train or convert the model again"
            )
    return config


def config_to_dict(config: Any) -> dict[str, Any]:
    """A config dataclass as JSON; the default `schema` is left out, so that its models keep their names."""
    values = {name: list(v) if isinstance(v, tuple) else v for name, v in asdict(config).items()}
    if "schema" in values:
        content = schema_content(config.schema)
        values = {**values, "schema": content} if content else {n: v for n, v in values.items() if n != "schema"}
    return values


def load_strict(module: nn.Module, tensors: Mapping[str, Tensor], where: str | Path) -> None:
    """Fill `module`, which may be on the meta device, with float32 copies of exactly its tensors.

    Raises:
        ValueError: missing, extra or differently shaped tensors, named.
    """
    wanted = {name: tuple(tensor.shape) for name, tensor in module.state_dict().items()}
    problems = [f"missing {name}" for name in wanted if name not in tensors]
    problems += [f"extra {name}" for name in tensors if name not in wanted]
    problems += [
        f"{name} is {tuple(tensors[name].shape)}, expected {shape}"
        for name, shape in wanted.items()
        if name in tensors and tuple(tensors[name].shape) != shape
    ]
    if problems:
        more = f" and {len(problems) - 8} more" if len(problems) > 8 else ""
        raise ValueError(
            f"{where}: the weights do not fit the config: {'; '.join(problems[:8])}{more}; "
            "use the config that these weights were trained with"
        )
    module.load_state_dict({name: tensor.to(torch.float32) for name, tensor in tensors.items()}, assign=True)


def _canonical(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, indent=1).encode() + b"\n"
