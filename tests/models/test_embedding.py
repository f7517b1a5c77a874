"""The frozen network: the right weights, no state, and features that see small things in corners."""

import hashlib

import numpy as np
import pytest
import torch

from models import embedding
from models.embedding import EfficientNetLite0, grid_means, load_embedder


@pytest.fixture(scope="module")
def embedder() -> EfficientNetLite0:
    return EfficientNetLite0()


def picture(seed: int, size: tuple[int, int] = (64, 112)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.kron(rng.integers(0, 255, (size[0] // 8, size[1] // 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)


def test_features_do_not_depend_on_neighbours_or_order(embedder: EfficientNetLite0) -> None:
    images = [picture(seed) for seed in range(3)]
    together, alone = embedder.embed(np.stack(images)), embedder.embed(images[1:2])
    assert together.shape == (3, embedder.dim)
    assert together.dtype == np.float32
    np.testing.assert_allclose(together[1], alone[0], atol=1e-4)
    assert np.array_equal(embedder.embed(images), embedder.embed(images))


def test_images_of_different_sizes_are_taken(embedder: EfficientNetLite0) -> None:
    assert embedder.embed([picture(0), picture(1, (128, 160))]).shape == (2, embedder.dim)
    assert embedder.embed([]).shape == (0, embedder.dim)


def test_a_corner_mark_changes_its_own_cell_most(embedder: EfficientNetLite0) -> None:
    plain = np.full((224, 224, 3), 120, np.uint8)
    marked = plain.copy()
    marked[4:24, 4:50] = (255, 0, 0)
    cells = np.abs(embedder.embed([marked]) - embedder.embed([plain])).reshape(-1, embedding.GRID**2).sum(0)
    assert cells.argmax() == 0
    assert cells[0] > 3 * cells[-1]


def test_grid_means_follow_rows_and_columns() -> None:
    x = torch.arange(16.0).reshape(1, 1, 4, 4)
    assert grid_means(x, 2).tolist() == [[2.5, 4.5, 10.5, 12.5]]


def test_other_weights_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedding, "LITE0_SHA256", hashlib.sha256(b"other").hexdigest())
    with pytest.raises(ValueError, match=r"expected .*\.pth with sha256"):
        EfficientNetLite0()


def test_unknown_and_uninstalled_embedders_are_named() -> None:
    with pytest.raises(ValueError, match="there are efficientnet-lite0 and clip-rn50x64"):
        load_embedder("resnet")
    with pytest.raises(ValueError, match="pip install open_clip_torch"):
        load_embedder("clip-rn50x64")


def test_wrong_images_are_refused(embedder: EfficientNetLite0) -> None:
    with pytest.raises(ValueError, match="uint8 RGB"):
        embedder.embed(np.zeros((2, 64, 64, 3), np.float32))
