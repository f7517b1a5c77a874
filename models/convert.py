"""OpenAI's released files to ours: `python -m models.convert --model X.model --weights X.weights --out DIR`.

Works for the inverse dynamics model (4x_idm) and the policies (foundation, behavioural cloning, RL). Runs once, by
hand, offline: no worker ever reads a pickle. The graph described in `.model` must be one that this project builds, and
the tensors must fit it exactly, before anything is written.
"""

import argparse
import json
import math
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
    "recurrence_is_residual": (True, True),
    "use_pointwise_layer": (True, True),
    "pointwise_use_activation": (False, False),
    "scale_input_img": (True, True),
    "img_statistics": (None, None),
}
# Sizes, and what the released code assumes when they are absent; None: it must be said.
SIZES: dict[str, int | None] = {
    "hidsize": 512,
    "attention_heads": 8,
    "attention_memory_size": 2048,
    "timesteps": None,
    "n_recurrence_layers": 1,
    "pointwise_ratio": 4,
}
READ = {
    *FIXED,
    *SIZES,
    "impala_width",
    "use_pre_lstm_ln",
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
    pre_norm = net.get("use_pre_lstm_ln", True)
    _expect(isinstance(pre_norm, bool), where, "use_pre_lstm_ln", "True or False", pre_norm)
    common: dict[str, Any] = {
        **{name: _size(net, name, where) for name in SIZES},
        **_stacks(net, where),
        "attention_mask_style": net.get("attention_mask_style", "clipped_causal"),
        "group_norm_groups": _groups(net, "init_norm_kwargs", "group_norm_groups", {"batch_norm": False}, where),
        "post_pool_groups": _groups(net, "impala_kwargs", "post_pool_groups", {}, where),
        "use_pre_lstm_ln": pre_norm,
        "temperature": temperature,
    }
    is_idm = net.get("conv3d_params") is not None
    front = _conv3d(net, where) if is_idm else {}
    channels = front.get("conv3d_outchan", 3)
    shape: Any = net.get("img_shape")
    _expect(_is_sizes(shape) and list(shape) == [128, 128, channels], where, "img_shape", [128, 128, channels], shape)
    try:
        return IDMConfig(**common, **front, use_lastlayer=use_lastlayer) if is_idm else PolicyConfig(**common)
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from error


def _conv3d(net: Mapping[str, Any], where: str | Path) -> dict[str, Any]:
    """The temporal convolution, which must be centred and keep height and width."""
    conv = _mapping(net, "conv3d_params", where)
    channels: Any = conv.get("outchan")
    kernel: Any = conv.get("kernel_size")
    centred = _is_sizes(kernel) and len(kernel) == 3 and kernel[1] == kernel[2] and all(n % 2 for n in kernel)
    _expect(centred, where, "conv3d_params.kernel_size", "[odd, n, n] with n odd", kernel)
    wanted = {"inchan": 3, "outchan": channels, "kernel_size": list(kernel), "padding": [n // 2 for n in kernel]}
    got = {key: list(value) if isinstance(value, tuple) else value for key, value in conv.items()}
    _expect(_is_sizes([channels]) and got == wanted, where, "conv3d_params", wanted, got)
    return {"conv3d_outchan": channels, "conv3d_taps": kernel[0], "conv3d_side": kernel[1]}


def _stacks(net: Mapping[str, Any], where: str | Path) -> dict[str, Any]:
    """Channels of the Impala stacks; a fractional `impala_width`, which the release rounds down, goes into them."""
    chans, width = net.get("impala_chans", [16, 32, 32]), net.get("impala_width", 1)
    _expect(_is_sizes(chans) and len(chans) <= 7, where, "impala_chans", "1 to 7 sizes", chans)
    if isinstance(width, float) and 0 < width <= MAX_SIZE and not width.is_integer():
        chans, width = [int(width * channels) for channels in chans], 1
        _expect(_is_sizes(chans), where, "impala_chans times impala_width", "at least 1", chans)
    width = int(width) if isinstance(width, float) and math.isfinite(width) else width
    _expect(_is_sizes([width]), where, "impala_width", "a number of at least 1", width)
    return {"impala_chans": tuple(chans), "impala_width": width}


def _groups(net: Mapping[str, Any], name: str, key: str, others: Mapping[str, Any], where: str | Path) -> int | None:
    """The number of norm groups in the dictionary `name`, whose other entries must be `others`."""
    given = dict(_mapping(net, name, where))
    groups = given.pop(key, None)
    _expect({**others, **given} == others, where, name, {**others, key: 1}, net.get(name))
    _expect(groups is None or _is_sizes([groups]), where, f"{name}.{key}", "a number of groups or None", groups)
    return groups


def _arguments(description: Any, where: Path) -> tuple[dict[str, Any], float]:
    """The net's arguments and the heads' temperature: all that the released code reads."""
    try:
        net = description["model"]["args"]["net"]["args"]
        options = description["model"]["args"]["pi_head_opts"]
        temperature = float(options.get("temperature", 1.0))
    except (KeyError, TypeError, ValueError, OverflowError, AttributeError, IndexError) as error:
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


def _mapping(net: Mapping[str, Any], name: str, where: str | Path) -> dict[str, Any]:
    value = net.get(name, {})
    _expect(isinstance(value, dict), where, name, "a dictionary", value)
    return value


def _size(net: Mapping[str, Any], name: str, where: str | Path) -> int:
    value = net.get(name, SIZES[name])
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
