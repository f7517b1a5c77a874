"""The filter's report: exact figures on hand-made scores, and the whole way from video files."""

import json
from pathlib import Path

import numpy as np
import pytest

from models.cells import CellOptions
from models.classifier import FitOptions
from models.classifier_eval import draw, evaluate_filter, frame_metrics, judge_spans, summarise
from models.embedding import EfficientNetLite0
from models.filter_set import SetBuilder
from models.fit_filter import fit
from models.spans import SpanRule
from models.truth import Judged
from tests.frames import picture
from tests.videos import write_video


def judged(truth: str, found: str, name: str = "v") -> Judged:
    """A video from two strings, one letter per second: c for clean, u for unclean."""
    sample_steps = np.arange(3 * len(truth)) * 20 // 3
    scores = np.repeat([float(letter == "c") for letter in found], 3)
    labels = np.repeat([letter == "c" for letter in truth], 20)
    return Judged(name, 20 * len(truth), sample_steps, scores, labels, [truth[step // 20] for step in sample_steps])


def test_frame_metrics_count_clean_as_positive() -> None:
    truth, found = np.array([1, 1, 1, 0, 0], bool), np.array([1, 1, 0, 1, 0], bool)
    assert frame_metrics(truth, found) == {
        "samples": 5, "clean": 3, "accuracy": 0.6, "precision": 0.6667, "recall": 0.6667, "f1": 0.6667
    }  # fmt: skip
    assert frame_metrics(truth[:0], found[:0])["f1"] == 0.0


def test_spans_are_compared_with_the_gate_off() -> None:
    row = judge_spans(judged("c" * 10 + "u" * 20, "c" * 10 + "u" * 20), SpanRule())
    assert row["gate"] == {"found": False, "truth": False}
    assert row["spans_s"]["truth"] == [[0.0, 10.0]]
    assert row["spans_s"]["found"][0] == pytest.approx([0.0, 10.0], abs=0.17)


def test_short_truth_does_not_count_as_a_span_but_is_not_unclean_either() -> None:
    row = judge_spans(judged("c" * 3 + "u" * 7, "c" * 6 + "u" * 4), SpanRule())
    assert row["overlap_s"]["truth"] == 0
    assert row["overlap_s"]["unclean"] == pytest.approx(3.0, abs=0.17)


def test_the_report_adds_up_over_videos() -> None:
    videos = [judged("c" * 20, "c" * 20, "kept"), judged("c" * 20, "c" * 10 + "u" * 10, "lost")]
    report = summarise([*videos, judged("u" * 20, "c" * 20, "fooled")], SpanRule())
    assert report["gate"] == {"videos": 3, "right": 1, "wrongly_kept": 1, "wrongly_dropped": 1}
    assert report["frames"]["accuracy"] == 0.5
    assert report["accuracy_by_what"] == {"c": 0.75, "u": 0.0}
    assert report["spans"]["iou"] == pytest.approx(30 / 60, abs=0.01)
    assert report["spans"]["unclean_share"] == pytest.approx(20 / 50, abs=0.01)


def test_from_files_to_report_and_picture(tmp_path: Path) -> None:
    embedder = EfficientNetLite0()
    builder = SetBuilder(embedder, copies=0, seed=0)
    for seed in range(12):
        builder.add(picture(seed, seed % 2 == 0), ("clean", "artifact")[seed % 2], f"g{seed // 4}", float(seed))
    fit(builder.build(), embedder, FitOptions(), CellOptions()).clean_filter.save(tmp_path / "filter")
    shown = [picture(100, True)] * 120 + [picture(100, False)] * 60
    write_video(tmp_path / "a.mp4", [i * 4500 for i in range(180)], size=(224, 128), pictures=iter(shown))
    intervals = [
        {"start": 0, "end": 6, "label": "clean"},
        {"start": 6, "end": 9, "label": "artifact", "what": "banner"},
    ]
    (tmp_path / "a.truth.json").write_text(json.dumps({"intervals": intervals}))
    report = evaluate_filter(tmp_path / "filter", tmp_path, tmp_path)
    assert report["frames"]["f1"] == 1.0
    assert report["accuracy_by_what"] == {"banner": 1.0, "clean": 1.0}
    assert report["videos"]["a"]["spans_s"]["found"][0] == pytest.approx([0.0, 6.0], abs=0.17)
    json.dumps(report, allow_nan=False)
    draw(judged("ccuu", "ccuu"), SpanRule(), tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")


def test_spans_are_judged_one_by_one() -> None:
    wanted = judged("c" * 10 + "u" * 10 + "c" * 10, "c" * 10 + "u" * 14 + "c" * 6)
    found = summarise([wanted], SpanRule())["spans"]
    assert found["mean_iou"] == pytest.approx((1.0 + 0.6) / 2, abs=0.02)
    assert found["worst_boundary_s"] == pytest.approx(4.0, abs=0.17)
    assert found["boundaries_within_a_sample"] == 0.75
    assert found["shortest_found_s"] == pytest.approx(6.0, abs=0.17)
    assert found["hours_lost"] == {"clean_discarded": pytest.approx(4 / 3600, abs=1e-4), "unclean_kept": 0.0}
    invented = summarise([wanted, judged("u" * 20, "c" * 20, "w")], SpanRule())["spans"]
    assert invented["mean_iou"] == pytest.approx((1.0 + 0.6 + 0.0) / 3, abs=0.02)
