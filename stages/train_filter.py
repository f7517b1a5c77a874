"""Train the clean classifier on labelled frames and promote it if it beats the champion (paper, Appendix A.2).

In: labelled frames (`stages/labelled_frames.py`). Out: models/filter/<digest>/ with the classifier, its card, and the
score that every frame got from a fit without its video. The champion pointer moves only for a better F1 on held-out
frames; what was compared is kept in the pointer's record. Nothing is dropped: an unreadable frame stops the run.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages import paths
from stages.errors import ConfigError
from stages.records import canonical_json
from stages.registry import decide, promote, register
from stages.stage import Context, Resources, Result, Stage, Unit

if TYPE_CHECKING:
    import numpy as np

    from models.classifier import FitOptions, Fitted
    from stages.labelled_frames import LabelledFrame

HELD_OUT = "held_out.json"


@dataclass(frozen=True, kw_only=True)
class TrainFilterConfig:
    """What the filter learns from, and how."""

    frames: str = field(default="", metadata={"key": False})
    """Folder with clean/, artifact/ and other/, or a .csv or .parquet table; a path that the worker can read."""
    embedder: str = "efficientnet-lite0"
    """Frozen network that makes the features; `clip-rn50x64` is the paper's and needs the package open_clip_torch."""
    C: float = 20.0
    """Cost of an error of the SVM (paper: 20)."""
    gamma: float = 1.0
    """Kernel width times the number of features."""
    overlays: int = 3
    """Unclean copies of each clean frame, each with a drawn face camera, watermark or banner; 0 means none."""
    folds: int = 5
    """Parts of the cross-validation; frames of one video are never in two, so 5 holds out a fifth of the videos."""
    seed: int = 0
    """Of the drawn overlays."""

    def __post_init__(self) -> None:
        for name, least in (("C", 1e-9), ("gamma", 1e-9), ("overlays", 0), ("folds", 2)):
            if getattr(self, name) < least:
                raise ConfigError(f"train_filter.{name}: expected at least {least}, got {getattr(self, name)}")


class TrainFilter(Stage[TrainFilterConfig]):
    """One unit: these frames under this configuration."""

    name = "train_filter"
    version = 1
    Config = TrainFilterConfig
    resources = Resources(cpus=2)

    def units(self, ctx: Context) -> Iterator[Unit]:
        from stages.labelled_frames import find_frames, frames_digest

        if not self.config.frames:
            raise ConfigError("train_filter.frames: expected a folder or table of labelled frames, got none")
        path = Path(self.config.frames).resolve()
        found = frames_digest(find_frames(path))
        yield Unit(found[:20], self.work_key(found), {"frames": str(path), "frames_sha256": found})

    def process(self, unit: Unit, ctx: Context, prepared: Any = None) -> Result:
        from stages.labelled_frames import find_frames

        frames = find_frames(Path(unit.inputs["frames"]))
        try:
            fitted = train(frames, self.config)
        except ValueError as error:  # one-sided frames, a missing package: nothing that another attempt would mend
            raise ConfigError(f"train_filter: {error}") from None
        rows = held_out_rows(frames, fitted.held_out_scores)
        comparison = compare(ctx, rows)
        card = {**make_card(frames, fitted, self.config, unit.inputs["frames_sha256"]), "comparison": comparison}
        with ctx.workspace() as name:
            folder = Path(name)
            fitted.classifier.save(folder)
            (folder / HELD_OUT).write_bytes(canonical_json(rows))
            (folder / "card.json").write_text(json.dumps(card, indent=1, sort_keys=True))
            (folder / "card.md").write_text(card_text(card))
            version, outputs = register(ctx, "filter", folder)
        info = {"model": version, "comparison": comparison, "held_out": card["held_out"], "frames": card["frames"]}
        return Result(outputs, info)

    def finish(self, ctx: Context, counts: dict[str, int]) -> dict[str, Any]:
        records = self.committed(ctx)
        held_out = records[-1].info["held_out"] if records else {}
        figures = {f"held_out_{name}": held_out[name] for name in ("f1", "accuracy") if name in held_out}
        return {**promote(ctx, "filter", records), **figures}


def train(frames: "list[LabelledFrame]", config: TrainFilterConfig) -> "Fitted":
    """Read, draw overlays, embed, fit. The same frames and config give the same classifier.

    Raises:
        ConfigError: a frame cannot be read. ValueError: what the models refuse.
    """
    import numpy as np

    from models.classifier import fit
    from models.embedding import load_embedder
    from models.overlays import unclean_copies
    from stages.labelled_frames import read_images

    embedder, rng = load_embedder(config.embedder), np.random.default_rng(config.seed)
    images, is_clean = read_images(frames), np.array([frame.is_clean for frame in frames])
    groups, is_real = [frame.video for frame in frames], len(frames)
    for index in np.flatnonzero(is_clean).tolist():
        copies = unclean_copies(images[index], config.overlays, rng)
        images += copies
        groups += [frames[index].video] * len(copies)
    labels = np.concatenate([is_clean, np.zeros(len(images) - is_real, bool)])
    real = np.arange(len(images)) < is_real
    features = embedder.embed(images)
    return fit(features, labels, np.array(groups), (embedder.name, embedder.digest), _fit_options(config), real)


def _fit_options(config: TrainFilterConfig) -> "FitOptions":
    from models.classifier import FitOptions

    return FitOptions(C=config.C, gamma=config.gamma, folds=config.folds)


def held_out_rows(frames: "list[LabelledFrame]", scores: "np.ndarray") -> list[dict[str, Any]]:
    """One row per frame that a fit without its video has scored."""
    return [
        {"video": f.video, "time_s": f.time_s, "is_clean": f.is_clean, "score": round(float(score), 4)}
        for f, score in zip(frames, scores, strict=False)
        if score == score  # nan: its fold had only one class left to train on
    ]


def make_card(
    frames: "list[LabelledFrame]", fitted: "Fitted", config: TrainFilterConfig, frames_sha256: str
) -> dict[str, Any]:
    """What a person wants to know before trusting this filter; no clock and no host: same work, same bytes."""
    rows = held_out_rows(frames, fitted.held_out_scores)
    counts = {label: sum(f.label == label for f in frames) for label in sorted({f.label for f in frames})}
    videos = sorted({row["video"] for row in rows})
    return {
        "kind": "filter",
        "frames_sha256": frames_sha256,
        "frames": counts,
        "config": {name: value for name, value in asdict(config).items() if name != "frames"},
        "support_vectors": fitted.classifier.support_count,
        "held_out": metrics_of(rows),
        "held_out_by_video": {video: metrics_of([r for r in rows if r["video"] == video]) for video in videos},
    }


def metrics_of(rows: list[dict[str, Any]], threshold: float = 0.5) -> dict[str, Any]:
    """Accuracy, precision, recall and F1 of clean frames over held-out rows."""
    import numpy as np

    from models.classifier_eval import frame_metrics

    truth, scores = np.array([r["is_clean"] for r in rows], bool), np.array([r["score"] for r in rows])
    return frame_metrics(truth, scores >= threshold)


def compare(ctx: Context, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Is the new filter better? F1 on the frames that both were held out from; on each one's own if those say nothing.

    A frame counts for a filter only with the score of a fit that did not see its video, so neither is flattered.
    """
    champion = ctx.ledger.pointer("filter")
    theirs = _held_out(ctx, champion.target) if champion else []
    common = {_frame(row) for row in rows} & {_frame(row) for row in theirs}
    ours, rival = [r for r in rows if _frame(r) in common], [r for r in theirs if _frame(r) in common]
    if len({row["is_clean"] for row in ours}) < 2:
        ours, rival = rows, theirs
        common = set()
    metric = f"F1 on {len(common)} frames held out from both" if common else "F1 on its own held-out frames"
    champion_f1 = metrics_of(rival)["f1"] if rival else None
    return decide(metrics_of(ours)["f1"], champion, champion_f1, metric)


def _frame(row: dict[str, Any]) -> tuple[str, float, bool]:
    return row["video"], row["time_s"], row["is_clean"]


def _held_out(ctx: Context, version: str) -> list[dict[str, Any]]:
    try:
        return json.loads(ctx.store.get(paths.model("filter", version, HELD_OUT)))
    except FileNotFoundError:
        return []  # a filter that was imported, not trained here: nothing to compare with


def card_text(card: dict[str, Any]) -> str:
    """The card as Markdown."""
    rows = [("all", card["held_out"]), *card["held_out_by_video"].items()]
    lines = [
        "# Clean classifier",
        "",
        f"Clean survival play against the rest: SVM, RBF, C = {card['config']['C']}, on {card['config']['embedder']} "
        f"features. Trained on {sum(card['frames'].values())} labelled frames ({card['frames']}).",
        "",
        "Every figure is of frames whose video the fit had not seen.",
        "",
        "| video | frames | clean | accuracy | precision | recall | F1 |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, m in rows:
        figures = " | ".join(f"{m[key]:.3f}" for key in ("accuracy", "precision", "recall", "f1"))
        lines.append(f"| {name} | {m['samples']} | {m['clean']} | {figures} |")
    return "\n".join(lines) + "\n"


STAGE = TrainFilter

if __name__ == "__main__":
    import sys

    from stages.cli import main

    sys.exit(main("train_filter"))
