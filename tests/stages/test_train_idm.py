"""The IDM's training as a stage, on real recordings and a tiny model: resume, fine-tuning, promotion, refusals."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models import train_idm as recipes
from models.dataset import Episode
from models.idm import IDMConfig
from models.train_idm import IDMTrainConfig, new_model
from stages.checkpoints import StoredCheckpoints
from stages.errors import ConfigError
from stages.promote import main as promote_main
from stages.settings import Settings, load_settings
from stages.stage import Context, Recipe
from stages.train_idm import TrainIdm, TrainIdmConfig, split
from tests import tiny
from tests.models.game import write_recording
from tests.models.test_train_idm import TINY

TRAINING = IDMTrainConfig(learning_rate=1e-3, batch=2, window=16, max_steps=10, checkpoint_every=2)
SECTIONS: dict[str, Any] = {"train_idm": {"recipe": "tiny", "held_out": [tiny.HELD_OUT]}}


@pytest.fixture(scope="module")
def ground_truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with the ground truth of two worlds."""
    root = tmp_path_factory.mktemp("truth")
    tiny.recordings(root / "recordings", length=48)
    settings = load_settings(store=f"file://{root}/store")
    tiny.run_flow(settings, {"ingest": {"recordings": [str(root / "recordings")], "licence": "CC0-1.0"}}, FIRST)
    return root / "store"


FIRST = ("ingest", "shard_truth")


@pytest.fixture
def store(ground_truth: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """A copy of that store, and a recipe for a tiny model."""
    monkeypatch.setitem(recipes.RECIPES, "tiny", (lambda: TINY, lambda: TRAINING))
    return copy(ground_truth, tmp_path / "a")


def copy(ground_truth: Path, folder: Path) -> Settings:
    shutil.copytree(ground_truth, folder / "store")
    return load_settings(store=f"file://{folder}/store", cache_dir=str(folder / "cache"))


def train(settings: Settings, **config: Any) -> dict[str, Any]:
    return tiny.run(settings, {"train_idm": {**SECTIONS["train_idm"], **config}}, "train_idm")


def keys(settings: Settings, prefix: str = "") -> Iterator[str]:
    return Context(settings).store.keys(prefix)


def test_a_training_leaves_a_model_with_its_card_and_no_scratch(store: Settings) -> None:
    summary = train(store)
    assert (summary["done"], summary["changed"]) == (1, True)
    ctx = Context(store, Recipe(SECTIONS))
    folder = f"models/idm/{summary['champion']}"
    names = {"model.json", "weights.safetensors", "report.json", "report.png"}
    measured = {"card.json", "card.md", "events.out.tfevents.training", "history.json"}
    assert {key.rsplit("/", 1)[1] for key in keys(store, folder)} == names | measured
    (record,) = ctx.committed("train_idm")
    assert {output.key.rsplit("/", 1)[1] for output in record.outputs} == names, "no clock in a record"
    assert list(keys(store, "_ledger/train_idm/checkpoints")) == []
    card = json.loads(ctx.store.get(f"{folder}/card.json"))
    assert card["data"]["snapshot"] == record.inputs["snapshot"]
    assert card["data"]["licences"] == {"CC0-1.0": 3}
    assert card["data"]["tested_on_worlds"] == ["amber-otter-setter-0000000000aa"]
    assert card["training"]["steps"] == 10
    assert card["command"] == (
        'python -m stages.train_idm --config \'{"calibrate":[],"held_out":["amber-otter"],"init":"none","max_steps":0,'
        '"recipe":"tiny","seed":0}\''
    )
    assert train(store)["planned"] == 0


def test_the_work_key_holds_what_the_recipe_stands_for(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another learning rate under the same name is other work; another name, device or pause is not."""
    ctx = Context(store)

    def key(make_model: IDMConfig = TINY, **changes: Any) -> str:
        monkeypatch.setitem(recipes.RECIPES, "other", (lambda: make_model, lambda: replace(TRAINING, **changes)))
        return next(iter(TrainIdm(TrainIdmConfig(recipe="other")).units(ctx))).key

    same = next(iter(TrainIdm(TrainIdmConfig(recipe="tiny")).units(ctx))).key
    assert key() == key(device="cuda", checkpoint_every=7, precision="auto") == same
    assert len({same, key(learning_rate=0.1), key(replace(TINY, hidsize=16)), key(max_steps=11)}) == 4


def test_a_killed_training_goes_on_from_the_store(
    store: Settings, ground_truth: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after step 6 and run again, also from a machine that has nothing but the store: the same model."""
    whole = train(store)
    hurt = copy(ground_truth, tmp_path / "b")
    keep, steps = StoredCheckpoints.keep, []

    def stop(self: StoredCheckpoints, folder: Path) -> None:
        keep(self, folder)
        steps.append(folder.name)
        if folder.name == "step-00000006" and len(steps) == 3:
            raise KeyboardInterrupt

    monkeypatch.setattr(StoredCheckpoints, "keep", stop)
    with pytest.raises(KeyboardInterrupt):
        train(hurt)
    assert {key.split("/")[-2] for key in keys(hurt, "_ledger/train_idm/checkpoints")} == {"step-00000006"}
    assert train(hurt)["champion"] == whole["champion"], "the digest of the weights"
    assert steps[3] == "step-00000008"
    records = [Context(s).ledger.records("train_idm") for s in (store, hurt)]
    assert records[0] == records[1]


def test_fine_tuning_from_a_registered_champion(store: Settings, tmp_path: Path) -> None:
    """The champion it makes is not taken for a new start: the next run finds nothing to do."""
    base = new_model(TINY, seed=5)
    base.save(tmp_path / "shipped")
    (tmp_path / "shipped" / "card.json").write_text(json.dumps({"data": {"trained_on_worlds": ["keen-vole-digger-x"]}}))
    common = ["--store", store.store, "--kind", "idm", "--from-folder", str(tmp_path / "shipped")]
    assert promote_main(common) == 0
    shipped = Context(store).model_digest("idm")
    summary = train(store, init="champion", max_steps=8)
    assert summary["changed"], "eight steps beat random weights"
    (record,) = Context(store).ledger.records("train_idm").values()
    assert record.inputs["start"] == shipped
    assert record.info["comparison"]["champion"][:12] == shipped
    assert record.info["comparison"]["champion_trained_on"] == []
    assert train(store, init="champion", max_steps=8)["planned"] == 0
    assert train(store, init=shipped, max_steps=8)["planned"] == 0, "the same work by its name"


def test_a_champion_of_another_architecture(store: Settings, tmp_path: Path) -> None:
    """It can be beaten, and it cannot be fine-tuned under this recipe."""
    new_model(replace(TINY, hidsize=16), seed=5).save(tmp_path / "other")
    assert promote_main(["--store", store.store, "--kind", "idm", "--from-folder", str(tmp_path / "other")]) == 0
    before = sorted(keys(store))
    with pytest.raises(ConfigError, match=r"the recipe's architecture \(hidsize 32\), got hidsize 16"):
        train(store, init="champion")
    assert sorted(keys(store)) == before, "nothing changed"
    assert train(store)["changed"]


def test_a_champion_that_cannot_be_read_stops_before_training(store: Settings, tmp_path: Path) -> None:
    new_model(TINY, seed=5).save(tmp_path / "model")
    assert promote_main(["--store", store.store, "--kind", "idm", "--from-folder", str(tmp_path / "model")]) == 0
    ctx = Context(store)
    folder = f"models/idm/{ctx.model_digest('idm')}"
    ctx.store.put(f"{folder}/weights.safetensors", b"damaged")
    with pytest.raises(ConfigError, match=r"got one that cannot be read: .*expected safetensors.*stages\.promote"):
        train(store)
    assert list(keys(store, "_ledger/train_idm")) == []


def test_a_loss_that_is_no_number_registers_nothing(store: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    wild = replace(TRAINING, learning_rate=1e30)
    monkeypatch.setitem(recipes.RECIPES, "tiny", (lambda: TINY, lambda: wild))
    with pytest.raises(ConfigError, match=r"train_idm: the .* at step \d+; expected a finite number"):
        train(store)
    assert [key for key in keys(store) if key.startswith(("models/", "_pointers/idm", "_quarantine/"))] == []
    assert Context(store).ledger.records("train_idm") == {}


def test_wrong_names_are_told_before_work(store: Settings) -> None:
    with pytest.raises(ConfigError, match=r"expected a recipe, one of .*vpt_released, vpt_small; got 'released'"):
        train(store, recipe="released")
    with pytest.raises(ConfigError, match="expected a registered idm, got 'abc'"):
        train(store, init="abc")


def clip(world: str) -> Episode:
    frames = np.zeros((10, 128, 128, 3), np.uint8)
    actions = np.zeros((10, 20), bool), np.zeros((10, 2), np.float32), np.ones(10, np.float32)
    return Episode(world, world, frames, *actions)


def test_worlds_that_the_start_has_seen_are_held_out_last() -> None:
    clips = [clip(world) for world in ("amber-otter", "keen-vole", "lucky-wren")]
    for fresh in ("amber-otter", "keen-vole", "lucky-wren"):
        seen = {c.world for c in clips} - {fresh}
        assert [c.world for c in split(clips, (), seen=seen)[2]] == [fresh]


def test_worlds_that_fit_the_confidence_are_neither_trained_nor_tested_on() -> None:
    clips = [clip(world) for world in ("amber-otter", "keen-vole", "lucky-wren")]
    for held_out in ((), ("keen-vole",)):
        training, calibration, tested = split(clips, held_out, ("lucky",))
        assert [c.world for c in calibration] == ["lucky-wren"]
        assert {c.world for c in training + tested} == {"amber-otter", "keen-vole"}
    with pytest.raises(ConfigError, match="'heron' is not among the recordings"):
        split(clips, (), ("heron",))


def test_the_confidence_is_fitted_on_its_own_world(store: Settings, tmp_path: Path) -> None:
    world = "lucky-wren-seeker-0000000000cc"
    (tmp_path / "more").mkdir()
    write_recording(tmp_path / "more", f"{world}-20260104-000000", 96, 3)
    tiny.run_flow(store, {"ingest": {"recordings": [str(tmp_path / "more")], "licence": "CC0-1.0"}}, FIRST)
    summary = train(store, calibrate=["lucky-wren"])
    card = json.loads(Context(store).store.get(f"models/idm/{summary['champion']}/card.json"))
    fitted = card["data"]["calibrated_on"]
    assert (fitted["worlds"], fitted["frames"]) == ([world], 96)
    assert card["data"]["trained_on_worlds"] == ["keen-vole-digger-0000000000bb"]
    assert fitted["factor"] != 1
    assert card["model"]["config"]["temperature"] == pytest.approx(fitted["temperature"])


def test_worlds_that_members_left_out_fit_the_confidence(
    store: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = (lambda: replace(TINY, members=2), lambda: replace(TRAINING, leave_out=True))
    monkeypatch.setitem(recipes.RECIPES, "tiny", recipe)
    (tmp_path / "more").mkdir()
    for seed, name in enumerate(("hen", "yak", "ape")):
        write_recording(tmp_path / "more", f"{name}-00000000000{seed}-20260104-000000", 48, 3 + seed)
    tiny.run_flow(store, {"ingest": {"recordings": [str(tmp_path / "more")], "licence": "CC0-1.0"}}, FIRST)
    data = json.loads(Context(store).store.get(f"models/idm/{train(store)['champion']}/card.json"))["data"]
    assert len(data["trained_on_worlds"]) == 4
    assert data["calibrated_on"]["worlds"] == data["trained_on_worlds"]
