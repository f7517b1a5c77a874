"""The inverse dynamics model: the released numbers, the released shape, and what its graph promises."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from models import recipes
from models.action_schema import load_schema
from models.actions import MINECRAFT
from models.convert import convert
from models.idm import IDMConfig, InverseDynamicsModel
from models.motion import GRID, MAPS
from models.motion_encoder import frame_width
from models.weights import WEIGHTS_FILE, model_digest
from tests.models.golden import golden_numbers, golden_path

TINY = IDMConfig(hidsize=16, attention_heads=2, timesteps=8, impala_chans=(2, 2, 2), conv3d_outchan=4)
TINY_MOTION = dataclasses.replace(TINY, front="motion")


def frames(batch: int, length: int, seed: int = 0) -> torch.Tensor:
    """Random uint8 frames (B, T, 128, 128, 3)."""
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, (batch, length, 128, 128, 3), generator=generator, dtype=torch.uint8)


def model(config: IDMConfig = TINY, seed: int = 0) -> InverseDynamicsModel:
    """A random model whose heads are not nearly uniform, so that differences show."""
    torch.manual_seed(seed)
    idm = InverseDynamicsModel(config).eval()
    for head in idm.pi_head.values():
        torch.nn.init.normal_(head.linear_layer.weight, std=0.1)
    return idm


def test_log_probabilities_equal_the_released_code(tmp_path: Path) -> None:
    """Golden: the released InverseActionNet with random weights; 1e-4 is the agreement asked for in float32."""
    convert(golden_path("idm_tiny.model"), golden_path("idm_tiny.weights"), tmp_path)
    golden = golden_numbers("idm_tiny")
    with torch.no_grad():
        got = InverseDynamicsModel.load(tmp_path)(torch.from_numpy(golden["frames"]))
    for head in ("buttons", "camera"):
        np.testing.assert_allclose(got[head].numpy(), golden[f"logp_{head}"], atol=1e-4)


def test_released_size_and_names() -> None:
    """100 tensors, 482,330,046 parameters, and the dead ones where the released file has them."""
    with torch.device("meta"):
        released = InverseDynamicsModel(recipes.idm_vpt_released())
    shapes = {name: tuple(tensor.shape) for name, tensor in released.state_dict().items()}
    assert sum(parameter.numel() for parameter in released.parameters()) == 482_330_046
    assert len(shapes) == 100
    assert shapes["net.recurrent_layer.blocks.1.r.orc_block.b_nd"] == (10, 0)
    assert shapes["net.img_process.cnn.dense.layer.weight"] == (256, 131072)
    assert shapes["net.conv3d_layer.layer.weight"] == (128, 3, 5, 1, 1)
    assert shapes["pi_head.camera.linear_layer.weight"] == (22, 4096)


@pytest.mark.parametrize("config", [TINY, TINY_MOTION], ids=["conv3d", "motion"])
def test_shapes_and_normalisation(config: IDMConfig) -> None:
    with torch.no_grad():
        out = model(config)(frames(2, 7))
    assert out["buttons"].shape == (2, 7, 20, 2)
    assert out["camera"].shape == (2, 7, 2, 11)
    walk = [(2, 7, 4)] if config.front == "motion" else []
    assert [tuple(said.shape) for name, said in out.items() if name == "walk"] == walk
    for log_probs in (out["buttons"], out["camera"]):
        assert log_probs.dtype == torch.float32
        torch.testing.assert_close(log_probs.exp().sum(-1), torch.ones(log_probs.shape[:-1]))


@pytest.mark.parametrize("config", [TINY, TINY_MOTION], ids=["conv3d", "motion"])
def test_rows_of_a_batch_do_not_meet(config: IDMConfig) -> None:
    idm, both = model(config), frames(2, 6)
    with torch.no_grad():
        together, alone = idm(both), idm(both[1:])
    torch.testing.assert_close(together["buttons"][1:], alone["buttons"], atol=1e-4, rtol=0)


def test_transformer_has_no_positions() -> None:
    """Above the temporal convolution, frames in another order give the same outputs in that order."""
    torch.manual_seed(0)
    transformer = model().net.recurrent_layer
    x, order = torch.randn(1, 9, 16), torch.randperm(9)
    with torch.no_grad():
        torch.testing.assert_close(transformer(x[:, order]), transformer(x)[:, order], atol=1e-5, rtol=0)


def test_time_enters_through_the_five_taps() -> None:
    """Without attention between frames, frame 6 depends on frames 4 to 8 and on no other."""
    idm = model()
    for block in idm.net.recurrent_layer.blocks:
        torch.nn.init.zeros_(block.r.orc_block.proj_layer.weight)
    base = frames(1, 12)
    with torch.no_grad():
        before = idm(base)["camera"][0, 6]
        seen = []
        for changed in range(12):
            other = base.clone()
            other[:, changed] = 255 - other[:, changed]
            if not torch.allclose(idm(other)["camera"][0, 6], before, atol=1e-6):
                seen.append(changed)
    assert seen == [4, 5, 6, 7, 8]


def test_motion_reaches_the_heads_past_the_transformer() -> None:
    """With all that mixes frames silenced, the camera still follows the motion; the released front has no skip."""
    idm = model(TINY_MOTION)
    torch.nn.init.zeros_(idm.net.motion_process.mix.layer.weight)
    with torch.no_grad():
        camera = idm(frames(1, 5))["camera"]
    assert camera.std(dim=1).max() > 1e-3
    assert (idm.net.width, model().net.width) == (16 + frame_width(MINECRAFT), 16)


def test_lastlayer_is_discarded_as_released_unless_asked_for() -> None:
    idm, x = model(), frames(1, 4)
    used = model(dataclasses.replace(TINY, use_lastlayer=True))
    used.load_state_dict(idm.state_dict())
    with torch.no_grad():
        before, before_used = idm(x)["buttons"], used(x)["buttons"]
        for one in (idm, used):
            one.net.lastlayer.layer.weight.neg_()
        assert torch.equal(idm(x)["buttons"], before)
        assert not torch.allclose(used(x)["buttons"], before_used)


def test_the_motion_front_holds_no_lastlayer_that_is_not_used() -> None:
    used = dataclasses.replace(TINY_MOTION, use_lastlayer=True)
    for config, holds in ((TINY, True), (TINY_MOTION, False), (used, True)):
        assert any("lastlayer" in name for name in model(config).state_dict()) == holds


def test_parameters_that_do_nothing_take_no_gradient() -> None:
    """A distributed trainer stops at parameters that never get a gradient, so these must not ask for one."""
    for config in (TINY, TINY_MOTION, dataclasses.replace(TINY, use_lastlayer=True)):
        idm = model(config)
        out = idm(frames(1, 3))
        torch.stack([said[..., 0].sum() for said in out.values()]).sum().backward()
        without = [n for n, p in idm.named_parameters() if p.requires_grad and (p.grad is None or not p.grad.any())]
        assert without == []


@pytest.mark.parametrize("config", [TINY, TINY_MOTION], ids=["conv3d", "motion"])
def test_a_saved_model_is_the_same_model(tmp_path: Path, config: IDMConfig) -> None:
    idm, x = model(config), frames(1, 5)
    idm.save(tmp_path)
    assert "schema" not in json.loads((tmp_path / "model.json").read_text())["config"], "the default goes unsaid"
    again = InverseDynamicsModel.load(tmp_path)
    assert again.config == config
    with torch.no_grad():
        assert torch.equal(again(x)["camera"], idm(x)["camera"])
    trainable = {name for name, parameter in idm.named_parameters() if parameter.requires_grad}
    assert {name for name, parameter in again.named_parameters() if parameter.requires_grad} == trainable


def test_another_game_has_other_heads_and_its_model_says_which(tmp_path: Path) -> None:
    desktop = dataclasses.replace(TINY, schema=load_schema("desktop"))
    with torch.no_grad():
        out = model(desktop)(frames(1, 2))
    assert (out["buttons"].shape, out["camera"].shape) == ((1, 2, 52, 2), (1, 2, 2, 15))
    model(desktop).save(tmp_path)
    assert InverseDynamicsModel.load(tmp_path).config == desktop
    saved = json.loads((tmp_path / "model.json").read_text())
    saved["config"]["n_buttons"] = 20
    (tmp_path / "model.json").write_text(json.dumps(saved))
    with pytest.raises(ValueError, match="expected n_buttons 52 by its other fields and this version, got 20"):
        InverseDynamicsModel.load(tmp_path)


@pytest.mark.parametrize(
    "bad",
    [
        torch.zeros(1, 2, 128, 128, 3),
        torch.zeros(1, 2, 64, 64, 3, dtype=torch.uint8),
        torch.zeros(1, 2, 3, 128, 128, dtype=torch.uint8),
    ],
    ids=["float", "small", "channels first"],
)
def test_wrong_frames_are_refused(bad: torch.Tensor) -> None:
    with pytest.raises(ValueError, match=r"expected uint8 frames \(B, T, 128, 128, 3\)"):
        model()(bad)


def test_frames_beside_maps_are_told_how_to_become_half_size() -> None:
    maps = torch.zeros(1, 2, MAPS, GRID, GRID)
    with pytest.raises(ValueError, match=r"\(B, T, 64, 64, 3\).*got uint8 \(1, 2, 128, 128, 3\);.*half_size"):
        model(TINY_MOTION)(frames(1, 2), maps)


def members(**changes: object) -> InverseDynamicsModel:
    return model(dataclasses.replace(TINY_MOTION, members=2, opinion_width=4, **changes))


def alone(of: InverseDynamicsModel) -> list[InverseDynamicsModel]:
    """Each member as a model of its own."""
    found = []
    for start in ("", "others.0."):
        tensors = {name.removeprefix(start): tensor for name, tensor in of.state_dict().items()}
        one = InverseDynamicsModel(dataclasses.replace(of.config, members=1)).eval()
        one.load_state_dict({name: tensors[name] for name in one.state_dict()})
        found.append(one)
    return found


def test_members_are_heard_together_as_the_mean_of_their_logits() -> None:
    both, x = members(), frames(2, 5)
    with torch.no_grad():
        said, apart = both(x), [one(x) for one in alone(both)]
    for name, together in said.items():
        mean = (apart[0][name] + apart[1][name]) / 2
        expected = mean.log_softmax(-1) if name.endswith(("buttons", "camera")) else mean
        torch.testing.assert_close(together, expected, atol=1e-5, rtol=1e-5)
        if name == "menu":
            continue  # alike until something is learned
        assert (apart[0][name] - apart[1][name]).abs().max() > 1e-3, f"{name}: two members that are one"


def test_one_member_can_be_asked_alone() -> None:
    both, x = members(), frames(2, 5)
    with torch.no_grad():
        for member, expected in enumerate(alone(both)):
            torch.testing.assert_close(both.alone(member)(x), expected(x), atol=1e-6, rtol=1e-6)
    assert len(both.others) == 1, "the whole model is as it was"


def test_in_training_each_member_sees_windows_of_its_own() -> None:
    both, x = members(), frames(4, 3)
    both.train()
    said = both(x)
    assert said["buttons"].shape == (4, 3, 20, 2)
    for windows, learns in (([0, 2], both.net), ([1, 3], both.others[0].net)):
        both.zero_grad()
        both(x)["camera"][windows].sum().backward()
        touched = {name for name, p in both.named_parameters() if p.grad is not None and p.grad.abs().any()}
        start = "net." if learns is both.net else "others.0.net."
        assert touched
        assert all(name.startswith((start, start.replace("net.", "pi_head."))) for name in touched)


def test_a_windows_number_says_whose_it_is_and_the_order_stays() -> None:
    """A worker that has windows 1 and 3 of four asks the second member only, one that has 3 and 0 asks both."""
    both, x = members(), frames(2, 3)
    assert both.in_parts
    assert not model(TINY_MOTION).in_parts
    for module in both.modules():
        module.training = module is both  # shares the windows out, and hides nothing
    apart = [one(x) for one in alone(both)]
    for numbers, learns in (([1, 3], (1, 1)), ([3, 0], (1, 0)), (None, (0, 1))):
        said = both(x, None, numbers)
        for name, one in said.items():
            expected = torch.stack([apart[member][name][row] for row, member in enumerate(learns)])
            torch.testing.assert_close(one, expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("bits", [16, 8])
def test_weights_of_fewer_bits_are_smaller_and_loaded_as_float32(bits: int, tmp_path: Path) -> None:
    for b in (32, bits):
        members(weight_bits=b).save(tmp_path / str(b))
    whole, small = (sum(t.nbytes for t in load_file(tmp_path / str(b) / WEIGHTS_FILE).values()) for b in (32, bits))
    assert small < whole * bits / 32 * 1.1
    again = InverseDynamicsModel.load(tmp_path / str(bits))
    assert {parameter.dtype for parameter in again.parameters()} == {torch.float32}
    again.save(tmp_path / "again")
    assert model_digest(tmp_path / "again") == model_digest(tmp_path / str(bits)), "rounding twice changes nothing"
