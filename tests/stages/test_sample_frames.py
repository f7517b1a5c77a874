"""Drawing frames to label: chances, spread, the page, and the way back through a table to training."""

import json
import re
from pathlib import Path

import numpy as np
import pytest

from stages import paths, sample_frames
from stages.errors import ConfigError
from stages.filter import to_bytes
from stages.labelled_frames import find_frames, read_images
from stages.records import Output, Record
from stages.sample_frames import Drawn, draw, draw_unbiased, read_labelled, render_page, sample_time, write
from stages.settings import Settings
from tests.frames import Segmented


def segmented(video: str, samples: int) -> Record:
    return Record("segment", video, "0", {}, (), {"video_id": video, "samples": samples})


def add(ctx: Segmented, pattern: str, video: str) -> None:
    ctx.add(pattern, video)
    ctx.given[-1].info["samples"] = 3 * len(pattern)


def test_every_sample_has_the_same_chance() -> None:
    records = [segmented("short", 10), segmented("none", 0), segmented("long", 30)]
    rng = np.random.default_rng(0)
    drawn = [frame for _ in range(2000) for frame in draw_unbiased(records, 4, rng)]
    counts = np.zeros((2, 30), int)
    for frame in drawn:
        counts[int(frame.video == "long"), frame.sample] += 1
    assert counts[0, 10:].sum() == 0
    found = np.concatenate([counts[0, :10], counts[1]])  # 40 samples, 200 expected of each
    assert found.min() > 140
    assert found.max() < 260
    assert sorted(draw_unbiased(records, 99, rng)) == [
        Drawn(video, s, sample_time(s)) for video, n in (("long", 30), ("short", 10)) for s in range(n)
    ]


def test_sample_times_are_those_of_segment() -> None:
    assert [sample_time(sample) for sample in range(5)] == [0.0, 0.3, 0.65, 1.0, 1.3]


class Scored(Segmented):
    """A context in which `filter` has already left scores."""

    scored: list[Record]

    def committed(self, name: str) -> list[Record]:
        return self.scored if name == "filter" else super().committed(name)


def scored(settings: Settings, **videos: list[float]) -> Scored:
    import pyarrow as pa

    ctx = Scored(settings)
    ctx.scored = []
    for video, scores in videos.items():
        samples = list(range(len(scores)))
        times = [sample_time(sample) for sample in samples]
        steps = [round(20 * t) for t in times]
        data = to_bytes(pa.table({"sample": samples, "step": steps, "time_s": times, "score": scores}))
        key = paths.scores(video, "0" * 64)
        ctx.put(key, data)
        info = {"video_id": video, "samples": len(scores)}
        ctx.scored.append(Record("filter", video, "0", {}, (Output(key, "", len(data)),), info))
    return ctx


def test_uncertain_frames_are_near_the_threshold_and_apart(file_settings: Settings) -> None:
    near = [0.9, 0.52, 0.51, 0.9, 0.9, 0.9, 0.9, 0.55, 0.9, 0.9]
    ctx = scored(file_settings, near=near, sure=[0.2] * 6, late=[1.0, 0.4])
    found = draw(ctx, "uncertain", 3, 0, set())
    assert [(f.video, f.sample, f.score) for f in found] == [
        ("near", 2, pytest.approx(0.51)),
        ("late", 1, pytest.approx(0.4)),
        ("sure", 0, pytest.approx(0.2)),
    ]


def test_labelled_frames_are_not_drawn_again(file_settings: Settings, tmp_path: Path) -> None:
    ctx = Segmented(file_settings)
    add(ctx, "cu", "ab" * 10)
    table = tmp_path / "labels.csv"
    table.write_text("video,time,label\n" + "".join(f"{'ab' * 10},{t},clean\n" for t in ("0.00", "0.30", "1.30")))
    frames = draw(ctx, "unbiased", 10, 0, read_labelled(table))
    assert sorted(f.time_s for f in frames) == [0.65, 1.0, 1.65]
    assert draw(ctx, "unbiased", 2, 0, set()) == draw(ctx, "unbiased", 2, 0, set()), "the same seed, the same frames"


def test_the_page_has_its_pictures_and_needs_no_network(file_settings: Settings, tmp_path: Path) -> None:
    ctx = Segmented(file_settings)
    add(ctx, "cucu", "ab" * 10)
    add(ctx, "cc", "cd" * 10)
    summary = write(ctx, draw(ctx, "unbiased", 9, 1, set()), tmp_path, "unbiased")
    assert (summary["frames"], summary["videos"]) == (9, 2)
    page = (tmp_path / "label.html").read_text()
    assert not re.search(r"https?://|src=|href=", page)
    data = json.loads(re.search(r"const DATA = (.*);\n", page)[1])  # type: ignore[index]
    assert len(data["frames"]) == 9
    assert {f["video"] for f in data["frames"]} == {"ab" * 10, "cd" * 10}


def test_what_the_page_downloads_can_be_trained_on(file_settings: Settings, tmp_path: Path) -> None:
    ctx = Segmented(file_settings)
    add(ctx, "cu", "ab" * 10)
    frames = draw(ctx, "unbiased", 6, 0, set())
    write(ctx, frames, tmp_path, "unbiased")
    rows = [f"{f.video},{f.time_s:.2f},{'clean' if f.sample < 3 else 'artifact'}" for f in frames]
    (tmp_path / "labels.csv").write_text("video,time,label\n" + "\n".join(rows) + "\n")
    found = find_frames(tmp_path / "labels.csv")
    assert [(f.time_s, f.is_clean) for f in found] == [(sample_time(s), s < 3) for s in range(6)]
    banners = [image[:10, :, 0].mean() > 220 for image in read_images(found)]
    assert banners == [False] * 3 + [True] * 3


def test_a_name_cannot_leave_the_script() -> None:
    frame = Drawn("</script><b>", 0, 0.0)
    page = render_page([frame], {frame: b"jpeg"}, "t")
    assert page.count("</script>") == 1


def test_an_empty_store_says_what_to_run(file_settings: Settings, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ConfigError, match=r"run `python -m stages\.segment`"):
        draw(Segmented(file_settings), "unbiased", 5, 0, set())
    assert sample_frames.main(["--store", file_settings.store, "--out", "/tmp/none", "--exclude", "/nowhere.csv"]) == 1
    assert "expected a CSV or Parquet table in /nowhere.csv" in capsys.readouterr().err
