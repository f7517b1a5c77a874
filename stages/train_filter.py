"""Train the clean classifier on labelled frames and promote it if it beats the champion (paper, Appendix A.2).

In: labelled frames (`stages/labelled_frames.py`). Out: models/filter/<digest>/ with the filter, its card, the score
that every frame got from a fit without its video, and a contact sheet of the worst. The champion pointer moves only
for a better F1 on held-out frames; what was compared is kept in the pointer's record. Nothing is dropped: an unreadable
frame stops the run.
"""

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages import paths
from stages.errors import ConfigError
from stages.records import canonical_json
from stages.registry import decide, promote, register
from stages.stage import Context, Resources, Result, Stage, Unit

if TYPE_CHECKING:
    import numpy as np

    from models.fit_filter import Fitted
    from stages.labelled_frames import LabelledFrame

HELD_OUT = "held_out.json"
MISTAKES = "mistakes.png"


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
    """Unclean copies of each clean frame, each with a drawn face camera, watermark or banner; 0 draws no copies."""
    epochs: int = 4
    """Times that the cell detectors see each frame and each copy, at most."""
    folds: int = 5
    """Parts of the cross-validation; frames of one video are never in two, so 5 holds out a fifth of the videos."""
    seed: int = 0
    """Of the drawn overlays."""

    def __post_init__(self) -> None:
        for name, least in (("C", 1e-9), ("gamma", 1e-9), ("overlays", 0), ("epochs", 1), ("folds", 2)):
            if getattr(self, name) < least:
                raise ConfigError(f"train_filter.{name}: expected at least {least}, got {getattr(self, name)}")


class TrainFilter(Stage[TrainFilterConfig]):
    """One unit: these frames under this configuration."""

    name = "train_filter"
    version = 4
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
            fitted.clean_filter.save(folder)
            (folder / HELD_OUT).write_bytes(canonical_json(rows))
            draw_mistakes(frames, fitted.held_out_scores, folder / MISTAKES)
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
    """Read, draw copies, embed, fit. The same frames and config give the same filter.

    Raises:
        ConfigError: a frame cannot be read. ValueError: what the models refuse.
    """
    from models.cells import CellOptions
    from models.classifier import FitOptions
    from models.embedding import best_device, load_embedder
    from models.filter_set import SetBuilder
    from models.fit_filter import fit, refuse_one_sided
    from stages.labelled_frames import read_images

    refuse_one_sided([frame.is_clean for frame in frames], [frame.video for frame in frames])
    embedder = load_embedder(config.embedder, best_device())
    builder = SetBuilder(embedder, config.overlays, config.seed)
    for frame, image in zip(frames, read_images(frames), strict=True):
        builder.add(image, frame.label, frame.video, frame.time_s)
    data = builder.build()
    options = FitOptions(C=config.C, gamma=config.gamma, folds=config.folds)
    fitted = fit(data, embedder, options, CellOptions(epochs=config.epochs, seed=config.seed))
    return replace(fitted, held_out_scores=fitted.held_out_scores[data.is_real])


def held_out_rows(frames: "list[LabelledFrame]", scores: "np.ndarray") -> list[dict[str, Any]]:
    """One row per frame that a fit without its video has scored."""
    return [
        {"video": f.video, "time_s": f.time_s, "is_clean": f.is_clean, "score": round(float(score), 4)}
        for f, score in zip(frames, scores, strict=False)
        if score == score  # nan: its fold had only one class left to train on
    ]


def draw_mistakes(frames: "list[LabelledFrame]", scores: "np.ndarray", path: Path) -> None:
    """A contact sheet of the frames whose held-out score is furthest from their label."""
    from models.contact_sheet import TILES, draw_sheet
    from stages.labelled_frames import read_images

    wrong = [(abs(float(score) - f.is_clean), f, float(score)) for f, score in zip(frames, scores, strict=True)]
    worst = sorted((row for row in wrong if row[0] > 0.5), key=lambda row: (-row[0], row[1].video, row[1].time_s))
    shown = worst[:TILES]
    captions = [f"{f.label} {score:.2f}  {f.video[:12]} {f.time_s:.1f} s" for _, f, score in shown]
    draw_sheet(read_images([f for _, f, _ in shown]), captions, path)


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
        "support_vectors": fitted.clean_filter.svm.support_count,
        "held_out": metrics_of(rows),
        "held_out_by_video": {video: metrics_of([r for r in rows if r["video"] == video]) for video in videos},
        "held_out_spans": span_figures(rows),
    }


def span_figures(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Span IoU and hours lost over videos whose frames are labelled densely; empty where there are none."""
    from models.classifier_eval import summarise
    from models.spans import SpanRule
    from models.truth import dense_video

    videos = {row["video"] for row in rows}
    tables = {name: [(r["time_s"], r["is_clean"], r["score"]) for r in rows if r["video"] == name] for name in videos}
    dense = [found for name, table in sorted(tables.items()) if (found := dense_video(name, table))]
    return {"videos": len(dense), **summarise(dense, SpanRule())["spans"]} if dense else {}


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
        f"Clean survival play against the rest: cell detectors and an SVM (RBF, C = {card['config']['C']}) on maps of "
        f"{card['config']['embedder']}. Trained on {sum(card['frames'].values())} labelled frames ({card['frames']}).",
        "",
        "Every figure is of frames whose video the fit had not seen. `mistakes.png` shows the worst of them.",
        *_span_lines(card["held_out_spans"]),
        "",
        "| video | frames | clean | accuracy | precision | recall | F1 |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, m in rows:
        figures = " | ".join(f"{m[key]:.3f}" for key in ("accuracy", "precision", "recall", "f1"))
        lines.append(f"| {name} | {m['samples']} | {m['clean']} | {figures} |")
    return "\n".join(lines) + "\n"


def _span_lines(spans: dict[str, Any]) -> list[str]:
    if not spans:
        return []
    lost = spans["hours_lost"]
    return [
        "",
        f"Clean spans of the {spans['videos']} densely labelled videos: mean IoU {spans['mean_iou']:.3f}; "
        f"{lost['clean_discarded']} h clean discarded, {lost['unclean_kept']} h unclean kept.",
    ]


STAGE = TrainFilter

if __name__ == "__main__":
    import sys

    from stages.cli import main

    sys.exit(main("train_filter"))
