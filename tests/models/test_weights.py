"""Models on disk: same model same bytes, and loading that names what does not fit."""

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from models.idm import InverseDynamicsModel
from models.policy import Policy
from models.weights import MODEL_FILE, WEIGHTS_FILE, load_model, model_digest, save_model
from tests.models.test_idm import TINY, model


def rewrite(directory: Path, **changes: torch.Tensor | None) -> None:
    """Replace tensors of a saved model, or remove those given as None."""
    tensors = load_file(directory / WEIGHTS_FILE) | changes
    save_file({name: tensor for name, tensor in tensors.items() if tensor is not None}, directory / WEIGHTS_FILE)


def test_the_same_model_gives_the_same_bytes(tmp_path: Path) -> None:
    idm = model()
    backwards = dict(reversed(list(idm.state_dict().items())))
    idm.save(tmp_path / "a")
    save_model(tmp_path / "b", "idm", dict(reversed(list(load_model(tmp_path / "a", "idm")[0].items()))), backwards)
    for name in (MODEL_FILE, WEIGHTS_FILE):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [MODEL_FILE, WEIGHTS_FILE]


def test_the_digest_follows_config_and_weights_and_nothing_else(tmp_path: Path) -> None:
    idm = model()
    idm.save(tmp_path)
    digest = model_digest(tmp_path)
    (tmp_path / "card.json").write_text('{"keypress": 0.9}')
    description = json.loads((tmp_path / MODEL_FILE).read_text())
    (tmp_path / MODEL_FILE).write_text(json.dumps(description, indent=4))
    assert model_digest(tmp_path) == digest
    assert len(digest) == 64
    idm.config = dataclasses.replace(TINY, temperature=2.0)
    idm.save(tmp_path)
    warmer = model_digest(tmp_path)
    model(seed=1).save(tmp_path)
    assert len({digest, warmer, model_digest(tmp_path)}) == 3


def test_weights_that_do_not_fit_are_named(tmp_path: Path) -> None:
    idm = model()
    for change, message in [
        ({"net.final_ln.bias": None}, "missing net.final_ln.bias"),
        ({"net.surprise": torch.zeros(1)}, "extra net.surprise"),
        ({"net.final_ln.bias": torch.zeros(17)}, r"net.final_ln.bias is \(17,\), expected \(16,\)"),
    ]:
        idm.save(tmp_path)
        rewrite(tmp_path, **change)
        with pytest.raises(ValueError, match=message):
            InverseDynamicsModel.load(tmp_path)


def test_half_precision_files_load_as_float32(tmp_path: Path) -> None:
    idm = model()
    idm.save(tmp_path)
    rewrite(tmp_path, **{name: tensor.half() for name, tensor in idm.state_dict().items()})
    assert {parameter.dtype for parameter in InverseDynamicsModel.load(tmp_path).parameters()} == {torch.float32}


def test_the_wrong_directory_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"model\.json.*python -m models\.convert"):
        Policy.load(tmp_path)
    model().save(tmp_path)
    with pytest.raises(ValueError, match="kind 'policy', got 'idm'"):
        Policy.load(tmp_path)
    (tmp_path / WEIGHTS_FILE).write_bytes(b"not tensors")
    with pytest.raises(ValueError, match="expected safetensors weights"):
        InverseDynamicsModel.load(tmp_path)
    (tmp_path / MODEL_FILE).write_text("{")
    with pytest.raises(ValueError, match="expected JSON"):
        InverseDynamicsModel.load(tmp_path)


def test_a_config_with_unknown_or_missing_fields_is_refused(tmp_path: Path) -> None:
    config, tensors = {"hidsize": 16}, model().state_dict()
    save_model(tmp_path, "idm", config | {"depth": 3, "attention_heads": 2}, tensors)
    with pytest.raises(ValueError, match=r"IDMConfig has no fields \['depth'\]"):
        InverseDynamicsModel.load(tmp_path)
    save_model(tmp_path, "idm", config | {"attention_heads": 2, "front": "correlation"}, tensors)
    with pytest.raises(
        ValueError, match=f"{tmp_path}: expected front 'conv3d' or 'motion', got 'correlation'; .*again"
    ):
        InverseDynamicsModel.load(tmp_path)
    save_model(tmp_path, "idm", config, tensors)
    with pytest.raises(ValueError, match=r"incomplete.*attention_heads"):
        InverseDynamicsModel.load(tmp_path)
