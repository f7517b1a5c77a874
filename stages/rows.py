"""Action rows: arrays of one clip to a Parquet table and back. The columns are `stages.records.label_schema`.

Tables and files carry the action schema whole in their metadata, or nothing for the default one.
"""

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from models.action_schema import schema_content, schema_of
from models.actions import MINECRAFT, ActionSchema, camera_to_bins, null_mask, pack_buttons, unpack_buttons
from stages.records import FLAG_EDGE, FLAG_GUI, FLAG_NULL, FLAG_TRUTH, FLAG_UNKNOWN, canonical_json, label_schema

STEP_US = 50_000
"""Microseconds per step of the 20 Hz grid."""


@dataclass(frozen=True)
class ClipActions:
    """Actions of one clip, T frames long.

    buttons: (T, 20) bool, in the schema's order; camera_deg: (T, 2) float32, pitch then yaw; confidence: (T,) float32;
    flags: (T,) uint8.
    """

    buttons: np.ndarray
    camera_deg: np.ndarray
    confidence: np.ndarray
    flags: np.ndarray
    schema: ActionSchema = MINECRAFT

    def __len__(self) -> int:
        return len(self.buttons)


def predicted(
    buttons: np.ndarray,
    camera_deg: np.ndarray,
    confidence: np.ndarray,
    edge: np.ndarray,
    schema: ActionSchema = MINECRAFT,
) -> ClipActions:
    """Actions that an IDM gave; `edge` (T,) marks frames with less than full context."""
    flags = np.where(edge, FLAG_EDGE, 0).astype(np.uint8) | _null_flags(buttons, camera_deg, schema)
    return ClipActions(buttons, camera_deg.astype(np.float32), confidence.astype(np.float32), flags, schema)


def recorded(
    buttons: np.ndarray,
    camera_deg: np.ndarray,
    known: np.ndarray,
    gui_open: np.ndarray,
    schema: ActionSchema = MINECRAFT,
) -> ClipActions:
    """Actions that a contractor's recorder wrote; `known` (T,) is False where a line was lost."""
    flags = np.full(len(buttons), FLAG_TRUTH, np.uint8) | _null_flags(buttons, camera_deg, schema)
    flags |= np.where(known, 0, FLAG_UNKNOWN).astype(np.uint8) | np.where(gui_open, FLAG_GUI, 0).astype(np.uint8)
    return ClipActions(buttons, camera_deg.astype(np.float32), known.astype(np.float32), flags, schema)


def _null_flags(buttons: np.ndarray, camera_deg: np.ndarray, schema: ActionSchema) -> np.ndarray:
    null = null_mask(buttons, camera_to_bins(camera_deg, schema), schema)
    return np.where(null, FLAG_NULL, 0).astype(np.uint8)


def to_table(clip_id: str, actions: ClipActions, start_step: int = 0) -> pa.Table:
    """One row per frame; `start_step` is where the clip begins on its video's 20 Hz grid."""
    count = len(actions)
    frames = np.arange(count, dtype=np.int32)
    columns = [
        pa.DictionaryArray.from_arrays(pa.array(np.zeros(count, np.int32)), pa.array([clip_id])),
        pa.array(frames),
        pa.array((frames.astype(np.int64) + start_step) * STEP_US),
        pa.array(pack_buttons(actions.buttons, actions.schema)),
        pa.array(actions.camera_deg[:, 1]),
        pa.array(actions.camera_deg[:, 0]),
        pa.array(actions.confidence),
        pa.array(actions.flags),
    ]
    names = label_schema(len(actions.schema.buttons)).with_metadata(_schema_entry(actions.schema))
    return pa.Table.from_arrays(columns, schema=names)


def from_table(table: pa.Table) -> ClipActions:
    """The arrays of one clip's rows, in frame order."""
    schema = shared_schema([table])
    column = {name: table[name].to_numpy() for name in table.column_names if name != "clip_id"}
    return ClipActions(
        buttons=unpack_buttons(column["buttons"], schema),
        camera_deg=np.stack([column["camera_dy_deg"], column["camera_dx_deg"]], axis=1),
        confidence=column["confidence"],
        flags=column["flags"],
        schema=schema,
    )


def shared_schema(tables: Sequence[pa.Table]) -> ActionSchema:
    """The action schema that these tables are written in. ValueError if there are several."""
    found = {_schema_in(table.schema.metadata) for table in tables} or {MINECRAFT}
    if len(found) > 1:
        names = ", ".join(sorted(schema.name for schema in found))
        raise ValueError(f"expected labels of one action schema, got {names}; keep each game in a store of its own")
    return found.pop()


def _schema_entry(schema: ActionSchema) -> dict[str, str]:
    content = schema_content(schema)
    return {"schema": canonical_json(content).decode()} if content else {}


def _schema_in(metadata: Mapping[bytes, bytes] | None) -> ActionSchema:
    text = (metadata or {}).get(b"schema")
    return schema_of(json.loads(text) if text else None, "Parquet metadata")


def parquet_bytes(tables: list[pa.Table], metadata: dict[str, str] | None = None) -> bytes:
    """A Parquet file with one row group per table: a training window then reads one small group, not a column chunk.

    Raises ValueError for tables of several action schemas.
    """
    actions = shared_schema(tables)
    names = {"buttons": " ".join(actions.buttons), "camera": "degrees, + right and down", "rate_hz": "20"}
    schema = label_schema(len(actions.buttons)).with_metadata({**names, **_schema_entry(actions), **(metadata or {})})
    buffer = io.BytesIO()
    with pq.ParquetWriter(buffer, schema, compression="zstd") as writer:
        for table in tables:
            writer.write_table(table.cast(schema), row_group_size=max(1, len(table)))
    return buffer.getvalue()


def read_parquet(data: bytes) -> pq.ParquetFile:
    """Open Parquet bytes for reading by row group."""
    return pq.ParquetFile(io.BytesIO(data))
