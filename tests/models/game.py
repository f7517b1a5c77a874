"""A small "game" rendered with numpy, whose camera motion and keys can be read off the picture, and its recordings.

The world is a smooth random texture. The mouse turns the view (the picture shifts), a key lights a lamp while it is
held, so that a tiny model can learn both in seconds. Line i of a recording holds the action that leads from frame i to
frame i + 1, as in OpenAI's contractor data.
"""

import json
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import torch
from torch.nn import functional as F

from models.actions import BUTTONS
from models.dataset import Episode

WIDTH, HEIGHT = 640, 360
KEYS = {"forward": "key.keyboard.w", "jump": "key.keyboard.space", "left": "key.keyboard.a"}
LAMPS = {"forward": (20, 20), "jump": (300, 20), "left": (580, 20)}
PIXELS_PER_DEGREE = 10


def line(**changes: Any) -> dict[str, Any]:
    """One action line in OpenAI's format: nothing pressed, nothing moved, except `changes`."""
    mouse = {"x": 640.0, "y": 360.0, "dx": 0.0, "dy": 0.0, "dwheel": 0.0, "buttons": [], "newButtons": []}
    keyboard: dict[str, Any] = {"keys": [], "newKeys": [], "chars": ""}
    value: dict[str, Any] = {"mouse": mouse, "keyboard": keyboard, "isGuiOpen": False, "hotbar": 0, "tick": 0}
    for name, change in changes.items():
        if name in mouse:
            mouse[name] = change
        elif name == "keys":
            keyboard["keys"] = change
        else:
            value[name] = change
    return value


def textured(height: int, width: int, seed: int = 0) -> torch.Tensor:
    """A smooth random picture (1, 3, height, width) in 0..1."""
    generator = torch.Generator().manual_seed(seed)
    noise = torch.rand(1, 3, height // 2, width // 2, generator=generator)
    return F.interpolate(noise, size=(height, width), mode="bilinear")


def played(length: int, seed: int = 0) -> torch.Tensor:
    """Frames uint8 (1, length, 128, 128, 3) of a textured picture that moves 4 pixels to the left at each step."""
    picture = (textured(128, 128, seed)[0].permute(1, 2, 0) * 255).to(torch.uint8)
    return torch.stack([torch.roll(picture, -4 * i, dims=1) for i in range(length)])[None]


def play(length: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A random script: buttons bool (length, 20) held for a while, mouse motion in whole pixels (length, 2) dy, dx."""
    rng = np.random.default_rng(seed)
    buttons = np.zeros((length, len(BUTTONS)), dtype=bool)
    mouse = np.zeros((length, 2))
    for name in KEYS:
        t = int(rng.integers(10))
        while t < length:
            held = int(rng.integers(4, 12))
            buttons[t : t + held, BUTTONS.index(name)] = True
            t += held + int(rng.integers(6, 20))
    t = 0
    while t < length:
        run = int(rng.integers(4, 10))
        mouse[t : t + run] = rng.choice([-40, -20, -8, 0, 0, 8, 20, 40], size=2) * [0.5, 1.0]
        t += run
    return buttons, mouse


def render(buttons: np.ndarray, mouse: np.ndarray, seed: int) -> np.ndarray:
    """Frames uint8 (T, 360, 640, 3) of a script."""
    noise = np.random.default_rng(seed + 1000).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    texture = cv2.resize(np.tile(noise, (2, 2, 1)), (2048, 2048), interpolation=cv2.INTER_CUBIC)
    turned = np.vstack([np.zeros(2), np.cumsum(mouse * 0.15 * PIXELS_PER_DEGREE, axis=0)[:-1]]).astype(int)
    frames = np.empty((len(mouse), HEIGHT, WIDTH, 3), dtype=np.uint8)
    for t, (down, right) in enumerate(turned):
        rows, columns = np.arange(down, down + HEIGHT) % 1024, np.arange(right, right + WIDTH) % 1024
        frames[t] = texture[rows][:, columns]
        for name, (x, y) in LAMPS.items():
            frames[t, y : y + 40, x : x + 40] = 255 if buttons[t, BUTTONS.index(name)] else 0
    return frames


def episode(world: str, length: int, seed: int) -> Episode:
    """A played and rendered episode, resized, without a detour by files."""
    buttons, mouse = play(length, seed)
    frames = np.stack([cv2.resize(f, (128, 128), interpolation=cv2.INTER_LINEAR) for f in render(buttons, mouse, seed)])
    return Episode(f"{world}-{seed}", world, frames, buttons, mouse * 0.15, np.ones(length, dtype=np.float32))


def write_mp4(path: Path, frames: np.ndarray, fps: int = 20) -> None:
    """Encode frames (T, H, W, 3) as H.264."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=fps, options={"crf": "16", "preset": "ultrafast"})
        stream.height, stream.width, stream.pix_fmt = frames.shape[1], frames.shape[2], "yuv420p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))


def write_jsonl(path: Path, lines: list[Any]) -> None:
    """One line each; a str is written as it is."""
    path.write_text("\n".join(item if isinstance(item, str) else json.dumps(item) for item in lines) + "\n\n")


def write_recording(directory: Path, name: str, length: int, seed: int) -> None:
    """`NAME.mp4` + `NAME.jsonl` of a random script."""
    buttons, mouse = play(length, seed)
    write_mp4(directory / f"{name}.mp4", render(buttons, mouse, seed))
    names = [[KEYS[b] for b in KEYS if row[BUTTONS.index(b)]] for row in buttons]
    lines = [line(keys=keys, dy=float(dy), dx=float(dx)) for keys, (dy, dx) in zip(names, mouse, strict=True)]
    write_jsonl(directory / f"{name}.jsonl", lines)
