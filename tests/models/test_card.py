"""Cards: everything a person asks before trusting a model, in JSON and in Markdown."""

import json
from pathlib import Path

from models.card import Card, card_text, package_versions, read_card, write_card

CARD = Card(
    title="Inverse dynamics model",
    kind="idm",
    data={
        "snapshot": "abc",
        "licences": {"CC0-1.0": 3},
        "tested_on_worlds": ["elk", "owl"],
        "calibrated_on": {"temperature": 2.0, "shares": {"jump": 0.5}, "frames": 9},
        "note": "a|b",
    },
    model={"parameters": 12},
    training={"seed": 7, "cpu_seconds": 12.5, "config": {"learning_rate": 0.001, "augment": None}},
    metrics={"joint_accuracy": 0.51234, "event_f1": None, "loss": float("nan")},
    baselines={"always_released": {"joint_accuracy": 0.25}},
    command="python -m models.train_idm --seed 7",
)


def test_a_card_is_written_for_programs_and_for_people(tmp_path: Path) -> None:
    write_card(tmp_path, CARD)
    assert json.loads((tmp_path / "card.json").read_text())["training"]["cpu_seconds"] == 12.5
    assert read_card(tmp_path)["data"]["snapshot"] == "abc"
    assert read_card(tmp_path / "none") == {}
    assert (tmp_path / "card.md").read_text() == card_text(CARD)


def test_figures_stand_beside_the_baselines() -> None:
    lines = card_text(CARD).splitlines()
    assert "| figure | this model | always released |" in lines
    assert "| joint accuracy | 0.5123 | 0.25 |" in lines
    assert "| event f1 | - | - |" in lines
    assert "| loss | - | - |" in lines, "not a number is no figure"


def test_data_costs_and_command_are_told() -> None:
    text = card_text(CARD)
    assert "| licences | CC0-1.0 3 |" in text
    assert "| tested on worlds | elk, owl |" in text
    assert "| calibrated on | temperature 2, shares (jump 0.5), frames 9 |" in text
    assert "| config | learning rate" not in text
    assert "| config | learning_rate 0.001 |" in text
    assert "| note | a\\|b |" in text
    assert "```bash\npython -m models.train_idm --seed 7\n```" in text
    assert "## Champion" not in text, "nothing was compared"


def test_versions_are_those_that_are_installed() -> None:
    found = package_versions()
    assert {"python", "torch", "numpy", "safetensors"} <= set(found)
    assert all(version[0].isdigit() for version in found.values())
