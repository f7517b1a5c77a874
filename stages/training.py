"""What the training stages share: checkpoints in the store, workers, errors, and what a model's folder holds.

Where `SMELTER_TRAIN_WORKERS` asks for several workers they train through Ray (`stages/ray_train.py`) up to the last
checkpoint; the stage then takes that checkpoint up as any resumed run does, finds no step left, and goes on alone.
"""

import shlex
from abc import abstractmethod
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from models.action_schema import ActionSchema
from stages.checkpoints import StoredCheckpoints
from stages.errors import ConfigError, SmelterError
from stages.records import Record, canonical_json
from stages.snapshot import Snapshot
from stages.stage import Context, Stage, Unit, keyed_fields

if TYPE_CHECKING:
    from models.parallel import Workers
    from models.training import Surroundings

MEASURED = ("card.json", "card.md", "events.out.tfevents.training", "history.json")
"""Files of a model that hold a clock: the first run's are kept, and no record holds their digest."""

ConfigT = TypeVar("ConfigT")


class TrainingStage(Stage[ConfigT]):
    """A stage whose unit is one training run."""

    @abstractmethod
    def fit(self, unit: Unit, ctx: Context, workers: "Workers") -> Any:
        """Train to the end, from the newest checkpoint on; the trained model and what it was trained on."""

    def trained(self, unit: Unit, ctx: Context) -> Any:
        """`fit`, by as many workers as the settings ask for."""
        from models.parallel import Workers

        if ctx.settings.train_workers > 1:
            from stages.ray_train import train_on_workers

            train_on_workers(self, unit, ctx)
        return self.fit(unit, ctx, Workers())

    @contextmanager
    def surroundings(self, unit: Unit, ctx: Context, workers: "Workers") -> Iterator["Surroundings"]:
        """A scratch folder with this unit's newest checkpoint; what is written there goes to the store."""
        from models.training import Surroundings
        from stages.progress import StepReporter

        stored = StoredCheckpoints(ctx, self.name, unit.key)
        with ctx.workspace() as name:
            stored.fetch(Path(name))
            report = StepReporter(self.name, "steps") if workers.rank == 0 else None
            yield Surroundings(out_dir=Path(name), progress=report, on_checkpoint=stored.keep, workers=workers)

    def clean_up(self, ctx: Context, records: list[Record]) -> None:
        """Remove the checkpoints of committed units."""
        for record in records:
            StoredCheckpoints(ctx, self.name, record.key).drop()

    def command(self) -> str:
        """What a person types to train this again, on any store."""
        config = canonical_json(keyed_fields(self.config) | self.unkeyed()).decode()
        return shlex.join(["python", "-m", f"stages.{self.name}", "--config", config])

    def unkeyed(self) -> dict[str, Any]:
        """Config fields that belong to the command and enter the work key in another form."""
        return {}


@contextmanager
def user_errors(name: str) -> Iterator[None]:
    """A ValueError of the models is the user's mistake: it stops the run with one line and commits nothing."""
    try:
        yield
    except SmelterError:
        raise
    except ValueError as error:
        raise ConfigError(f"{name}: {error}") from error


def same_game(kind: str, champion: ActionSchema, schema: ActionSchema) -> None:
    """Refuse a champion whose actions mean something else: no loss could compare it with the new model."""
    if champion != schema:
        raise ConfigError(
            f"expected a champion {kind} of the snapshot's action schema {schema.name!r}, got one of "
            f"{champion.name!r} or an older version; keep each game in a store of its own"
        )


def origin_of(ctx: Context, snapshot: Snapshot) -> dict[str, Any]:
    """Where the rows of a snapshot come from, for a card: its digest, size and licences by number of videos."""
    from stages.shard import origins

    known = origins(ctx)
    videos = {video for shard in snapshot.shards for video in shard["videos"]}
    licences = Counter(known.get(video, {}).get("licence") or "unknown" for video in videos)
    return {"snapshot": snapshot.digest, "labels": snapshot.idm, **snapshot.totals, "licences": dict(licences)}
