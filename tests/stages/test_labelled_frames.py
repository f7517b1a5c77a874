"""Labelled frames: both forms, exact refusals, a digest of content."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.errors import ConfigError
from stages.labelled_frames import find_frames, frames_digest, read_images
from tests.frames import jpeg, picture, write_folders
from tests.videos import read_number, write_video


def test_folders_give_class_video_and_time(tmp_path: Path) -> None:
    frames = find_frames(write_folders(tmp_path / "frames", videos=2, per_class=2))
    assert len(frames) == 12
    first = frames[0]
    assert (first.video, first.time_s, first.label, first.is_clean) == (
        "video0",
        0.0,
        "clean",
        True,
    )
    assert {frame.video for frame in frames} == {"video0", "video1"}
    assert sum(frame.is_clean for frame in frames) == 4


def test_a_name_may_hold_underscores(tmp_path: Path) -> None:
    (tmp_path / "clean").mkdir()
    (tmp_path / "clean" / "my_video_12.5.jpg").write_bytes(jpeg(picture(0, True)))
    (frame,) = find_frames(tmp_path)
    assert (frame.video, frame.time_s) == ("my_video", 12.5)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_table_names_frames_of_videos_beside_it(tmp_path: Path, suffix: str) -> None:
    write_video(tmp_path / "one.mp4", [i * 3000 for i in range(60)])
    rows = [{"video": "one", "time": 1.5, "label": "clean"}, {"video": "one.mp4", "time": 0.1, "label": "other"}]
    table = tmp_path / f"frames.{suffix}"
    if suffix == "csv":
        table.write_text("video,time,label\n" + "".join(f"{r['video']},{r['time']},{r['label']}\n" for r in rows))
    else:
        pq.write_table(pa.Table.from_pylist(rows), table)
    frames = find_frames(table)
    assert [(f.video, f.time_s, f.label) for f in frames] == [("one", 0.1, "other"), ("one", 1.5, "clean")]
    assert [read_number(image) for image in read_images(frames)] == [3, 45]
    assert [read_number(image) for image in read_images(frames[::-1])] == [45, 3]


def test_images_keep_their_colours(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    image = np.zeros((64, 64, 3), np.uint8)
    image[..., 2] = 200
    (tmp_path / "other" / "v_1.jpg").write_bytes(jpeg(image))
    (read,) = read_images(find_frames(tmp_path))
    assert abs(read.astype(int) - image).max() < 8


def test_the_digest_follows_content_not_place(tmp_path: Path) -> None:
    first = frames_digest(find_frames(write_folders(tmp_path / "a")))
    folder = write_folders(tmp_path / "b")
    assert frames_digest(find_frames(folder)) == first
    (folder / "clean" / "video0_0.00.jpg").rename(folder / "other" / "video0_0.01.jpg")
    assert frames_digest(find_frames(folder)) != first


def refused(tmp_path: Path, name: str, text: str = "") -> str:
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_images(find_frames(tmp_path if path.suffix == ".jpg" else path))
    return str(caught.value)


def test_what_is_wrong_is_named(tmp_path: Path) -> None:
    assert "expected folders clean, artifact, other" in refused(tmp_path / "1", "dirty/v_1.jpg")
    assert "expected <video>_<seconds>.jpg" in refused(tmp_path / "2", "clean/video.jpg")
    assert "does not decode" in refused(tmp_path / "3", "clean/v_1.jpg", "no image")
    assert "row 1: expected video, time" in refused(tmp_path / "4", "t.csv", "video,time,label\na,1,good\n")
    assert "found none of" in refused(tmp_path / "5", "t.csv", "video,time,label\n../../a,1,clean\n")
    assert "expected a folder with clean/" in refused(tmp_path / "6", "t.txt")
    assert "found none; see" in refused(tmp_path / "7", "t.csv", "video,time,label\n")


def test_a_time_after_the_end_is_refused(tmp_path: Path) -> None:
    write_video(tmp_path / "one.mp4", [i * 3000 for i in range(30)])
    assert "one.mp4 ends before 9.0 s" in refused(tmp_path, "t.csv", "video,time,label\none,9,clean\none,0,other\n")


def test_a_table_beside_drawn_frames_needs_no_video(tmp_path: Path) -> None:
    (tmp_path / "frames").mkdir()
    (tmp_path / "frames" / "abc.def_12.50.jpg").write_bytes(jpeg(picture(0, True)))
    (tmp_path / "labels.csv").write_text("\ufeffvideo,time,label\nabc.def,12.50,clean\n", encoding="utf-8")
    (frame,) = find_frames(tmp_path / "labels.csv")
    assert (frame.video, frame.time_s, frame.path.name) == ("abc.def", 12.5, "abc.def_12.50.jpg")
    assert read_images([frame])[0].shape == (128, 224, 3)


def test_contradictions_and_missing_columns_are_named(tmp_path: Path) -> None:
    write_video(tmp_path / "one.mp4", [i * 3000 for i in range(30)])
    rows = "video,time,label\none,0.5,clean\none,0.5,other\n"
    assert "expected one label for one at 0.5 s" in refused(tmp_path, "twice.csv", rows)
    assert "got no label" in refused(tmp_path, "short.csv", "video,time\none,0.5\n")
    assert "expected a CSV or Parquet table" in refused(tmp_path, "broken.parquet", "no parquet")
