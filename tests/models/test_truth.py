"""Videos with known truth: files that belong together, labels that lie densely enough to be a video."""

from pathlib import Path

import pytest

from models.classifier_eval import judge_spans
from models.spans import SpanRule
from models.truth import dense_video, find_pairs, read_intervals


def test_truth_without_video_is_named(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="got 0 truth files"):
        find_pairs(tmp_path, tmp_path)
    (tmp_path / "b.truth.json").write_text("{}")
    with pytest.raises(ValueError, match=r"no video for b\.mp4"):
        find_pairs(tmp_path, tmp_path)


def test_a_truth_of_another_form_is_refused(tmp_path: Path) -> None:
    for text in ("{}", '{"intervals": [{"start": 0, "label": "clean"}]}', "not JSON"):
        (tmp_path / "b.truth.json").write_text(text)
        with pytest.raises(ValueError, match="expected intervals with start, end and label"):
            read_intervals(tmp_path / "b.truth.json")


def test_densely_labelled_frames_make_a_video() -> None:
    rows = [(7 + i / 3, i < 20, float(i < 20)) for i in range(40)]
    video = dense_video("v", rows)
    assert video is not None
    row = judge_spans(video, SpanRule())
    assert row["spans_s"]["found"] == row["spans_s"]["truth"]
    assert dense_video("v", rows[::3]) is None
