"""The grid and the samples of a video as Parquet. The same content gives the same bytes under one pyarrow version.

Columns are made of buffers: what else makes them (`pa.array`, `pa.table` of numpy arrays, `pq.read_table`) imports
pandas first, which takes a second of every run.
"""

import io
import json
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from stages.media_grid import STEPS_PER_S, Grid
from stages.media_scan import Scan

ROWS_PER_GROUP = 256
"""Samples per row group: about 6 MB, so that a reader can stream a long video."""
_GRID = pa.schema(
    [
        pa.field("step", pa.int32(), nullable=False),
        pa.field("frame", pa.int32(), nullable=False),
        pa.field("pts_us", pa.int64(), nullable=False),
    ]
)
SAMPLES = pa.schema(
    [
        pa.field("sample", pa.int32(), nullable=False),
        pa.field("step", pa.int32(), nullable=False),
        pa.field("time_s", pa.float64(), nullable=False),
        pa.field("jpeg", pa.binary(), nullable=False),
    ]
)
"""One row per 3 Hz sample: its number, the 20 Hz step it shows, that step's time, the picture."""


def grid_to_parquet(grid: Grid) -> bytes:
    """One row per step; how to find the frames in the source again is in the file's metadata."""
    clock = {
        "first_pts": grid.first_pts,
        "time_base": [grid.time_base.numerator, grid.time_base.denominator],
        "is_regular": grid.is_regular,
    }
    columns: list[np.ndarray[Any, Any]] = [np.arange(len(grid), dtype=np.int32), grid.frame, grid.pts_us]
    schema = _GRID.with_metadata({"smelter": json.dumps(clock, sort_keys=True)})
    buffer = io.BytesIO()
    pq.write_table(
        pa.Table.from_arrays([_column(values) for values in columns], schema=schema),
        buffer,
        compression="zstd",
        use_dictionary=False,
        column_encoding=dict.fromkeys(_GRID.names, "DELTA_BINARY_PACKED"),
    )
    return buffer.getvalue()


def grid_from_parquet(data: bytes) -> Grid:
    """What `grid_to_parquet` wrote."""
    table = pq.ParquetFile(io.BytesIO(data)).read()
    clock: dict[str, Any] = json.loads(table.schema.metadata[b"smelter"])
    return Grid(
        frame=_values(table["frame"]),
        pts_us=_values(table["pts_us"]),
        first_pts=clock["first_pts"],
        time_base=Fraction(*clock["time_base"]),
        is_regular=clock["is_regular"],
    )


def write_samples(found: Scan, spool: Path, out: Path) -> None:
    """Turn the spool of JPEGs into Parquet, group by group, so that memory stays flat."""
    with pq.ParquetWriter(out, SAMPLES, compression="none", use_dictionary=False, write_statistics=False) as writer:
        for group in _sample_groups(found, spool):
            writer.write_table(group)


def _sample_groups(found: Scan, spool: Path) -> Iterator[pa.Table]:
    ends = np.concatenate([[0], found.sample_ends])
    with open(spool, "rb") as file:
        for begin in range(0, len(found.sample_ends), ROWS_PER_GROUP):
            steps = found.sample_steps[begin : begin + ROWS_PER_GROUP]
            numbers = np.arange(begin, begin + len(steps), dtype=np.int32)
            columns = [_column(values) for values in (numbers, steps, steps / STEPS_PER_S)]
            offsets = ends[begin : begin + len(steps) + 1] - ends[begin]
            yield pa.Table.from_arrays([*columns, _binary(offsets, file.read(offsets[-1]))], schema=SAMPLES)


def _column(values: np.ndarray[Any, Any]) -> pa.Array:
    kind = pa.from_numpy_dtype(values.dtype)
    return pa.Array.from_buffers(kind, len(values), [None, pa.py_buffer(np.ascontiguousarray(values))])


def _binary(offsets: np.ndarray[Any, Any], data: bytes) -> pa.Array:
    """Texts that stand one after the other in `data`; each ends where the next one starts."""
    buffers = [None, pa.py_buffer(offsets.astype(np.int32)), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.binary(), len(offsets) - 1, buffers)


def _values(column: pa.ChunkedArray) -> np.ndarray[Any, Any]:
    return np.concatenate([np.from_dlpack(chunk) for chunk in column.chunks])
