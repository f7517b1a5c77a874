"""Train an IDM on a folder of recordings, save it, and test it on worlds it never saw.

    python -m models.train_idm --recordings DIR --held-out PLAYER [PLAYER ...] --recipe nano_cpu --out DIR
    torchrun --standalone --nproc-per-node 2 -m models.train_idm ...    # the same on two cores or GPUs

`--out` takes model.json and weights.safetensors, the card, training.json, report.json and its picture, TensorBoard
events, and checkpoints while it runs: the same command after a kill goes on from the newest one. A loss that is no
number ends the run before a model is written.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from models import checkpoint
from models.action_schema import DEFAULT, ActionSchema, load_schema
from models.calibrate import Calibration, calibrate
from models.card import write_card
from models.dataset import Episode, load_usable, split_three_ways
from models.errors import BadRecording
from models.idm import KIND, IDMConfig, InverseDynamicsModel
from models.logbook import Logbook
from models.parallel import launched
from models.progress import progress_bar
from models.train_idm import RECIPES, IDMTrainConfig, configure, new_model, pretrained_model, train_idm
from models.training import Surroundings, TrainResult
from models.weights import config_from_dict, load_model


@dataclass(frozen=True)
class _Parts:
    """The recordings by their use; no world is in two of them."""

    training: list[Episode]
    calibration: list[Episode]
    held_out: list[Episode]
    refused: dict[str, BadRecording]


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, save and evaluate on the held-out worlds; the last line on standard output is one JSON summary."""
    options = _parser().parse_args(arguments)
    try:
        summary = _run(options)
    except ValueError as error:
        print(f"train_idm: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"train_idm: stopped; the same command goes on from the checkpoint in {options.out}", file=sys.stderr)
        return 130
    if summary:  # of several workers, the first one speaks
        print(json.dumps(summary))
    return 0


def _run(options: argparse.Namespace) -> dict[str, Any]:
    start = options.start_from
    schema = _schema(options)
    model_config, config = configure(
        options.recipe, seed=options.seed, max_steps=options.max_steps, tune=start is not None, schema=schema
    )
    config = replace(config, max_seconds=options.max_seconds, device=options.device)
    config = replace(config, precision=options.precision or config.precision)
    model = pretrained_model(model_config, start) if start else new_model(model_config, options.seed)
    episodes, refused = load_usable(options.recordings, schema)
    parts = _Parts(*split_three_ways(episodes, options.held_out, options.calibrate), refused)
    workers = launched(config.on_this_machine().device)
    if workers.rank:
        train_idm(parts.training, model, config, Surroundings(out_dir=options.out, workers=workers))
        return {}
    with Logbook(options.out / "tensorboard") as logbook, progress_bar("train_idm") as progress:
        where = Surroundings(out_dir=options.out, progress=progress, on_row=logbook, workers=workers)
        result = train_idm(parts.training, model, config, where)
    fitted = calibrate(model, parts.calibration) if parts.calibration else result.calibration
    model.save(options.out)
    summary = _write_results(options, model, config, result, parts, fitted)
    checkpoint.clear(options.out)
    return summary


def _schema(options: argparse.Namespace) -> ActionSchema:
    """The one that is asked for, else that of the model to start from."""
    if options.schema or not options.start_from:
        return load_schema(options.schema or DEFAULT)
    return config_from_dict(IDMConfig, load_model(options.start_from, KIND)[0], options.start_from).schema


def _write_results(
    options: argparse.Namespace,
    model: InverseDynamicsModel,
    config: IDMTrainConfig,
    result: TrainResult,
    parts: _Parts,
    fitted: Calibration | None,
) -> dict[str, Any]:
    """`training.json`, the card and, with held-out worlds, `report.json` + `report.png` beside the model."""
    from models.evaluate import evaluate_episodes, write_report  # imported late: plots are not needed for training
    from models.idm_card import calibration_of, data_of, idm_card

    training = {"config": asdict(config), "steps": result.steps, "seconds": result.seconds, "history": result.history}
    (options.out / "training.json").write_text(json.dumps(training, indent=1))
    report = evaluate_episodes(model, parts.held_out) if parts.held_out else None
    origin = {"recordings": str(options.recordings), "licence": options.licence}
    data = data_of(parts.training, parts.held_out, **origin)
    if fitted:
        data |= calibration_of(fitted)
    start = str(options.start_from or "")
    write_card(options.out, idm_card(model, config, result, report, recipe=options.recipe, data=data, start=start))
    summary: dict[str, Any] = {"steps": result.steps, "seconds": round(result.seconds, 1), "loss": result.final_loss}
    summary["refused"] = {name: error.reason for name, error in parts.refused.items()}
    if report:
        write_report(report, options.out / "report.json")
        summary |= report["headline"]["overall"]["model"]
    return summary


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m models.train_idm", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--recordings", type=Path, required=True, help="folder of NAME.mp4 + NAME.jsonl")
    parser.add_argument("--held-out", nargs="*", default=[], help="players (worlds), or the beginning of their names")
    parser.add_argument(
        "--calibrate",
        nargs="*",
        default=[],
        help="other worlds, which only fit how sure it is (models.calibrate); nano_cpu needs none if it has 8 worlds",
    )
    parser.add_argument("--schema", help="the game's buttons, keys and camera: a name or a .json file (minecraft)")
    parser.add_argument("--recipe", choices=sorted(RECIPES), default="nano_cpu")
    parser.add_argument("--from", dest="start_from", type=Path, help="model folder to fine-tune, instead of nothing")
    parser.add_argument("--out", type=Path, required=True, help="folder for everything; a stopped run in it goes on")
    parser.add_argument("--licence", default="", help="of the recordings; kept in the card")
    parser.add_argument("--max-seconds", type=float, help="stop after this long, whatever the step")
    parser.add_argument("--max-steps", type=int, help="steps of the run, instead of the recipe's")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="auto", help="torch device; auto takes a GPU where there is one")
    parser.add_argument("--precision", choices=("float32", "bfloat16", "auto"), help="instead of the recipe's")
    return parser
