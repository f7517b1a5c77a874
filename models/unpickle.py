"""Reading OpenAI's `.model` pickles without running what they say.

A pickle is a program. This reader lets it build plain containers, numbers and strings, and nothing else: the only
names it may look up are a few harmless containers, and the gym3 types that the released files use to describe their
action space, which become inert placeholders. Any other name is an error before anything is called.
"""

import io
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

MAX_DESCRIPTION_BYTES = 1 << 20  # the released .model files have 1.8 to 4.4 kB

CONTAINERS: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): OrderedDict,
    ("builtins", "set"): set,
    ("builtins", "frozenset"): frozenset,
    ("__builtin__", "set"): set,
    ("__builtin__", "frozenset"): frozenset,
}
INERT = {
    ("gym3.types", name) for name in ("DictType", "TensorType", "Discrete", "Real", "MultiDiscrete", "ValType")
} | {("numpy", "dtype")}


class Placeholder:
    """Stands for an object that was described in a pickle and not built."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self:
        return super().__new__(cls)

    def __init__(self, *_args: Any, **_kwargs: Any) -> None: ...

    def __setstate__(self, _state: Any) -> None: ...


class _PlainUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in CONTAINERS:
            return CONTAINERS[module, name]
        if (module, name) in INERT:
            return Placeholder
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")

    def persistent_load(self, pid: Any) -> Any:
        raise pickle.UnpicklingError("it refers to objects outside the file")


def read_description(path: str | Path) -> Any:
    """Containers, numbers and strings of a `.model` file.

    Raises:
        ValueError: not a file, too large, not a pickle, or one that wants more than plain data. Nothing was run.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: expected OpenAI's .model file, found none")
    if (size := path.stat().st_size) > MAX_DESCRIPTION_BYTES:
        raise ValueError(
            f"{path}: expected a description of a few kB, got {size} bytes; are .model and .weights exchanged?"
        )
    try:
        return _PlainUnpickler(io.BytesIO(path.read_bytes())).load()
    except Exception as error:  # a hostile or broken pickle can raise anything; nothing of it may pass
        raise ValueError(
            f"{path}: expected a pickle of plain containers, numbers and strings, got one that cannot be "
            f"read safely: {error}; nothing was run, take the file from its publisher"
        ) from error


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Tensors by name of a `.weights` file, on the CPU.

    Raises:
        ValueError: not a file of dense floating-point tensors by name. Nothing was run.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: expected OpenAI's .weights file, found none")
    try:
        loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # as above
        reason = str(error).split("\n")[0][:200]
        raise ValueError(
            f"{path}: expected tensors by name, got a file that cannot be read safely: {reason}; "
            "nothing was run, take the file from its publisher"
        ) from error
    if not isinstance(loaded, dict) or not loaded:
        raise ValueError(f"{path}: expected tensors by name, got {type(loaded).__name__}")
    for name, value in loaded.items():
        if not isinstance(name, str) or not _is_plain(value):
            raise ValueError(f"{path}: expected dense floating-point tensors, got {type(value).__name__} for {name!r}")
    return dict(loaded)


def _is_plain(value: Any) -> bool:
    return isinstance(value, Tensor) and value.layout == torch.strided and value.is_floating_point()
