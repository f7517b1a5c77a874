"""Score sampled frames, then find the clean spans of a video by the paper's rule (Appendix A.2).

In: 2_segments/<video>/.../samples.parquet and a registered filter. Out: 3_filter/<video>/.../scores.parquet, one score
per sample; the record holds the spans and says where every second went. Scores depend on samples and filter alone:
a new threshold or rule reads the scores that are there and embeds nothing. A video without a clean span is done, not
quarantined: its reason (`below_clean_share`, `no_clean_run`, `no_samples`) is in the record, for the funnel.
"""

import io
import itertools
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from stages import paths
from stages.errors import BadInput, ConfigError
from stages.records import Output, Record, digest
from stages.stage import Context, Resources, Result, Stage, Unit

if TYPE_CHECKING:
    import numpy as np
    import pyarrow as pa

    from models.clean_filter import CleanFilter
    from models.embedding import Embedder

SCORES_VERSION = 3
"""Raised by hand when the same samples and filter give other scores."""
BATCH = 64
"""Samples embedded at a time; memory stays flat however long the video is."""
DECIMALS = 4
"""Scores are rounded: the fifth digit depends on the hardware."""


@dataclass(frozen=True, kw_only=True)
class FilterConfig:
    """Which filter, and the paper's rule."""

    model: str = field(default="champion", metadata={"key": False})
    """Version of the filter: its 12 hex digits, or `champion` for the one the pointer names."""
    threshold: float = 0.5
    """Score, 0 to 1, from which a sample counts as clean."""
    median_kernel: int = 7
    """Samples under the median filter, odd (paper: 7)."""
    min_run_s: float = 5.0
    """Shortest clean run that is kept, in seconds (paper: 5)."""
    min_clean_share: float = 0.8
    """Share of samples that must be clean to keep the video (paper: 0.8); 0 turns the gate off."""

    def __post_init__(self) -> None:
        from models.spans import SpanRule

        try:
            SpanRule(**self.rule())
        except ValueError as error:
            raise ConfigError(f"filter.{error}") from None

    def rule(self) -> dict[str, Any]:
        """The fields of `models.spans.SpanRule`."""
        return {name: value for name, value in asdict(self).items() if name != "model"}


class Filter(Stage[FilterConfig]):
    """Workers hold the embedder and the classifier."""

    name = "filter"
    version = 1
    Config = FilterConfig
    resources = Resources(cpus=1, gpus=1, units_per_call=4)

    def units(self, ctx: Context) -> Iterator[Unit]:
        records = ctx.committed("segment")
        version = ctx.model_digest("filter", self.config.model) if records else ""
        for record in records:
            yield self._unit(record, version)

    def _unit(self, record: Record, version: str) -> Unit:
        samples, info = record.output("samples.parquet"), record.info
        scores_key = digest("scores", SCORES_VERSION, version, samples.sha256)
        inputs = {
            "video_id": info["video_id"],
            "samples": samples.key,
            "samples_sha256": samples.sha256,
            "steps": info["steps"],
            "candidates": info["candidates"],
            "filter": version,
            "scores_key": scores_key,
        }
        key = self.work_key(scores_key, info["steps"], info["candidates"])
        return Unit(info["video_id"], key, inputs)

    def setup(self, ctx: Context) -> None:
        self._loaded: dict[str, tuple[CleanFilter, Embedder]] = {}

    def process(self, unit: Unit, ctx: Context, prepared: Any = None) -> Result:
        import pyarrow.parquet as pq

        from models.spans import SpanRule, clean_spans

        key = paths.scores(unit.id, unit.inputs["scores_key"])
        data = self._scores(key, unit, ctx)
        table = pq.read_table(io.BytesIO(data))
        scores, steps = table["score"].to_numpy(), table["step"].to_numpy()
        candidates = [(c["start"], c["end"]) for c in unit.inputs["candidates"]]
        verdict = clean_spans(scores, steps, unit.inputs["steps"], SpanRule(**self.config.rule()), candidates)
        info = {
            "video_id": unit.id,
            "filter": unit.inputs["filter"],
            "samples": len(scores),
            "clean_share": verdict.clean_share,
            "reason": verdict.reason,
            "spans": [{"start": start, "end": end} for start, end in verdict.spans],
            "seconds": dict(verdict.seconds),
            "seconds_clean": verdict.seconds["clean"],
        }
        return Result((_output(key, data),), info)

    def finish(self, ctx: Context, counts: dict[str, int]) -> dict[str, Any]:
        """Adds hours by fate and videos by reason, over all videos of this recipe."""
        infos = [record.info for record in self.committed(ctx)]
        seconds: Counter[str] = Counter()
        for info in infos:
            seconds.update(info["seconds"])
        return {
            "hours": {fate: round(value / 3600, 4) for fate, value in sorted(seconds.items())},
            "videos": dict(Counter(info["reason"] or "kept" for info in infos)),
        }

    def _scores(self, key: str, unit: Unit, ctx: Context) -> bytes:
        """The scores object: the one in the store, else ours. The first one written stays, whoever wrote it."""
        try:
            return ctx.store.get(key)
        except FileNotFoundError:
            pass
        with ctx.workspace() as folder:
            local = Path(folder) / "samples.parquet"
            ctx.store.get_file(unit.inputs["samples"], local)
            data = to_bytes(score_samples(local, *self._model(ctx, unit.inputs["filter"])))
        return data if ctx.store.put_if_absent(key, data) else ctx.store.get(key)

    def _model(self, ctx: Context, version: str) -> "tuple[CleanFilter, Embedder]":
        if version not in self._loaded:
            from models.clean_filter import CleanFilter, load_embedder_of
            from models.embedding import best_device

            try:
                clean_filter = CleanFilter.load(ctx.fetch_model("filter", version))
                self._loaded = {version: (clean_filter, load_embedder_of(clean_filter, best_device()))}
            except ValueError as error:
                raise ConfigError(f"filter {version}: {error}") from None
        return self._loaded[version]


def score_samples(samples: Path, clean_filter: "CleanFilter", embedder: "Embedder") -> "pa.Table":
    """Look at a samples file batch by batch, then score the whole video. Out: sample, step, time_s, score (0 to 1).

    What is kept of a sample is about 1 kB: 110 MB for ten hours.

    Raises:
        BadInput: `sample_unreadable`.
    """
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq

    parts, observed = [], []
    with pq.ParquetFile(samples) as file, ThreadPoolExecutor(4) as pool:
        for batch in file.iter_batches(BATCH, columns=["sample", "step", "time_s", "jpeg"]):
            images = list(pool.map(_decode, batch["jpeg"].to_pylist(), itertools.count(batch["sample"][0].as_py())))
            observed.append(clean_filter.observe(embedder.embed(images)))
            parts.append(batch.drop_columns(["jpeg"]))
        schema = file.schema_arrow.empty_table().select(["sample", "step", "time_s"]).schema
    table = pa.Table.from_batches(parts, schema)
    scores = clean_filter.score(np.concatenate(observed), table["time_s"].to_numpy()) if parts else np.empty(0)
    return table.append_column("score", pa.array(scores.round(DECIMALS).astype("float32")))


def _decode(jpeg: bytes, sample: int) -> "np.ndarray":
    """A sample as (H, W, 3) uint8 RGB."""
    import cv2
    import numpy as np

    picture = cv2.imdecode(np.frombuffer(jpeg, np.uint8), cv2.IMREAD_COLOR) if jpeg else None
    if picture is None:
        raise BadInput(
            "sample_unreadable",
            f"expected a JPEG, got {len(jpeg)} bytes that do not decode, sample {sample}; "
            "run segment on this video again",
        )
    return np.ascontiguousarray(picture[:, :, ::-1])


def to_bytes(table: "pa.Table") -> bytes:
    """A table as Parquet."""
    import pyarrow.parquet as pq

    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue()


def _output(key: str, data: bytes) -> Output:
    import hashlib

    return Output(key=key, sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))


STAGE = Filter

if __name__ == "__main__":
    import sys

    from stages.cli import main

    sys.exit(main("filter"))
