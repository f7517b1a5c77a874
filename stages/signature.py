"""The perceptual signature of a video: one 64-bit hash per sampled frame, for finding re-uploads.

In: samples, 3 per second. Out: (N,) uint64. A hash holds the signs of the 8x8 lowest DCT coefficients of the picture
(64x64 and smaller detail does not survive a re-upload), each taken against its own mean over the 10 seconds around. So
whatever stands still says nothing: hotbar, logo, watermark, banner, borders, the sky above the ground. That matters
here, because videos of one game look alike: against the usual hash of whole pictures, the mean taken off makes a match
between different play 20 times as rare (docs/log.md). A picture that hardly differs from its surroundings gets NOTHING.

Mirroring a picture flips the sign of the DCT's odd columns, so a mirrored copy's hash is `mirrored(hash)`.
"""

import io
import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stages.errors import BadInput

SIGNATURE_VERSION = 1
"""Raised by hand when the same samples give another signature."""
NOTHING = 0
"""The hash of a sample that says nothing: the picture stands still."""
SIDE = 32
"""Pixels on a side of the picture that is transformed; shape is given up, so a squeezed copy looks the same."""
LOW = 8
"""Rows and columns of coefficients that are kept."""
AROUND = 15
"""Samples before and after, 5 s each way, whose mean a coefficient is held against."""
QUIET = 8.0
"""Root mean square of the 64 differences, below which noise decides the signs; 30 to 300 while the player moves."""
BORDER_LEVEL = 24
"""A row or column that is never brighter than this, 0 to 255, in any picture is border."""
BORDER_EVERY = 8
"""Every eighth sample is looked at for borders."""
BATCH = 64
"""Samples in memory at a time."""

_BITS = np.uint64(1) << np.arange(LOW * LOW, dtype=np.uint64)
MIRROR = np.uint64(_BITS.reshape(LOW, LOW)[:, 1::2].sum())
"""The bits that change when the picture is mirrored: the odd columns."""
_SCHEMA = pa.schema([pa.field("step", pa.int32(), nullable=False), pa.field("hash", pa.uint64(), nullable=False)])


def signature_of(samples: Path) -> tuple[np.ndarray, np.ndarray]:
    """(steps (N,) int32, hashes (N,) uint64) of a samples file, one per sample.

    Raises:
        BadInput: `sample_unreadable`.
    """
    window = picture_window(picture for _, picture in _pictures(samples, BORDER_EVERY))
    found = [(step, low_coefficients(picture[window])) for step, picture in _pictures(samples)]
    steps = np.array([step for step, _ in found], np.int32)
    low_NC = np.array([low for _, low in found], np.float32).reshape(len(found), LOW * LOW)
    return steps, frame_hashes(low_NC)


def frame_hashes(low_NC: np.ndarray) -> np.ndarray:
    """Hashes (N,) uint64 from each sample's coefficients (N, 64); NOTHING where the picture stands still."""
    change_NC = low_NC - local_mean(low_NC, AROUND)
    hashes = (change_NC > 0) @ _BITS
    hashes[np.sqrt((change_NC**2).mean(axis=1)) < QUIET] = NOTHING
    return hashes


def low_coefficients(picture: np.ndarray) -> np.ndarray:
    """The lowest DCT coefficients (64,) float32, row by row, of a grey picture (H, W) uint8."""
    small = cv2.resize(picture, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    return cv2.dct(small.astype(np.float32))[:LOW, :LOW].ravel()


def local_mean(values_NC: np.ndarray, around: int) -> np.ndarray:
    """Mean of each row's neighbourhood of up to `around` rows on both sides, (N, C); shorter at the ends."""
    sums = np.cumsum(np.pad(values_NC.astype(np.float64), ((1, 0), (0, 0))), axis=0)
    rows = np.arange(len(values_NC))
    first, last = np.maximum(rows - around, 0), np.minimum(rows + around + 1, len(values_NC))
    return (sums[last] - sums[first]) / (last - first)[:, None]


def picture_window(pictures: Iterable[np.ndarray]) -> tuple[slice, slice]:
    """(rows, columns) of the picture within black borders that are there in every one of the grey pictures (H, W)."""
    brightest: np.ndarray | None = None
    for picture in pictures:
        brightest = picture if brightest is None else np.maximum(brightest, picture)
    if brightest is None or not (brightest > BORDER_LEVEL).any():
        return slice(None), slice(None)
    seen = brightest > BORDER_LEVEL
    rows, columns = np.flatnonzero(seen.any(axis=1)), np.flatnonzero(seen.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def mirrored(hashes: np.ndarray) -> np.ndarray:
    """The hashes that the mirrored pictures have."""
    return np.where(hashes == NOTHING, hashes, hashes ^ MIRROR)


def to_parquet(steps: np.ndarray, hashes: np.ndarray) -> bytes:
    """A signature as bytes: step (20 Hz grid) and hash of every sample."""
    buffer = io.BytesIO()
    pq.write_table(pa.table([steps, hashes], schema=_SCHEMA), buffer, compression="zstd", use_dictionary=False)
    return buffer.getvalue()


def from_parquet(data: bytes) -> tuple[np.ndarray, np.ndarray]:
    """What `to_parquet` wrote."""
    table = pq.read_table(io.BytesIO(data))
    return table["step"].to_numpy(), table["hash"].to_numpy()


def _pictures(samples: Path, every: int = 1) -> Iterator[tuple[int, np.ndarray]]:
    """(step, grey picture at a quarter of the sample's size) of every n-th sample."""
    with pq.ParquetFile(samples) as file:
        for batch in file.iter_batches(BATCH, columns=["step", "jpeg"]):
            rows = zip(batch["step"].to_pylist(), batch["jpeg"].to_pylist(), strict=True)
            for step, jpeg in itertools.islice(rows, 0, None, every):
                yield step, _decode(jpeg, step)


def _decode(jpeg: bytes, step: int) -> np.ndarray:
    # A quarter of the size is what JPEG gives for a fraction of the time, and 64 pixels are enough for 32.
    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_REDUCED_GRAYSCALE_4) if jpeg else None
    if picture is None:
        raise BadInput(
            "sample_unreadable",
            f"expected a JPEG, got {len(jpeg)} bytes that do not decode, step {step}; run segment on this video again",
        )
    return picture
