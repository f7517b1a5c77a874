"""How good predicted actions are, in pure numpy: buttons (N, 20) bool, camera (N, 2) degrees of pitch and yaw.

The paper reports "keypress accuracy" without defining it. Per key, "always released" already scores about 95 %, so
every accuracy here stands beside two baselines that look at no picture at all:

- always released: no button, no camera motion;
- persistence: the *true* action of the frame before. It knows more than any model and still finds no event in time.

The honest figure is the event F1: a press or release counts only on the exact frame on which it happens.
"""

from typing import Any

import numpy as np

from models.action_schema import AXES
from models.actions import MINECRAFT, ActionSchema, bins_to_camera, camera_to_bins

MIN_OCCURRENCES = 50
"""Events a button needs before it enters a macro average."""


def prf(predicted: np.ndarray, true: np.ndarray) -> dict[str, float | int]:
    """Precision, recall and F1 of two bool arrays of one shape, how often hit, `predicted` and true (`count`)."""
    hits = int((predicted & true).sum())
    claimed, count = int(predicted.sum()), int(true.sum())
    precision = hits / claimed if claimed else 0.0
    recall = hits / count if count else 0.0
    f1 = 2 * hits / (claimed + count) if claimed + count else 0.0
    return {"precision": precision, "recall": recall, "f1": f1, "hits": hits, "predicted": claimed, "count": count}


def events(buttons: np.ndarray, segment: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Press and release events, bool (N, 20) each, on the frame that differs from the one before.

    `segment` int (N,) numbers the recordings: no event crosses from one into the next.
    """
    before = np.roll(buttons, 1, axis=0)
    start = np.ones(len(buttons), dtype=bool)
    start[1:] = segment[1:] != segment[:-1]
    press, release = buttons & ~before, ~buttons & before
    press[start], release[start] = False, False
    return press, release


def button_metrics(
    predicted: np.ndarray, true: np.ndarray, segment: np.ndarray, schema: ActionSchema = MINECRAFT
) -> dict[str, Any]:
    """Precision, recall and F1 on frames, on presses, on releases, and on events: both of these counted together.

    Per button by name, and `all`: every button's events in one pool, which exists on short recordings too.
    """
    claimed, real = np.stack(events(predicted, segment)), np.stack(events(true, segment))

    def rows_of(part: Any) -> dict[str, Any]:
        return {
            "frames": prf(predicted[:, part], true[:, part]),
            "events": prf(claimed[..., part], real[..., part]),
            "presses": prf(claimed[0][:, part], real[0][:, part]),
            "releases": prf(claimed[1][:, part], real[1][:, part]),
        }

    return {name: rows_of(i) for i, name in enumerate(schema.buttons)} | {"all": rows_of(slice(None))}


def macro_f1(rows: dict[str, Any], kind: str) -> float | None:
    """Mean F1 over the buttons with at least `MIN_OCCURRENCES` in the truth; None if no button has so many."""
    values = [row[kind]["f1"] for name, row in rows.items() if name != "all" and row[kind]["count"] >= MIN_OCCURRENCES]
    return float(np.mean(values)) if values else None


def keypress_accuracy(predicted: np.ndarray, true: np.ndarray) -> dict[str, float]:
    """`micro`: share of (frame, button) pairs that agree; `joint`: share of frames on which all 20 agree."""
    same = predicted == true
    return {"micro": float(same.mean()), "joint": float(same.all(axis=1).mean())}


def r2(predicted: np.ndarray, true: np.ndarray) -> float | None:
    """Coefficient of determination; None where the truth never varies."""
    variance = float(((true - true.mean()) ** 2).sum())
    return 1.0 - float(((true - predicted) ** 2).sum()) / variance if variance > 0 else None


def clipped(degrees: np.ndarray, schema: ActionSchema = MINECRAFT) -> np.ndarray:
    """Degrees (N, 2) within the schema's range: beyond its last bin a prediction cannot follow."""
    return np.clip(degrees, -schema.camera.maxval_degrees, schema.camera.maxval_degrees)


def camera_r2(
    predicted_deg: np.ndarray, true_deg: np.ndarray, schema: ActionSchema = MINECRAFT
) -> dict[str, float | None]:
    """R2 per axis on degrees clipped to +-10, and `mean` over the axes that have one."""
    true, predicted = clipped(true_deg, schema), clipped(predicted_deg, schema)
    rows = {axis: r2(predicted[:, i], true[:, i]) for i, axis in enumerate(AXES)}
    values = [value for value in rows.values() if value is not None]
    return {**rows, "mean": float(np.mean(values)) if values else None}


def confusion(predicted: np.ndarray, true: np.ndarray, size: int) -> list[list[int]]:
    """How often true bin (row) of `size` was predicted as bin (column)."""
    return np.bincount(true * size + predicted, minlength=size * size).reshape(size, size).tolist()


def camera_metrics(
    predicted_deg: np.ndarray, true_deg: np.ndarray, expected_deg: np.ndarray | None, schema: ActionSchema = MINECRAFT
) -> dict[str, Any]:
    """R2 of the chosen bins' centres, R2 of the expected value if given, share of right bins, mean absolute error."""
    true_bins, bins, size = camera_to_bins(true_deg, schema), camera_to_bins(predicted_deg, schema), schema.camera.bins
    moving = (true_bins != schema.null_bin).any(axis=1)
    result: dict[str, Any] = {
        "r2": camera_r2(predicted_deg, true_deg, schema),
        "r2_ceiling": camera_r2(bins_to_camera(true_bins, schema), true_deg, schema),
        "bin_accuracy": {axis: float((bins == true_bins)[:, i].mean()) for i, axis in enumerate(AXES)},
        "mean_absolute_error_deg": float(np.abs(predicted_deg - clipped(true_deg, schema)).mean()),
        "moving_share": float(moving.mean()),
        "confusion": {axis: confusion(bins[:, i], true_bins[:, i], size) for i, axis in enumerate(AXES)},
    }
    if expected_deg is not None:
        result["r2_expected"] = camera_r2(expected_deg, true_deg, schema)
    return result


def null_share(buttons: np.ndarray, camera_deg: np.ndarray, schema: ActionSchema = MINECRAFT) -> float:
    """Share of frames with no button down and both camera axes in the middle bin."""
    still = (camera_to_bins(camera_deg, schema) == schema.null_bin).all(axis=1)
    return float((~buttons.any(axis=1) & still).mean())


def exact_actions(
    predicted: np.ndarray,
    true: np.ndarray,
    predicted_deg: np.ndarray,
    true_deg: np.ndarray,
    schema: ActionSchema = MINECRAFT,
) -> np.ndarray:
    """bool (N,): all 20 buttons and both camera bins are right. What the confidence is a probability of."""
    same_camera = camera_to_bins(predicted_deg, schema) == camera_to_bins(true_deg, schema)
    return (predicted == true).all(axis=1) & same_camera.all(axis=1)


def reliability(confidence: np.ndarray, correct: np.ndarray, bins: int = 15) -> list[dict[str, float]]:
    """Mean confidence, accuracy and share of the frames in each equal-width bin of the confidence (N,) that has any."""
    place = np.minimum((confidence * bins).astype(int), bins - 1)
    inside = [place == b for b in np.unique(place)]
    return [
        {"confidence": float(confidence[i].mean()), "accuracy": float(correct[i].mean()), "share": float(i.mean())}
        for i in inside
    ]


def calibration_error(confidence: np.ndarray, correct: np.ndarray, bins: int = 15) -> float:
    """Expected calibration error: mean gap between confidence (N,) and accuracy over equal-width bins, by size."""
    rows = reliability(confidence, correct, bins)
    return sum(row["share"] * abs(row["confidence"] - row["accuracy"]) for row in rows)


def summary(
    predicted: np.ndarray,
    true: np.ndarray,
    predicted_deg: np.ndarray,
    true_deg: np.ndarray,
    segment: np.ndarray,
    expected_deg: np.ndarray | None = None,
    confidence: np.ndarray | None = None,
    schema: ActionSchema = MINECRAFT,
) -> dict[str, Any]:
    """All figures of one set of N frames; `segment` int (N,) numbers the recordings they come from."""
    if len(true) == 0:
        raise ValueError("metrics need at least one frame with a known action, got none")
    rows = button_metrics(predicted, true, segment, schema)
    pooled = rows.pop("all")
    result: dict[str, Any] = {
        "frames": len(true),
        "keypress_accuracy": keypress_accuracy(predicted, true),
        "frame_f1": macro_f1(rows, "frames"),
        "frame_f1_pooled": pooled["frames"]["f1"],
        "event_f1": macro_f1(rows, "events"),
        "event_f1_pooled": pooled["events"]["f1"],
        "camera": camera_metrics(predicted_deg, true_deg, expected_deg, schema),
        "null_share": {
            "true": null_share(true, true_deg, schema),
            "predicted": null_share(predicted, predicted_deg, schema),
        },
        "buttons": rows,
    }
    correct = exact_actions(predicted, true, predicted_deg, true_deg, schema)
    result["exact_action_accuracy"] = float(correct.mean())
    if confidence is not None:
        ece = calibration_error(confidence, correct)
        result["confidence"] = {
            "mean": float(confidence.mean()),
            "expected_calibration_error": ece,
            "reliability": reliability(confidence, correct),
        }
    return result


def headline(summary: dict[str, Any]) -> dict[str, float | None]:
    """The figures of a summary that a person asks for first.

    `camera_r2*` is of the labels: the centre of the likeliest bin, which is what the pipeline writes down.
    `camera_r2_expected*` is of the mean under the model's probabilities: smoother, and no label.
    """
    camera = summary["camera"]
    expected = camera.get("r2_expected", {})
    confidence = summary.get("confidence", {})
    return {
        "camera_r2": camera["r2"]["mean"],
        **{f"camera_r2_{axis}": camera["r2"][axis] for axis in AXES},
        "camera_r2_expected": expected.get("mean"),
        **{f"camera_r2_expected_{axis}": expected.get(axis) for axis in AXES},
        **{f"camera_bin_accuracy_{axis}": camera["bin_accuracy"][axis] for axis in AXES},
        "joint_accuracy": summary["keypress_accuracy"]["joint"],
        "micro_accuracy": summary["keypress_accuracy"]["micro"],
        "event_f1": summary["event_f1"],
        "event_f1_pooled": summary["event_f1_pooled"],
        "frame_f1": summary["frame_f1"],
        "exact_action_accuracy": summary["exact_action_accuracy"],
        "null_share": summary["null_share"]["predicted"],
        "null_share_true": summary["null_share"]["true"],
        "calibration_error": confidence.get("expected_calibration_error"),
    }


def baselines(
    true: np.ndarray, true_deg: np.ndarray, segment: np.ndarray, schema: ActionSchema = MINECRAFT
) -> dict[str, Any]:
    """The two baselines' figures on the same frames, by name, without the per-button rows' camera and confidence."""
    start = np.ones(len(true), dtype=bool)
    start[1:] = segment[1:] != segment[:-1]
    persistent, persistent_deg = np.roll(true, 1, axis=0), np.roll(true_deg, 1, axis=0)
    persistent[start], persistent_deg[start] = False, 0.0
    return {
        "always_released": summary(
            np.zeros_like(true), true, np.zeros_like(true_deg), true_deg, segment, schema=schema
        ),
        "persistence": summary(persistent, true, persistent_deg, true_deg, segment, schema=schema),
    }
