"""Fixed motion maps: how did the picture move between frame t and frame t+1, apart from the turn of the camera?

The action of frame t shows in the change to frame t+1. The released model must learn to match patches between frames
from labels alone, which takes very many of them. Here the matching is built in: `models/ego_motion.py` finds the
camera's turn, `models/floor.py` makes it better, frame t+1 is turned back by it, and what still moves or differs is the
player's steps, what he does, and where the turn was found wrong:

- dense optical flow (OpenCV's DIS, Kroeger et al. 2016) from frame t to the turned-back frame, both ways, and how far
  the two disagree; small motion that a turn of many pixels would have hidden;
- how badly each cell fits, with and without the turn;
- the difference of the two pictures;
- the turns themselves, as numbers, the flow that is left as that of a plane (`models/plane_flow.py`), which way the
  camera may have moved (`models/translation.py`), how the flow compares with that of the two pairs before
  (`models/flow_change.py`), turn and step together, as over a floor and past a wall, what changes in the hotbar
  (`models/hotbar.py`), and how much of the picture changes at all (`models/stillness.py`).

The maps hold no parameters, so they need no backward pass, can be computed once for a whole training, and cannot
overfit to a few worlds.

Shapes: B batch, T time, L frames of an episode, G = 16 cells per side, M = 31 maps. Finer maps are folded: a map of
2G x 2G is four of G x G, the parts of each cell.
"""

import cv2
import numpy as np
import torch
from torch import Tensor

from models import ego_motion, floor, flow_change, hotbar, plane_flow, stillness, translation
from models.view import SIDE, VIEWS, Image

GRID = 16
HALF = SIDE // 2
"""Pixels per side of the pictures that are seen beside the maps."""
FLOW_FOLD, STEP_FOLD = plane_flow.SIDE // GRID, 4
"""Parts of a cell per side, of the flow and of the difference."""
FLOW_UNIT_PX = 2.0
"""Pixels of optical flow that count as 1."""
DISAGREEMENT_PX = 8.0
"""Forward and backward flow may differ by more; it says no more."""
STEP_UNIT = 64.0
"""Grey levels of difference that count as 1."""
MISFIT_SOFTNESS = 6.0
"""Grey levels of even contrast that count as half unexplained."""

FLOW = slice(0, 3 * FLOW_FOLD**2)
"""The maps of optical flow: right, down, disagreement."""
MISFIT = slice(FLOW.stop, FLOW.stop + 2)
"""What is unexplained: after the turn, without it."""
STEP = slice(MISFIT.stop, MISFIT.stop + STEP_FOLD**2)
"""The difference of the turned-back picture."""
TURNS = STEP.stop
"""The map whose first places are `EgoMotion.numbers`, those of `plane_flow`, `translation`, `flow_change`,
`floor`, `hotbar` and `stillness`."""
PLANE_FROM = ego_motion.NUMBERS
TRANSLATION_FROM = PLANE_FROM + plane_flow.PLANE_NUMBERS
CHANGE_FROM = TRANSLATION_FROM + translation.NUMBERS
FLOOR_FROM = CHANGE_FROM + flow_change.NUMBERS
HOTBAR_FROM = FLOOR_FROM + floor.NUMBERS
STILLNESS_FROM = HOTBAR_FROM + hotbar.NUMBERS
NUMBERS = STILLNESS_FROM + stillness.NUMBERS
MAPS = TURNS + 1
EDITION = 4
"""Raised whenever the same frames get other maps: weights know one edition, and loading refuses another."""
ANSWERS = floor.ANSWERS + ego_motion.ANSWERS
"""Turns that the numbers tell."""


def episode_maps(frames: np.ndarray) -> np.ndarray:
    """The maps of a whole episode: uint8 (L, 128, 128, 3) -> float16 (L, M, G, G), of which windows may be cut.

    Zero for the last frame: nothing is known of what follows.
    """
    maps = np.zeros((len(frames), MAPS, GRID, GRID), dtype=np.float16)
    flows = np.zeros((len(frames), plane_flow.SIDE, plane_flow.SIDE, 3), dtype=np.float32)
    solver = cv2.DISOpticalFlow.create(cv2.DISOPTICAL_FLOW_PRESET_MEDIUM)
    for row, flow, (pair, motion) in zip(maps, flows, ego_motion.ego_motions(frames), strict=False):
        moved = floor.walk_motion(pair, motion.tilt, [turn.numbers for turn in motion.turns])
        turn, grey = moved.turn, pair.before.grey
        back = VIEWS[SIDE].turned_back(pair.after.grey, turn)
        flow[:] = cells(_flow_both_ways(solver, grey, back), FLOW_FOLD)
        row[FLOW] = fold(flow, FLOW_FOLD)
        found = [pair.misfit_map(t, SIDE, MISFIT_SOFTNESS) for t in (turn, np.eye(3))]
        row[MISFIT] = fold(np.dstack([unexplained * (weight > 0) for unexplained, weight in found]), 1)
        row[STEP] = fold((back.astype(np.float32) - grey) / STEP_UNIT, STEP_FOLD)
        ways = translation.translation(FLOW_UNIT_PX * cells(flow, 1), motion.tilt)
        row[TURNS].flat[FLOOR_FROM:HOTBAR_FROM] = moved.numbers
        row[TURNS].flat[:CHANGE_FROM] = np.concatenate([motion.numbers, plane_flow.plane_flow(flow), ways])
    told = maps[:-1, TURNS].reshape(-1, GRID * GRID)
    told[:, CHANGE_FROM:FLOOR_FROM] = flow_change.flow_change(FLOW_UNIT_PX * flows[:-1])
    told[:, HOTBAR_FROM:STILLNESS_FROM] = hotbar.hotbar(frames)
    told[:, STILLNESS_FROM:NUMBERS] = stillness.changed(frames)
    return maps


@torch.no_grad()
def motion_maps(frames: Tensor) -> Tensor:
    """The maps of windows: uint8 (B, T, 128, 128, 3) -> float16 (B, T, M, G, G).

    Those of an episode, cut, are a little better: all of it says how far the view looks down.
    """
    found = np.stack([episode_maps(window) for window in frames.cpu().numpy()])
    return torch.from_numpy(found).to(frames.device)


def seen(frames: Tensor) -> tuple[Tensor, Tensor]:
    """What the front end sees of windows uint8 (B, T, 128, 128, 3): the pictures at half size, and the maps."""
    return torch.from_numpy(half_size(frames.cpu().numpy())).to(frames.device), motion_maps(frames)


def half_size(frames: np.ndarray) -> np.ndarray:
    """The pictures that are seen beside the maps: uint8 (..., 128, 128, 3) -> (..., 64, 64, 3), means of 2x2 pixels."""
    rows = frames[..., ::2, :, :].astype(np.uint16) + frames[..., 1::2, :, :]
    return ((rows[..., ::2, :] + rows[..., 1::2, :] + 2) // 4).astype(np.uint8)


def numbers_of(maps: Tensor) -> Tensor:
    """All that the maps tell as numbers: (B, T, M, G, G) -> (B, T, NUMBERS)."""
    return maps[:, :, TURNS].flatten(2)[..., :NUMBERS]


def cells(image: Image, parts: int) -> Image:
    """The means of an image's cells: (H, W[, C]) -> (parts * G, parts * G[, C])."""
    return cv2.resize(image, (GRID * parts, GRID * parts), interpolation=cv2.INTER_AREA)


def fold(image: Image, parts: int) -> np.ndarray:
    """The same, each of parts x parts to a map of its own: (H, W[, C]) -> (C * parts^2, G, G)."""
    small = cells(image, parts).reshape(GRID, parts, GRID, parts, -1)
    return small.transpose(4, 1, 3, 0, 2).reshape(-1, GRID, GRID)


def _flow_both_ways(solver: cv2.DISOpticalFlow, before: Image, after: Image) -> Image:
    """(H, W, 3): flow right and down, disagreement, in units of `FLOW_UNIT_PX`."""
    forward, backward = (solver.calc(*pair, None) for pair in ((before, after), (after, before)))  # type: ignore[call-overload]
    rows, columns = np.indices(before.shape, dtype=np.float32)
    there = cv2.remap(backward, columns + forward[..., 0], rows + forward[..., 1], cv2.INTER_LINEAR)
    apart = np.abs(forward + there).sum(-1).clip(max=DISAGREEMENT_PX)
    return np.dstack([(forward - there) / 2, apart]) / FLOW_UNIT_PX


def mirrored_maps(maps: np.ndarray) -> np.ndarray:
    """The maps (..., M, G, G) of the picture mirrored left to right, a new array."""
    turned, around = maps.copy(), maps.shape[:-3]
    for part, parts in ((FLOW, FLOW_FOLD), (MISFIT, 1), (STEP, STEP_FOLD)):
        folded = maps[..., part, :, :]
        cells = folded.reshape(*around, folded.shape[-3] // parts**2, parts, parts, GRID, GRID)
        turned[..., part, :, :] = cells[..., ::-1, :, ::-1].reshape(folded.shape)
    turned[..., : FLOW_FOLD**2, :, :] *= -1  # right becomes left
    told = maps[..., TURNS, :, :].reshape(*around, GRID * GRID)[..., _ORDER_MIRRORED] * _SIGNS_MIRRORED
    turned[..., TURNS, :, :] = told.reshape(*around, GRID, GRID)
    return turned


_ORDER_MIRRORED = np.arange(GRID * GRID)
_ORDER_MIRRORED[TRANSLATION_FROM:CHANGE_FROM] = [TRANSLATION_FROM + number for number in translation.ORDER_MIRRORED]
_ORDER_MIRRORED[CHANGE_FROM:FLOOR_FROM] = [CHANGE_FROM + number for number in flow_change.ORDER_MIRRORED]
_ORDER_MIRRORED[HOTBAR_FROM:STILLNESS_FROM] = [HOTBAR_FROM + number for number in hotbar.ORDER_MIRRORED]
_SIGNS_MIRRORED = np.ones(GRID * GRID, np.float16)
for _start, _signed in (
    (0, ego_motion.TURNED_BY_MIRROR),
    (PLANE_FROM, plane_flow.TURNED_BY_MIRROR),
    (TRANSLATION_FROM, translation.TURNED_BY_MIRROR),
    (FLOOR_FROM, floor.TURNED_BY_MIRROR),
):
    _SIGNS_MIRRORED[[_start + number for number in _signed]] = -1
