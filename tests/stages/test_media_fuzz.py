"""Broken files: each ends in a consistent result or in one reason, and none takes the run with it.

`python -m infra.fuzz_media --count 3000` is the same over thousands of files.
"""

from pathlib import Path

from infra.fuzz_media import OK, OK_REDRAWN, UNEXPECTED, outcomes, run
from infra.mutate import write_seeds
from stages.sandbox import Limits
from tests import videos

REASONS = {
    *("truncated", "no_frames", "no_video_stream", "not_a_video", "empty_file", "too_long", "too_large_frame"),
    *("decode_error", "decode_memory", "decode_timeout", "decode_stalled", "decoder_crashed"),
}


def test_sixty_broken_files(tmp_path: Path) -> None:
    counts = run(60, seconds=200, seed=7, keep=tmp_path / "kept")
    assert counts.total() == 60
    assert set(counts) <= {OK, OK_REDRAWN} | REASONS, [path.name for path in (tmp_path / "kept").iterdir()]
    assert counts[OK] > 10
    assert counts["truncated"] > 10
    assert counts[UNEXPECTED] == 0


def test_whole_files_are_consistent_in_every_format(tmp_path: Path) -> None:
    seeds = write_seeds(tmp_path)
    assert dict(zip([path.name for path in seeds], outcomes(seeds), strict=True)) == {p.name: OK for p in seeds}


def test_a_child_that_dies_costs_each_file_of_its_batch_one_more_try(tmp_path: Path) -> None:
    paths = [videos.text_file(tmp_path / "a.mp4"), videos.text_file(tmp_path / "b.mp4")]
    assert outcomes(paths) == ["not_a_video", "not_a_video"]
    assert outcomes(paths, Limits(wall_seconds=0.01)) == ["decode_timeout", "decode_timeout"]
