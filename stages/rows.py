"""Action rows: arrays of one clip to a Parquet table and back. The schema is `stages.records.label_schema`."""

import io
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from models.actions import BUTTONS, camera_to_bins, null_mask, pack_buttons, unpack_buttons
from stages.records import FLAG_EDGE, FLAG_GUI, FLAG_NULL, FLAG_TRUTH, FLAG_UNKNOWN, label_schema

STEP_US = 50_000
"""Microseconds per step of the 20 Hz grid."""


@dataclass(frozen=True)
class ClipActions:
    """Actions of one clip, T frames long.

    buttons: (T, 20) bool; camera_deg: (T, 2) float32, pitch then yaw; confidence: (T,) float32; flags: (T,) uint8.
    """

    buttons: np.ndarray
    camera_deg: np.ndarray
    confidence: np.ndarray
    flags: np.ndarray

    def __len__(self) -> int:
        return len(self.buttons)


def predicted(buttons: np.ndarray, camera_deg: np.ndarray, confidence: np.ndarray, edge: np.ndarray) -> ClipActions:
    """Actions that an IDM gave; `edge` (T,) marks frames with less than full context."""
    flags = np.where(edge, FLAG_EDGE, 0).astype(np.uint8) | _null_flags(buttons, camera_deg)
    return ClipActions(buttons, camera_deg.astype(np.float32), confidence.astype(np.float32), flags)


def recorded(buttons: np.ndarray, camera_deg: np.ndarray, known: np.ndarray, gui_open: np.ndarray) -> ClipActions:
    """Actions that a contractor's recorder wrote; `known` (T,) is False where a line was lost."""
    flags = np.full(len(buttons), FLAG_TRUTH, np.uint8) | _null_flags(buttons, camera_deg)
    flags |= np.where(known, 0, FLAG_UNKNOWN).astype(np.uint8) | np.where(gui_open, FLAG_GUI, 0).astype(np.uint8)
    return ClipActions(buttons, camera_deg.astype(np.float32), known.astype(np.float32), flags)


def _null_flags(buttons: np.ndarray, camera_deg: np.ndarray) -> np.ndarray:
    return np.where(null_mask(buttons, camera_to_bins(camera_deg)), FLAG_NULL, 0).astype(np.uint8)


def to_table(clip_id: str, actions: ClipActions, start_step: int = 0) -> pa.Table:
    """One row per frame; `start_step` is where the clip begins on its video's 20 Hz grid."""
    count = len(actions)
    frames = np.arange(count, dtype=np.int32)
    columns = [
        pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), pa.array([clip_id])),
        pa.array(frames),
        pa.array((frames.astype(np.int64) + start_step) * STEP_US),
        pa.array(pack_buttons(actions.buttons).astype(np.uint32)),
        pa.array(actions.camera_deg[:, 1]),
        pa.array(actions.camera_deg[:, 0]),
        pa.array(actions.confidence),
        pa.array(actions.flags),
    ]
    return pa.Table.from_arrays(columns, schema=label_schema())


def from_table(table: pa.Table) -> ClipActions:
    """The arrays of one clip's rows, in frame order."""
    column = {name: table[name].to_numpy() for name in table.column_names if name != "clip_id"}
    return ClipActions(
        buttons=unpack_buttons(column["buttons"]),
        camera_deg=np.stack([column["camera_dy_deg"], column["camera_dx_deg"]], axis=1),
        confidence=column["confidence"],
        flags=column["flags"],
    )


def parquet_bytes(tables: list[pa.Table], metadata: dict[str, str] | None = None) -> bytes:
    """A Parquet file with one row group per table: a training window then reads one small group, not a column chunk."""
    names = {"buttons": " ".join(BUTTONS), "camera": "degrees, + right and down", "rate_hz": "20"}
    schema = label_schema().with_metadata({**names, **(metadata or {})})
    buffer = io.BytesIO()
    with pq.ParquetWriter(buffer, schema, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table.cast(schema), row_group_size=max(1, len(table)))
    return buffer.getvalue()


def read_parquet(data: bytes) -> pq.ParquetFile:
    """Open Parquet bytes for reading by row group."""
    return pq.ParquetFile(io.BytesIO(data))
