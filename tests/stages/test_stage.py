"""Recipes refuse what they do not know; work keys depend on content and on nothing else."""

import pickle
from pathlib import Path

import pytest

from stages.errors import ConfigError
from stages.settings import Settings
from stages.stage import Context, Recipe, keyed_fields, load_stage
from tests.toy import Toy, ToyConfig


def test_flat_fields_and_sections_are_the_same() -> None:
    flat, sections = (
        Recipe.parse('{"rows_per_shard": 5}', "shard"),
        Recipe.parse('{"shard": {"rows_per_shard": 5}}', "shard"),
    )
    assert flat.config("shard") == sections.config("shard")
    assert flat.config("label").stride == 64, "a silent section keeps the defaults"


def test_a_recipe_can_be_a_file(tmp_path: Path) -> None:
    (tmp_path / "recipe.json").write_text('{"label": {"stride": 32}}')
    assert Recipe.parse(str(tmp_path / "recipe.json"), "label").config("label").stride == 32


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("{", "expected JSON or a JSON file"),
        ("nowhere.json", "expected JSON or a JSON file"),
        ('{"stride": "far"}', "label: stride: .*got 'far'"),
        ('{"stride": 0}', "expected 1 to window"),
        ('{"strides": 64}', "label has no field strides; it has idm, window, stride"),
    ],
)
def test_a_wrong_recipe_is_one_clear_error(text: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        Recipe.parse(text, "label").config("label")


def test_an_unknown_stage_lists_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="choose one of scrape, segment"):
        load_stage("smelt")


def test_work_keys_depend_on_keyed_fields_version_and_inputs() -> None:
    stage = Toy(ToyConfig(numbers=(1,)))
    assert stage.work_key("a") == Toy(ToyConfig(numbers=(1, 2))).work_key("a"), "what is wanted is no part of a key"
    assert stage.work_key("a") != Toy(ToyConfig(power=3)).work_key("a")
    assert stage.work_key("a") != stage.work_key("b")
    assert list(keyed_fields(stage.config)) == ["power"]


def test_a_context_travels_without_its_store(file_settings: Settings) -> None:
    ctx = Context(file_settings, Recipe({"label": {"stride": 32}}))
    ctx.store.put("x", b"1")
    copy = pickle.loads(pickle.dumps(ctx))
    assert copy.store.get("x") == b"1"
    assert copy.stage("label").config.stride == 32


def test_no_champion_says_what_to_run(file_settings: Settings) -> None:
    with pytest.raises(ConfigError, match=r"got none; run `python -m stages\.train_idm` first"):
        Context(file_settings).model_digest("idm")
    with pytest.raises(ConfigError, match="expected a registered idm, got 'abc'"):
        Context(file_settings).model_digest("idm", "abc")


def test_models_are_fetched_once(file_settings: Settings) -> None:
    ctx = Context(file_settings)
    ctx.store.put("models/idm/0123456789ab/model.json", b"{}")
    folder = ctx.fetch_model("idm", "0123456789abcdef")
    assert (folder / "model.json").read_bytes() == b"{}"
    ctx.store.delete(["models/idm/0123456789ab/model.json"])
    assert (ctx.fetch_model("idm", "0123456789ab") / "model.json").exists()
