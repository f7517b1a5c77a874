"""Schemas are data, and a schema that contradicts itself is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from models.action_schema import SCHEMAS, load_schema


def written(folder: Path, **changes: Any) -> str:
    """Path of the desktop schema with some of its parts replaced."""
    raw = json.loads((SCHEMAS / "desktop.json").read_text()) | changes
    path = folder / "game.json"
    path.write_text(json.dumps(raw))
    return str(path)


def test_minecraft_is_the_released_space() -> None:
    schema = load_schema("minecraft")
    assert (len(schema.buttons), schema.camera.bins, schema.null_bin) == (20, 11, 5)
    assert (schema.n_joint_buttons, schema.n_joint_camera, schema.null_camera) == (8641, 121, 60)
    assert schema.camera.degrees_per_pixel == 360 / 2400
    assert dict(schema.keys)["key.keyboard.left.control"] == "sprint"
    assert dict(schema.mouse_buttons) == {0: "attack", 1: "use"}


def test_a_file_is_as_good_as_a_name(tmp_path: Path) -> None:
    assert load_schema(written(tmp_path, name="mine")).buttons == load_schema("desktop").buttons


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"alone": []}, "exactly one group"),
        ({"keys": {"key.keyboard.w": "forward"}}, r"unknown buttons \['forward'\]"),
        ({"camera": {"degrees_per_pixel": 0.1, "bins": 10, "maxval_degrees": 10, "mu": 10}}, "odd number"),
        ({"camera": {"bins": 11}}, "not an action schema"),
        (
            {
                "buttons": [f"b{i}" for i in range(33)],
                "alone": [f"b{i}" for i in range(33)],
                "groups": [],
                "keys": {},
                "mouse_buttons": {},
            },
            "at most 32 buttons",
        ),
        (
            {
                "buttons": [f"b{i}" for i in range(20)],
                "alone": [],
                "keys": {},
                "mouse_buttons": {},
                "groups": [{"name": str(i), "conflict": "last", "buttons": [f"b{i}"]} for i in range(20)],
            },
            "2097152 joint actions",
        ),
    ],
)
def test_contradictions_are_named(tmp_path: Path, changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_schema(written(tmp_path, **changes))


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"\['desktop', 'minecraft'\]"):
        load_schema("chess")
