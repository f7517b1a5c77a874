"""Reading OpenAI's `.model` pickles without running what they say.

A pickle is a program. This reader lets it build plain containers, numbers and strings, and nothing else: the only
names it may look up are a few harmless containers, and the gym3 types that the released files use to describe their
action space, which become inert placeholders. Any other name is an error before anything is called.

Nor may it waste time or memory: the pure Python unpickler is used, which believes no length that the file claims; keys
are scalars, because hashing tuples of tuples can take for ever; and what comes out is small when written in full.
"""

import io
import pickle
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Self

import torch
from torch import Tensor

MAX_DESCRIPTION_BYTES = 1 << 16  # the released .model files have 1.8 to 4.4 kB
MAX_VALUES = 10_000  # with shared parts counted wherever they occur
MAX_DEPTH = 32
MAX_BITS = 64

SCALARS = (str, bytes, int, float, type(None))


def _scalars(values: Iterable[Any]) -> list[Any]:
    """The values, if each is a number or a string: only these are hashed."""
    checked = list(values)
    for value in checked:
        if not isinstance(value, SCALARS):
            raise pickle.UnpicklingError(f"it uses a {type(value).__name__} as a key")
    return checked


def _ordered_dict(pairs: Iterable[tuple[Any, Any]] = ()) -> OrderedDict[Any, Any]:
    items = [(key, value) for key, value in pairs]
    _scalars(key for key, _ in items)
    return OrderedDict(items)


def _set(values: Iterable[Any] = ()) -> set[Any]:
    return set(_scalars(values))


def _frozenset(values: Iterable[Any] = ()) -> frozenset[Any]:
    return frozenset(_scalars(values))


CONTAINERS: dict[tuple[str, str], Any] = {
    ("collections", "OrderedDict"): _ordered_dict,
    ("builtins", "set"): _set,
    ("builtins", "frozenset"): _frozenset,
    ("__builtin__", "set"): _set,
    ("__builtin__", "frozenset"): _frozenset,
}
INERT = {
    ("gym3.types", name) for name in ("DictType", "TensorType", "Discrete", "Real", "MultiDiscrete", "ValType")
} | {("numpy", "dtype")}


class Placeholder:
    """Stands for an object that was described in a pickle and not built."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self:
        return super().__new__(cls)

    def __init__(self, *_args: Any, **_kwargs: Any) -> None: ...


class _Instructions(dict[int, Callable[[Any], None]]):
    """What the unpickler does for each instruction; any other is refused."""

    def __missing__(self, code: int) -> Callable[[Any], None]:
        raise pickle.UnpicklingError(f"it uses the instruction {code:#04x}")


def _with_scalar_keys(run: Callable[[Any], None], keys: slice) -> Callable[[Any], None]:
    """An instruction that hashes what lies at `keys` on the stack, which begins at the last mark."""

    def checked(unpickler: Any) -> None:
        _scalars(unpickler.stack[keys])
        run(unpickler)

    return checked


def _drop_state(unpickler: Any) -> None:
    """BUILD: the state of a placeholder is dropped; nothing else here has one."""
    unpickler.stack.pop()
    if not isinstance(unpickler.stack[-1], Placeholder):
        raise pickle.UnpicklingError(f"it sets the state of a {type(unpickler.stack[-1]).__name__}")


_Unpickler: Any = pickle._Unpickler  # the standard library's, in Python
_REFUSED = b"".join(
    (pickle.PERSID, pickle.BINPERSID, pickle.INST, pickle.OBJ, pickle.NEWOBJ_EX, pickle.EXT1, pickle.EXT2, pickle.EXT4)
) + b"".join((pickle.BYTEARRAY8, pickle.NEXT_BUFFER, pickle.READONLY_BUFFER))
_KEYS = {
    pickle.SETITEM: slice(-2, -1),
    pickle.SETITEMS: slice(None, None, 2),
    pickle.DICT: slice(None, None, 2),
    pickle.ADDITEMS: slice(None),
    pickle.FROZENSET: slice(None),
}


class _PlainUnpickler(_Unpickler):
    dispatch = _Instructions(
        {code: run for code, run in _Unpickler.dispatch.items() if code not in _REFUSED}
        | {code[0]: _with_scalar_keys(_Unpickler.dispatch[code[0]], keys) for code, keys in _KEYS.items()}
        | {pickle.BUILD[0]: _drop_state}
    )

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) in CONTAINERS:
            return CONTAINERS[module, name]
        if (module, name) in INERT:
            return Placeholder
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")


def _check_size(value: Any) -> None:
    """Raise UnpicklingError if the value is large or deep when written in full, holds itself, or holds huge numbers."""
    waiting, count = [(value, 0)], 0
    while waiting:
        part, depth = waiting.pop()
        count += 1
        if count > MAX_VALUES or depth > MAX_DEPTH:
            raise pickle.UnpicklingError(f"it unfolds to more than {MAX_VALUES} values or {MAX_DEPTH} levels")
        if isinstance(part, int) and part.bit_length() > MAX_BITS:
            raise pickle.UnpicklingError(f"it holds a number of {part.bit_length()} bits")
        if isinstance(part, dict):
            waiting += [(each, depth + 1) for pair in part.items() for each in pair]
        elif isinstance(part, list | tuple | set | frozenset):
            waiting += [(each, depth + 1) for each in part]
        elif not isinstance(part, (*SCALARS, Placeholder)):
            raise pickle.UnpicklingError(f"it holds a {type(part).__name__}")


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
        description = _PlainUnpickler(io.BytesIO(path.read_bytes())).load()
        _check_size(description)
    except Exception as error:  # a hostile or broken pickle can raise anything; nothing of it may pass
        raise ValueError(
            f"{path}: expected a pickle of plain containers, numbers and strings, got one that cannot be "
            f"read safely: {_one_line(error)}; nothing was run, take the file from its publisher"
        ) from error
    return description


def read_tensors(path: str | Path) -> dict[str, Tensor]:
    """Tensors by name of a `.weights` file, on the CPU.

    Raises:
        ValueError: not a file of dense floating-point tensors by name. Nothing was run.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"{path}: expected OpenAI's .weights file, found none")
    try:
        _check_archive(path)
        with warnings.catch_warnings(action="ignore"):  # torch wonders at other pickles; the error is enough
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # as above
        raise ValueError(
            f"{path}: expected tensors by name, got a file that cannot be read safely: {_one_line(error)}; "
            "nothing was run, take the file from its publisher"
        ) from error
    if not isinstance(loaded, dict) or not loaded:
        raise ValueError(f"{path}: expected tensors by name, got {type(loaded).__name__}")
    for name, value in loaded.items():
        if not isinstance(name, str) or not _is_plain(value):
            raise ValueError(f"{path}: expected dense floating-point tensors, got {type(value).__name__} for {name!r}")
    return dict(loaded)


def _check_archive(path: Path) -> None:
    """Raise ValueError for a zip that holds more than its own size: torch stores tensors as they are."""
    if not zipfile.is_zipfile(path):
        return  # the form of torch before 1.6, which is not compressed
    with zipfile.ZipFile(path) as archive:
        claimed = sum(entry.file_size for entry in archive.infolist())
    if claimed > path.stat().st_size:
        raise ValueError(f"it unfolds from {path.stat().st_size} to {claimed} bytes")


def _is_plain(value: Any) -> bool:
    """A dense floating-point tensor that has its own number for each element?"""
    if not isinstance(value, Tensor) or value.layout != torch.strided or not value.is_floating_point():
        return False
    return value.numel() * value.element_size() <= value.untyped_storage().nbytes()


def _one_line(error: Exception) -> str:
    """What is wrong, from a message that may quote a hostile file: printable and short.

    Torch's own message is a page that ends in advice to load the file unsafely; only its reason is kept.
    """
    text = str(error).split("WeightsUnpickler error:")[-1].strip()
    if text.startswith("Weights only load failed"):
        text = text.split("\n\n")[1].strip() if "\n\n" in text else "it holds more than tensors"
    text = text.split("\n")[0] or type(error).__name__
    return text[:200].encode("unicode_escape").decode()
