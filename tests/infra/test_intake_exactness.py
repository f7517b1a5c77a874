"""The benchmark's column of right pictures: ours are all right, and a wrong one is seen."""

from fractions import Fraction
from pathlib import Path

from infra.intake_exactness import of_cut, of_exact_clips, of_pipe, of_samples, stored_times
from tests import videos


def test_every_way_is_judged_by_the_time_stamps(tmp_path: Path) -> None:
    path = videos.constant_rate(tmp_path / "v.mp4", 30, 6.0, size=(640, 360))
    times = stored_times(path)
    assert times == [Fraction(n, 30) for n in range(180)]
    assert of_samples(path, times) == [True] * 18
    assert of_cut(path, times) == [True] * 120
    assert of_pipe(path, times) == [True] * 18
    assert of_exact_clips(path, times)[:150] == [True] * 150


def test_a_wrong_picture_is_counted(tmp_path: Path) -> None:
    path = videos.constant_rate(tmp_path / "v.mp4", 30, 3.0, size=(640, 360))
    late = [time + Fraction(1, 30) if time else time for time in stored_times(path)]
    assert of_cut(path, late).count(False) > 30
    assert of_samples(path, late).count(False) > 5
