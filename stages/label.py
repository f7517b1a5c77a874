"""Label every frame of the working clips with an inverse dynamics model.

In: 4_clips/ and a registered IDM. Out: 5_labels/idm=<version>/, one row per frame: buttons, camera, confidence.
Windows of 128 frames, stride 64, the centre kept; the first and last frames of a clip come from its first and last
window (paper, Appendix D) and carry the edge flag. Nothing is dropped: null actions keep their rows and a flag.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from stages import paths
from stages.errors import ConfigError
from stages.stage import Context, Resources, Result, Stage, Unit

if TYPE_CHECKING:
    import numpy as np

    from models.idm import InverseDynamicsModel


@dataclass(frozen=True, kw_only=True)
class LabelConfig:
    """How clips are labelled."""

    idm: str = field(default="champion", metadata={"key": False})
    """Version of the IDM: its 12 hex digits, or `champion` for the one the pointer names."""
    window: int = 128
    """Frames the IDM sees at once."""
    stride: int = 64
    """Frames between windows; half of `window` keeps 32 frames of context on both sides."""

    def __post_init__(self) -> None:
        if not 0 < self.stride <= self.window:
            raise ConfigError(f"label.stride: expected 1 to window ({self.window}) frames, got {self.stride}")


class Label(Stage[LabelConfig]):
    """CPU tasks decode clips, actors hold the IDM."""

    name = "label"
    version = 1
    Config = LabelConfig
    resources = Resources(cpus=1, gpus=1)

    def units(self, ctx: Context) -> Iterator[Unit]:
        records = ctx.committed("cut")
        version = ctx.model_digest("idm", self.config.idm) if records else ""
        for record in records:
            for clip in record.info["clips"]:
                inputs = {**clip, "video_id": record.info["video_id"], "idm": version}
                yield Unit(clip["clip_id"], self.work_key(clip["sha256"], version), inputs)

    def setup(self, ctx: Context) -> None:
        self._models: dict[str, InverseDynamicsModel] = {}

    def prepare(self, unit: Unit, ctx: Context) -> "np.ndarray":
        """Decode the working clip: (T, 128, 128, 3) uint8 RGB."""
        from stages.media import decode_clip

        return decode_clip(ctx.store.get(unit.inputs["key"]))

    def process(self, unit: Unit, ctx: Context, prepared: Any = None) -> Result:
        from models.predict import predict_episode
        from stages.rows import parquet_bytes, predicted, to_table

        version = unit.inputs["idm"]
        model, config = self._model(ctx, version), self.config
        found = predict_episode(model, prepared, length=config.window, stride=config.stride)
        actions = predicted(found.buttons, found.camera_deg, found.confidence, found.edge, model.config.schema)
        table = to_table(unit.id, actions, start_step=unit.inputs["start"])
        output = ctx.put(paths.labels(version, unit.id, unit.key), parquet_bytes([table]))
        return Result((output,), label_info(unit, version, actions))

    def _model(self, ctx: Context, version: str) -> "InverseDynamicsModel":
        from models.embedding import best_device
        from models.idm import InverseDynamicsModel

        if version not in self._models:
            model = InverseDynamicsModel.load(ctx.fetch_model("idm", version))
            self._models = {version: model.to(best_device())}
        return self._models[version]


def label_info(unit: Unit, version: str, actions: Any) -> dict[str, Any]:
    """What `shard` and the report need to know of a clip's labels."""
    from stages.records import FLAG_NULL

    return {
        "video_id": unit.inputs["video_id"],
        "clip_id": unit.id,
        "clip_key": unit.inputs["key"],
        "clip_sha256": unit.inputs["sha256"],
        "idm": version,
        "rows": len(actions),
        "null_rows": int((actions.flags & FLAG_NULL > 0).sum()),
        "mean_confidence": round(float(actions.confidence.mean()), 6),
    }


STAGE = Label

if __name__ == "__main__":
    import sys

    from stages.cli import main

    sys.exit(main("label"))
