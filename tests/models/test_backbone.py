"""The bricks of the image encoder."""

import math

import pytest
import torch
from torch import nn

from models.backbone import CategoricalHead, ImpalaCNN, NormLayer, conv3x3, pixels, scale_rows


@pytest.mark.parametrize("layer", [nn.Linear(5, 7), nn.Conv2d(3, 7, 3), nn.Conv3d(3, 7, (5, 1, 1))])
def test_rows_start_at_the_asked_norm(layer: nn.Linear | nn.Conv2d | nn.Conv3d) -> None:
    scale_rows(layer, 1.4)
    torch.testing.assert_close(layer.weight.flatten(1).norm(dim=1), torch.full((7,), 1.4))
    assert layer.bias is not None
    assert not layer.bias.any()


def test_the_norm_comes_before_the_layer_and_relu_last() -> None:
    """Input scaled a thousandfold gives the same output; nothing is negative."""
    torch.manual_seed(0)
    layer, x = conv3x3(4, 6), torch.randn(2, 4, 8, 8)
    torch.testing.assert_close(layer(1000 * x), layer(x), rtol=1e-3, atol=1e-3)
    assert layer(x).min() == 0
    assert layer.layer.bias is None
    unnormed = NormLayer(nn.Linear(4, 4), relu=False)
    torch.testing.assert_close(unnormed(2 * x.flatten(0, 2)[:, :4]), 2 * unnormed(x.flatten(0, 2)[:, :4]))


def test_each_stack_halves_the_picture() -> None:
    """The paper's 131,072-wide flatten: 512 channels of 16x16."""
    with torch.device("meta"):
        cnn = ImpalaCNN(128, (256, 512, 512), side=128, first_norm=True)
    assert cnn.dense.layer.weight.shape == (256, 131072)
    small = ImpalaCNN(3, (2, 4), side=16, first_norm=False)
    assert small(torch.rand(5, 3, 16, 16)).shape == (5, 256)


def test_temperature_divides_the_logits_also_in_half_precision() -> None:
    torch.manual_seed(0)
    cold, warm = CategoricalHead(8, (3, 4), 1.0), CategoricalHead(8, (3, 4), 2.0)
    warm.load_state_dict(cold.state_dict())
    nn.init.normal_(cold.linear_layer.weight)
    warm.linear_layer.weight = cold.linear_layer.weight
    latent = torch.randn(2, 5, 8)
    expected = torch.log_softmax(cold(latent) / 2, dim=-1)
    torch.testing.assert_close(warm(latent), expected)
    half = cold.to(torch.bfloat16)(latent.to(torch.bfloat16))
    assert half.dtype == torch.float32
    torch.testing.assert_close(half.exp().sum(-1), torch.ones(2, 5, 3))


def test_a_new_head_is_nearly_uniform() -> None:
    head = CategoricalHead(512, (11,), 1.0)
    assert (head(torch.randn(1, 4, 512)) + math.log(11)).abs().max() < 0.1


def test_pixels_are_scaled_and_channels_first() -> None:
    frames = torch.zeros(1, 2, 4, 4, 3, dtype=torch.uint8)
    frames[0, 1, 2, 3] = torch.tensor([255, 0, 51], dtype=torch.uint8)
    got = pixels(frames)
    assert got.shape == (2, 3, 4, 4)
    torch.testing.assert_close(got[1, :, 2, 3], torch.tensor([1.0, 0.0, 0.2]))
