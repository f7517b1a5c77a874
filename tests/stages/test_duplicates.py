"""Real videos in, matches out: re-uploads are found, other play is not, and the order of arrival does not matter."""

import shutil
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest

from models.sampling import frames_at
from stages.distinct import POINTER, read_matches
from stages.duplicates import Duplicates, DuplicatesConfig
from stages.errors import ConfigError
from stages.runner import run_stage
from stages.segment import Segment, SegmentConfig
from stages.settings import Settings
from stages.stage import Context
from tests.scenes import film
from tests.stages.test_segment import scraped
from tests.videos import write_video

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "sample" / "web"


def logo(picture: np.ndarray) -> np.ndarray:
    return cv2.rectangle(picture.copy(), (250, 8), (312, 34), (250, 40, 40), -1)


def cropped(picture: np.ndarray) -> np.ndarray:
    return picture[6:-5, 10:-8]


def matched(settings: Settings, folder: Path) -> Context:
    """A store in which the videos of a folder were compared."""
    ctx = scraped(settings, folder)
    run_stage(Segment(SegmentConfig()), ctx, ray="off")
    run_stage(Duplicates(DuplicatesConfig()), ctx, ray="off")
    return ctx


def names(ctx: Context) -> dict[str, str]:
    """File name without suffix, by video id."""
    return {record.info["video_id"]: Path(record.info["url"]).stem for record in ctx.committed("scrape")}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A performance, two re-uploads of it, and another in the same style."""
    folder = tmp_path_factory.mktemp("uploads")
    film(folder / "original.mp4", 1, 0, 60)
    film(folder / "trimmed.mp4", 1, 11.4, 52, fps=12, width=192, change=logo)
    film(folder / "mirrored.mp4", 1, 5, 45, fps=15, width=256, change=lambda p: np.ascontiguousarray(p[:, ::-1]))
    film(folder / "other.mp4", 2, 0, 50)
    return folder


def test_re_uploads_are_found_where_they_lie(file_settings: Settings, folder: Path) -> None:
    ctx = matched(file_settings, folder)
    title = names(ctx)
    found = {(title[m.copy], title[m.original]): m for m in read_matches(ctx)}
    assert set(found) == {("trimmed", "original"), ("mirrored", "original"), ("trimmed", "mirrored")}
    trimmed = found["trimmed", "original"]
    assert trimmed.original_start - trimmed.copy_start == pytest.approx(11.4 * 20, abs=10), (
        "a neighbour of the right sample matches too"
    )
    assert trimmed.length == pytest.approx(40.6 * 20, abs=14)
    assert (trimmed.is_mirrored, found["mirrored", "original"].is_mirrored) == (False, True)


def test_a_second_run_does_nothing(file_settings: Settings, folder: Path) -> None:
    ctx = matched(file_settings, folder)
    before = sorted(ctx.store.keys(""))
    again = run_stage(Duplicates(DuplicatesConfig()), ctx, ray="off")
    assert (again["planned"], again["skipped"], again["changed"]) == (0, 4, False)
    assert (again["videos"], again["matches"], again["copies"]) == (4, 3, 2)
    assert sorted(ctx.store.keys("")) == before


def test_the_order_of_arrival_does_not_matter(file_settings: Settings, folder: Path, tmp_path: Path) -> None:
    at_once = matched(file_settings, folder)
    other = file_settings.model_copy(update={"store": f"file://{tmp_path}/store2"})
    for name in ("trimmed", "other", "mirrored", "original"):
        (tmp_path / name).mkdir()
        shutil.copy(folder / f"{name}.mp4", tmp_path / name)
        ctx = matched(other, tmp_path / name)
    tables = [context.store.get(context.ledger.pointer(POINTER).info["key"]) for context in (at_once, ctx)]  # type: ignore[union-attr]
    assert tables[0] == tables[1]


def test_equal_files_are_one_video(file_settings: Settings, folder: Path, tmp_path: Path) -> None:
    for name in ("a.mp4", "b.mp4"):
        shutil.copy(folder / "original.mp4", tmp_path / name)
    ctx = matched(file_settings, tmp_path)
    assert len(ctx.committed("scrape")) == len(ctx.committed("duplicates")) == 1
    assert read_matches(ctx) == []


def test_a_video_that_was_taken_down_matches_nothing(file_settings: Settings, folder: Path) -> None:
    ctx = matched(file_settings, folder)
    (gone,) = [video for video, title in names(ctx).items() if title == "original"]
    ctx.ledger.take_down(gone, "asked")
    assert run_stage(Duplicates(DuplicatesConfig()), ctx, ray="off")["matches"] == 1
    assert not any(gone in (match.copy, match.original) for match in read_matches(ctx))


def real_play(video: str, start_s: float, end_s: float, fps: int) -> Iterator[np.ndarray]:
    times = [start_s + n / fps for n in range(int((end_s - start_s) * fps))]
    return frames_at(SAMPLE / f"{video}.mp4", times, 180)


def upload(path: Path, pictures: Iterator[np.ndarray], fps: int, size: tuple[int, int], count: int) -> Path:
    shown = (cv2.resize(picture, size, interpolation=cv2.INTER_AREA) for picture in pictures)
    return write_video(path, range(count), Fraction(1, fps), rate=fps, size=size, pictures=shown)


def test_real_play_is_told_from_its_copy(file_settings: Settings, tmp_path: Path) -> None:
    """Forty seconds of two sample videos, and thirty of one of them again: cropped, smaller, another rate."""
    folder = tmp_path / "in"
    for name in ("euarURDUB1L", "yfKiDuRj7ee"):
        upload(folder / f"{name}.mp4", real_play(name, 30, 70, 10), 10, (320, 180), 400)
    again = (cropped(picture) for picture in real_play("euarURDUB1L", 36.7, 66.7, 12))
    upload(folder / "again.mp4", again, 12, (256, 144), 360)
    ctx = matched(file_settings, folder)
    title = names(ctx)
    (match,) = read_matches(ctx)
    assert (title[match.copy], title[match.original]) == ("again", "euarURDUB1L")
    assert match.original_start - match.copy_start == pytest.approx(6.7 * 20, abs=7)


def test_wrong_settings_are_refused() -> None:
    for name, value in (("max_bits", 32), ("min_evidence", 0), ("min_share", 1.5)):
        with pytest.raises(ConfigError, match=f"{name}: expected"):
            DuplicatesConfig(**{name: value})
