"""Augmentation of training clips: colour and geometry, one draw per clip (VPT, appendix D).

One draw for all frames of a clip, because the IDM reads motion *between* frames: a new draw per frame would look like
camera motion. For the same reason a clip is never mirrored here: that would have to swap left and right in its labels.

Colour is one affine map of RGB per clip, applied together with its rounding only once: hue turns the colour plane of
YIQ, saturation scales it, contrast scales around the clip's mean luminance, brightness scales everything.
"""

from dataclasses import dataclass

import cv2
import numpy as np

_TO_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])


@dataclass(frozen=True, kw_only=True)
class AugmentConfig:
    """Ranges of the draw. The defaults are the paper's; 0 switches a part off."""

    hue: float = 0.2
    """Largest hue shift, in turns of the colour wheel."""
    saturation: float = 0.2
    """Saturation factor, drawn from 1 - value to 1 + value."""
    brightness: float = 0.2
    """Brightness factor, as for saturation."""
    contrast: float = 0.2
    """Contrast factor, as for saturation."""
    rotate_deg: float = 2.0
    """Largest rotation, in degrees."""
    scale: float = 0.02
    """Scale factor, drawn from 1 - value to 1 + value."""
    shear_deg: float = 2.0
    """Largest horizontal shear, in degrees."""
    translate_px: float = 2.0
    """Largest shift along each axis, in pixels of the 128x128 frame."""
    clip: int | None = None
    """Frames that share a draw, where a training window holds several clips; None for the whole window."""

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if name != "clip" and value < 0:
                raise ValueError(f"augmentation {name} is the width of a range, expected 0 or more, got {value}")
        if self.clip is not None and self.clip < 1:
            raise ValueError(f"augmentation clip is a number of frames, expected 1 or more, got {self.clip}")
        for name in ("saturation", "brightness", "contrast", "scale"):
            if getattr(self, name) >= 1:
                raise ValueError(f"augmentation {name} must stay below 1, got {getattr(self, name)}")

    @property
    def moves_pixels(self) -> bool:
        """Is there any geometry in it?"""
        return any((self.rotate_deg, self.scale, self.shear_deg, self.translate_px))


@dataclass(frozen=True)
class Augmentation:
    """One draw, to be applied to all frames of a clip."""

    hue: float
    saturation: float
    brightness: float
    contrast: float
    rotate_deg: float
    scale: float
    shear_deg: float
    translate_px: tuple[float, float]


def draw(config: AugmentConfig, rng: np.random.Generator) -> Augmentation:
    """Draw one augmentation; uniform in every range."""

    def spread(width: float) -> float:
        return float(rng.uniform(-width, width))

    return Augmentation(
        hue=spread(config.hue),
        saturation=1 + spread(config.saturation),
        brightness=1 + spread(config.brightness),
        contrast=1 + spread(config.contrast),
        rotate_deg=spread(config.rotate_deg),
        scale=1 + spread(config.scale),
        shear_deg=spread(config.shear_deg),
        translate_px=(spread(config.translate_px), spread(config.translate_px)),
    )


def colour_matrix(augmentation: Augmentation, mean_luminance: float) -> np.ndarray:
    """(3, 4) affine map of RGB values 0..255."""
    turn = 2 * np.pi * augmentation.hue
    plane = augmentation.saturation * np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]])
    in_yiq = np.eye(3)
    in_yiq[1:, 1:] = plane
    linear = np.linalg.inv(_TO_YIQ) @ in_yiq @ _TO_YIQ
    offset = (1 - augmentation.contrast) * mean_luminance * augmentation.brightness
    return np.hstack([linear * augmentation.contrast * augmentation.brightness, np.full((3, 1), offset)])


def geometry_matrix(augmentation: Augmentation, size_px: int) -> np.ndarray:
    """(2, 3) affine map of pixel positions (x, y) about the centre of a square frame."""
    angle, shear = np.deg2rad(augmentation.rotate_deg), np.tan(np.deg2rad(augmentation.shear_deg))
    rotation = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    linear = augmentation.scale * rotation @ np.array([[1.0, shear], [0.0, 1.0]])
    centre = np.full(2, (size_px - 1) / 2)
    offset = centre - linear @ centre + np.array(augmentation.translate_px)
    return np.hstack([linear, offset[:, None]])


def apply(frames: np.ndarray, augmentation: Augmentation) -> np.ndarray:
    """Augment a clip uint8 (T, S, S, 3); a new array of the same shape."""
    rows = frames.reshape(-1, *frames.shape[2:])  # all frames below one another, one call for all
    luminance = float(cv2.mean(rows)[:3] @ _TO_YIQ[0])
    geometry = geometry_matrix(augmentation, frames.shape[1])
    if not np.array_equal(geometry, np.eye(2, 3)):
        rows = np.concatenate([_moved(frame, geometry) for frame in frames])
    return cv2.transform(rows, colour_matrix(augmentation, luminance)).reshape(frames.shape)


def _moved(frame: np.ndarray, geometry: np.ndarray) -> np.ndarray:
    size = (frame.shape[1], frame.shape[0])
    return cv2.warpAffine(frame, geometry, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def augment_batch(frames: np.ndarray, config: AugmentConfig | None, seed: int, step: int) -> np.ndarray:
    """Augment a batch (B, T, S, S, 3), one draw per clip; the draws depend on (seed, step) alone. None: unchanged."""
    if config is None:
        return frames
    rng, result = np.random.default_rng([seed, step]), np.empty_like(frames)
    length = config.clip or frames.shape[1]
    for window, augmented in zip(frames, result, strict=True):
        for start in range(0, len(window), length):
            rows = slice(start, start + length)
            augmented[rows] = apply(window[rows], draw(config, rng))
    return result
