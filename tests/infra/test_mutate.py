"""The fuzzer's breakages: other bytes, and the same ones for the same seed."""

import random

from infra.mutate import mutate

DATA, OTHER = bytes(range(256)) * 40, b"other" * 2000


def test_the_same_seed_breaks_in_the_same_way() -> None:
    broken = [mutate(DATA, OTHER, random.Random(seed)) for seed in range(200)]
    assert broken == [mutate(DATA, OTHER, random.Random(seed)) for seed in range(200)]
    assert len(set(broken)) > 190
    assert sum(data == DATA for data in broken) < 5


def test_an_empty_file_survives_every_breakage() -> None:
    for seed in range(200):
        assert len(mutate(b"", OTHER, random.Random(seed))) <= 3 * 5000
