"""OpenAI's released files to ours: `python -m models.convert --model X.model --weights X.weights --out DIR`.

Works for the inverse dynamics model (4x_idm) and the policies (foundation, behavioural cloning, RL). Runs once, by
hand, offline: no worker ever reads a pickle. The graph described in `.model` must be one that this project builds, and
the tensors must fit it exactly, before anything is written.
"""

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from models.idm import IDMConfig, InverseDynamicsModel
from models.policy import Policy, PolicyConfig
from models.unpickle import read_description, read_tensors
from models.weights import load_strict, model_digest

MAX_SIZE = 1 << 20

# What the graph must be. The second value is what the released code assumes when the argument is absent.
FIXED: dict[str, tuple[Any, Any]] = {
    "recurrence_type": ("transformer", "lstm"),
    "use_pre_lstm_ln": (False, True),
    "recurrence_is_residual": (True, True),
    "use_pointwise_layer": (True, True),
    "pointwise_use_activation": (False, False),
    "obs_processing_width": (256, 256),
    "scale_input_img": (True, True),
    "img_statistics": (None, None),
    "diff_mlp_embedding": (False, False),
}
KWARGS: tuple[tuple[str, dict[str, Any], dict[str, Any]], ...] = (  # name, what the release assumes, what it must be
    ("init_norm_kwargs", {"batch_norm": False}, {"batch_norm": False, "group_norm_groups": 1}),
    ("impala_kwargs", {}, {"post_pool_groups": 1}),
)
SIZES = (
    "hidsize",
    "attention_heads",
    "attention_memory_size",
    "timesteps",
    "n_recurrence_layers",
    "pointwise_ratio",
    "impala_width",
)
READ = {
    *FIXED,
    *SIZES,
    "impala_chans",
    "impala_kwargs",
    "init_norm_kwargs",
    "img_shape",
    "attention_mask_style",
    "conv3d_params",
    "only_img_input",
    "single_output",
    "input_shape",
    "active_reward_monitors",
}


def convert(model: Path, weights: Path, out: Path, *, use_lastlayer: bool = False) -> dict[str, Any]:
    """Convert one model.

    Args:
        use_lastlayer: for the IDM, run the layer that the released code computes and discards.

    Returns:
        {"kind", "parameters", "digest", "ignored"}; `ignored` names arguments that the released code ignores too.

    Raises:
        ValueError: unsafe or broken files, or another architecture. Nothing has been written.
    """
    net, temperature = _arguments(read_description(model), model)
    config = model_config(net, temperature, where=model, use_lastlayer=use_lastlayer)
    with torch.device("meta"):
        built = InverseDynamicsModel(config) if isinstance(config, IDMConfig) else Policy(config)
    load_strict(built, read_tensors(weights), weights)
    if out.exists() and not out.is_dir():
        raise ValueError(f"{out}: expected a directory to write to, got a file")
    built.save(out)
    return {
        "kind": "idm" if isinstance(config, IDMConfig) else "policy",
        "parameters": sum(parameter.numel() for parameter in built.parameters()),
        "digest": model_digest(out),
        "ignored": sorted(set(net) - READ),
    }


def model_config(
    net: Mapping[str, Any], temperature: float, *, where: str | Path, use_lastlayer: bool = False
) -> IDMConfig | PolicyConfig:
    """Our config for the released net arguments; a temporal convolution makes it an IDM.

    Raises:
        ValueError: an argument that names another architecture.
    """
    for name, (wanted, absent) in FIXED.items():
        _expect(net.get(name, absent) == wanted, where, name, wanted, net.get(name, absent))
    for name, absent, wanted in KWARGS:
        got = {**absent, **_mapping(net, name, where)}
        _expect(got == wanted, where, name, wanted, got)
    shape: Any = net.get("img_shape")
    _expect(_is_sizes(shape) and list(shape[:2]) == [128, 128], where, "img_shape", "[128, 128, channels]", shape)
    sizes = {name: _size(net, name, where) for name in SIZES}
    chans = net.get("impala_chans", [16, 32, 32])
    _expect(_is_sizes(chans) and 0 < len(chans) <= 7, where, "impala_chans", "1 to 7 sizes", chans)
    common: dict[str, Any] = {**sizes, "impala_chans": tuple(chans), "temperature": temperature}
    if "conv3d_params" in net:
        return _idm_config(net, common, where, use_lastlayer)
    _expect_mask(net, "clipped_causal", where)
    return PolicyConfig(**common)


def _idm_config(net: Mapping[str, Any], common: dict[str, Any], where: str | Path, use_lastlayer: bool) -> IDMConfig:
    _expect_mask(net, "none", where)
    memory = common.pop("attention_memory_size")
    _expect(memory == common["timesteps"], where, "attention_memory_size", common["timesteps"], memory)
    conv = _mapping(net, "conv3d_params", where)
    channels: Any = conv.get("outchan")
    kernel: Any = conv.get("kernel_size")
    _expect(
        _is_sizes(kernel) and list(kernel[1:]) == [1, 1] and kernel[0] % 2 == 1,
        where,
        "conv3d_params.kernel_size",
        "[odd, 1, 1]",
        kernel,
    )
    wanted = {"inchan": 3, "outchan": channels, "kernel_size": list(kernel), "padding": [kernel[0] // 2, 0, 0]}
    got = {key: list(value) if isinstance(value, tuple) else value for key, value in conv.items()}
    _expect(_is_sizes([channels]) and got == wanted, where, "conv3d_params", wanted, got)
    return IDMConfig(**common, conv3d_outchan=channels, conv3d_taps=kernel[0], use_lastlayer=use_lastlayer)


def _arguments(description: Any, where: Path) -> tuple[dict[str, Any], float]:
    """The net's arguments and the heads' temperature: all that the released code reads."""
    try:
        net = description["model"]["args"]["net"]["args"]
        options = description["model"]["args"]["pi_head_opts"]
        temperature = float(options.get("temperature", 1.0))
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise ValueError(
            f"{where}: expected OpenAI's model.args.net.args and model.args.pi_head_opts, got a "
            f"description without them ({error!r})"
        ) from error
    if not isinstance(net, dict) or not all(isinstance(name, str) for name in net):
        raise ValueError(f"{where}: expected net arguments by name, got {type(net).__name__}")
    return dict(net), temperature


def _expect(good: bool, where: str | Path, name: str, wanted: Any, got: Any) -> None:
    if not good:
        raise ValueError(
            f"{where}: another architecture: expected {name} {wanted!r}, got {str(got)[:80]!r}; only "
            "VPT's transformer models (4x_idm, foundation, bc, rl) are converted"
        )


def _expect_mask(net: Mapping[str, Any], wanted: str, where: str | Path) -> None:
    mask = net.get("attention_mask_style", "clipped_causal")
    _expect(mask == wanted, where, "attention_mask_style", wanted, mask)


def _mapping(net: Mapping[str, Any], name: str, where: str | Path) -> dict[str, Any]:
    value = net.get(name, {})
    _expect(isinstance(value, dict), where, name, "a dictionary", value)
    return value


def _size(net: Mapping[str, Any], name: str, where: str | Path) -> int:
    value = net.get(name)
    _expect(_is_sizes([value]), where, name, f"a whole number from 1 to {MAX_SIZE}", value)
    assert isinstance(value, int)
    return value


def _is_sizes(value: Any) -> bool:
    """A list of up to 8 sensible sizes?"""
    return (
        isinstance(value, list | tuple)
        and 0 < len(value) <= 8
        and all(isinstance(n, int) and not isinstance(n, bool) and 0 < n <= MAX_SIZE for n in value)
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 0 and one JSON line, or 1 and one error line."""
    parser = argparse.ArgumentParser(prog="python -m models.convert", description="OpenAI's VPT files to ours.")
    parser.add_argument("--model", type=Path, required=True, help="the .model file")
    parser.add_argument("--weights", type=Path, required=True, help="the .weights file")
    parser.add_argument("--out", type=Path, required=True, help="directory for model.json and weights.safetensors")
    parser.add_argument(
        "--use-lastlayer", action="store_true", help="IDM only: run the layer whose result the released code discards"
    )
    options = parser.parse_args(arguments)
    try:
        summary = convert(options.model, options.weights, options.out, use_lastlayer=options.use_lastlayer)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps({"out": str(options.out), **summary}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
