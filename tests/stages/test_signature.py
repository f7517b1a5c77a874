"""A frame's hash stands for what moves in it: it survives re-uploads, borders and logos, and mirrors exactly."""

import io
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from stages.errors import BadInput
from stages.media_tables import SAMPLES
from stages.signature import NOTHING, frame_hashes, from_parquet, low_coefficients, mirrored, signature_of, to_parquet
from tests.scenes import scene


def pictures(seconds: float = 20.0, seed: int = 1) -> list[np.ndarray]:
    """Grey pictures at 3 per second."""
    return [cv2.cvtColor(scene(seed, k / 3), cv2.COLOR_RGB2GRAY) for k in range(int(seconds * 3))]


def hashes(found: list[np.ndarray]) -> np.ndarray:
    return frame_hashes(np.array([low_coefficients(picture) for picture in found]))


def distance(one: np.ndarray, other: np.ndarray) -> float:
    """Bits in which hashes differ, on average."""
    return float(np.bitwise_count(one ^ other).mean())


def write_samples(path: Path, found: list[np.ndarray]) -> Path:
    jpegs = [cv2.imencode(".jpg", picture)[1].tobytes() if picture.size else b"no" for picture in found]
    steps = [k * 20 // 3 for k in range(len(found))]
    columns = [list(range(len(found))), steps, [step / 20 for step in steps], jpegs]
    pq.write_table(pa.table(columns, schema=SAMPLES), path)
    return path


def test_a_smaller_picture_has_nearly_the_same_hash() -> None:
    found = pictures()
    small = [cv2.resize(picture, (96, 54), interpolation=cv2.INTER_AREA) for picture in found]
    assert distance(hashes(found), hashes(small)) < 2
    assert distance(hashes(found), hashes(pictures(seed=2))) == pytest.approx(32, abs=5)


def test_what_stands_still_does_not_count() -> None:
    found = pictures()
    logo = [cv2.rectangle(picture.copy(), (240, 10), (310, 40), 255, -1) for picture in found]
    assert distance(hashes(found), hashes(logo)) < 8


def test_a_mirrored_picture_has_the_mirrored_hash() -> None:
    found = pictures()
    other = hashes([np.ascontiguousarray(picture[:, ::-1]) for picture in found])
    assert distance(mirrored(hashes(found)), other) < 0.5  # a coefficient at its mean may fall on either side
    assert (mirrored(mirrored(other)) == other).all()


def test_a_picture_that_stands_still_says_nothing() -> None:
    still = [pictures(1)[0]] * 60
    assert (hashes(still) == NOTHING).all()
    assert (mirrored(hashes(still)) == NOTHING).all()


def test_borders_are_taken_off(tmp_path: Path) -> None:
    found = [cv2.resize(picture, (456, 256)) for picture in pictures()]
    bars = [cv2.copyMakeBorder(picture, 40, 40, 0, 0, cv2.BORDER_CONSTANT) for picture in found]
    _, plain = signature_of(write_samples(tmp_path / "plain.parquet", found))
    steps, boxed = signature_of(write_samples(tmp_path / "boxed.parquet", bars))
    assert distance(plain, boxed) < 4
    assert steps[:4].tolist() == [0, 6, 13, 20]


def test_a_signature_survives_its_file() -> None:
    steps, values = np.arange(5, dtype=np.int32), np.array([0, 1, 2**63, 2**64 - 1, 7], np.uint64)
    back = from_parquet(to_parquet(steps, values))
    assert (back[0].tolist(), back[1].tolist()) == (steps.tolist(), values.tolist())


def test_no_samples_give_an_empty_signature(tmp_path: Path) -> None:
    assert [len(part) for part in signature_of(write_samples(tmp_path / "none.parquet", []))] == [0, 0]


def test_an_unreadable_sample_is_named(tmp_path: Path) -> None:
    path = write_samples(tmp_path / "bad.parquet", [*pictures(2), np.zeros((0, 0), np.uint8)])
    with pytest.raises(BadInput, match="2 bytes that do not decode, step 40"):
        signature_of(path)
    assert pq.read_metadata(io.BytesIO(path.read_bytes())).num_rows == 7
