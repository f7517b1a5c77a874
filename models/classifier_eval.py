"""How good a filter is on videos with known truth: frames, spans, and the decision to keep the video at all."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from models.clean_filter import CleanFilter, load_embedder_of
from models.sampling import SAMPLES_PER_S
from models.spans import STEPS_PER_S, SpanRule, clean_spans, runs
from models.truth import Judged, find_pairs, judge
from models.weights import model_digest


def evaluate_filter(filter_dir: str | Path, videos_dir: str | Path, truth_dir: str | Path) -> dict[str, Any]:
    """Score every video that has a truth file and compare.

    Raises:
        ValueError: no filter, no truth, a truth without its video, or one that cannot be read.
    """
    clean_filter = CleanFilter.load(filter_dir)
    embedder = load_embedder_of(clean_filter)
    videos = [judge(*pair, clean_filter, embedder) for pair in find_pairs(Path(videos_dir), Path(truth_dir))]
    rule = SpanRule(threshold=clean_filter.config.threshold)
    report = summarise(videos, rule)
    return {"filter": model_digest(filter_dir)[:12], "embedder": embedder.name, **report}


def summarise(videos: list[Judged], rule: SpanRule) -> dict[str, Any]:
    """The report: frame metrics over all samples, span overlap with the gate off, gate decisions, each video."""
    truth = np.concatenate([v.is_clean for v in videos])
    found = np.concatenate([v.scores >= rule.threshold for v in videos])
    what = [w for v in videos for w in v.what]
    rows = {v.name: judge_spans(v, rule) for v in videos}
    decisions = [(row["gate"]["truth"], row["gate"]["found"]) for row in rows.values()]
    return {
        "rule": vars(rule),
        "frames": frame_metrics(truth, found),
        "always_clean": frame_metrics(truth, np.ones_like(truth)),
        "accuracy_by_what": {
            name: round(float(np.mean([t == f for t, f, w in zip(truth, found, what, strict=True) if w == name])), 4)
            for name in sorted(set(what))
        },
        "spans": span_metrics([row["overlap_s"] for row in rows.values()]) | span_details(list(rows.values())),
        "gate": {
            "videos": len(videos),
            "right": sum(t == f for t, f in decisions),
            "wrongly_kept": sum(f and not t for t, f in decisions),
            "wrongly_dropped": sum(t and not f for t, f in decisions),
        },
        "videos": rows,
    }


def frame_metrics(truth: np.ndarray, found: np.ndarray) -> dict[str, Any]:
    """Counts, accuracy, precision, recall and F1 of clean frames; (N,) bool both. 0 where nothing can be divided."""
    hit, miss = int((truth & found).sum()), int((truth & ~found).sum())
    false = int((~truth & found).sum())
    precision, recall = hit / max(1, hit + false), hit / max(1, hit + miss)
    return {
        "samples": len(truth),
        "clean": int(truth.sum()),
        "accuracy": round(float((truth == found).mean()), 4) if len(truth) else 0.0,
        "precision": round(precision, 4),
        "recall": round(recall, 4),
        "f1": round(2 * hit / max(1, 2 * hit + false + miss), 4),
    }


def judge_spans(video: Judged, rule: SpanRule) -> dict[str, Any]:
    """Spans of one video with the gate off against its truth (clean runs of at least `min_run_s`), and the gate."""
    found = clean_spans(video.scores, video.sample_steps, video.steps, replace(rule, min_clean_share=0.0))
    shortest = rule.min_run_s * STEPS_PER_S
    wanted = [(a, b) for a, b, clean in runs(video.truth) if clean and b - a >= shortest]
    covered, true = np.zeros(video.steps, bool), np.zeros(video.steps, bool)
    for mask, spans in ((covered, found.spans), (true, wanted)):
        for a, b in spans:
            mask[a:b] = True
    overlap = {"both": covered & true, "found": covered, "truth": true, "unclean": covered & ~video.truth}
    true_share = float(video.is_clean.mean())
    return {
        "clean_share": {"found": found.clean_share, "truth": round(true_share, 4)},
        "gate": {"found": found.clean_share >= rule.min_clean_share, "truth": true_share >= rule.min_clean_share},
        "spans_s": {"found": _seconds(found.spans), "truth": _seconds(wanted)},
        "overlap_s": {name: int(mask.sum()) / STEPS_PER_S for name, mask in overlap.items()},
        "frames": frame_metrics(video.is_clean, video.scores >= rule.threshold),
    }


def _seconds(spans: Iterable[tuple[int, int]]) -> list[list[float]]:
    return [[a / STEPS_PER_S, b / STEPS_PER_S] for a, b in spans]


def span_metrics(rows: list[dict[str, float]]) -> dict[str, float]:
    """Over all videos: seconds found, intersection over union, and the share of found seconds that is not clean."""
    both, found, true, unclean = (sum(row[name] for row in rows) for name in ("both", "found", "truth", "unclean"))
    return {
        "found_s": round(found, 2),
        "truth_s": round(true, 2),
        "iou": round(both / (found + true - both), 4) if found + true > 0 else 0.0,
        "unclean_share": round(unclean / found, 4) if found > 0 else 0.0,
    }


def span_details(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Over all true spans: IoU with the best found span, and by how much its ends are wrong where it is found at all.

    `mean_iou` counts a missed span as 0 and a found span that fits no true one as 0 too.
    """
    ious: list[float] = []
    errors_s: list[float] = []
    for row in rows:
        found, wanted = row["spans_s"]["found"], row["spans_s"]["truth"]
        for span in wanted:
            best = max(found, key=lambda f: _iou(span, f), default=[0.0, 0.0])
            ious.append(_iou(span, best))
            errors_s += [abs(a - b) for a, b in zip(span, best, strict=True)] if ious[-1] > 0 else []
        ious += [0.0 for f in found if all(_iou(span, f) == 0 for span in wanted)]
    near = [error <= 1 / SAMPLES_PER_S for error in errors_s]
    lengths = [b - a for row in rows for a, b in row["spans_s"]["found"]]
    lost_s = sum(row["overlap_s"]["truth"] - row["overlap_s"]["both"] for row in rows)
    return {
        "mean_iou": round(float(np.mean(ious)), 4) if ious else 0.0,
        "worst_boundary_s": round(max(errors_s, default=0.0), 3),
        "boundaries_within_a_sample": round(float(np.mean(near)), 4) if near else 0.0,
        "shortest_found_s": round(min(lengths, default=0.0), 3),
        "hours_lost": {
            "clean_discarded": round(lost_s / 3600, 5),
            "unclean_kept": round(sum(row["overlap_s"]["unclean"] for row in rows) / 3600, 5),
        },
    }


def _iou(one: list[float], other: list[float]) -> float:
    both = max(0.0, min(one[1], other[1]) - max(one[0], other[0]))
    return both / (one[1] - one[0] + other[1] - other[0] - both)


def draw(video: Judged, rule: SpanRule, path: Path) -> None:
    """A picture of one video: score over time, truth behind it, spans (gate off) below it."""
    from matplotlib.figure import Figure

    spans = clean_spans(video.scores, video.sample_steps, video.steps, replace(rule, min_clean_share=0.0)).spans
    figure = Figure(figsize=(10, 2.4), layout="constrained")
    axes = figure.subplots()
    for a, b, clean in runs(video.truth):
        if clean:
            axes.axvspan(a / STEPS_PER_S, b / STEPS_PER_S, color="tab:green", alpha=0.2, lw=0)
    for a, b in spans:
        axes.plot([a / STEPS_PER_S, b / STEPS_PER_S], [-0.06, -0.06], color="tab:green", lw=4, solid_capstyle="butt")
    axes.plot(video.sample_steps / STEPS_PER_S, video.scores, color="tab:blue", lw=1)
    axes.axhline(rule.threshold, color="black", lw=0.6, ls="--")
    axes.set(xlabel="seconds", ylabel="clean score", ylim=(-0.1, 1.05), title=f"{video.name}: green is truly clean")
    figure.savefig(path, dpi=110)
