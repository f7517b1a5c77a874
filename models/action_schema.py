"""The action space of one game as data: buttons, keys, camera scale, and what joint actions are made of.

A schema is a JSON file in `models/schemas/`. `minecraft` is the released action space; another game needs a file and
no code. Models, rows and snapshots carry their schema whole, as `schema_content` gives it, so that nobody has to be
told again what their numbers mean.
"""

import json
from dataclasses import asdict, dataclass, fields
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any, Literal

SCHEMAS = Path(__file__).parent / "schemas"
DEFAULT = "minecraft"
AXES = ("pitch", "yaw")
"""The camera's axes in order: mouse dy, mouse dx."""
MAX_BUTTONS = 64  # rows pack them into the bits of one number
MAX_JOINT_BUTTONS = 100_000  # a softmax wider than this is a schema mistake, not an action space


@dataclass(frozen=True)
class CameraSpec:
    """How mouse motion becomes camera bins: clip to +-maxval, mu-law, then evenly spaced bins."""

    degrees_per_pixel: float
    """Degrees of camera motion for one pixel of recorded mouse motion."""
    bins: int
    """Bins per axis, an odd number: the middle one is "no motion"."""
    maxval_degrees: float
    """Largest motion per frame that is told apart, in degrees."""
    mu: float
    """Mu-law constant: larger means finer bins around zero."""


@dataclass(frozen=True)
class ButtonGroup:
    """Buttons of which the joint action holds at most one."""

    name: str
    buttons: tuple[str, ...]
    conflict: Literal["last", "none"]
    """What several pressed at once become: the last of `buttons` that is pressed, or none of them."""


@dataclass(frozen=True)
class MirrorSpec:
    """What turns round when the picture is mirrored left to right."""

    buttons: tuple[tuple[str, str], ...]
    """Pairs of buttons that change places."""
    camera: tuple[str, ...]
    """Axes (of `AXES`) that change sign."""


@dataclass(frozen=True)
class RecorderSpec:
    """Quirks of the recorder that wrote a game's recordings; what is left out, it does not have."""

    menu_keys: tuple[tuple[str, str], ...] = ()
    """(key name, button) pairs that hold while a menu is open, over those of `keys`."""
    menu_mouse_scale: tuple[tuple[str, float], ...] = ()
    """(recorder version, factor on mouse motion while a menu is open) pairs; 1 for every other version."""
    slots: tuple[str, ...] = ()
    """Buttons that choose the slots which the field `hotbar` counts from 0: a scrolled slot becomes a press."""
    stuck_mouse_button: int | None = None
    """Mouse button that is stuck, not pressed, where it alone is new on frame 0."""


@dataclass(frozen=True)
class ActionSchema:
    """The action space of one game."""

    name: str
    buttons: tuple[str, ...]
    """Button names; their order is the order of the model's outputs."""
    keys: tuple[tuple[str, str], ...]
    """(key name as recorded, button) pairs; several keys may press one button."""
    mouse_buttons: tuple[tuple[int, str], ...]
    """(mouse button number as recorded, button) pairs."""
    camera: CameraSpec
    groups: tuple[ButtonGroup, ...]
    """Groups whose product is the joint action, the slowest index first."""
    alone: tuple[str, ...]
    """Buttons that exclude everything else, camera included; the last joint actions."""
    wheel: tuple[tuple[str, str], ...] = ()
    """("up" or "down", button) pairs: what turning the mouse wheel presses."""
    mirror: MirrorSpec | None = None
    """None: pictures of this game cannot be mirrored."""
    recorder: RecorderSpec = RecorderSpec()

    def __post_init__(self) -> None:
        self._check_groups()
        self._check_names()
        self._check_sizes()
        self._check_pressed()

    def _check_groups(self) -> None:
        grouped = [button for group in self.groups for button in group.buttons] + list(self.alone)
        if sorted(grouped) != sorted(self.buttons):
            raise ValueError(
                f"schema {self.name}: expected each button in exactly one group or in `alone`, got "
                f"buttons {sorted(self.buttons)} and groups of {sorted(grouped)}; edit the schema file"
            )
        if wrong := [group.name for group in self.groups if group.conflict not in ("last", "none")]:
            raise ValueError(f"schema {self.name}: expected the conflict 'last' or 'none' in the groups {wrong}")

    def _check_names(self) -> None:
        if spaced := [button for button in self.buttons if not button or button.split() != [button]]:
            raise ValueError(f"schema {self.name}: expected button names without spaces, got {spaced}")
        unknown = {way for way, _ in self.wheel} - {"up", "down"}
        unknown |= set(self.mirror.camera if self.mirror else ()) - set(AXES)
        if unknown:
            raise ValueError(
                f"schema {self.name}: expected up and down in `wheel` and {', '.join(AXES)} in `mirror.camera`, "
                f"got {sorted(unknown)}"
            )

    def _check_sizes(self) -> None:
        if self.camera.bins % 2 == 0 or self.camera.bins < 3:
            raise ValueError(f"schema {self.name}: expected an odd number of camera bins, got {self.camera.bins}")
        if len(self.buttons) > MAX_BUTTONS:
            raise ValueError(f"schema {self.name}: expected at most {MAX_BUTTONS} buttons, got {len(self.buttons)}")
        if self.n_joint_buttons > MAX_JOINT_BUTTONS:
            raise ValueError(
                f"schema {self.name}: {self.n_joint_buttons} joint actions, at most {MAX_JOINT_BUTTONS}; "
                "put more buttons into one group"
            )

    def _check_pressed(self) -> None:
        """Whatever presses a button must name one that is there."""
        pairs = (*self.keys, *self.mouse_buttons, *self.wheel, *self.recorder.menu_keys)
        named = {button for _, button in pairs} | set(self.recorder.slots)
        named |= {button for pair in (self.mirror.buttons if self.mirror else ()) for button in pair}
        if unknown := sorted(named - set(self.buttons)):
            raise ValueError(f"schema {self.name}: keys press unknown buttons {unknown}; edit the schema file")

    @property
    def null_bin(self) -> int:
        """The camera bin of "no motion"."""
        return self.camera.bins // 2

    @property
    def n_combinations(self) -> int:
        """Joint button actions without the `alone` ones: the product of the groups, times camera moves or not."""
        return 2 * prod(len(group.buttons) + 1 for group in self.groups)

    @property
    def n_joint_buttons(self) -> int:
        """Size of the policy's button head (8,641 for minecraft)."""
        return self.n_combinations + len(self.alone)

    @property
    def n_joint_camera(self) -> int:
        """Size of the policy's camera head (121 for minecraft)."""
        return self.camera.bins**2

    @property
    def null_camera(self) -> int:
        """The joint camera choice of "no motion" (60 for minecraft)."""
        return self.null_bin * self.camera.bins + self.null_bin


@lru_cache
def load_schema(name: str = DEFAULT) -> ActionSchema:
    """Read a schema by name from `models/schemas/`, or from a path that ends in `.json`.

    Raises:
        ValueError: no such schema, or one that contradicts itself.
    """
    path = Path(name) if name.endswith(".json") else SCHEMAS / f"{name}.json"
    if not path.is_file():
        known = sorted(p.stem for p in SCHEMAS.glob("*.json"))
        raise ValueError(f"expected one of the schemas {known} or a path to a .json file, got {name!r}")
    try:
        return _parsed(json.loads(path.read_text()), path)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path}: not an action schema ({error})") from error


def schema_content(schema: ActionSchema) -> dict[str, Any] | None:
    """What a schema file holds, JSON-able; None for the default, so that nothing of what it already named changes."""
    if schema == load_schema():
        return None
    pairs = {name: dict(getattr(schema, name)) for name in ("keys", "wheel")}
    pairs["mouse_buttons"] = {str(number): button for number, button in schema.mouse_buttons}
    recorder = asdict(schema.recorder)
    recorder |= {name: dict(recorder[name]) for name in ("menu_keys", "menu_mouse_scale")}
    return json.loads(json.dumps({**asdict(schema), **pairs, "recorder": recorder}))


def schema_of(content: dict[str, Any] | None, where: str | Path = "schema") -> ActionSchema:
    """The schema of what `schema_content` gave. Raises ValueError if it is none or contradicts itself."""
    return load_schema() if content is None else _parsed(content, where)


def _parsed(raw: dict[str, Any], where: str | Path) -> ActionSchema:
    try:
        if unknown := sorted(set(raw) - {field.name for field in fields(ActionSchema)}):
            raise KeyError(f"unknown fields {unknown}")
        mirror = raw.get("mirror")
        return ActionSchema(
            name=raw["name"],
            buttons=tuple(raw["buttons"]),
            keys=_pairs(raw["keys"]),
            mouse_buttons=tuple((int(number), button) for number, button in _pairs(raw["mouse_buttons"])),
            camera=CameraSpec(**raw["camera"]),
            groups=tuple(ButtonGroup(g["name"], tuple(g["buttons"]), g["conflict"]) for g in raw["groups"]),
            alone=tuple(raw["alone"]),
            wheel=_pairs(raw.get("wheel", {})),
            mirror=mirror and MirrorSpec(tuple((a, b) for a, b in mirror["buttons"]), tuple(mirror["camera"])),
            recorder=_recorder(raw.get("recorder", {})),
        )
    except (KeyError, TypeError, AttributeError) as error:
        example = SCHEMAS / f"{DEFAULT}.json"
        raise ValueError(f"{where}: not an action schema ({error}); compare with {example}") from error


def _recorder(raw: dict[str, Any]) -> RecorderSpec:
    pairs = {name: _pairs(raw.get(name, {})) for name in ("menu_keys", "menu_mouse_scale")}
    return RecorderSpec(**{**raw, **pairs, "slots": tuple(raw.get("slots", ()))})


def _pairs(raw: dict[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Sorted, so that a schema that went through canonical JSON equals its file."""
    return tuple(sorted(raw.items()))
