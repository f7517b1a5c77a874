"""One thin operator per stage: typed arguments in, the command line `python -m stages.<name> ...` out.

Every operator takes the run's whole recipe as `config` (sections by stage name), because a later stage finds the work
of an earlier one under that one's configuration. Its own typed arguments go into its section, over the recipe's; give
them where a stage runs alone, and use the recipe where several run in a row.
"""

import json
import shlex
from collections.abc import Sequence
from typing import Any, ClassVar

from operators.connections import store_settings
from operators.ray_job import RayJobOperator


class StageOperator(RayJobOperator):
    """Base of the stage operators.

    Args:
        store: URI of the store; empty means the connection `smelter_store` or SMELTER_STORE.
        config: the run's recipe, sections by stage name.
        batch: this task's part of the units, as in `0/4`; empty means all.
        limit: most units to do; 0 means all.
        retry_quarantined: `all` or a reason; empty leaves quarantined units alone.
        values: fields of this stage's config; the subclasses name them.
    """

    stage: ClassVar[str]
    template_fields: Sequence[str] = ("store", "config", "values", "batch", "limit", "retry_quarantined", "env_vars")

    def __init__(
        self,
        *,
        store: str = "",
        config: Any = None,
        values: dict[str, Any] | None = None,
        batch: str = "",
        limit: int | str = 0,
        retry_quarantined: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.store = store
        self.config = config
        self.values = {name: value for name, value in (values or {}).items() if value is not None}
        self.batch = batch
        self.limit = limit
        self.retry_quarantined = retry_quarantined

    def sections(self) -> dict[str, dict[str, Any]]:
        """The sections that the stage gets: the run's recipe with this operator's own arguments on top."""
        sections = {name: dict(section) for name, section in (self.config or {}).items()}
        if self.values:
            sections[self.stage] = {**sections.get(self.stage, {}), **self.values}
        return sections

    def command(self) -> str:
        store = self.store or store_settings().require_store()
        words = ["python", "-m", f"stages.{self.stage}", "--store", store]
        if sections := self.sections():
            words += ["--config", json.dumps(sections, sort_keys=True)]
        if self.batch:
            words += ["--batch", self.batch]
        if int(self.limit or 0):
            words += ["--limit", str(int(self.limit))]
        if self.retry_quarantined:
            words += ["--retry-quarantined", self.retry_quarantined]
        return shlex.join(words)


class ScrapeOperator(StageOperator):
    """Find videos and fetch each one once. `sources`: folders, files, URLs, playlists, feeds, searches, s3:// prefixes.

    `blacklist`, `allow`, `deny`, `licence_policy` and `max_per_source` keep videos out before they are downloaded;
    `consent` and `licence` travel to the shards. Listings stay inside the Ray job: no entry becomes an XCom.
    """

    stage = "scrape"

    def __init__(
        self,
        *,
        sources: Sequence[str] | None = None,
        blacklist: Sequence[str] | None = None,
        allow: Sequence[str] | None = None,
        deny: Sequence[str] | None = None,
        licence_policy: str | None = None,
        max_per_source: int | None = None,
        consent: str | None = None,
        licence: str | None = None,
        **kwargs: Any,
    ) -> None:
        rules = {"blacklist": blacklist, "allow": allow, "deny": deny, "licence_policy": licence_policy}
        given = {**rules, "max_per_source": max_per_source, "consent": consent, "licence": licence}
        super().__init__(values={"sources": sources, **given}, **kwargs)


class SegmentOperator(StageOperator):
    """Give videos their 20 Hz grid and sampled frames. `max_clip_s`: longest candidate clip in seconds."""

    stage = "segment"

    def __init__(self, *, sample_side: int | None = None, max_clip_s: float | None = None, **kwargs: Any) -> None:
        super().__init__(values={"sample_side": sample_side, "max_clip_s": max_clip_s}, **kwargs)


class DuplicatesOperator(StageOperator):
    """Find videos that show the same play. `min_evidence`: matching samples that differ from each other, at least."""

    stage = "duplicates"

    def __init__(self, *, max_bits: int | None = None, min_evidence: int | None = None, **kwargs: Any) -> None:
        super().__init__(values={"max_bits": max_bits, "min_evidence": min_evidence}, **kwargs)


class FilterOperator(StageOperator):
    """Score samples and keep clean spans. `model`: 12 hex digits or `champion`; the others are the paper's rule."""

    stage = "filter"

    def __init__(
        self,
        *,
        model: str | None = None,
        threshold: float | None = None,
        min_run_s: float | None = None,
        min_clean_share: float | None = None,
        **kwargs: Any,
    ) -> None:
        given = {"model": model, "threshold": threshold, "min_run_s": min_run_s, "min_clean_share": min_clean_share}
        super().__init__(values=given, **kwargs)


class CutOperator(StageOperator):
    """Encode clean spans as working clips. `max_clip_s`: longest clip in seconds; `crf`: x264 quality, 0 to 51."""

    stage = "cut"

    def __init__(self, *, max_clip_s: float | None = None, crf: int | None = None, **kwargs: Any) -> None:
        super().__init__(values={"max_clip_s": max_clip_s, "crf": crf}, **kwargs)


class LabelOperator(StageOperator):
    """Label clips with an IDM. `idm`: 12 hex digits or `champion`; `stride`: frames between windows."""

    stage = "label"

    def __init__(self, *, idm: str | None = None, stride: int | None = None, **kwargs: Any) -> None:
        super().__init__(values={"idm": idm, "stride": stride}, **kwargs)


class ShardOperator(StageOperator):
    """Pack labels into shards and publish a snapshot. `labels`: `idm` or `truth` (contractor recordings)."""

    stage = "shard"

    def __init__(self, *, labels: str | None = None, rows_per_shard: int | None = None, **kwargs: Any) -> None:
        super().__init__(values={"labels": labels, "rows_per_shard": rows_per_shard}, **kwargs)


class TrainOperator(StageOperator):
    """Train the policy on a snapshot. `recipe`: a name in `models/recipes.py`; `max_steps`: 0 means the recipe's."""

    stage = "train"

    def __init__(
        self,
        *,
        recipe: str | None = None,
        labels: str | None = None,
        snapshot: str | None = None,
        max_steps: int | None = None,
        **kwargs: Any,
    ) -> None:
        given = {"recipe": recipe, "labels": labels, "snapshot": snapshot, "max_steps": max_steps}
        super().__init__(values=given, **kwargs)


class IngestOperator(StageOperator):
    """Take contractor recordings in. `recordings`: folders of NAME.mp4 + NAME.jsonl, or indexes of them (.json).

    `licence` and `consent` travel with rows. `schema`: the game's buttons, keys and camera, a name or a .json file.
    """

    stage = "ingest"

    def __init__(
        self,
        *,
        recordings: Sequence[str] | None = None,
        licence: str | None = None,
        consent: str | None = None,
        schema: str | None = None,
        **kwargs: Any,
    ) -> None:
        given = {"recordings": recordings, "licence": licence, "consent": consent, "schema": schema}
        super().__init__(values=given, **kwargs)


class TrainFilterOperator(StageOperator):
    """Train the clean classifier. `frames`: a folder with a subfolder per class, or a table of labelled times.

    `overlays`: unclean copies that are drawn of each clean frame.
    """

    stage = "train_filter"

    def __init__(self, *, frames: str | None = None, overlays: int | None = None, **kwargs: Any) -> None:
        super().__init__(values={"frames": frames, "overlays": overlays}, **kwargs)


class TrainIdmOperator(StageOperator):
    """Train the IDM on ground truth. `held_out`: worlds never trained on; `calibrate`: further ones, which only fit the
    confidence; `init`: `none`, `champion` or a version."""

    stage = "train_idm"

    def __init__(
        self,
        *,
        recipe: str | None = None,
        init: str | None = None,
        held_out: Sequence[str] | None = None,
        calibrate: Sequence[str] | None = None,
        max_steps: int | None = None,
        **kwargs: Any,
    ) -> None:
        values = {"recipe": recipe, "init": init, "held_out": held_out, "calibrate": calibrate, "max_steps": max_steps}
        super().__init__(values=values, **kwargs)


class TakedownOperator(StageOperator):
    """Remove videos and everything derived from them. `videos`: ids or URLs; `reason` is kept with the ban."""

    stage = "takedown"

    def __init__(self, *, videos: Sequence[str] | None = None, reason: str | None = None, **kwargs: Any) -> None:
        super().__init__(values={"videos": videos, "reason": reason}, **kwargs)
