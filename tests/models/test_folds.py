"""Worlds that members do without: whole, evenly many frames, each left out by one member."""

import pytest

from models.folds import folds_of, seen_with
from tests.models.game import episode


def test_each_world_is_left_out_by_one_member_and_lengths_are_even() -> None:
    """The largest first: 60, 50 and 40 frames open the folds, 30 goes to 40, 20 to 50, 10 to 60."""
    lengths = {"a": (30, 30), "b": (50,), "c": (20, 20), "d": (30,), "e": (20,), "f": (10,)}
    episodes = [episode(world, length, seed=0) for world, parts in lengths.items() for length in parts]
    folds = folds_of(episodes, 3)
    worlds = [e.world for e in episodes]
    assert dict(zip(worlds, folds, strict=True)) == {"a": 0, "b": 1, "c": 2, "d": 2, "e": 1, "f": 0}
    assert [sum(len(e) for e, fold in zip(episodes, folds, strict=True) if fold == f) for f in range(3)] == [70] * 3
    assert folds_of(episodes[::-1], 3) == folds[::-1], "the order of the recordings does not matter"


def test_a_member_sees_all_but_its_own_fold() -> None:
    assert seen_with([0, 1, 1, 2], 3) == [[1, 2, 3], [0, 3], [0, 1, 2]]


@pytest.mark.parametrize(("worlds", "members"), [(7, 4), (20, 1), (0, 2)])
def test_nothing_is_left_out_of_few_worlds_or_by_a_single_member(worlds: int, members: int) -> None:
    assert folds_of([episode(str(i), 4, seed=i) for i in range(worlds)], members) == []
    assert seen_with([], members) == []
