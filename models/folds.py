"""Which worlds a member of a model never sees, so that what it says of them shows how good it is elsewhere."""

from collections.abc import Sequence

from models.dataset import Episode


def folds_of(episodes: Sequence[Episode], count: int) -> list[int]:
    """Each episode's fold, 0 to `count` - 1: those of a world together, the largest world first, each in the fold that
    is the shortest so far. Empty where there is one fold, or fewer than two worlds for each."""
    lengths: dict[str, int] = {}
    for episode in episodes:
        lengths[episode.world] = lengths.get(episode.world, 0) + len(episode)
    if count == 1 or len(lengths) < 2 * count:
        return []
    filled, fold = [0] * count, dict[str, int]()
    for world in sorted(lengths, key=lambda world: (-lengths[world], world)):
        fold[world] = filled.index(min(filled))
        filled[fold[world]] += lengths[world]
    return [fold[episode.world] for episode in episodes]


def seen_with(folds: Sequence[int], count: int) -> list[list[int]]:
    """For each member the indices of the episodes that it sees, those of all folds but its own; [] without folds."""
    return [[i for i, fold in enumerate(folds) if fold != member] for member in range(count)] if folds else []
