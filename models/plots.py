"""Pictures of reports and trainings, drawn without a display."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from models.metrics import AXES, CAMERA_LIMIT_DEG


def plot_report(report: dict[str, Any], path: Path) -> None:
    """An IDM's report (`models.evaluate`): F1 per key beside the baselines, what happened to each key, the camera."""
    figure = Figure(figsize=(14, 12), layout="constrained")
    grid = figure.add_gridspec(3, 2)
    _plot_f1(figure.add_subplot(grid[0, :]), report)
    _plot_outcomes(figure.add_subplot(grid[1, :]), report["overall"]["buttons"])
    for i, axis in enumerate(AXES):
        _plot_camera(figure.add_subplot(grid[2, i]), report, i, axis)
    overall = report["overall"]
    accuracy, event_f1 = overall["keypress_accuracy"]["joint"], overall["event_f1"]
    figure.suptitle(
        f"{overall['frames']} frames, all keys right on {accuracy:.1%}, "
        f"event F1 {'-' if event_f1 is None else f'{event_f1:.3f}'}"
    )
    figure.savefig(path, dpi=100)


def _plot_f1(ax: Axes, report: dict[str, Any]) -> None:
    """Bars of frame and event F1 per key; the persistence baseline as a mark."""
    rows, persistence = report["overall"]["buttons"], report["baselines"]["persistence"]["buttons"]
    place = np.arange(len(rows))
    ax.bar(place - 0.2, [row["frames"]["f1"] for row in rows.values()], 0.4, label="frames", color="tab:blue")
    ax.bar(place + 0.2, [row["events"]["f1"] for row in rows.values()], 0.4, label="events", color="tab:orange")
    for shift, kind in ((-0.2, "frames"), (0.2, "events")):
        values = [persistence[name][kind]["f1"] for name in rows]
        ax.scatter(
            place + shift,
            values,
            marker="_",
            s=120,
            color="black",
            label="persistence (true action, one frame late)" if kind == "frames" else None,
        )
    labels = [f"{name}\n{row['events']['count']}" for name, row in rows.items()]
    ax.set_xticks(place, labels, fontsize=8)
    ax.set(ylim=(0, 1.02), ylabel="F1", title="F1 per key; below the name: events in the truth. Always released: 0")
    ax.legend(loc="upper right", fontsize=8)


def _plot_outcomes(ax: Axes, rows: dict[str, Any]) -> None:
    """Per key, frames relative to the truth: found, missed, and claimed though not pressed."""
    place = np.arange(len(rows))
    counts = np.array([[row["frames"][name] for name in ("hits", "count", "predicted")] for row in rows.values()])
    hits, true, claimed = counts.T
    scale = np.maximum(true, 1)
    ax.bar(place, hits / scale, 0.6, label="pressed and found", color="tab:green")
    ax.bar(place, (true - hits) / scale, 0.6, bottom=hits / scale, label="pressed and missed", color="lightgrey")
    ax.bar(place, -np.minimum((claimed - hits) / scale, 1.0), 0.6, label="claimed, not pressed", color="tab:red")
    ax.set_xticks(place, list(rows), fontsize=8)
    ax.axhline(0, color="black", lw=0.6)
    title = "Confusion per key (claims beyond 100 % are cut off)"
    ax.set(ylim=(-1.02, 1.02), ylabel="share of true frames", title=title)
    ax.legend(loc="lower right", fontsize=8)


def _plot_camera(ax: Axes, report: dict[str, Any], i: int, axis: str) -> None:
    """True against expected degrees per frame of a sample."""
    true, predicted = (np.array(report["camera_sample"][name])[:, i] for name in ("true", "predicted"))
    ax.plot([-CAMERA_LIMIT_DEG, CAMERA_LIMIT_DEG], [-CAMERA_LIMIT_DEG, CAMERA_LIMIT_DEG], color="black", lw=0.6)
    ax.scatter(true, predicted, s=8, alpha=0.35, color="tab:blue", edgecolors="none")
    r2 = report["overall"]["camera"]["r2"][axis]
    ax.set(
        xlabel="true degrees per frame",
        ylabel="predicted (expected value)",
        aspect="equal",
        title=f"{axis}: R2 of labels {'-' if r2 is None else f'{r2:.3f}'}",
    )


def plot_history(history: list[dict[str, float]], path: Path, title: str) -> None:
    """Loss over steps."""
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    ax = figure.subplots()
    ax.plot([row["step"] for row in history], [row["loss"] for row in history], color="tab:blue")
    ax.set(xlabel="step", ylabel="loss, nats per frame", title=title)
    ax.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
