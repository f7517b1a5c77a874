"""The IDM that labels now, against which a newly trained one must prove itself."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages.errors import ConfigError
from stages.records import digest
from stages.registry import decide
from stages.stage import Context
from stages.training import same_game

if TYPE_CHECKING:
    from models.action_schema import ActionSchema
    from models.dataset import Episode
    from models.idm import InverseDynamicsModel

METRIC = "minus held-out loss, nats per frame"


class Champion:
    """The present champion, read before hours of training show that it cannot be, or is of another game."""

    def __init__(self, ctx: Context, schema: "ActionSchema") -> None:
        self.pointer = ctx.ledger.pointer("idm")
        self.folder = ctx.fetch_model("idm", self.pointer.target) if self.pointer else None
        self.model = self._load() if self.folder else None
        if self.model:
            same_game("idm", self.model.config.schema, schema)

    def _load(self) -> "InverseDynamicsModel":
        from models.idm import InverseDynamicsModel

        assert self.folder is not None
        try:
            return InverseDynamicsModel.load(self.folder)
        except ValueError as error:
            raise ConfigError(
                f"expected a champion idm that can be compared with, got one that cannot be read: {error}; "
                "move the pointer to another with `python -m stages.promote --kind idm --to VERSION`"
            ) from error

    def compare(self, model: "InverseDynamicsModel", held_out: "list[Episode]", window: int) -> dict[str, Any]:
        """The new model against the champion on the same worlds: those that neither was trained on, if there are any.

        What the champion knew of the worlds that were used is part of the decision.
        """
        from models.held_out import idm_loss

        known = seen_by(self.folder)
        judged = [episode for episode in held_out if episode.world not in known] or held_out
        worlds = sorted({episode.world for episode in judged})
        test = {"test": digest(window, sorted(episode.id for episode in judged))[:16], "worlds": worlds}
        test["champion_trained_on"] = sorted(known & set(worlds))
        rival = -idm_loss(self.model, judged, window) if self.model else None
        return decide(-idm_loss(model, judged, window), self.pointer, rival, METRIC, **test)


def seen_by(folder: Path | None) -> set[str]:
    """Worlds that a model was trained on, by its card."""
    from models.card import read_card

    return set(read_card(folder).get("data", {}).get("trained_on_worlds", ())) if folder else set()
