"""Frames that people have labelled, for the clean classifier (paper, Appendix A.2: 8,800 of them).

Two forms are read. A folder per class (`clean/`, `artifact/`, `other/`) of images named `<video>_<time>.jpg`, time in
seconds. Or a table, CSV or Parquet, with the columns video, time, label, beside the videos it names, or beside
frames/<video>_<time>.jpg as `stages/sample_frames.py` writes them. Only `clean` is the positive class; everything else
is not. Frames of one video stay on one side of a split.
"""

import csv
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from stages.errors import ConfigError

CLASSES = ("clean", "artifact", "other")
IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png")
VIDEO_SUFFIXES = (".mp4", ".mkv", ".webm", ".mov")
SHORT_SIDE = 256
"""Pixels of the short side to which frames of videos are brought, as `segment` does with its samples."""


@dataclass(frozen=True)
class LabelledFrame:
    """One labelled frame: where its pixels are and what somebody said of it."""

    video: str
    """Name of the video without extension; the group of the frame."""
    time_s: float
    label: str
    path: Path
    """The image, or the video that holds the frame."""

    @property
    def is_clean(self) -> bool:
        return self.label == "clean"


def find_frames(path: Path) -> list[LabelledFrame]:
    """Every labelled frame under a folder or in a table, in a fixed order.

    Raises:
        ConfigError: no such path, an unknown class, a bad name or row, a video that is not there, or no frame at all.
    """
    if path.is_dir():
        frames = list(_from_folders(path))
    elif path.suffix in (".csv", ".parquet") and path.is_file():
        frames = list(_from_table(path))
    else:
        raise ConfigError(
            f"frames: expected a folder with clean/, artifact/ and other/, or a .csv or .parquet table, got {path}"
        )
    if not frames:
        raise ConfigError(f"frames: expected labelled frames in {path}, found none; see data/sample/frames/README.md")
    _refuse_contradictions(frames, path)
    return sorted(frames, key=lambda f: (f.video, f.time_s, f.label, f.path.name))


def _refuse_contradictions(frames: list[LabelledFrame], path: Path) -> None:
    labels: dict[tuple[str, float], str] = {}
    for frame in frames:
        if labels.setdefault((frame.video, frame.time_s), frame.label) != frame.label:
            raise ConfigError(
                f"frames: expected one label for {frame.video} at {frame.time_s} s in {path}, got "
                f"{labels[frame.video, frame.time_s]} and {frame.label}; keep the right one"
            )


def _from_folders(folder: Path) -> Iterator[LabelledFrame]:
    for sub in sorted(p for p in folder.iterdir() if p.is_dir()):
        if sub.name not in CLASSES:
            raise ConfigError(f"frames: expected folders {', '.join(CLASSES)}, got {sub}")
        for image in sorted(p for p in sub.iterdir() if p.suffix.lower() in IMAGE_SUFFIXES):
            video, underscore, time = image.stem.rpartition("_")
            if not (underscore and video and _is_time(time)):
                raise ConfigError(f"frames: expected <video>_<seconds>{image.suffix}, got {image}")
            yield LabelledFrame(video, float(time), sub.name, image)


def _from_table(table: Path) -> Iterator[LabelledFrame]:
    for number, row in enumerate(read_rows(table), start=1):
        video, time, label = (str(row.get(name, "")).strip() for name in ("video", "time", "label"))
        if label not in CLASSES or not _is_time(time) or not video:
            raise ConfigError(
                f"{table}, row {number}: expected video, time in seconds and label ({', '.join(CLASSES)}), got {row}"
            )
        yield LabelledFrame(_stem(video), float(time), label, _find_pixels(table.parent, video, float(time)))


def read_rows(table: Path) -> list[dict[str, object]]:
    """The rows of a table of labels.

    Raises:
        ConfigError: it cannot be read as CSV or Parquet, or lacks a column.
    """
    try:
        if table.suffix == ".csv":
            with open(table, newline="", encoding="utf-8-sig") as file:  # spreadsheets put a mark before the first name
                reader = csv.DictReader(file)
                rows, names = list(reader), reader.fieldnames or []
        else:
            import pyarrow.parquet as pq

            found = pq.read_table(table)
            rows, names = found.to_pylist(), found.column_names
    except (OSError, ValueError, csv.Error) as error:
        raise ConfigError(f"frames: expected a CSV or Parquet table in {table}, got {error}") from None
    if missing := {"video", "time", "label"} - set(names):
        raise ConfigError(f"{table}: expected the columns video, time, label, got no {', '.join(sorted(missing))}")
    return rows


def _stem(video: str) -> str:
    """A video's name without folder and without the extension of a video; other dots belong to the name."""
    name = Path(video).name
    return Path(name).stem if Path(name).suffix in VIDEO_SUFFIXES else name


def _find_pixels(folder: Path, video: str, time_s: float) -> Path:
    """The drawn frame or the video beside the table; a name may not lead out of the folder."""
    name = _stem(video)
    image = folder / "frames" / f"{name}_{time_s:.2f}.jpg"
    tried = [image, *(folder / (name + suffix) for suffix in VIDEO_SUFFIXES)]
    for path in tried:
        if path.is_file():
            return path
    raise ConfigError(f"frames: expected the video {video!r} in {folder}, found none of {[p.name for p in tried]}")


def _is_time(text: str) -> bool:
    try:
        return 0 <= float(text) < float("inf")
    except ValueError:
        return False


def frames_digest(frames: list[LabelledFrame]) -> str:
    """sha256 hex over names, times, labels and the bytes of images and videos: a moved folder keeps its digest."""
    total, seen = hashlib.sha256(), {}
    for frame in frames:
        if frame.path not in seen:
            with open(frame.path, "rb") as file:
                seen[frame.path] = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{frame.video}\t{frame.time_s!r}\t{frame.label}\t{seen[frame.path]}\n".encode())
    return total.hexdigest()


def read_images(frames: list[LabelledFrame]) -> list[np.ndarray]:
    """The pixels of each frame, (H, W, 3) uint8 RGB, in the order of `frames`.

    Raises:
        ConfigError: an image that does not decode, or a time after a video's end.
    """
    images: dict[int, np.ndarray] = {}
    by_path: dict[Path, list[int]] = {}
    for index, frame in enumerate(frames):
        by_path.setdefault(frame.path, []).append(index)
    for path, indices in by_path.items():
        read = _read_video if path.suffix in VIDEO_SUFFIXES else _read_image
        images |= zip(indices, read(path, [frames[i].time_s for i in indices]), strict=True)
    return [images[index] for index in range(len(frames))]


def _read_image(path: Path, times: list[float]) -> list[np.ndarray]:
    import cv2

    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if picture is None:
        raise ConfigError(f"frames: expected an image, got {path}, which does not decode; label that frame again")
    return [np.ascontiguousarray(picture[:, :, ::-1])] * len(times)


def _read_video(path: Path, times: list[float]) -> list[np.ndarray]:
    from models.sampling import frames_at

    order = np.argsort(times, kind="stable")
    found = list(frames_at(path, [times[i] for i in order], SHORT_SIDE))
    if len(found) < len(times):
        raise ConfigError(f"frames: {path.name} ends before {times[order[len(found)]]} s; correct the table")
    images = dict(zip(order.tolist(), found, strict=True))
    return [images[i] for i in range(len(times))]
