"""An IDM's card, filled in from its training and its report (`models.card`)."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from models.calibrate import Calibration
from models.card import Card, costs, described
from models.dataset import Episode
from models.idm import InverseDynamicsModel
from models.train_idm import IDMTrainConfig
from models.training import TrainResult

FRAMES_PER_MINUTE = 20 * 60


def idm_card(
    model: InverseDynamicsModel,
    config: IDMTrainConfig,
    result: TrainResult,
    report: dict[str, Any] | None,
    *,
    recipe: str,
    data: dict[str, Any],
    start: str = "",
    **more: Any,
) -> Card:
    """The card.

    Args:
        report: of `models.evaluate` on worlds that were held out; None if there were none.
        data: `data_of` and where it comes from.
        start: what it was fine-tuned from; empty for nothing.
        more: other fields of `Card`.
    """
    headline = report["headline"]["overall"] if report else {"model": {}}
    figures = {name: dict(values) for name, values in headline.items()}
    if report and "outside_menus" in report["headline"]:
        for name, values in report["headline"]["outside_menus"].items():
            figures[name] |= {f"outside_menus_{figure}": value for figure, value in values.items()}
    training = {"recipe": recipe, "seed": config.seed, "started_from": start, **costs(result)}
    training["config"] = config.content()
    return Card(
        title="Inverse dynamics model",
        kind="idm",
        data=data,
        model=described(model),
        training=training,
        metrics=figures.pop("model"),
        baselines=figures,
        **more,
    )


def data_of(training: Sequence[Episode], held_out: Sequence[Episode], **origin: Any) -> dict[str, Any]:
    """What was trained and tested on: minutes and worlds of each side, and `origin`: snapshot or folder, licence."""
    sides = {"trained_on": training, "tested_on": held_out}
    minutes = {f"{side}_minutes": round(sum(map(len, e)) / FRAMES_PER_MINUTE, 2) for side, e in sides.items()}
    worlds = {f"{side}_worlds": sorted({episode.world for episode in e}) for side, e in sides.items()}
    return {**origin, **minutes, **worlds}


def calibration_of(fitted: Calibration) -> dict[str, Any]:
    """What the confidence was fitted on and what that changed, to be added to `data_of`."""
    return {"calibrated_on": asdict(fitted)}
