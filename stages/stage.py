"""What a stage is, and the context it works in.

A stage says which units it wants (cheap, on the driver), loads what it needs (`setup`, on the worker), optionally
decodes (`prepare`, CPU) and processes one unit (`process`). It knows no Ray and no Airflow; `stages/runner.py` runs it.

All stages must be retry-safe: a unit may run twice, on two machines at once, or be killed at any instruction.
"""

import importlib
import json
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

from pydantic import TypeAdapter, ValidationError

from stages import paths
from stages.errors import ConfigError
from stages.ledger import Ledger
from stages.pipeline import MODULES
from stages.records import Output, Record, digest
from stages.settings import Settings
from stages.storage import Store, open_store

ConfigT = TypeVar("ConfigT")


@dataclass(frozen=True)
class Unit:
    """One piece of work: its id, its work key and what `process` needs to know (JSON-able)."""

    id: str
    key: str
    inputs: dict[str, Any] = field(default_factory=dict)
    gate: str = ""
    """Digest of what decides whether the unit is let in but changes no byte of its output: no part of the key."""


@dataclass(frozen=True)
class Resources:
    """What one worker of a stage takes."""

    cpus: float = 1.0
    gpus: float = 0.0
    """GPUs per worker where the cluster has any; without GPUs the worker takes `cpus` instead."""
    leads: bool = False
    """The worker only leads others that it starts through Ray, where `settings.train_workers` asks for several."""
    units_per_call: int = 1
    """Units handed to a worker at a time; more for short units, so that the hand-over does not dominate."""


@dataclass(frozen=True)
class Result:
    """What a unit made: the objects it wrote and what later stages need to know."""

    outputs: tuple[Output, ...]
    info: dict[str, Any] = field(default_factory=dict)


class Stage(ABC, Generic[ConfigT]):
    """Base of the stages. `version` is raised by hand whenever the output of the same input changes."""

    name: ClassVar[str]
    version: ClassVar[int]
    Config: ClassVar[type]
    resources: ClassVar[Resources] = Resources()

    def __init__(self, config: ConfigT) -> None:
        self.config = config

    @abstractmethod
    def units(self, ctx: "Context") -> Iterator[Unit]:
        """Every unit wanted, with its work key. Reads the ledger only."""

    def setup(self, ctx: "Context") -> None:
        """Load weights and the like; runs once on each worker."""

    def prepare(self, unit: Unit, ctx: "Context") -> Any:
        """The CPU side of a unit, such as decoding. Runs apart from `process` where a stage overrides it."""
        return None

    @abstractmethod
    def process(self, unit: Unit, ctx: "Context", prepared: Any = None) -> Result:
        """Do one unit: write data objects, return their record. Raises BadInput to quarantine the unit."""

    def finish(self, ctx: "Context", counts: dict[str, int]) -> dict[str, Any]:
        """Runs on the driver after all units: pointer moves and extra fields of the summary."""
        return {}

    def committed(self, ctx: "Context") -> list[Record]:
        """The records that later stages build on: wanted under this configuration, and done."""
        records = ctx.ledger.records(self.name)
        return [records[unit.id, unit.key] for unit in self.units(ctx) if (unit.id, unit.key) in records]

    def work_key(self, *parts: Any) -> str:
        """Digest of what determines a unit's output: stage, code version, keyed config fields, input digests."""
        return digest(self.name, self.version, keyed_fields(self.config), *parts)


def keyed_fields(config: Any) -> dict[str, Any]:
    """The config fields that change the output; `metadata={"key": False}` marks the others."""
    kept = {f.name for f in fields(config) if f.metadata.get("key", True)}
    return {name: value for name, value in asdict(config).items() if name in kept}


def load_stage(name: str) -> type[Stage[Any]]:
    """The class of a stage, by its name in `stages/pipeline.py`."""
    if name not in MODULES:
        raise ConfigError(f"expected a stage, got {name!r}; choose one of {', '.join(MODULES)}")
    return importlib.import_module(f"stages.{name}").STAGE


class Recipe(Mapping[str, dict[str, Any]]):
    """The configuration of all stages of a run: sections by stage name, defaults where a section is silent."""

    def __init__(self, sections: Mapping[str, dict[str, Any]] | None = None) -> None:
        self._sections = {name: dict(section) for name, section in (sections or {}).items()}

    @classmethod
    def parse(cls, text: str, stage: str) -> "Recipe":
        """From JSON text or a JSON file: sections by stage, or flat fields of the one stage.

        Raises:
            ConfigError: not JSON, not an object, or a file that does not exist.
        """
        if not text.strip():
            return cls()
        try:
            value = json.loads(text if text.lstrip().startswith("{") else Path(text).read_text())
        except (OSError, json.JSONDecodeError) as error:
            raise ConfigError(f"--config: expected JSON or a JSON file, got {text[:80]!r}: {error}") from None
        if not isinstance(value, dict):
            raise ConfigError(f"--config: expected a JSON object, got {type(value).__name__}")
        sections = bool(value) and all(isinstance(v, dict) and k in MODULES for k, v in value.items())
        return cls(value if sections else {stage: value})

    def config(self, name: str) -> Any:
        """The frozen config of one stage.

        Raises:
            ConfigError: an unknown field or a value that the stage refuses.
        """
        config_class, section = load_stage(name).Config, self._sections.get(name, {})
        known = [f.name for f in fields(config_class)]
        if unknown := sorted(set(section) - set(known)):
            raise ConfigError(f"--config: {name} has no field {', '.join(unknown)}; it has {', '.join(known)}")
        try:
            return TypeAdapter(config_class).validate_python(section)
        except ValidationError as error:
            problems = "; ".join(
                f"{'.'.join(map(str, e['loc']))}: {e['msg']}, got {e['input']!r}" for e in error.errors()
            )
            raise ConfigError(f"--config: {name}: {problems}") from None

    def __getitem__(self, name: str) -> dict[str, Any]:
        return self._sections[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._sections)

    def __len__(self) -> int:
        return len(self._sections)


@dataclass
class Context:
    """Where a stage works: settings, recipe, store and ledger. Pickled without its open store."""

    settings: Settings
    recipe: Recipe = field(default_factory=Recipe)

    @cached_property
    def store(self) -> Store:
        return open_store(self.settings)

    @cached_property
    def ledger(self) -> Ledger:
        return Ledger(self.store)

    def __getstate__(self) -> dict[str, Any]:
        return {"settings": self.settings, "recipe": self.recipe}

    def stage(self, name: str) -> Stage[Any]:
        """Another stage, configured by this run's recipe."""
        return load_stage(name)(self.recipe.config(name))

    def committed(self, name: str) -> list[Record]:
        """What another stage has done under this recipe, without videos that were taken down."""
        banned = self.ledger.taken_down()
        return [record for record in self.stage(name).committed(self) if record.info.get("video_id") not in banned]

    def put(self, key: str, data: bytes) -> Output:
        return self.store.put(key, data)

    def put_file(self, key: str, path: Path) -> Output:
        return self.store.put_file(key, path)

    def workspace(self) -> "tempfile.TemporaryDirectory[str]":
        """A scratch folder on this worker, removed by `with`."""
        return tempfile.TemporaryDirectory(prefix="smelter-", ignore_cleanup_errors=True)

    def model_digest(self, kind: str, version: str = "champion") -> str:
        """The 12-digit version of a registered model; `champion` follows the pointer.

        Raises:
            ConfigError: there is no champion yet, or no such model.
        """
        if version == "champion":
            pointer = self.ledger.pointer(kind)
            if pointer is None:
                raise ConfigError(f"expected a champion {kind}, got none; run `python -m stages.train_{kind}` first")
            return pointer.target[:12]
        if not self.store.exists(paths.model(kind, version, "model.json")):
            raise ConfigError(f"expected a registered {kind}, got {version!r}; see models/{kind}/ in the store")
        return version[:12]

    def fetch_model(self, kind: str, version: str) -> Path:
        """A local folder with a registered model's files, downloaded once per worker."""
        root = Path(self.settings.cache_dir or tempfile.gettempdir()) / "smelter-models"
        folder = root / digest(self.settings.store)[:12] / kind / version[:12]
        if not (folder / "complete").exists():
            folder.mkdir(parents=True, exist_ok=True)
            for key in self.store.keys(paths.model(kind, version, "").rstrip("/")):
                (folder / key.rsplit("/", 1)[1]).write_bytes(self.store.get(key))
            if (folder / "model.json").exists():
                (folder / "complete").touch()
        return folder
