"""OpenAI's files to ours: what fits is converted, everything else is one clear error and writes nothing."""

import copy
import dataclasses
import json
import pickle
from pathlib import Path
from typing import Any

import pytest
import torch

from models import recipes
from models.convert import convert, main, model_config
from models.idm import IDMConfig, InverseDynamicsModel
from models.policy import Policy, PolicyConfig
from tests.models.test_idm import frames

COMMON: dict[str, Any] = {
    "attention_heads": 2,
    "hidsize": 16,
    "timesteps": 4,
    "n_recurrence_layers": 1,
    "pointwise_ratio": 2,
    "impala_width": 1,
    "impala_chans": [2, 2, 2],
    "impala_kwargs": {"post_pool_groups": 1},
    "init_norm_kwargs": {"batch_norm": False, "group_norm_groups": 1},
    "only_img_input": True,
    "pointwise_use_activation": False,
    "recurrence_is_residual": True,
    "recurrence_type": "transformer",
    "use_pointwise_layer": True,
    "use_pre_lstm_ln": False,
}
IDM_NET = COMMON | {
    "attention_mask_style": "none",
    "attention_memory_size": 4,
    "img_shape": [128, 128, 3],
    "single_output": True,
    "conv3d_params": {"inchan": 3, "outchan": 3, "kernel_size": [5, 1, 1], "padding": [2, 0, 0]},
}
POLICY_NET = COMMON | {
    "attention_mask_style": "clipped_causal",
    "attention_memory_size": 8,
    "img_shape": [128, 128, 3],
    "diff_mlp_embedding": False,
}


def released_files(folder: Path, net: dict[str, Any], state: dict[str, torch.Tensor]) -> tuple[Path, Path]:
    """A `.model` and a `.weights` file in OpenAI's form."""
    description = {"model": {"args": {"net": {"args": net}, "pi_head_opts": {"temperature": 2.0}}}}
    (folder / "x.model").write_bytes(pickle.dumps(description))
    torch.save(state, folder / "x.weights")
    return folder / "x.model", folder / "x.weights"


def idm() -> InverseDynamicsModel:
    """The model that IDM_NET describes, random."""
    config = model_config(IDM_NET, 2.0, where="test")
    assert isinstance(config, IDMConfig)
    return InverseDynamicsModel(config).eval()


def test_an_idm_is_converted(tmp_path: Path) -> None:
    model = idm()
    files = released_files(tmp_path, IDM_NET, model.state_dict())
    summary = convert(*files, tmp_path / "out")
    loaded = InverseDynamicsModel.load(tmp_path / "out")
    assert summary["kind"] == "idm"
    assert summary["parameters"] == sum(parameter.numel() for parameter in model.parameters())
    assert loaded.config.temperature == 2.0
    assert not loaded.config.use_lastlayer
    with torch.no_grad():
        assert torch.equal(loaded(frames(1, 3))["camera"], model(frames(1, 3))["camera"])
    convert(*files, tmp_path / "active", use_lastlayer=True)
    assert InverseDynamicsModel.load(tmp_path / "active").config.use_lastlayer


def test_a_policy_is_converted_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = model_config(POLICY_NET, 2.0, where="test")
    assert isinstance(config, PolicyConfig)
    model, weights = released_files(tmp_path, POLICY_NET, Policy(config).state_dict())
    assert main(["--model", str(model), "--weights", str(weights), "--out", str(tmp_path / "out")]) == 0
    summary = json.loads(capsys.readouterr().out)
    assert (summary["kind"], summary["ignored"]) == ("policy", ["diff_mlp_embedding"])
    assert Policy.load(tmp_path / "out").config == config


def test_released_settings_are_read_by_name() -> None:
    """The published 4x_idm arguments give the model of 482 M parameters."""
    net = IDM_NET | {
        "attention_heads": 32,
        "attention_memory_size": 128,
        "hidsize": 4096,
        "impala_width": 16,
        "timesteps": 128,
        "img_shape": [128, 128, 128],
        "n_recurrence_layers": 2,
        "pointwise_ratio": 4,
        "conv3d_params": {"inchan": 3, "outchan": 128, "kernel_size": [5, 1, 1], "padding": [2, 0, 0]},
    }
    del net["impala_chans"]
    config = model_config(net, 4.0, where="test")
    released = recipes.idm_vpt_released()
    assert config == dataclasses.replace(released, attention_memory_size=128)
    assert isinstance(config, IDMConfig)
    assert config.maxlen == released.maxlen == 0


def test_what_the_description_leaves_out_is_as_the_release_assumes() -> None:
    """Widths 512 and 8 heads, one block, a norm before the transformer, no norms elsewhere."""
    net = {"recurrence_type": "transformer", "timesteps": 128, "img_shape": [128, 128, 3]}
    config = model_config(net, 1.0, where="test")
    assert isinstance(config, PolicyConfig)
    assert (config.hidsize, config.attention_heads, config.n_recurrence_layers) == (512, 8, 1)
    assert (config.pointwise_ratio, config.impala_width, config.impala_chans) == (4, 1, (16, 32, 32))
    assert (config.attention_memory_size, config.attention_mask_style) == (2048, "clipped_causal")
    assert (config.group_norm_groups, config.post_pool_groups, config.use_pre_lstm_ln) == (None, None, True)


def test_a_fractional_width_is_rounded_down_as_released() -> None:
    config = model_config(POLICY_NET | {"impala_width": 0.7, "impala_chans": [4, 5]}, 1.0, where="test")
    assert (config.impala_width, config.impala_chans) == (1, (2, 3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"recurrence_type": "lstm"}, "expected recurrence_type 'transformer', got 'lstm'"),
        ({"attention_mask_style": "causal"}, r"x\.model: expected attention_mask_style .* got 'causal'"),
        (
            {"attention_mask_style": "clipped_causal"},
            r"x\.model: expected attention_memory_size > timesteps 4 .* got 4",
        ),
        ({"attention_memory_size": 3}, "expected attention_memory_size >= timesteps 4 .* got 3"),
        ({"attention_memory_size": 8}, r"b_nd is \(10, 0\), expected \(10, 4\)"),
        ({"use_pre_lstm_ln": True}, r"missing net\.pre_lstm_ln\.weight"),
        ({"use_pre_lstm_ln": "yes"}, "use_pre_lstm_ln"),
        ({"recurrence_is_residual": False}, "recurrence_is_residual"),
        ({"impala_width": 0.2}, "impala_chans times impala_width"),
        ({"impala_width": float("nan")}, "impala_width"),
        ({"hidsize": 10**12}, "hidsize"),
        ({"hidsize": "16"}, "hidsize"),
        ({"n_recurrence_layers": True}, "n_recurrence_layers"),
        ({"hidsize": 15}, "attention_heads"),
        ({"impala_kwargs": {}}, r"extra net\.img_process\.cnn\.stacks\.0\.n\.weight"),
        ({"impala_kwargs": {"pool": False}}, "impala_kwargs"),
        ({"impala_kwargs": {"post_pool_groups": 3}}, "expected 3 norm groups to divide"),
        ({"impala_chans": []}, "impala_chans"),
        ({"init_norm_kwargs": {"batch_norm": True}}, "init_norm_kwargs"),
        ({"img_shape": [64, 64, 3]}, "img_shape"),
        ({"img_statistics": "stats.npz"}, "img_statistics"),
        ({"img_shape": [128, 128, 8]}, "img_shape"),
        ({"conv3d_params": {"inchan": 3, "outchan": 3, "kernel_size": [5, 3, 3], "padding": [2, 1, 1]}}, "3, 5, 3, 3"),
        ({"conv3d_params": {"inchan": 3, "outchan": 3, "kernel_size": [5, 1, 3], "padding": [2, 0, 1]}}, "kernel_size"),
        ({"conv3d_params": {"inchan": 3, "outchan": 3, "kernel_size": [4, 1, 1], "padding": [2, 0, 0]}}, "kernel_size"),
        ({"conv3d_params": {"inchan": 3}}, "conv3d_params"),
    ],
)
def test_other_architectures_are_refused_by_name(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    files = released_files(tmp_path, IDM_NET | change, idm().state_dict())
    with pytest.raises(ValueError, match=message):
        convert(*files, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_weights_of_another_model_write_nothing(tmp_path: Path) -> None:
    state = idm().state_dict()
    del state["net.final_ln.bias"]
    state["net.more"] = torch.zeros(3)
    files = released_files(tmp_path, IDM_NET, state)
    with pytest.raises(ValueError, match=r"missing net\.final_ln\.bias; extra net\.more"):
        convert(*files, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("description", [{}, [], 3, {"model": {"args": {"net": {"args": 5}, "pi_head_opts": {}}}}])
def test_other_pickles_are_refused(tmp_path: Path, description: Any) -> None:
    model, weights = released_files(tmp_path, copy.deepcopy(IDM_NET), idm().state_dict())
    model.write_bytes(pickle.dumps(description))
    with pytest.raises(ValueError, match=r"x\.model: expected"):
        convert(model, weights, tmp_path / "out")


def test_the_command_line_fails_with_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model, weights = released_files(tmp_path, IDM_NET, idm().state_dict())
    model.write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    assert main(["--model", str(model), "--weights", str(weights), "--out", str(tmp_path / "out")]) == 1
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.startswith("error: ")
    assert output.err.count("\n") == 1
    assert "os.system" in output.err
    assert not (tmp_path / "out").exists()
