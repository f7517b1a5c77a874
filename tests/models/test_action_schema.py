"""Schemas are data, and a schema that contradicts itself is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from models.action_schema import SCHEMAS, load_schema, schema_content, schema_of


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
        ({"miror": {"buttons": [], "camera": []}}, r"unknown fields \['miror'\]"),
        ({"mirror": {"buttons": [["left", "port"]], "camera": []}}, r"unknown buttons \['port'\]"),
        ({"mirror": {"buttons": [], "camera": ["roll"]}}, r"pitch, yaw in `mirror.camera`, got \['roll'\]"),
        ({"wheel": {"left": "up"}}, r"up and down in `wheel`"),
        ({"recorder": {"slots": ["slot.1"]}}, r"unknown buttons \['slot.1'\]"),
        ({"recorder": {"sticky": 1}}, "not an action schema"),
        (
            {
                "buttons": [f"b{i}" for i in range(65)],
                "alone": [f"b{i}" for i in range(65)],
                "groups": [],
                "keys": {},
                "mouse_buttons": {},
            },
            "at most 64 buttons",
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


def test_a_schema_travels_whole_and_the_default_one_goes_unsaid(tmp_path: Path) -> None:
    """Canonical JSON sorts; what comes back is still the same schema."""
    path = Path(written(tmp_path, mirror={"buttons": [["left", "right"]], "camera": ["yaw"]}))
    for schema in (load_schema("desktop"), load_schema(str(path))):
        assert schema_of(json.loads(json.dumps(schema_content(schema), sort_keys=True))) == schema
    assert schema_content(load_schema("desktop")) == json.loads((SCHEMAS / "desktop.json").read_text()) | {
        "mirror": None,
        "recorder": {"menu_keys": {}, "menu_mouse_scale": {}, "slots": [], "stuck_mouse_button": None},
    }
    assert schema_content(load_schema("minecraft")) is None
    assert schema_of(None) == load_schema("minecraft")
