"""The command lines that stage operators build, held against the stages' own command line and configs."""

import inspect
import json
import shlex
from dataclasses import fields

import pytest

from operators import stage_operators
from operators.stage_operators import LabelOperator, ScrapeOperator, StageOperator
from stages import cli
from stages.pipeline import MODULES
from stages.stage import Recipe, load_stage

OPERATORS = {
    cls.stage: cls
    for _, cls in inspect.getmembers(stage_operators, inspect.isclass)
    if issubclass(cls, StageOperator) and cls is not StageOperator
}
SAMPLES = {"max_clip_s": 60.0, "max_steps": 5, "sources": ["a b"], "recordings": ["/x"], "videos": ["v"]}
SAMPLES |= {"held_out": ["world"], "sample_side": 128, "crf": 20, "stride": 32, "rows_per_shard": 9, "labels": "truth"}
SAMPLES |= {"blacklist": ["preset:vpt"], "allow": ["a|b"], "deny": ["c"], "licence_policy": "any", "max_per_source": 9}
SAMPLES |= {"recipe": "nano_cpu", "threshold": 0.4, "min_run_s": 2.0, "min_clean_share": 0.1}
SAMPLES |= {"max_bits": 10, "min_evidence": 9, "overlays": 0, "calibrate": ["owl"]}


def own_arguments(cls: type[StageOperator]) -> list[str]:
    """The typed arguments that a stage's operator adds."""
    names = inspect.signature(inspect.unwrap(cls.__init__)).parameters
    return [name for name in names if name not in ("self", "kwargs")]


def test_every_stage_has_one_operator():
    assert set(OPERATORS) == set(MODULES)


@pytest.mark.parametrize("name", MODULES)
def test_typed_arguments_are_fields_of_the_stages_config(name):
    arguments = own_arguments(OPERATORS[name])
    assert arguments, f"{name} has no typed argument"
    assert set(arguments) <= {field.name for field in fields(load_stage(name).Config)}


@pytest.mark.parametrize("name", MODULES)
def test_the_stages_own_parser_takes_the_command(name):
    given = {argument: SAMPLES.get(argument, "it's $HOME") for argument in own_arguments(OPERATORS[name])}
    task = OPERATORS[name](
        task_id="t", store="file:///tmp/a b", batch="1/4", limit=3, retry_quarantined="all", config={}, **given
    )
    words = shlex.split(task.command())
    assert words[:3] == ["python", "-m", f"stages.{name}"]
    args = cli._parser(name).parse_args(words[3:])
    assert (args.store, args.batch, args.limit, args.retry_quarantined) == ("file:///tmp/a b", "1/4", 3, "all")
    config = Recipe.parse(args.config, name).config(name)
    for argument, value in given.items():
        assert getattr(config, argument) == (tuple(value) if isinstance(value, list) else value)


def test_own_arguments_go_over_the_recipe_and_leave_its_other_sections_alone():
    recipe = {"scrape": {"sources": ["a"], "max_items": 5}, "label": {"idm": "0123456789ab"}}
    task = ScrapeOperator(task_id="t", store="file:///s", config=recipe, sources=["b"])
    found = json.loads(shlex.split(task.command())[-1])
    assert found == {"scrape": {"sources": ["b"], "max_items": 5}, "label": {"idm": "0123456789ab"}}
    assert recipe["scrape"]["sources"] == ["a"]


def test_the_same_settings_give_the_same_command_whatever_their_order():
    one = LabelOperator(task_id="t", store="file:///s", config={"label": {"idm": "champion"}, "cut": {"crf": 1}})
    other = LabelOperator(task_id="t", store="file:///s", config={"cut": {"crf": 1}, "label": {"idm": "champion"}})
    assert one.command() == other.command(), "the command is part of the job's id"


def test_without_a_store_the_settings_decide(monkeypatch):
    monkeypatch.setenv("SMELTER_STORE", "file:///from/settings")
    assert "--store file:///from/settings" in LabelOperator(task_id="t").command()


def test_silent_options_are_left_out():
    assert LabelOperator(task_id="t", store="file:///s").command() == "python -m stages.label --store file:///s"
