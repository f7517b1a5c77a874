"""What `auto` becomes, and which fields say what is computed."""

from dataclasses import replace

import pytest
import torch

from models.train_config import TrainConfig, best_device, resolve_precision

CONFIG = TrainConfig(learning_rate=0.1, batch=2, epochs=1)


def test_auto_becomes_what_the_machine_has() -> None:
    here = replace(CONFIG, precision="auto").on_this_machine()
    assert here.device == ("cuda" if torch.cuda.is_available() else "cpu") == best_device()
    found = torch.cpu.get_capabilities()
    native = bool(found.get("avx512_bf16") or found.get("amx_bf16"))
    assert resolve_precision("auto", "cpu") == ("bfloat16" if native else "float32")
    assert resolve_precision("float32", "cpu") == "float32"
    assert resolve_precision("bfloat16", "cpu") == "bfloat16", "asked for is asked for"


def test_hardware_is_no_content() -> None:
    moved = replace(CONFIG, device="cuda:3", precision="bfloat16", checkpoint_every=7, max_seconds=9.0, log_every=3)
    assert moved.content() == CONFIG.content()
    assert replace(CONFIG, learning_rate=0.2).content() != CONFIG.content()


@pytest.mark.parametrize("name", ["checkpoint_seconds", "checkpoint_every"])
def test_intervals_may_be_zero_but_not_negative(name: str) -> None:
    replace(CONFIG, **{name: 0})
    with pytest.raises(ValueError, match=name):
        replace(CONFIG, **{name: -1})
