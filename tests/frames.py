"""Make frames of a toy game, clean or with an overlay, and stores that hold samples of it."""

import io
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stages import paths
from stages.media_tables import SAMPLES
from stages.records import Record
from stages.stage import Context

VIDEO_ID = "ab" * 10


def picture(seed: int, is_clean: bool) -> np.ndarray:
    """A landscape with a hotbar, (128, 224, 3) uint8 RGB; unclean ones have a bright banner on top."""
    rng = np.random.default_rng(seed)
    image = np.kron(rng.integers(30, 120, (16, 28, 3)), np.ones((8, 8, 1))).astype(np.uint8)
    image[:56] = np.minimum(255, image[:56].astype(int) + np.array([60, 90, 130]))
    cv2.rectangle(image, (60, 114), (164, 124), (60, 60, 60), -1)
    if not is_clean:
        cv2.rectangle(image, (0, 0), (223, 20), (255, 40, 200), -1)
    return image


def jpeg(image: np.ndarray) -> bytes:
    return cv2.imencode(".jpg", image[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 90])[1].tobytes()


def write_folders(folder: Path, videos: int = 3, per_class: int = 3) -> Path:
    """clean/, artifact/ and other/ with `<video>_<time>.jpg`, too far apart in time to be smoothed together."""
    for offset_s, label in ((0.0, "clean"), (40.0, "artifact"), (80.0, "other")):
        (folder / label).mkdir(parents=True)
        for video in range(videos):
            for index in range(per_class):
                image = picture(video * 100 + index, label == "clean")
                (folder / label / f"video{video}_{index * 120.0 + offset_s:.2f}.jpg").write_bytes(jpeg(image))
    return folder


def samples_bytes(pattern: str, broken: int = -1) -> bytes:
    """A samples file: one letter per second, c for clean and u for unclean; sample `broken` is no JPEG."""
    labels = [letter == "c" for letter in pattern for _ in range(3)]
    pictures = [jpeg(picture(500 + i, label)) for i, label in enumerate(labels)]
    rows = [
        {"sample": i, "step": i * 20 // 3, "time_s": i * 20 // 3 / 20, "jpeg": b"no" if i == broken else data}
        for i, data in enumerate(pictures)
    ]
    buffer = io.BytesIO()
    pq.write_table(pa.Table.from_pylist(rows, schema=SAMPLES), buffer)
    return buffer.getvalue()


@dataclass
class Segmented(Context):
    """A context in which `segment` has already left these records."""

    given: list[Record] = field(default_factory=list)

    def committed(self, name: str) -> list[Record]:
        return self.given if name == "segment" else super().committed(name)

    def add(self, pattern: str, video_id: str = VIDEO_ID, broken: int = -1) -> None:
        """Put a video's samples in the store, as `segment` leaves them."""
        data = samples_bytes(pattern, broken)
        output = self.put(paths.segment(video_id, "0" * 64, "samples.parquet"), data)
        steps = 20 * len(pattern)
        info = {"video_id": video_id, "steps": steps, "candidates": [{"start": 0, "end": steps}] if steps else []}
        self.given.append(Record("segment", video_id, "0" * 64, {}, (output,), info))
