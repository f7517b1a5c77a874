"""The action space: buttons, camera bins and the policy's joint actions (VPT, appendix C; the released action mapping).

Three forms of the same action, each an array with a leading N:

- recorded: buttons (N, 20) of 0 and 1, camera (N, 2) in degrees
- factored, what the IDM predicts: buttons (N, 20), camera bins (N, 2)
- joint, what the policy predicts: one of 8,641 button combinations (N,), one of 121 camera choices (N,)

The camera's order is pitch (mouse dy) first, yaw (mouse dx) second. All numbers come from an `ActionSchema`;
the default is Minecraft's.
"""

from functools import lru_cache

import numpy as np

from models.action_schema import AXES, ActionSchema, load_schema

MINECRAFT = load_schema("minecraft")
BUTTONS = MINECRAFT.buttons


def camera_to_bins(degrees: np.ndarray, schema: ActionSchema = MINECRAFT) -> np.ndarray:
    """Camera motion (N, 2) in degrees (pitch, yaw) to bins (N, 2) int64.

    Works in float64: the released labeller truncated to whole degrees, which puts 42 of 141 small motions wrong.
    """
    spec = schema.camera
    scaled = np.clip(np.asarray(degrees, dtype=np.float64), -spec.maxval_degrees, spec.maxval_degrees)
    if np.isnan(scaled).any():
        raise ValueError("expected camera motion in degrees, got NaN; drop these frames first")
    scaled /= spec.maxval_degrees
    # log and not log1p, and the steps in the released order: so that motions on a bin's very edge fall as they do there
    warped = np.sign(scaled) * (np.log(1.0 + spec.mu * np.abs(scaled)) / np.log(1.0 + spec.mu)) * spec.maxval_degrees
    return np.round((warped + spec.maxval_degrees) / bin_width(schema)).astype(np.int64)


def bins_to_camera(bins: np.ndarray, schema: ActionSchema = MINECRAFT) -> np.ndarray:
    """Camera bins (N, 2) to the degrees (N, 2) float64 of the bins' centres."""
    spec = schema.camera
    warped = (_checked_bins(bins, schema) * bin_width(schema) - spec.maxval_degrees) / spec.maxval_degrees
    return np.sign(warped) * (1.0 / spec.mu) * ((1.0 + spec.mu) ** np.abs(warped) - 1.0) * spec.maxval_degrees


def bin_centres(schema: ActionSchema = MINECRAFT) -> np.ndarray:
    """Degrees float64 (bins,) of all bins' centres, one axis."""
    bins = np.arange(schema.camera.bins)
    return bins_to_camera(np.stack([bins, bins], axis=1), schema)[:, 0]


def bin_width(schema: ActionSchema) -> float:
    """Degrees from bin to bin before the mu-law bends them: 2 for minecraft."""
    return schema.camera.maxval_degrees / schema.null_bin


def to_joint(
    buttons: np.ndarray, camera_bins: np.ndarray, schema: ActionSchema = MINECRAFT
) -> tuple[np.ndarray, np.ndarray]:
    """Factored actions to joint ones: buttons (N, 20), bins (N, 2) -> (N,) and (N,) int64.

    Conflicts go as in the released mapping: forward with back and left with right cancel, sneak wins over sprint,
    the highest hotbar key wins, inventory excludes all else.
    """
    pressed = _checked_buttons(buttons, schema)
    bins = _checked_bins(camera_bins, schema)
    if len(pressed) != len(bins):
        raise ValueError(f"expected as many buttons as camera bins, got {len(pressed)} and {len(bins)}")
    held = dict(zip(schema.buttons, np.ascontiguousarray(pressed.T), strict=True))
    index = np.zeros(len(pressed), dtype=np.int64)
    for group in schema.groups:
        index *= len(group.buttons) + 1
        index += _group_choice([held[button] for button in group.buttons], group.conflict)
    camera = bins[:, 0] * schema.camera.bins + bins[:, 1]
    index = index * 2 + (camera != schema.null_camera)
    for offset, button in enumerate(schema.alone):
        alone = held[button]
        index = np.where(alone, schema.n_combinations + offset, index)
        camera = np.where(alone, schema.null_camera, camera)
    return index, camera


def from_joint(
    joint_buttons: np.ndarray, joint_camera: np.ndarray, schema: ActionSchema = MINECRAFT
) -> tuple[np.ndarray, np.ndarray]:
    """Joint actions (N,), (N,) to buttons (N, 20) and camera bins (N, 2), both int64.

    The camera is ignored, so "no motion", where the joint button action says that the camera rests. The actions that
    stand alone (`inventory`) say nothing about it: there the camera is passed on, as the released mapping does.
    """
    table = _joint_table(schema)
    index = _checked_index(joint_buttons, schema.n_joint_buttons, "joint_buttons")
    camera = _checked_index(joint_camera, schema.n_joint_camera, "joint_camera")
    bins = np.stack([camera // schema.camera.bins, camera % schema.camera.bins], axis=1)
    rests = (index < schema.n_combinations) & (index % 2 == 0)
    return table[index].astype(np.int64), np.where(rests[:, None], schema.null_bin, bins)


def camera_is_used(joint_buttons: np.ndarray, schema: ActionSchema = MINECRAFT) -> np.ndarray:
    """(N,) bool: does this joint action move the camera? Where not, the camera's loss is masked (paper, E.3)."""
    index = np.asarray(joint_buttons)
    return (index < schema.n_combinations) & (index % 2 == 1)


def null_mask(buttons: np.ndarray, camera_bins: np.ndarray, schema: ActionSchema = MINECRAFT) -> np.ndarray:
    """(N,) bool: is this the null action?

    Null is decided after the transform to the policy's action space, as in the paper: nothing pressed *there* and
    the camera in its middle bin. So forward with back is null, and so is a mouse motion below 0.27 degrees.
    """
    index, _ = to_joint(buttons, camera_bins, schema)
    return index == 0


def mirror_of(schema: ActionSchema = MINECRAFT) -> tuple[np.ndarray, np.ndarray]:
    """What mirroring left to right does: the button (n,) whose place each button takes, the sign (2,) of each axis.

    Raises:
        ValueError: the schema does not say.
    """
    if schema.mirror is None:
        raise ValueError(
            f"schema {schema.name}: its pictures cannot be mirrored, as it has no `mirror` that says which buttons "
            "change places; add it to the schema, or train with mirror=False"
        )
    pairs = {a: b for pair in schema.mirror.buttons for a, b in (pair, pair[::-1])}
    order = np.array([schema.buttons.index(pairs.get(button, button)) for button in schema.buttons])
    return order, np.array([-1.0 if axis in schema.mirror.camera else 1.0 for axis in AXES])


def pack_buttons(buttons: np.ndarray, schema: ActionSchema = MINECRAFT) -> np.ndarray:
    """Buttons (N, 20) to one mask each (N,): bit i is the schema's button i. uint32, or uint64 above 32 buttons."""
    weights = np.uint64(1) << np.arange(len(schema.buttons), dtype=np.uint64)
    masks = (_checked_buttons(buttons, schema) * weights).sum(axis=1, dtype=np.uint64)
    return masks if len(schema.buttons) > 32 else masks.astype(np.uint32)


def unpack_buttons(masks: np.ndarray, schema: ActionSchema = MINECRAFT) -> np.ndarray:
    """Masks (N,) of `pack_buttons` to buttons (N, 20) bool."""
    packed = np.asarray(masks).astype(np.uint64)
    if (packed >> np.uint64(len(schema.buttons) - 1) > 1).any():
        raise ValueError(
            f"expected masks of {len(schema.buttons)} buttons ({schema.name}), got a higher bit; "
            "were these written with another schema?"
        )
    bits = np.arange(len(schema.buttons), dtype=np.uint64)
    return ((packed[:, None] >> bits) & np.uint64(1)).astype(bool)


def _group_choice(held: list[np.ndarray], conflict: str) -> np.ndarray:
    """k arrays (N,) bool to (N,) uint8: 0 for none of the group, else 1 + the button that counts."""
    choice = np.zeros(len(held[0]), dtype=np.uint8)
    count = np.zeros_like(choice)
    for i, column in enumerate(held):
        np.maximum(choice, column * np.uint8(i + 1), out=choice)
        count += column
    return choice * (count <= 1) if conflict == "none" else choice


@lru_cache
def _joint_table(schema: ActionSchema) -> np.ndarray:
    """(n_joint_buttons, n_buttons) uint8: the buttons that each joint action presses."""
    table = np.zeros((schema.n_joint_buttons, len(schema.buttons)), dtype=np.uint8)
    rest = np.arange(schema.n_combinations) // 2
    for group in reversed(schema.groups):
        rest, choice = np.divmod(rest, len(group.buttons) + 1)
        for i, button in enumerate(group.buttons):
            table[: schema.n_combinations, schema.buttons.index(button)] = choice == i + 1
    for offset, button in enumerate(schema.alone):
        table[schema.n_combinations + offset, schema.buttons.index(button)] = 1
    return table


def _checked_buttons(buttons: np.ndarray, schema: ActionSchema) -> np.ndarray:
    array = np.asarray(buttons)
    if array.ndim != 2 or array.shape[1] != len(schema.buttons):
        raise ValueError(f"expected buttons (N, {len(schema.buttons)}) of schema {schema.name}, got {array.shape}")
    return array.astype(bool)


def _checked_bins(bins: np.ndarray, schema: ActionSchema) -> np.ndarray:
    array = np.asarray(bins)
    if array.ndim != 2 or array.shape[1] != 2 or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"expected integer camera bins (N, 2), got {array.dtype} {array.shape}")
    if array.size and (array.min() < 0 or array.max() >= schema.camera.bins):
        raise ValueError(f"expected camera bins in 0..{schema.camera.bins - 1}, got {array.min()}..{array.max()}")
    return array.astype(np.int64)


def _checked_index(values: np.ndarray, size: int, name: str) -> np.ndarray:
    array = np.asarray(values)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise ValueError(f"expected integer {name} (N,), got {array.dtype} {array.shape}")
    if array.size and (array.min() < 0 or array.max() >= size):
        raise ValueError(f"expected {name} in 0..{size - 1}, got {array.min()}..{array.max()}")
    return array.astype(np.int64)
