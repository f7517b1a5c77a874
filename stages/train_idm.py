"""Train the inverse dynamics model on contractor ground truth (paper, section 4.1 and Appendix D).

In: the `ground_truth` snapshot. Out: models/idm/<digest>/ with weights, a report on worlds it never saw, a card and
TensorBoard events; the `idm` pointer moves only if the new model beats the champion on those worlds. Splits are by
world, never by frame. A run that was killed goes on from its last checkpoint.
"""

import json
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.errors import ConfigError
from stages.idm_champion import Champion, seen_by
from stages.records import digest
from stages.registry import promote, register
from stages.snapshot import Snapshot, load_snapshot, read_episodes
from stages.stage import Context, Resources, Result, Unit
from stages.training import MEASURED, TrainingStage, origin_of, user_errors

if TYPE_CHECKING:
    from models.action_schema import ActionSchema
    from models.calibrate import Calibration
    from models.dataset import Episode
    from models.idm import IDMConfig, InverseDynamicsModel
    from models.parallel import Workers
    from models.train_idm import IDMTrainConfig, IDMTrainResult

HELD_OUT_SHARE = 0.2
"""Share of the worlds held out when none are named."""


@dataclass(frozen=True, kw_only=True)
class TrainIdmConfig:
    """What is trained, and on which worlds it is tested. The work key holds the values that a recipe stands for."""

    recipe: str = field(default="nano_cpu", metadata={"key": False})
    """Named model and training configuration (`models.train_idm.RECIPES`)."""
    init: str = field(default="none", metadata={"key": False})
    """Where the weights start: `none`, `champion` (if there is one), or a registered model's version."""
    held_out: tuple[str, ...] = ()
    """Worlds (player names, or their beginnings) that are never trained on; empty picks a fifth by hash."""
    calibrate: tuple[str, ...] = ()
    """Further worlds, on which only the confidence is fitted once the model is trained; empty leaves it to the worlds
    that members of the model did without, if the recipe lets them."""
    max_steps: int = field(default=0, metadata={"key": False})
    """Steps of the run; 0 means the recipe's, or a twentieth of them where the weights start from a model."""
    seed: int = 0
    """Seed of the weights, the windows and the augmentation."""

    def __post_init__(self) -> None:
        if self.max_steps < 0:
            raise ConfigError(f"train_idm.max_steps: expected 0 or more, got {self.max_steps}")


@dataclass(frozen=True)
class Trained:
    """A training that came to its end."""

    model: "InverseDynamicsModel"
    config: "IDMTrainConfig"
    result: "IDMTrainResult"
    training: "list[Episode]"
    calibration: "list[Episode]"
    held_out: "list[Episode]"


class TrainIdm(TrainingStage[TrainIdmConfig]):
    """One unit is one training run."""

    name = "train_idm"
    version = 2
    Config = TrainIdmConfig
    resources = Resources(cpus=2, gpus=1, leads=True)

    def units(self, ctx: Context) -> Iterator[Unit]:
        snapshot = load_snapshot(ctx, "truth")
        if not snapshot.totals["rows"]:
            raise ConfigError("expected ground truth to train on, got an empty snapshot; run `python -m stages.ingest`")
        start = self._start(ctx, snapshot)
        key = self._key(snapshot, start)
        yield Unit(digest("idm", key)[:20], key, {"snapshot": snapshot.digest, "start": start})

    def _start(self, ctx: Context, snapshot: Snapshot) -> str:
        """Version of the model whose weights are the start; empty for none.

        A champion that this very training made is no new start, or each run would find the next one to do.
        """
        if self.config.init == "none":
            return ""
        if self.config.init != "champion":
            return ctx.model_digest("idm", self.config.init)
        champion = ctx.ledger.pointer("idm")
        if champion is None:
            return ""
        for record in ctx.ledger.records(self.name).values():
            start = str(record.inputs.get("start", ""))
            if record.info["model"] == champion.target and record.key == self._key(snapshot, start):
                return start
        return champion.target[:12]

    def _key(self, snapshot: Snapshot, start: str) -> str:
        from models.weights import config_to_dict

        model, training = self._configure(start, snapshot.schema)
        return self.work_key(snapshot.digest, start, config_to_dict(model), training.content())

    def _configure(self, start: str, schema: "ActionSchema") -> "tuple[IDMConfig, IDMTrainConfig]":
        from models.train_idm import configure

        with user_errors("train_idm.recipe"):
            steps = self.config.max_steps or None
            return configure(
                self.config.recipe, seed=self.config.seed, max_steps=steps, tune=bool(start), schema=schema
            )

    def fit(self, unit: Unit, ctx: Context, workers: "Workers") -> Trained:
        from models.train_idm import new_model, pretrained_model, train_idm

        start = unit.inputs["start"]
        snapshot = load_snapshot(ctx, "truth", unit.inputs["snapshot"])
        model_config, config = self._configure(start, snapshot.schema)
        folder = ctx.fetch_model("idm", start) if start else None
        model = pretrained_model(model_config, folder) if folder else new_model(model_config, config.seed)
        episodes = list(read_episodes(ctx, snapshot))
        training, *others = split(episodes, self.config.held_out, self.config.calibrate, seen_by(folder))
        with self.surroundings(unit, ctx, workers) as where:
            return Trained(model, config, train_idm(training, model, config, where), training, *others)

    def process(self, unit: Unit, ctx: Context, prepared: Any = None) -> Result:
        from models.calibrate import calibrate
        from models.evaluate import evaluate_episodes, write_report

        with user_errors(self.name):
            champion = Champion(ctx, load_snapshot(ctx, "truth", unit.inputs["snapshot"]).schema)
            done = self.trained(unit, ctx)
            fitted = calibrate(done.model, done.calibration) if done.calibration else done.result.calibration
            comparison = champion.compare(done.model, done.held_out, done.config.window)
            report = evaluate_episodes(done.model, done.held_out)
            with ctx.workspace() as name:
                folder = Path(name)
                done.model.save(folder)
                write_report(report, folder / "report.json")
                self._write_card(ctx, unit, done, fitted, report, comparison, folder)
                version, outputs = register(ctx, "idm", folder, MEASURED)
        worlds = sorted({episode.world for episode in done.held_out})
        info = {"model": version, "snapshot": unit.inputs["snapshot"], "comparison": comparison, "held_out": worlds}
        return Result(outputs, {**info, "accuracy": accuracy(report)})

    def _write_card(
        self,
        ctx: Context,
        unit: Unit,
        done: Trained,
        fitted: "Calibration | None",
        report: dict[str, Any],
        compared: dict[str, Any],
        folder: Path,
    ) -> None:
        from models.card import write_card
        from models.idm_card import calibration_of, data_of, idm_card
        from models.logbook import write_events

        origin = origin_of(ctx, load_snapshot(ctx, "truth", unit.inputs["snapshot"]))
        data = data_of(done.training, done.held_out, **origin)
        if fitted:
            data |= calibration_of(fitted)
        card = idm_card(
            done.model,
            done.config,
            done.result,
            report,
            recipe=self.config.recipe,
            start=unit.inputs["start"],
            data=data,
            comparison=compared,
            command=self.command(),
        )
        write_card(folder, card)
        write_events(done.result.history, folder)
        (folder / "history.json").write_text(json.dumps(done.result.history, indent=1))

    def unkeyed(self) -> dict[str, Any]:
        return {name: getattr(self.config, name) for name in ("recipe", "init", "max_steps")}

    def finish(self, ctx: Context, counts: dict[str, int]) -> dict[str, Any]:
        records = self.committed(ctx)
        self.clean_up(ctx, records)
        return {**promote(ctx, "idm", records), **(records[-1].info["accuracy"] if records else {})}


def accuracy(report: dict[str, Any]) -> dict[str, Any]:
    """The few figures of a report that a run's summary shows, with a baseline beside them."""
    overall = report["headline"]["overall"]
    names = ("joint_accuracy", "micro_accuracy", "camera_r2", "event_f1", "event_f1_pooled", "calibration_error")
    baseline = overall["always_released"]["joint_accuracy"]
    return {name: overall["model"][name] for name in names} | {"joint_accuracy_always_released": baseline}


def split(
    episodes: "list[Episode]", held_out: tuple[str, ...], calibrate: tuple[str, ...] = (), seen: Collection[str] = ()
) -> "tuple[list[Episode], list[Episode], list[Episode]]":
    """(training, calibration, held out) by world.

    Unnamed, a fifth of the worlds is held out by hash, first of those not `seen` by the start.
    """
    from models.dataset import split_three_ways

    found = {episode.world for episode in episodes if not (calibrate and episode.world.startswith(calibrate))}
    worlds = sorted(found, key=lambda world: (world in seen, digest(world)))
    names = held_out or tuple(worlds[: max(1, round(HELD_OUT_SHARE * len(worlds)))])
    try:
        return split_three_ways(episodes, names, calibrate)
    except ValueError as error:
        raise ConfigError(f"train_idm.held_out or calibrate: {error}; ingest more worlds or name others") from None


STAGE = TrainIdm

if __name__ == "__main__":
    import sys

    from stages.cli import main

    sys.exit(main("train_idm"))
