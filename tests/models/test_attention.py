"""Who sees whom, and the attention's arithmetic against the written formula."""

import math

import torch

from models.attention import BlockState, SelfAttention, Transformer, visibility


def test_visibility_is_a_band_of_maxlen_frames() -> None:
    """Memory of 3, two frames remembered: frame 0 sees them and itself, frame 2 itself and two before."""
    past = torch.tensor([[False, True, True]])
    seen = visibility(torch.zeros(1, 3, dtype=torch.bool), past)
    assert seen.mask[0].int().tolist() == [[0, 1, 1, 1, 0, 0], [0, 0, 1, 1, 1, 0], [0, 0, 0, 1, 1, 1]]
    assert seen.distance[2, 3:].tolist() == [2, 1, 0]
    assert seen.carried.tolist() == [[True, True, True]]


def test_an_episode_start_hides_what_was_before_also_from_the_next_chunk() -> None:
    past = torch.ones(2, 4, dtype=torch.bool)
    seen = visibility(torch.tensor([[True, False], [False, True]]), past)
    assert seen.mask.int().tolist() == [
        [[0, 0, 0, 0, 1, 0], [0, 0, 0, 0, 1, 1]],
        [[0, 1, 1, 1, 1, 0], [0, 0, 0, 0, 0, 1]],
    ]
    assert seen.carried.int().tolist() == [[0, 0, 1, 1], [0, 0, 0, 1]]


def test_attention_follows_the_formula() -> None:
    """softmax(q.k / head width + r.b[distance]) v, by a loop over heads and frames; residual around the input."""
    torch.manual_seed(0)
    width, heads, maxlen, length = 8, 2, 3, 4
    attention = SelfAttention(width, heads, maxlen, init_scale=1.0)
    x = torch.randn(1, length, width)
    empty = torch.zeros(1, maxlen, width)
    state = BlockState(torch.zeros(1, maxlen, dtype=torch.bool), empty, empty)
    with torch.no_grad():
        got, after = attention(x, state, visibility(torch.zeros(1, length, dtype=torch.bool), state.mask))
        q, k, v, r = (
            layer(x)[0] for layer in (attention.q_layer, attention.k_layer, attention.v_layer, attention.r_layer)
        )
        mixed = torch.zeros(length, width)
        for head in range(heads):
            part, basis = slice(head * 4, head * 4 + 4), slice(head * 10, head * 10 + 10)
            for t in range(length):
                near = range(max(0, t - maxlen + 1), t + 1)
                logits = [q[t, part] @ k[s, part] / 4 + r[t, basis] @ attention.b_nd[:, t - s] for s in near]
                weights = torch.stack(logits).softmax(0)
                mixed[t, part] = sum(w * v[s, part] for w, s in zip(weights, near, strict=True))
        expected = x[0] + attention.proj_layer(mixed)
    torch.testing.assert_close(got[0], expected)
    torch.testing.assert_close(after.keys[0], k[-maxlen:])


def test_a_block_adds_to_the_normalised_input() -> None:
    """No outer skip: with attention and MLP silenced, a block is its LayerNorm."""
    transformer = Transformer(layers=1, hidsize=6, heads=2, maxlen=0, pointwise_ratio=2)
    block = transformer.blocks[0]
    for layer in (block.r.orc_block.proj_layer, block.mlp1.layer):
        torch.nn.init.zeros_(layer.weight)
    x = 5 + 3 * torch.randn(2, 3, 6)
    with torch.no_grad():
        torch.testing.assert_close(transformer(x), torch.layer_norm(x, (6,)))


def test_the_muP_scale_makes_new_attention_nearly_even() -> None:
    """Logits are divided by the head width, not by its root: they start at the order of 1/sqrt(width)."""
    torch.manual_seed(0)
    attention = SelfAttention(64, 1, 0, init_scale=1.0)
    x = torch.randn(1, 50, 64)
    with torch.no_grad():
        logits = attention.q_layer(x) @ attention.k_layer(x).transpose(1, 2) / 64
    assert logits.std() < 2 / math.sqrt(64)


def test_in_a_long_window_a_frame_sees_half_a_span_each_way() -> None:
    torch.manual_seed(0)
    near = Transformer(layers=1, hidsize=6, heads=2, maxlen=0, pointwise_ratio=2, mask_style="none", span=4)
    everywhere = Transformer(layers=1, hidsize=6, heads=2, maxlen=0, pointwise_ratio=2, mask_style="none")
    everywhere.load_state_dict(near.state_dict())
    x = torch.randn(1, 9, 6)
    changed = x.clone()
    changed[0, 8] = torch.randn(6)  # a shift of all six would vanish in the norm
    moved = (near(changed) - near(x)).abs().amax(-1)[0] > 1e-7
    assert moved.tolist() == [False] * 6 + [True] * 3
    assert ((everywhere(changed) - everywhere(x)).abs().amax(-1) > 1e-7).all()
    torch.testing.assert_close(near(x[:, :4]), everywhere(x[:, :4]))
