"""The champion as a rival: on which worlds it is compared, and when it is none."""

import json
from dataclasses import replace
from pathlib import Path

import pytest

from models.action_schema import load_schema
from models.actions import MINECRAFT
from models.held_out import idm_loss
from models.train_idm import new_model
from stages.errors import ConfigError
from stages.idm_champion import METRIC, Champion, seen_by
from stages.promote import main as promote_main
from stages.settings import Settings
from stages.stage import Context
from tests.models.game import episode
from tests.models.test_train_idm import TINY

WINDOW = 16
PLAY = [replace(episode(world, 20, seed=seed), id=world) for seed, world in enumerate(("fir", "oak"))]


def crown(settings: Settings, folder: Path, seed: int, *worlds: str) -> None:
    """A random model that was trained on these worlds, by its card, becomes champion."""
    new_model(TINY, seed).save(folder)
    (folder / "card.json").write_text(json.dumps({"data": {"trained_on_worlds": worlds}}))
    assert promote_main(["--store", settings.store, "--kind", "idm", "--from-folder", str(folder)]) == 0


def test_without_a_champion_the_model_wins_unopposed(file_settings: Settings) -> None:
    found = Champion(Context(file_settings), MINECRAFT).compare(new_model(TINY, 0), PLAY, WINDOW)
    assert (found["promote"], found["champion"], found["champion_score"]) == (True, "", None)
    assert found["score"] == pytest.approx(-idm_loss(new_model(TINY, 0), PLAY, WINDOW))
    assert (found["metric"], found["worlds"]) == (METRIC, ["fir", "oak"])


def test_both_are_judged_on_the_same_play_and_a_tie_keeps_the_champion(file_settings: Settings, tmp_path: Path) -> None:
    crown(file_settings, tmp_path / "rival", 0)
    champion = Champion(Context(file_settings), MINECRAFT)
    same = champion.compare(new_model(TINY, 0), PLAY, WINDOW)
    assert same["score"] == same["champion_score"]
    assert not same["promote"]
    other = champion.compare(new_model(TINY, 1), PLAY, WINDOW)
    assert other["promote"] == (other["score"] > same["score"])
    assert (other["test"], other["champion_score"]) == (same["test"], same["champion_score"])


@pytest.mark.parametrize(
    ("knows", "judged", "told"), [([], ["fir", "oak"], []), (["oak"], ["fir"], []), (["fir", "oak"],) * 3]
)
def test_worlds_that_the_champion_knows_count_only_where_there_are_no_others(
    knows: list[str], judged: list[str], told: list[str], file_settings: Settings, tmp_path: Path
) -> None:
    crown(file_settings, tmp_path / "rival", 0, *knows)
    found = Champion(Context(file_settings), MINECRAFT).compare(new_model(TINY, 1), PLAY, WINDOW)
    assert (found["worlds"], found["champion_trained_on"]) == (judged, told)
    play = [one for one in PLAY if one.world in judged]
    assert found["score"] == pytest.approx(-idm_loss(new_model(TINY, 1), play, WINDOW))
    assert seen_by(tmp_path / "rival") == set(knows)
    assert seen_by(None) == set()


def test_a_champion_of_another_game_or_that_cannot_be_read_is_told_at_once(
    file_settings: Settings, tmp_path: Path
) -> None:
    crown(file_settings, tmp_path / "rival", 0)
    ctx = Context(file_settings)
    with pytest.raises(ConfigError, match="desktop"):
        Champion(ctx, load_schema("desktop"))
    ctx.store.put(f"models/idm/{ctx.model_digest('idm')}/weights.safetensors", b"damaged")
    elsewhere = file_settings.model_copy(update={"cache_dir": str(tmp_path / "elsewhere")})
    with pytest.raises(ConfigError, match=r"got one that cannot be read: .*expected safetensors.*stages\.promote"):
        Champion(Context(elsewhere), MINECRAFT)
