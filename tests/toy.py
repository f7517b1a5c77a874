"""A real stage, twenty lines long, for tests of the machinery around stages: it squares the numbers it is given."""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from stages.errors import BadInput, ConfigError, ServiceError
from stages.records import digest
from stages.stage import Context, Resources, Result, Stage, Unit


@dataclass(frozen=True, kw_only=True)
class ToyConfig:
    """What is squared."""

    numbers: tuple[int, ...] = field(default=(), metadata={"key": False})
    """Numbers to square; 13 is bad luck."""
    power: int = 2
    """The exponent."""
    die_once: str = field(default="", metadata={"key": False})
    """A path: the worker that meets 7 kills itself if it can create this file."""
    fatal: int = field(default=-1, metadata={"key": False})
    """The number that kills every worker it meets."""

    def __post_init__(self) -> None:
        if self.power < 1:
            raise ConfigError(f"toy.power: expected at least 1, got {self.power}")


class Toy(Stage[ToyConfig]):
    """Squares; 13 is refused, 500 breaks the service, 404 is a bug."""

    name = "toy"
    version = 1
    Config = ToyConfig
    resources = Resources(cpus=1, gpus=1, units_per_call=3)

    def units(self, ctx: Context) -> Iterator[Unit]:
        for number in self.config.numbers:
            yield Unit(digest(number)[:20], self.work_key(number), {"number": number})

    def prepare(self, unit: Unit, ctx: Context) -> int:
        if unit.inputs["number"] == 13:
            raise BadInput("bad_luck", "expected any number but 13, got 13; leave it out")
        return unit.inputs["number"]

    def process(self, unit: Unit, ctx: Context, prepared: Any = None) -> Result:
        if prepared == self.config.fatal or (prepared == 7 and self._first_death()):
            os._exit(1)
        if prepared == 500:
            raise ServiceError("expected a service, got none; start it")
        if prepared == 404:
            raise KeyError("a bug")
        value = prepared**self.config.power
        return Result((ctx.put(f"toy/{unit.id}", str(value).encode()),), {"value": value})

    def _first_death(self) -> bool:
        path = Path(self.config.die_once or os.devnull)
        if path.exists():
            return False
        path.touch()
        return True


STAGE = Toy
