"""Pictures of reports and trainings, drawn without a display."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from PIL import Image

from models.metrics import AXES

HEADLINE = (
    ("camera_r2_pitch", "pitch R2"),
    ("camera_r2_yaw", "yaw R2"),
    ("joint_accuracy", "all keys right"),
    ("micro_accuracy", "key right"),
    ("event_f1", "event F1, macro"),
    ("event_f1_pooled", "event F1, pooled"),
    ("null_share", "null share"),
    ("calibration_error", "calibration error"),
)
"""What the table shows, with the names a person reads."""
CROWDED_KEYS = 24
"""More keys than this have their names written upright."""


def plot_report(report: dict[str, Any], path: Path) -> None:
    """An IDM's report (`models.evaluate`): each key, the camera, the confidence, and accuracy by hours of data."""
    figure = Figure(figsize=(17, 12), layout="constrained")
    grid = figure.add_gridspec(3, 4, height_ratios=(1, 0.9, 1))
    _plot_f1(figure.add_subplot(grid[0, :3]), report)
    _plot_table(figure.add_subplot(grid[0, 3]), report)
    _plot_outcomes(figure.add_subplot(grid[1, :]), report["overall"]["buttons"])
    for i, axis in enumerate(AXES):
        _plot_camera(figure.add_subplot(grid[2, i]), report, i, axis)
    _plot_reliability(figure.add_subplot(grid[2, 2]), report["overall"]["confidence"])
    _plot_curve(figure.add_subplot(grid[2, 3]), report.get("curve", []))
    worlds = ", ".join(report["worlds"])
    figure.suptitle(f"{report['overall']['frames']:,} frames of {worlds}"[:150])
    figure.savefig(path, dpi=88)
    with Image.open(path) as picture:  # 256 colours are a third of the bytes, and it is kept with the model
        small = picture.convert("RGB").quantize()
    small.save(path, optimize=True)


def _plot_table(ax: Axes, report: dict[str, Any]) -> None:
    """The first figures outside menus, or overall where nobody knows the menus; baselines beside them."""
    part = "outside_menus" if "outside_menus" in report["headline"] else "overall"
    rows = report["headline"][part]
    cells = [[_number(rows[name][figure]) for name in rows] for figure, _ in HEADLINE]
    columns = [name.replace("always_released", "always\nreleased") for name in rows]
    table = ax.table(cells, rowLabels=[title for _, title in HEADLINE], colLabels=columns, loc="center")
    table.scale(0.85, 1.6)
    table.auto_set_font_size(False)
    table.set_fontsize(9)
    table.auto_set_column_width(range(len(columns)))
    ax.axis("off")
    ax.set_title(f"{part.replace('_', ' ').capitalize()}, labels as written")


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _plot_reliability(ax: Axes, confidence: dict[str, Any]) -> None:
    """How often the whole action is right, by how sure the model was; the width of a bar is the share of frames."""
    rows = confidence["reliability"]
    sure, right, share = (np.array([row[name] for row in rows]) for name in ("confidence", "accuracy", "share"))
    ax.plot([0, 1], [0, 1], color="black", lw=0.6)
    ax.scatter(sure, right, s=20 + 900 * share, alpha=0.6, color="tab:purple", edgecolors="none")
    error = confidence["expected_calibration_error"]
    ax.set(xlim=(0, 1), ylim=(0, 1), aspect="equal", xlabel="confidence", ylabel="share of actions exactly right")
    ax.set_title(f"Calibration error {error:.3f} (area: frames)")


def _plot_curve(ax: Axes, curve: list[dict[str, Any]]) -> None:
    """Accuracy by minutes of training data (`models.data_curve`)."""
    ax.set(xlabel="minutes of training data", title="By hours of data, unseen worlds", ylim=(0, 1))
    if not curve:
        ax.text(0.5, 0.5, "not measured: models.data_curve,\nthen models.evaluate --curve", ha="center", va="center")
        ax.set(xticks=[], yticks=[])
        return
    minutes = [point["minutes"] for point in curve]
    for figure, title in HEADLINE[:3] + HEADLINE[5:6]:
        known = [point["outside_menus"][figure] for point in curve]
        if any(value is not None for value in known):
            values = [np.nan if value is None else max(value, 0.0) for value in known]
            ax.plot(minutes, values, marker="o", label=title)
    ax.set_xscale("log", base=2)
    ax.set_xticks(minutes, [f"{m:g}" for m in minutes])
    ax.grid(alpha=0.3)
    ax.legend(fontsize=8)


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
    _name_keys(ax, [f"{name}\n{row['events']['count']}" for name, row in rows.items()])
    ax.set(ylim=(0, 1.02), ylabel="F1")
    ax.set_title("F1 per key (below the name: events in the truth)", loc="left")
    ax.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False, fontsize=8)  # bars reach the top


def _name_keys(ax: Axes, labels: list[str]) -> None:
    """One label per key, upright where many keys leave no room for more."""
    crowded = len(labels) > CROWDED_KEYS
    texts = [label.replace("\n", "  ") if crowded else label.replace(".", ".\n") for label in labels]
    ax.set_xticks(np.arange(len(labels)), texts, fontsize=8, rotation=90 if crowded else 0)


def _plot_outcomes(ax: Axes, rows: dict[str, Any]) -> None:
    """Per key, frames relative to the truth: found, missed, and claimed though not pressed."""
    place = np.arange(len(rows))
    counts = np.array([[row["frames"][name] for name in ("hits", "count", "predicted")] for row in rows.values()])
    hits, true, claimed = counts.T
    scale = np.maximum(true, 1)
    ax.bar(place, hits / scale, 0.6, label="pressed and found", color="tab:green")
    ax.bar(place, (true - hits) / scale, 0.6, bottom=hits / scale, label="pressed and missed", color="lightgrey")
    ax.bar(place, -np.minimum((claimed - hits) / scale, 1.0), 0.6, label="claimed, not pressed", color="tab:red")
    _name_keys(ax, list(rows))
    ax.axhline(0, color="black", lw=0.6)
    title = "Confusion per key (claims beyond 100 % are cut off)"
    ax.set(ylim=(-1.02, 1.02), ylabel="share of true frames", title=title)
    ax.legend(loc="lower right", fontsize=8)


def _plot_camera(ax: Axes, report: dict[str, Any], i: int, axis: str) -> None:
    """True against expected degrees per frame of a sample."""
    sample = report["camera_sample"]
    true, predicted = (np.array(sample[name])[:, i] for name in ("true", "predicted"))
    ends = -sample["limit_deg"], sample["limit_deg"]
    ax.plot(ends, ends, color="black", lw=0.6)
    ax.scatter(true, predicted, s=8, alpha=0.35, color="tab:blue", edgecolors="none")
    camera = report["overall"]["camera"]
    label, expected = (_number(camera[name][axis]) for name in ("r2", "r2_expected"))
    ax.set(xlabel="true degrees per frame", ylabel="mean under the model's probabilities", aspect="equal")
    ax.set_title(f"{axis}: R2 {label} of labels (likeliest bin),\n{expected} of the mean drawn here", fontsize=10)


def plot_history(history: list[dict[str, float]], path: Path, title: str) -> None:
    """Loss over steps."""
    figure = Figure(figsize=(7, 3.5), layout="constrained")
    ax = figure.subplots()
    ax.plot([row["step"] for row in history], [row["loss"] for row in history], color="tab:blue")
    ax.set(xlabel="step", ylabel="loss, nats per frame", title=title)
    ax.grid(alpha=0.3)
    figure.savefig(path, dpi=110)
