"""The frozen network: the right weights, no state, and features that see small things in corners."""

import hashlib

import numpy as np
import pytest

from models import embedding
from models.embedding import EfficientNetLite0, load_embedder


@pytest.fixture(scope="module")
def embedder() -> EfficientNetLite0:
    return EfficientNetLite0()


def picture(seed: int, size: tuple[int, int] = (64, 112)) -> np.ndarray:
    rng = np.random.default_rng(seed)
    return np.kron(rng.integers(0, 255, (size[0] // 8, size[1] // 8, 3)), np.ones((8, 8, 1))).astype(np.uint8)


def test_maps_do_not_depend_on_neighbours_or_order(embedder: EfficientNetLite0) -> None:
    images = [picture(seed) for seed in range(3)]
    together, alone = embedder.embed(np.stack(images)), embedder.embed(images[1:2])
    assert together.shape == (3, *embedder.shape)
    assert together.dtype == np.float16
    np.testing.assert_allclose(together[1].astype(float), alone[0].astype(float), atol=2e-2)
    assert np.array_equal(embedder.embed(images), embedder.embed(images))


def test_images_of_different_sizes_are_taken(embedder: EfficientNetLite0) -> None:
    assert embedder.embed([picture(0), picture(1, (128, 160))]).shape == (2, *embedder.shape)
    assert embedder.embed([]).shape == (0, *embedder.shape)


def test_a_corner_mark_changes_its_own_cells_most(embedder: EfficientNetLite0) -> None:
    plain = np.full((256, 448, 3), 120, np.uint8)
    marked = plain.copy()
    marked[8:24, 16:64] = (255, 0, 0)
    cells = np.abs(embedder.embed([marked])[0].astype(float) - embedder.embed([plain])[0]).sum(axis=2)
    row, column = np.unravel_index(cells.argmax(), cells.shape)
    assert row <= 2
    assert column <= 4
    assert cells[:4, :6].mean() > 3 * cells[8:, 14:].mean()


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
