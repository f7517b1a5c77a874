"""Read contractor recordings (mp4 + jsonl, OpenAI's format) the way VPT's training did.

Line i of the jsonl goes with frame i: the picture is what the player saw *before* the action of that line.
The paper's data are described in its appendix B; the reading below keeps what OpenAI's loader does on purpose
and mends where that loader is known to be wrong:

- Camera motion stays a float, `d * 360/2400` degrees (integer arithmetic loses every motion below 7 pixels).
- A mouse button held since before frame 0 (alone in `newButtons` there) is stuck: ignored until the next press.
- A hotbar slot that changes without its key being down was scrolled. The press goes to the line that turned the wheel,
  or, where no line did, to the line with the new slot. Frame 0 never presses: there is no slot before it.
- In menus mouse motion is scaled by a factor that depends on the recorder's version.
- `mouse` or `keyboard` may be null (recorders before 6.13) or missing: what was pressed is unknown on that frame.
- ESC is not an action of VPT. Pressed while a menu is open it closes the menu, so it is read as `inventory`, as in the
  original training; anywhere else it is dropped.
- Blank lines are skipped. A broken line keeps its place as an unknown action, while the counts still prove the place.
- Videos do not show the cursor: it is drawn on menu frames before the resize.

The stuck button, the slots, the factors and what ESC means are data: `action_schema.RecorderSpec`. Another game's
recorder has the quirks that its schema names.
"""

import json
import math
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from models.actions import MINECRAFT, ActionSchema
from models.errors import BadRecording
from models.video import FRAME_PX, draw_cursor, iter_frames, resize_frame
from models.walk import walk

MAX_COUNT_DIFFERENCE = 2
"""Frames and lines may differ by this many (a torn end); beyond that nothing says which frame a line belongs to."""
MAX_BROKEN_SHARE = 0.01
"""Share of broken lines up to which a recording is kept; one broken line is always accepted."""
TOO_FAR_PX = 1e6
"""No mouse moves that far in a frame: such a number is none."""

_NAME = re.compile(r"^(?P<player>.+)-(?P<date>\d{8})-(?P<time>\d{6})$")
_VERSION = re.compile(r"^\d+\.\d+$")


@dataclass(frozen=True)
class Recording:
    """The actions of one recording, T frames long."""

    name: str
    player: str
    """`alias-hexid` of the file name: one player in one world. Splits are made by it, never by frame."""
    buttons: np.ndarray
    """bool (T, 20), in the order of the schema's buttons."""
    camera_deg: np.ndarray
    """float32 (T, 2): degrees of pitch (mouse dy) and yaw (mouse dx), not clipped."""
    gui_open: np.ndarray
    """bool (T,)."""
    cursor_xy: np.ndarray
    """float32 (T, 2): mouse position in a window of 720 lines. Only meaningful while a menu is open."""
    known: np.ndarray
    """bool (T,): False where the line is broken or a device is missing; such frames are not trained on."""
    walk: np.ndarray
    """float32 (T, 4): how the player moves through the world (`models.walk`); NaN where the lines do not say."""

    def __len__(self) -> int:
        return len(self.known)


def player_of(name: str) -> str:
    """The `alias-hexid` part of `alias-hexid-YYYYMMDD-HHMMSS`; the whole name where the pattern does not match."""
    match = _NAME.match(name)
    return match["player"] if match else name


def recorder_version(path: Path) -> str | None:
    """The recorder's version from the folder (`.../6.8/NAME.jsonl`, as OpenAI publishes); None if it does not say."""
    return path.parent.name if _VERSION.match(path.parent.name) else None


def parse_jsonl(path: Path) -> list[dict[str, Any] | None]:
    """One entry per line that is not blank: the object, or None where the line is broken.

    Raises `BadRecording` with `jsonl_broken_line` (too many broken) or `no_actions` (no usable line at all).
    """
    lines: list[dict[str, Any] | None] = []
    broken: list[int] = []
    for number, text in enumerate(path.read_bytes().split(b"\n"), start=1):
        if not text.strip():
            continue
        try:
            value = json.loads(text)
        except ValueError:
            value = None
        if not isinstance(value, dict):
            broken.append(number)
        lines.append(value if isinstance(value, dict) else None)
    if len(broken) == len(lines):
        raise BadRecording("no_actions", f"{path.name}: expected one JSON object per frame, found {len(lines)} lines")
    if len(broken) > max(1, MAX_BROKEN_SHARE * len(lines)):
        message = f"{path.name}: {len(broken)} of {len(lines)} lines are not JSON objects, first line {broken[0]}"
        raise BadRecording("jsonl_broken_line", f"{message}; at most {MAX_BROKEN_SHARE:.0%} may be broken")
    return lines


def actions_of(
    lines: list[dict[str, Any] | None], name: str, version: str | None = None, schema: ActionSchema = MINECRAFT
) -> Recording:
    """Turn parsed lines into a `Recording`; `version` is the recorder's, for the mouse scale in menus."""
    count = len(lines)
    buttons = np.zeros((count, len(schema.buttons)), dtype=bool)
    camera_deg = np.zeros((count, 2), dtype=np.float32)
    gui_open, known = np.zeros(count, dtype=bool), np.zeros(count, dtype=bool)
    cursor_xy = np.zeros((count, 2), dtype=np.float32)
    menu_scale = dict(schema.recorder.menu_mouse_scale).get(version or "", 1.0)
    stuck = _starts_stuck(lines, schema)
    for i, line in enumerate(lines):
        mouse, keyboard = _device(line, "mouse"), _device(line, "keyboard")
        gui_open[i] = bool(line and line.get("isGuiOpen"))
        if mouse is None or keyboard is None:
            continue
        scale = menu_scale if gui_open[i] else 1.0
        motion = np.array([_number(mouse, "dy"), _number(mouse, "dx")])
        camera_deg[i] = motion * scale * schema.camera.degrees_per_pixel
        cursor_xy[i] = _number(mouse, "x"), _number(mouse, "y")
        known[i] = bool(np.isfinite(motion).all())
        stuck = stuck and not (i > 0 and schema.recorder.stuck_mouse_button in _items(mouse, "newButtons"))
        buttons[i] = _pressed(mouse, keyboard, bool(gui_open[i]), stuck, schema)
    _add_scrolled_slots(buttons, lines, schema)
    buttons[~known], camera_deg[~known] = False, 0.0
    return Recording(name, player_of(name), buttons, camera_deg, gui_open, cursor_xy, known, walk(lines))


def _starts_stuck(lines: list[dict[str, Any] | None], schema: ActionSchema) -> bool:
    first = _device(lines[0], "mouse") if lines else None
    return first is not None and _items(first, "newButtons") == [schema.recorder.stuck_mouse_button]


def _device(line: dict[str, Any] | None, name: str) -> dict[str, Any] | None:
    value = (line or {}).get(name)
    return value if isinstance(value, dict) else None


def _items(device: dict[str, Any], name: str) -> list[Any]:
    value = device.get(name)
    return [item for item in value if isinstance(item, str | int | float)] if isinstance(value, list) else []


def _number(device: dict[str, Any], name: str) -> float:
    value = device.get(name, 0.0)
    return float(value) if isinstance(value, int | float) and abs(value) < TOO_FAR_PX else math.nan


def _pressed(
    mouse: dict[str, Any], keyboard: dict[str, Any], gui_open: bool, stuck: bool, schema: ActionSchema
) -> np.ndarray:
    """Buttons (20,) that one line holds down."""
    keys, mouse_buttons = dict(schema.keys), dict(schema.mouse_buttons)
    if gui_open:
        keys |= dict(schema.recorder.menu_keys)
    stuck_button = schema.recorder.stuck_mouse_button if stuck else None
    turned = _number(mouse, "dwheel")
    held = {keys[key] for key in _items(keyboard, "keys") if key in keys}
    held |= {mouse_buttons[b] for b in _items(mouse, "buttons") if b in mouse_buttons and b != stuck_button}
    held |= {button for way, button in schema.wheel if (turned > 0 if way == "up" else turned < 0)}
    return np.array([button in held for button in schema.buttons])


def _add_scrolled_slots(buttons: np.ndarray, lines: list[dict[str, Any] | None], schema: ActionSchema) -> None:
    """Press a slot's button where the slot changed although no key asked for it; changes `buttons` in place."""
    index = {slot: schema.buttons.index(name) for slot, name in enumerate(schema.recorder.slots)}
    before: float | None = None
    for i, line in enumerate(lines):
        slot = (line or {}).get("hotbar")
        if not isinstance(slot, int | float) or slot not in index:
            before = None
            continue
        if before is not None and slot != before and not buttons[i - 1 : i + 1, index[int(slot)]].any():
            buttons[i - 1 if _wheel_turned(lines[i - 1]) else i, index[int(slot)]] = True
        before = slot


def _wheel_turned(line: dict[str, Any] | None) -> bool:
    mouse = _device(line, "mouse")
    return mouse is not None and _number(mouse, "dwheel") != 0


def read_recording(
    mp4: Path, jsonl: Path, version: str | None = None, schema: ActionSchema = MINECRAFT
) -> tuple[np.ndarray, Recording]:
    """Frames uint8 (T, 128, 128, 3) with the cursor drawn in menus, and the actions of one recording.

    `version` is the recorder's; None takes it from the folder. Raises `BadRecording`: see `models.errors`.
    """
    lines = parse_jsonl(jsonl)
    recording = actions_of(lines, jsonl.stem, version or recorder_version(jsonl), schema)
    frames = np.zeros((len(recording), FRAME_PX, FRAME_PX, 3), dtype=np.uint8)
    count = 0
    for count, frame in enumerate(iter_frames(mp4), start=1):
        if count > len(recording):
            continue
        if recording.gui_open[count - 1]:
            draw_cursor(frame, *recording.cursor_xy[count - 1])
        frames[count - 1] = resize_frame(frame)
    _check_counts(count, lines, mp4.name)
    if not recording.known.any():
        raise BadRecording("no_actions", f"{jsonl.name}: no line holds both a mouse and a keyboard")
    length = min(count, len(recording))
    return frames[:length], trim(recording, length)


def _check_counts(frame_count: int, lines: list[dict[str, Any] | None], name: str) -> None:
    """Refuse counts that leave open which frame a line belongs to."""
    difference = abs(frame_count - len(lines))
    broken_inside = None in lines[:-1]
    if difference > MAX_COUNT_DIFFERENCE or (difference and broken_inside):
        allowed = 0 if broken_inside else MAX_COUNT_DIFFERENCE
        message = f"{name} has {frame_count} frames and {len(lines)} action lines; they may differ by {allowed}"
        raise BadRecording("count_mismatch", message + (" beside a broken line" if broken_inside else ""))


def trim(recording: Recording, length: int) -> Recording:
    """The first `length` frames of a recording."""
    rows = ("buttons", "camera_deg", "gui_open", "cursor_xy", "known", "walk")
    return replace(recording, **{name: getattr(recording, name)[:length] for name in rows})
