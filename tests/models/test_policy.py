"""The policy: the released numbers, causality, memory across chunks, episode starts."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch

from models import recipes
from models.action_schema import ActionSchema, ButtonGroup, CameraSpec
from models.actions import camera_is_used
from models.convert import convert
from models.policy import Policy, PolicyConfig, joint_log_prob
from tests.models.golden import golden_numbers, golden_path
from tests.models.test_idm import frames

SMALL = ActionSchema(
    name="small",
    buttons=("a", "b", "c", "d", "e", "f"),
    keys=(),
    mouse_buttons=(),
    camera=CameraSpec(degrees_per_pixel=0.1, bins=3, maxval_degrees=10.0, mu=10.0),
    groups=(ButtonGroup("two", ("a", "b"), "last"), ButtonGroup("four", ("c", "d", "e", "f"), "last")),
    alone=(),
)
"""30 joint button actions and 9 of the camera."""
TINY = PolicyConfig(
    hidsize=16,
    attention_heads=2,
    attention_memory_size=12,
    timesteps=6,
    n_recurrence_layers=2,
    impala_chans=(2, 2, 2),
    schema=SMALL,
)


def policy(config: PolicyConfig = TINY) -> Policy:
    """A random policy whose heads are not nearly uniform, so that differences show."""
    torch.manual_seed(0)
    model = Policy(config).eval()
    for head in model.pi_head.values():
        torch.nn.init.normal_(head.linear_layer.weight, std=0.1)
    return model


def in_chunks(model: Policy, x: torch.Tensor, first: torch.Tensor, size: int) -> torch.Tensor:
    """Button log-probabilities of a sequence fed in chunks, the state carried along."""
    state, parts = None, []
    for at in range(0, x.shape[1], size):
        out, state = model(x[:, at : at + size], first[:, at : at + size], state)
        parts.append(out["buttons"])
    return torch.cat(parts, dim=1)


@pytest.mark.parametrize("chunk", [8, 24, 5])
def test_outputs_equal_the_released_code(tmp_path: Path, chunk: int) -> None:
    """Golden: 24 frames in chunks of 8, state carried, one sequence restarting at frame 8. Other chunks agree too."""
    convert(golden_path("policy_tiny.model"), golden_path("policy_tiny.weights"), tmp_path)
    golden = golden_numbers("policy_tiny")
    model, state = Policy.load(tmp_path), None
    x, first = torch.from_numpy(golden["frames"]), torch.from_numpy(golden["first"])
    with torch.no_grad():
        for at in range(0, x.shape[1], chunk):
            here = slice(at, at + chunk)
            value = model.value_head(model.latent(x[:, here], first[:, here], state)[0])
            out, state = model(x[:, here], first[:, here], state)
            np.testing.assert_allclose(out["buttons"], golden["logp_buttons"][:, here, 0], atol=1e-4)
            np.testing.assert_allclose(out["camera"], golden["logp_camera"][:, here, 0], atol=1e-4)
            np.testing.assert_allclose(value, golden["value"][:, here], atol=1e-4)


def test_released_sizes() -> None:
    sizes = {recipes.policy_1x: 70_998_654, recipes.policy_2x: 248_495_294, recipes.policy_3x: 532_504_318}
    for recipe, parameters in sizes.items():
        with torch.device("meta"):
            model = Policy(recipe())
        assert sum(parameter.numel() for parameter in model.parameters()) == parameters
        assert len(model.state_dict()) == 134


def test_the_future_is_not_seen() -> None:
    model, x = policy(), frames(1, 8)
    changed = x.clone()
    changed[:, 5:] = 255 - changed[:, 5:]
    with torch.no_grad():
        before, after = model(x)[0]["buttons"], model(changed)[0]["buttons"]
    torch.testing.assert_close(before[:, :5], after[:, :5], atol=1e-6, rtol=0)
    assert not torch.allclose(before[:, 5:], after[:, 5:])


@pytest.mark.parametrize("chunk", [1, 4, 9])
def test_chunks_with_carried_state_equal_one_pass(chunk: int) -> None:
    """Chunks shorter and longer than the memory of 6 frames; sequence 1 restarts in the middle of a chunk."""
    model, x, first = policy(), frames(2, 18), torch.zeros(2, 18, dtype=torch.bool)
    first[1, 7] = True
    with torch.no_grad():
        whole = model(x, first)[0]["buttons"]
        torch.testing.assert_close(in_chunks(model, x, first, chunk), whole, atol=1e-5, rtol=0)


def test_an_episode_start_forgets_the_past() -> None:
    model, x, first = policy(), frames(1, 10), torch.zeros(1, 10, dtype=torch.bool)
    first[0, 4] = True
    with torch.no_grad():
        joined = model(x, first)[0]["buttons"][:, 4:]
        fresh = model(x[:, 4:])[0]["buttons"]
        unbroken = model(x)[0]["buttons"][:, 4:]
    torch.testing.assert_close(joined, fresh, atol=1e-5, rtol=0)
    assert not torch.allclose(joined, unbroken)


def test_memory_ends_after_maxlen_frames() -> None:
    """One block sees `attention_memory_size - timesteps` = 6 frames, itself included."""
    model, x = policy(dataclasses.replace(TINY, n_recurrence_layers=1)), frames(1, 9)
    with torch.no_grad():
        before = model(x)[0]["buttons"][0, 8]
        seen = []
        for changed in range(9):
            other = x.clone()
            other[:, changed] = 255 - other[:, changed]
            if not torch.allclose(model(other)[0]["buttons"][0, 8], before, atol=1e-6):
                seen.append(changed)
    assert seen == [3, 4, 5, 6, 7, 8]


def test_joint_log_prob_masks_the_unused_camera() -> None:
    log_probs = {"buttons": torch.full((1, 2, 30), -3.0), "camera": torch.full((1, 2, 9), -2.0)}
    buttons = torch.tensor([[0, 1]])
    used = torch.from_numpy(camera_is_used(buttons.numpy()))
    assert used.tolist() == [[False, True]]
    got = joint_log_prob(log_probs, buttons, torch.tensor([[4, 4]]), used)
    assert got.tolist() == [[-3.0, -5.0]]


def test_every_trainable_parameter_gets_a_finite_gradient() -> None:
    model = policy().train()
    first = torch.tensor([[True, False, True, False], [False] * 4])
    log_probs, _ = model(frames(2, 4), first)
    actions = torch.zeros(2, 4, dtype=torch.long)
    (-joint_log_prob(log_probs, actions, actions, torch.ones(2, 4, dtype=torch.bool)).mean()).backward()
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            assert parameter.grad is not None, name
            assert parameter.grad.isfinite().all(), name


def test_a_saved_policy_is_the_same_policy(tmp_path: Path) -> None:
    model, x = policy(), frames(1, 3)
    model.save(tmp_path)
    again = Policy.load(tmp_path)
    assert again.config == TINY
    with torch.no_grad():
        assert torch.equal(again(x)[0]["buttons"], model(x)[0]["buttons"])


def test_wrong_arguments_are_named() -> None:
    model, x = policy(), frames(2, 3)
    with pytest.raises(ValueError, match=r"expected first as bool \(2, 3\)"):
        model(x, torch.zeros(2, 3))
    with pytest.raises(ValueError, match="state of 2 blocks for 2 sequences"):
        model(x, None, model.initial_state(1))
    with pytest.raises(ValueError, match=r"attention_memory_size > timesteps 6 with the mask .* got 6"):
        dataclasses.replace(TINY, attention_memory_size=6)


def test_half_precision_stays_close_and_carries_its_state() -> None:
    """Under autocast the heads still answer in float32, and a state made there continues without it."""
    model, x = policy(), frames(1, 8)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        out, state = model(x[:, :4])
    with torch.no_grad():
        exact, _ = model(x)
        continued, _ = model(x[:, 4:], state=state)
    assert out["buttons"].dtype == torch.float32
    torch.testing.assert_close(out["buttons"], exact["buttons"][:, :4], atol=0.1, rtol=0)
    torch.testing.assert_close(continued["buttons"], exact["buttons"][:, 4:], atol=0.1, rtol=0)
