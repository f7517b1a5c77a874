"""Action rows: arrays to Parquet and back, flags, one row group per clip, the same bytes every time."""

import numpy as np
import pytest

from models.action_schema import load_schema
from models.actions import BUTTONS
from stages.records import FLAG_EDGE, FLAG_GUI, FLAG_NULL, FLAG_TRUTH, FLAG_UNKNOWN
from stages.rows import from_table, parquet_bytes, predicted, read_parquet, recorded, to_table


def arrays(count: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    return rng.random((count, 20)) < 0.2, rng.normal(0, 3, (count, 2)).astype(np.float32)


def test_round_trip_through_parquet() -> None:
    buttons, camera = arrays(50)
    confidence = np.linspace(0, 1, 50, dtype=np.float32)
    actions = predicted(buttons, camera, confidence, np.zeros(50, bool))
    data = parquet_bytes([to_table("ab-0-50", actions, start_step=100)])
    assert data == parquet_bytes([to_table("ab-0-50", actions, start_step=100)])
    file = read_parquet(data)
    back = from_table(file.read())
    np.testing.assert_array_equal(back.buttons, buttons)
    np.testing.assert_array_equal(back.camera_deg, camera)
    np.testing.assert_array_equal(back.confidence, confidence)
    assert file.read()["pts_us"][0].as_py() == 100 * 50_000
    assert file.schema_arrow.metadata[b"buttons"].decode().split() == list(BUTTONS)


def test_flags() -> None:
    buttons, camera = np.zeros((4, 20), bool), np.zeros((4, 2), np.float32)
    buttons[1, 0] = True
    camera[2] = (0, 5)
    edge = np.array([False, False, False, True])
    assert predicted(buttons, camera, np.ones(4), edge).flags.tolist() == [FLAG_NULL, 0, 0, FLAG_NULL | FLAG_EDGE]
    truth = recorded(buttons, camera, known=~edge, gui_open=edge)
    assert truth.flags.tolist() == [FLAG_TRUTH | FLAG_NULL, FLAG_TRUTH, FLAG_TRUTH, 31 - FLAG_EDGE]
    assert truth.flags[3] & FLAG_UNKNOWN
    assert truth.flags[3] & FLAG_GUI
    assert truth.confidence.tolist() == [1, 1, 1, 0]


def test_a_tiny_mouse_motion_alone_is_null() -> None:
    """Null is decided in the policy's action space: below 0.27 degrees the camera's bin is the middle one."""
    camera = np.array([[0.2, 0.2], [0.3, 0]], np.float32)
    flags = predicted(np.zeros((2, 20), bool), camera, np.ones(2), np.zeros(2, bool)).flags
    assert flags.tolist() == [FLAG_NULL, 0]


def test_one_row_group_per_clip() -> None:
    tables = [
        to_table(f"clip{i}", predicted(*arrays(n), np.ones(n), np.zeros(n, bool))) for i, n in enumerate((30, 70))
    ]
    file = read_parquet(parquet_bytes(tables))
    assert [file.read_row_group(i).num_rows for i in range(file.num_row_groups)] == [30, 70]
    assert file.read_row_group(1)["clip_id"].unique().to_pylist() == ["clip1"]


def test_unknown_columns_cannot_enter() -> None:
    with pytest.raises(ValueError, match=r"not match|names"):
        parquet_bytes([to_table("a", predicted(*arrays(3), np.ones(3), np.zeros(3, bool))).drop_columns(["flags"])])


def test_rows_of_another_game_say_what_they_mean() -> None:
    desktop = load_schema("desktop")
    rng = np.random.default_rng(0)
    buttons, camera = rng.random((20, 52)) < 0.2, rng.normal(0, 9, (20, 2)).astype(np.float32)
    buttons[0], camera[0] = False, 0.2
    table = to_table("clip", predicted(buttons, camera, np.ones(20), np.zeros(20, bool), desktop))
    file = read_parquet(parquet_bytes([table]))
    back = from_table(file.read_row_group(0))
    assert back.schema == desktop
    np.testing.assert_array_equal(back.buttons, buttons)
    assert back.flags[0] == FLAG_NULL
    assert file.schema_arrow.metadata[b"buttons"].decode().split() == list(desktop.buttons)
    assert file.schema_arrow.field("buttons").type == "uint64"
    minecraft = to_table("other", predicted(*arrays(3), np.ones(3), np.zeros(3, bool)))
    with pytest.raises(ValueError, match="one action schema, got desktop, minecraft"):
        parquet_bytes([table, minecraft])
