"""Train the inverse dynamics model on contractor ground truth (paper, section 4.1 and Appendix D).

In: the `ground_truth` snapshot. Out: models/idm/<digest>/ with weights, a report on worlds it never saw and a card; the
`idm` pointer moves only if the new model beats the champion on those worlds. Splits are by world, never by frame.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.errors import ConfigError
from stages.records import digest
from stages.registry import decide, promote, register
from stages.snapshot import load_snapshot, read_episodes
from stages.stage import Context, Resources, Result, Stage, Unit

if TYPE_CHECKING:
    from models.dataset import Episode
    from models.idm import InverseDynamicsModel

HELD_OUT_SHARE = 0.2
"""Share of the worlds held out when none are named."""


@dataclass(frozen=True, kw_only=True)
class TrainIdmConfig:
    """What is trained, and on which worlds it is tested."""

    recipe: str = "nano_cpu"
    """Named model and training configuration (`models.train_idm.RECIPES`)."""
    held_out: tuple[str, ...] = ()
    """Worlds (player names, or their beginnings) that are never trained on; empty picks a fifth by hash."""
    max_steps: int = 0
    """Steps of the run; 0 means the recipe's."""
    seed: int = 0
    """Seed of the weights, the windows and the augmentation."""

    def __post_init__(self) -> None:
        if self.max_steps < 0:
            raise ConfigError(f"train_idm.max_steps: expected 0 or more, got {self.max_steps}")


class TrainIdm(Stage[TrainIdmConfig]):
    """One unit is one training run."""

    name = "train_idm"
    version = 1
    Config = TrainIdmConfig
    resources = Resources(cpus=2, gpus=1)

    def units(self, ctx: Context) -> Iterator[Unit]:
        snapshot = load_snapshot(ctx, "truth")
        if not snapshot.totals["rows"]:
            raise ConfigError("expected ground truth to train on, got an empty snapshot; run `python -m stages.ingest`")
        key = self.work_key(snapshot.digest)
        yield Unit(digest("idm", key)[:20], key, {"snapshot": snapshot.digest})

    def process(self, unit: Unit, ctx: Context, prepared: Any = None) -> Result:
        from models.evaluate import evaluate_episodes, write_report

        episodes = list(read_episodes(ctx, load_snapshot(ctx, "truth", unit.inputs["snapshot"])))
        training, held_out = _split(episodes, self.config.held_out)
        model, settings, result = _fit(self.config, training)
        comparison = _compare(ctx, model, held_out, settings.window)
        report = evaluate_episodes(model, held_out)
        with ctx.workspace() as name:
            folder = Path(name)
            model.save(folder)
            write_report(report, folder / "report.json")
            worlds = sorted({episode.world for episode in held_out})
            _write_card(folder, unit, worlds, comparison, report, result)
            version, outputs = register(ctx, "idm", folder)
        info = {"model": version, "snapshot": unit.inputs["snapshot"], "comparison": comparison, "held_out": worlds}
        return Result(outputs, {**info, "accuracy": headline(report)})

    def finish(self, ctx: Context, counts: dict[str, int]) -> dict[str, Any]:
        records = self.committed(ctx)
        return {**promote(ctx, "idm", records), **(records[-1].info["accuracy"] if records else {})}


def headline(report: dict[str, Any]) -> dict[str, Any]:
    """The few figures of a report that a person asks for first, with their baselines beside them."""
    overall, baselines = report["overall"], report["baselines"]
    return {
        "joint_accuracy": overall["keypress_accuracy"]["joint"],
        "camera_r2": overall["camera"]["r2"]["mean"],
        "event_f1": overall["event_f1_pooled"],
        "joint_accuracy_always_released": baselines["always_released"]["keypress_accuracy"]["joint"],
    }


def _split(episodes: "list[Episode]", held_out: tuple[str, ...]) -> "tuple[list[Episode], list[Episode]]":
    from models.dataset import split_by_world

    worlds = sorted({episode.world for episode in episodes}, key=digest)
    names = held_out or tuple(worlds[: max(1, round(HELD_OUT_SHARE * len(worlds)))])
    try:
        return split_by_world(episodes, names)
    except ValueError as error:
        raise ConfigError(f"train_idm.held_out: {error}; ingest more worlds or hold out others") from None


def _fit(config: TrainIdmConfig, training: "list[Episode]") -> Any:
    from models.train_idm import RECIPES, new_model, train_idm
    from stages.progress import StepReporter

    if config.recipe not in RECIPES:
        raise ConfigError(f"train_idm.recipe: expected one of {', '.join(sorted(RECIPES))}, got {config.recipe!r}")
    make_model_config, make_train_config = RECIPES[config.recipe]
    settings = replace(make_train_config(), seed=config.seed)
    if config.max_steps:
        settings = replace(settings, max_steps=config.max_steps)
    model = new_model(make_model_config(), config.seed)
    return model, settings, train_idm(training, model, settings, progress=StepReporter("train_idm", "steps"))


def _compare(ctx: Context, model: "InverseDynamicsModel", held_out: "list[Episode]", window: int) -> dict[str, Any]:
    """The new model against the champion, on the same worlds that neither may have been trained on."""
    from models.held_out import idm_loss
    from models.idm import InverseDynamicsModel

    champion = ctx.ledger.pointer("idm")
    rival = None
    if champion is not None:
        rival = -idm_loss(InverseDynamicsModel.load(ctx.fetch_model("idm", champion.target)), held_out, window)
    return decide(-idm_loss(model, held_out, window), champion, rival, "minus held-out loss, nats per frame")


def _write_card(
    folder: Path, unit: Unit, worlds: list[str], comparison: dict[str, Any], report: dict[str, Any], result: Any
) -> None:
    figures = headline(report)
    card = {"snapshot": unit.inputs["snapshot"], "held_out": worlds, "steps": result.steps, **figures}
    card |= {"train_loss": result.final_loss, "comparison": comparison}
    (folder / "card.json").write_text(json.dumps(card, indent=1, sort_keys=True))
    rows = "\n".join(
        f"| {name.replace('_', ' ')} | {value:.4f} |" for name, value in figures.items() if value is not None
    )
    source = f"Trained {result.steps} steps on ground truth `{card['snapshot']}`"
    (folder / "card.md").write_text(
        f"# Inverse dynamics model\n\n{source}; tested on worlds it never saw: {', '.join(worlds)}.\n\n"
        f"| figure | value |\n|---|---|\n{rows}\n\nAll figures: `report.json`.\n"
    )


STAGE = TrainIdm

if __name__ == "__main__":
    import sys

    from stages.cli import main

    sys.exit(main("train_idm"))
