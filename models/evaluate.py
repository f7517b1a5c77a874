"""Evaluate an IDM on recordings with known actions, or a filter on videos with known spans.

    python -m models.evaluate --idm DIR --recordings DIR --out report.json
    python -m models.evaluate --filter DIR --videos DIR --truth DIR --out report.json

An IDM labels each recording as the pipeline would (windows of 128, stride 64, the centre kept) and is compared with
what was played: overall, outside menus, per world, each beside the baselines (`models.metrics`). A picture with the
same name and the ending `.png` lies beside the report; `--curve` draws accuracy by hours of data into it
(`models.data_curve`). The last line on standard output is a JSON summary: the report's `headline`.
Give it recordings of worlds that the IDM was not trained on.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from models import metrics
from models.actions import MINECRAFT, ActionSchema
from models.dataset import Episode, check_schema, load_usable
from models.idm import InverseDynamicsModel
from models.predict import Predictions, predict_episode
from models.weights import model_digest
from models.windows import LENGTH, STRIDE

SAMPLE_POINTS = 1000
"""Frames whose camera goes into the report for the scatter plot."""


def evaluate_episodes(model: InverseDynamicsModel, episodes: Sequence[Episode]) -> dict[str, Any]:
    """The report on labelled episodes, JSON-able.

    Raises ValueError if no frame has a known action, or for actions of another schema than the model's.
    """
    check_schema(episodes, model.config.schema)
    predictions = [predict_episode(model, episode.frames) for episode in episodes]
    return compare(episodes, predictions, model.config.schema)


def compare(
    episodes: Sequence[Episode], predictions: Sequence[Predictions], schema: ActionSchema = MINECRAFT
) -> dict[str, Any]:
    """The report on predictions that are already there, one per episode."""
    known = [episode.weight > 0 for episode in episodes]
    playing = [k & ~_menus(e) for k, e in zip(known, episodes, strict=True)]
    everything = _Frames(episodes, predictions, known, schema)
    report: dict[str, Any] = {
        "schema": schema.name,
        "windows": {"length": LENGTH, "stride": STRIDE},
        "recordings": {
            e.id: {"world": e.world, "frames": len(e), "known": int(k.sum())}
            for e, k in zip(episodes, known, strict=True)
        },
        "overall": everything.summary(),
        "baselines": everything.baselines(),
        "camera_sample": everything.camera_sample(),
    }
    if any(mask.any() for mask in playing):
        outside = _Frames(episodes, predictions, playing, schema)
        report["outside_menus"] = outside.summary()
        report["outside_menus_baselines"] = outside.baselines()
    report["headline"] = _headlines(report)
    report["worlds"] = {}
    for world in sorted({episode.world for episode in episodes}):
        masks = [mask & (episode.world == world) for mask, episode in zip(known, episodes, strict=True)]
        if any(mask.any() for mask in masks):
            report["worlds"][world] = _without_details(_Frames(episodes, predictions, masks, schema).summary())
    return report


def _headlines(report: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The first figures of the model and of the baselines, over all frames and outside menus."""
    found = {}
    for part, beside in (("overall", "baselines"), ("outside_menus", "outside_menus_baselines")):
        if part in report:
            rows = {"model": report[part], **report[beside]}
            found[part] = {name: metrics.headline(row) for name, row in rows.items()}
    return found


def _menus(episode: Episode) -> np.ndarray:
    return np.zeros(len(episode), bool) if episode.gui_open is None else episode.gui_open


def _without_details(summary: dict[str, Any]) -> dict[str, Any]:
    """A summary without its long tables."""
    camera = {name: value for name, value in summary["camera"].items() if name != "confusion"}
    return {name: value for name, value in summary.items() if name != "buttons"} | {"camera": camera}


class _Frames:
    """The frames of all episodes that a mask per episode keeps, one after the other."""

    def __init__(
        self,
        episodes: Sequence[Episode],
        predictions: Sequence[Predictions],
        masks: Sequence[np.ndarray],
        schema: ActionSchema,
    ) -> None:
        def joined(arrays: list[np.ndarray]) -> np.ndarray:
            return np.concatenate([array[mask] for array, mask in zip(arrays, masks, strict=True)])

        self.schema = schema
        self.true = joined([e.buttons for e in episodes]).astype(bool)
        self.true_deg = joined([e.camera_deg for e in episodes]).astype(np.float64)
        self.buttons = joined([p.buttons for p in predictions])
        self.camera_deg = joined([p.camera_deg for p in predictions])
        self.expected_deg = joined([p.camera_expected_deg for p in predictions])
        self.confidence = joined([p.confidence for p in predictions])
        self.segment = segments(masks)

    def summary(self) -> dict[str, Any]:
        pairs = self.buttons, self.true, self.camera_deg, self.true_deg
        return metrics.summary(*pairs, self.segment, self.expected_deg, self.confidence, self.schema)

    def baselines(self) -> dict[str, Any]:
        return metrics.baselines(self.true, self.true_deg, self.segment, self.schema)

    def camera_sample(self) -> dict[str, Any]:
        """Evenly spaced frames, degrees (n, 2) clipped as the metric does to +-`limit_deg`."""
        rows = np.linspace(0, len(self.true) - 1, min(SAMPLE_POINTS, len(self.true))).astype(int)
        return {
            "limit_deg": self.schema.camera.maxval_degrees,
            "true": metrics.clipped(self.true_deg[rows], self.schema).round(3).tolist(),
            "predicted": self.expected_deg[rows].astype(float).round(3).tolist(),
        }


def segments(masks: Sequence[np.ndarray]) -> np.ndarray:
    """int (N,): a number per kept frame that changes wherever kept frames are not neighbours."""
    numbers, base = [], 0
    for mask in masks:
        run = np.cumsum(np.diff(mask.astype(np.int8), prepend=0) == 1)
        numbers.append(run[mask] + base)
        base += int(run[-1]) + 1 if len(run) else 1
    return np.concatenate(numbers)


def write_report(report: dict[str, Any], path: Path, curve: list[dict[str, Any]] | None = None) -> None:
    """Write the report as JSON and its picture beside it, ending in `.png`; `curve` is that of `models.data_curve`."""
    from models.plots import plot_report

    path.parent.mkdir(parents=True, exist_ok=True)
    report = {**report, "curve": curve} if curve else report
    path.write_text(json.dumps(report, indent=1) + "\n")
    plot_report(report, path.with_suffix(".png"))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; 0 on success, 2 for the user's mistakes."""
    parser = _parser()
    options = parser.parse_args(arguments)
    if (options.idm is None) == (options.filter is None):
        parser.error("expected either --idm with --recordings, or --filter with --videos and --truth")
    needed = ("recordings",) if options.idm else ("videos", "truth")
    missing = [name for name in needed if getattr(options, name) is None]
    if missing:
        parser.error(f"--{'idm' if options.idm else 'filter'} also needs " + " and ".join(f"--{m}" for m in missing))
    try:
        summary = _run_idm(options) if options.idm else _run_filter(options)
    except ValueError as error:
        print(f"evaluate: {error}", file=sys.stderr)
        return 2
    print(json.dumps(summary))
    return 0


def _run_idm(options: argparse.Namespace) -> dict[str, Any]:
    model = InverseDynamicsModel.load(options.idm)
    curve = read_curve(options.curve) if options.curve else None
    episodes, refused = load_usable(options.recordings, model.config.schema)
    report = {"idm": model_digest(options.idm)[:12], **evaluate_episodes(model, episodes)}
    report["refused"] = {name: {"reason": e.reason, "message": e.message} for name, e in refused.items()}
    write_report(report, options.out, curve)
    counts = {"recordings": len(episodes), "refused": len(refused), "frames": report["overall"]["frames"]}
    headline = report["headline"]
    rest = {"outside_menus": headline["outside_menus"]["model"]} if "outside_menus" in headline else {}
    others = {name: values for name, values in headline["overall"].items() if name != "model"}
    return {"report": str(options.out), **counts, **headline["overall"]["model"], **rest, "baselines": others}


def read_curve(path: Path) -> list[dict[str, Any]]:
    """The points of a `curve.json`. ValueError if the file is none."""
    try:
        points = json.loads(path.read_text())["points"]
        if all({"minutes", "outside_menus"} <= set(point) for point in points):
            return points
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise ValueError(f"--curve: expected the curve.json of `python -m models.data_curve`, got {path}; make it first")


def _run_filter(options: argparse.Namespace) -> dict[str, Any]:
    from models.classifier_eval import evaluate_filter  # imported here: it needs scikit-learn, the IDM does not

    report = evaluate_filter(options.filter, options.videos, options.truth)
    options.out.parent.mkdir(parents=True, exist_ok=True)
    options.out.write_text(json.dumps(report, indent=1) + "\n")
    return {"report": str(options.out), **report}


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m models.evaluate", description=__doc__.split("\n")[0])
    parser.add_argument("--idm", type=Path, help="model folder of an IDM")
    parser.add_argument("--recordings", type=Path, help="folder of NAME.mp4 + NAME.jsonl")
    parser.add_argument("--curve", type=Path, help="curve.json of models.data_curve, to be drawn into the picture")
    parser.add_argument("--filter", type=Path, help="model folder of a filter")
    parser.add_argument("--videos", type=Path, help="folder of videos")
    parser.add_argument("--truth", type=Path, help="folder of NAME.truth.json")
    parser.add_argument("--out", type=Path, default=Path("report.json"), help="the report to write")
    return parser


if __name__ == "__main__":
    raise SystemExit(main())
