"""Predict the action of each frame of an episode with an IDM: windows that overlap, their centres, likeliest labels.

Used for evaluation and by the `label` stage (VPT, section 4.1 and appendix D). The paper takes the likelier of pressed
and released on each frame by itself, and so do we where the model's `change_price` is 0, as in the released sizes. The
nano IDM is unsure where an action begins and ends, and would press and release a held key many times; and of the
hotbar's keys, each of which is rare, it learns that one was pressed sooner than which.
"""

from dataclasses import dataclass

import numpy as np
import torch

from models.action_schema import ActionSchema
from models.actions import bin_centres, bins_to_camera, mirror_of
from models.chain import best_path
from models.habits import steadied
from models.idm import IDMConfig, InverseDynamicsModel, mean_said
from models.motion import episode_maps, half_size, mirrored_maps
from models.parallel import one_thread
from models.second_opinion import mean_opinion
from models.windows import LENGTH, STRIDE, edge_mask, windows

WINDOWS_PER_BATCH = 4
"""Windows of one forward pass; the results do not depend on it beyond rounding."""

MANY = 3
"""Buttons of a group from which on one of them may be likely though none is by itself."""

Opinions = dict[str, torch.Tensor]
"""Log-probabilities of T frames by the heads' names, float32 on the CPU: buttons (T, 20, 2), camera (T, 2, 11)."""


@dataclass(frozen=True)
class Predictions:
    """What an IDM says about T frames."""

    buttons: np.ndarray
    """bool (T, 20): the likelier of released and pressed, changes at the model's `change_price`."""
    camera_deg: np.ndarray
    """float32 (T, 2): centre of the likeliest bin, pitch and yaw."""
    camera_expected_deg: np.ndarray
    """float32 (T, 2): mean of the bin centres under the model's probabilities. Smoother, but no label."""
    confidence: np.ndarray
    """float32 (T,): the model's probability that the whole action is right, buttons and both camera bins.

    The plain product over the 22 heads of the chosen option's probability: given the frames the heads are independent.
    It compares directly with the share of exactly right actions (`metrics.calibration_error`); a geometric mean would
    look friendlier and be a probability of nothing.
    """
    edge: np.ndarray
    """bool (T,): at the clip's edges, with less than the full context on one side."""

    def __len__(self) -> int:
        return len(self.confidence)


def predict_episode(
    model: InverseDynamicsModel, frames: np.ndarray, length: int = LENGTH, stride: int = STRIDE
) -> Predictions:
    """Label T >= 1 continuous frames uint8 (T, 128, 128, 3) RGB at 20 Hz, in terms of the model's schema.

    Windows of `length` frames every `stride`; of each only the centre is kept (`models.windows`).
    Raises ValueError for no frames or window lengths that cannot work.
    """
    log_probs = log_probabilities(model, frames, length, stride)
    buttons, camera_deg, expected_deg, confidence = _decode(*log_probs, model.config)
    return Predictions(buttons, camera_deg, expected_deg, confidence, edge_mask(len(frames), length, stride))


def log_probabilities(
    model: InverseDynamicsModel, frames: np.ndarray, length: int = LENGTH, stride: int = STRIDE
) -> tuple[torch.Tensor, torch.Tensor]:
    """What the model says about each frame, on the CPU: float32 (T, 20, 2) and (T, 2, 11). As `predict_episode`."""
    return weighed(opinions(model, frames, length, stride), model)


def weighed(said: Opinions, model: InverseDynamicsModel) -> tuple[torch.Tensor, torch.Tensor]:
    """Log-probabilities of buttons (T, 20, 2) and camera (T, 2, 11) of one clip, the second opinion counted by its
    shares, the camera in the light of its neighbours. No temperature changes what is likeliest."""
    buttons, camera, config = said["buttons"], said["camera"], model.config
    if config.opinion_shares:
        buttons = mean_opinion(buttons, said["second_buttons"], buttons.new_tensor(config.opinion_shares))
    if config.camera_share:
        camera = mean_opinion(camera, said["second_camera"], config.camera_share * play(said))
    if config.camera_habit:
        steady = steadied((config.temperature * camera).numpy(), model.habits.cpu().numpy(), config.camera_habit)
        camera = (torch.from_numpy(steady) / config.temperature).log_softmax(-1)
    return buttons, camera


def play(said: Opinions) -> torch.Tensor:
    """How likely it is that no menu is open, (T, 1)."""
    return torch.sigmoid(-said["menu"])


@torch.inference_mode()
def opinions(
    model: InverseDynamicsModel,
    frames: np.ndarray,
    length: int = LENGTH,
    stride: int = STRIDE,
    maps: np.ndarray | None = None,
) -> Opinions:
    """All that the heads say about each frame, none weighed: "buttons", "camera", "second_buttons" and so on if any.
    Beside maps that were computed ahead, frames are at half size."""
    if len(frames) == 0:
        raise ValueError("expected at least one frame to label, got none")
    is_small = model.config.front == "motion"
    with one_thread(is_small):
        if maps is not None:
            inputs = [frames, maps]
        else:
            inputs = [half_size(frames), episode_maps(frames)] if is_small else [frames]  # once, though windows overlap
        straight = _opinions(model, inputs, length, stride)
        if not model.config.both_ways:
            return straight
        mirrored = [inputs[0][:, :, ::-1], *map(mirrored_maps, inputs[1:])]
        turned = _turned_round(_opinions(model, mirrored, length, stride), model.config.schema)
    return mean_said([straight, turned])


def _turned_round(said: Opinions, schema: ActionSchema) -> Opinions:
    """What was said of the mirrored picture, of the picture itself."""
    order, signs = mirror_of(schema)

    def turned(camera: torch.Tensor) -> torch.Tensor:
        axes = [camera[:, axis].flip(-1) if sign < 0 else camera[:, axis] for axis, sign in enumerate(signs)]
        return torch.stack(axes, dim=1)

    def of(name: str, one: torch.Tensor) -> torch.Tensor:
        return turned(one) if name.endswith("camera") else one[:, order] if name.endswith("buttons") else one

    return {name: of(name, one) for name, one in said.items()}


def _opinions(model: InverseDynamicsModel, inputs: list[np.ndarray], length: int, stride: int) -> Opinions:
    """Of frames (T, ...), and their maps if the model has some."""
    device = next(model.parameters()).device
    names = ["buttons", "camera"] + ["second_buttons", "second_camera", "menu"] * (model.config.opinion_width > 0)
    parts: dict[str, list[torch.Tensor]] = {name: [] for name in names}
    found = windows(len(inputs[0]), length, stride)
    for first in range(0, len(found), WINDOWS_PER_BATCH):
        chunk = found[first : first + WINDOWS_PER_BATCH]  # all windows of one clip are equally long
        stacks = (np.stack([rows[w.start : w.stop] for w in chunk]) for rows in inputs)
        log_probs = model(*(torch.from_numpy(stack).to(device) for stack in stacks))
        for i, w in enumerate(chunk):
            for name, kept in parts.items():
                kept.append(log_probs[name][i, w.keep_start - w.start : w.keep_stop - w.start].float().cpu())
    return {name: torch.cat(kept) for name, kept in parts.items()}


def chosen_buttons(buttons: torch.Tensor, config: IDMConfig) -> np.ndarray:
    """The labels bool (T, 20) of one episode, from log-probabilities (T, 20, 2). No temperature changes them.

    With a `change_price`, of `MANY` buttons that replace each other the likeliest is pressed where one of them is
    likelier than none: that a slot of a hotbar was chosen is learnt sooner than which.
    """
    log_odds = ((buttons[..., 1] - buttons[..., 0]) * config.temperature).numpy()
    pressed = best_path(log_odds, config.change_price)
    for group in config.schema.groups:
        if group.conflict == "last" and len(group.buttons) >= MANY and config.change_price:
            columns = np.array([config.schema.buttons.index(button) for button in group.buttons])
            odds = np.exp(log_odds[:, columns])
            missed = np.flatnonzero((odds.sum(1) > 1) & ~pressed[:, columns].any(1))
            pressed[missed, columns[odds[missed].argmax(1)]] = True
    return pressed


def _decode(
    buttons: torch.Tensor, camera: torch.Tensor, config: IDMConfig
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Log-probabilities (t, 20, 2) and (t, 2, 11) to buttons, camera, expected camera and confidence."""
    schema = config.schema
    pressed, best_bin = chosen_buttons(buttons, config), camera.max(-1)
    of_pressed = buttons.gather(-1, torch.from_numpy(pressed).long()[..., None])[..., 0]
    confidence = (of_pressed.sum(-1) + best_bin.values.sum(-1)).exp()
    chosen = bins_to_camera(best_bin.indices.numpy(), schema)
    expected = camera.exp().numpy() @ bin_centres(schema)
    return pressed, chosen.astype(np.float32), expected.astype(np.float32), confidence.numpy()
