"""Hostile and broken files: an error that names the file, and nothing of them has run."""

import os
import pickle
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

from models.unpickle import Placeholder, read_description, read_tensors


class Runs:
    """Pickles to a call that makes a file."""

    def __init__(self, path: Path):
        self.path = path

    def __reduce__(self) -> Any:
        return os.mkdir, (str(self.path),)


def test_plain_data_comes_back(tmp_path: Path) -> None:
    plain = {"a": [1, 2.5, None, True], "b": OrderedDict(c=(1, "x")), "d": {1, 2}, "e": frozenset("f")}
    for protocol in range(2, 6):
        (tmp_path / "x.model").write_bytes(pickle.dumps(plain, protocol))
        assert read_description(tmp_path / "x.model") == plain


@pytest.mark.parametrize("where", ["top", "inside", "key of the state"])
def test_a_call_is_refused_and_not_made(tmp_path: Path, where: str) -> None:
    trap = Runs(tmp_path / "pwned")
    value = {"top": trap, "inside": {"model": [trap]}, "key of the state": OrderedDict(x=trap)}[where]
    (tmp_path / "x.model").write_bytes(pickle.dumps(value))
    with pytest.raises(ValueError, match=r"x\.model.*mkdir.*nothing was run"):
        read_description(tmp_path / "x.model")
    assert not (tmp_path / "pwned").exists()


@pytest.mark.parametrize(
    "name", ["builtins eval", "builtins getattr", "os system", "builtins set.__init__", "torch load", "numpy dtypes"]
)
def test_only_listed_names_are_looked_up(tmp_path: Path, name: str) -> None:
    module, attribute = name.split()
    (tmp_path / "x.model").write_bytes(f"c{module}\n{attribute}\n.".encode())
    with pytest.raises(ValueError, match=f"asks for {module}.{attribute}"):
        read_description(tmp_path / "x.model")


def test_gym3_types_become_inert(tmp_path: Path) -> None:
    """By hand: (gym3.types.Discrete)(6) with a state, as the released files hold in `extra_args`."""
    (tmp_path / "x.model").write_bytes(b"\x80\x02}X\x02\x00\x00\x00acK\x05cgym3.types\nDiscrete\nK\x06\x85\x81}b\x86s.")
    got = read_description(tmp_path / "x.model")
    assert isinstance(got["ac"][1], Placeholder)
    assert vars(got["ac"][1]) == {}


SHARED = b")" + b"".join(b"q%c0h%ch%c\x86" % (i, i, i) for i in range(100))  # a tuple of two of a tuple of two of ...
OPEN = b"\x80\x04}X\x01\x00\x00\x00a"


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (OPEN + SHARED + b"s.", "unfolds to more than 10000 values"),
        (OPEN + b"}" + SHARED + b"K\x01ss.", "tuple as a key"),
        (b"\x80\x04\x8f(" + SHARED + b"\x90.", "tuple as a key"),
        (b"\x80\x04(" + SHARED + b"\x91.", "tuple as a key"),
        (b"cbuiltins\nset\n]" + SHARED + b"a\x85R.", "tuple as a key"),
        (b"ccollections\nOrderedDict\n]" + SHARED + b"K\x01\x86a\x85R.", "tuple as a key"),
        (OPEN + b"]q\x00h\x00as.", "unfolds to more"),
        (OPEN + b"]" * 50 + b"a" * 49 + b"s.", "32 levels"),
        (OPEN + b"\x8b\x00\x01\x00\x00" + b"\x7f" * 256 + b"s.", "number of 2047 bits"),
        (b"ccollections\nOrderedDict\n}X\x0c\x00\x00\x00__defaults__)sb.", "state of a function"),
        (b"ccollections\nOrderedDict\n)R}b.", "state of a OrderedDict"),
        (b"(S'x'\nios\nsystem\n.", "instruction 0x69"),
        (b"\x80\x02\x82\x01.", "instruction 0x82"),
        (b"\x80\x04c\x1b[2J\nx\n.", r"asks for \\x1b\[2J"),
    ],
)
def test_bombs_and_rare_instructions_are_refused_at_once(tmp_path: Path, content: bytes, reason: str) -> None:
    """Shared parts double with each level: hashing or printing them in full would take for ever."""
    (tmp_path / "x.model").write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        read_description(tmp_path / "x.model")


def test_claimed_lengths_are_not_believed(tmp_path: Path) -> None:
    """A length of a tebibyte and a memo index of two billion take no memory."""
    for content in (b"\x80\x04\x8e" + (1 << 40).to_bytes(8, "little") + b"a.", b"\x80\x05\x96" + b"\xff" * 8):
        (tmp_path / "x.model").write_bytes(content)
        with pytest.raises(ValueError, match="cannot be read safely"):
            read_description(tmp_path / "x.model")
    (tmp_path / "x.model").write_bytes(b"\x80\x02Nr\xff\xff\xff\x7f.")
    assert read_description(tmp_path / "x.model") is None


def test_weights_that_unfold_are_refused(tmp_path: Path) -> None:
    """A compressed archive, and a tensor that repeats one number."""
    path = tmp_path / "x.weights"
    torch.save({"w": torch.zeros(100_000)}, path)
    with zipfile.ZipFile(path) as stored:
        parts = {name: stored.read(name) for name in stored.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as deflated:
        for name, data in parts.items():
            deflated.writestr(name, data)
    with pytest.raises(ValueError, match="unfolds from"):
        read_tensors(path)
    torch.save({"w": torch.zeros(1).expand(1 << 20, 1 << 20)}, path)
    with pytest.raises(ValueError, match="dense floating-point tensors"):
        read_tensors(path)


def test_the_reason_is_given_and_no_unsafe_advice(tmp_path: Path) -> None:
    torch.save({"w": Runs(tmp_path / "pwned")}, tmp_path / "x.weights")
    with pytest.raises(ValueError, match=r"GLOBAL posix\.mkdir") as caught:
        read_tensors(tmp_path / "x.weights")
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [b"", b"hello", b"\x80\x04.", b"\x80\x04}", b"P1\n.", pickle.dumps({"a": 1})[:-3], b"\x80\x09."],
    ids=["empty", "text", "no value", "unended", "persistent id", "cut", "future protocol"],
)
def test_broken_pickles_are_one_clear_error(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.model").write_bytes(content)
    with pytest.raises(ValueError, match=r"x\.model: expected a pickle of plain containers"):
        read_description(tmp_path / "x.model")


def test_exchanged_and_missing_files_are_named(tmp_path: Path) -> None:
    (tmp_path / "x.model").write_bytes(b"0" * (2 << 20))
    with pytest.raises(ValueError, match="exchanged"):
        read_description(tmp_path / "x.model")
    with pytest.raises(ValueError, match=r"y\.model: expected OpenAI's \.model file, found none"):
        read_description(tmp_path / "y.model")


def test_tensors_come_back_and_nothing_else_does(tmp_path: Path) -> None:
    path, tensors = tmp_path / "x.weights", OrderedDict(w=torch.arange(4.0))
    for zipped in (True, False):
        torch.save(tensors, path, _use_new_zipfile_serialization=zipped)
        assert torch.equal(read_tensors(path)["w"], tensors["w"])
    for bad, message in [
        ({"w": Runs(tmp_path / "pwned")}, "nothing was run"),
        ([torch.zeros(1)], "expected tensors by name, got list"),
        ({"w": 3}, "got int for 'w'"),
        ({"w": torch.zeros(2, dtype=torch.int64)}, "dense floating-point tensors"),
        ({1: torch.zeros(2)}, "dense floating-point tensors"),
        ({}, "expected tensors by name"),
    ]:
        torch.save(bad, path)
        with pytest.raises(ValueError, match=message):
            read_tensors(path)
    path.write_bytes(b"junk")
    with pytest.raises(ValueError, match=r"x\.weights: .*cannot be read safely"):
        read_tensors(path)
    assert not (tmp_path / "pwned").exists()
