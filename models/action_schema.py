"""The action space of one game as data: buttons, keys, camera scale, and what joint actions are made of.

A schema is a JSON file in `models/schemas/`. `minecraft` is the released action space; another game needs a file and
no code.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from pathlib import Path
from typing import Any, Literal

SCHEMAS = Path(__file__).parent / "schemas"
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

    def __post_init__(self) -> None:
        grouped = [button for group in self.groups for button in group.buttons] + list(self.alone)
        if sorted(grouped) != sorted(self.buttons):
            raise ValueError(
                f"schema {self.name}: expected each button in exactly one group or in `alone`, got "
                f"buttons {sorted(self.buttons)} and groups of {sorted(grouped)}; edit the schema file"
            )
        unknown = {b for _, b in (*self.keys, *self.mouse_buttons)} - set(self.buttons)
        if unknown:
            raise ValueError(f"schema {self.name}: keys press unknown buttons {sorted(unknown)}; edit the schema file")
        if self.camera.bins % 2 == 0 or self.camera.bins < 3:
            raise ValueError(f"schema {self.name}: expected an odd number of camera bins, got {self.camera.bins}")
        if len(self.buttons) > 32:
            raise ValueError(f"schema {self.name}: expected at most 32 buttons (uint32 mask), got {len(self.buttons)}")
        if self.n_joint_buttons > MAX_JOINT_BUTTONS:
            raise ValueError(
                f"schema {self.name}: {self.n_joint_buttons} joint actions, at most {MAX_JOINT_BUTTONS}; "
                "put more buttons into one group"
            )

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
def load_schema(name: str = "minecraft") -> ActionSchema:
    """Read a schema by name from `models/schemas/`, or from a path that ends in `.json`.

    Raises:
        ValueError: no such schema, or one that contradicts itself.
    """
    path = Path(name) if name.endswith(".json") else SCHEMAS / f"{name}.json"
    if not path.is_file():
        known = sorted(p.stem for p in SCHEMAS.glob("*.json"))
        raise ValueError(f"expected one of the schemas {known} or a path to a .json file, got {name!r}")
    return _parse_schema(json.loads(path.read_text()), path)


def _parse_schema(raw: dict[str, Any], path: Path) -> ActionSchema:
    try:
        return ActionSchema(
            name=raw["name"],
            buttons=tuple(raw["buttons"]),
            keys=tuple(raw["keys"].items()),
            mouse_buttons=tuple((int(number), button) for number, button in raw["mouse_buttons"].items()),
            camera=CameraSpec(**raw["camera"]),
            groups=tuple(ButtonGroup(g["name"], tuple(g["buttons"]), g["conflict"]) for g in raw["groups"]),
            alone=tuple(raw["alone"]),
        )
    except (KeyError, TypeError) as error:
        example = SCHEMAS / "minecraft.json"
        raise ValueError(f"{path}: not an action schema ({error}); compare with {example}") from error
