"""
### Label videos: from sources to a snapshot of action-labelled play

Trigger it by hand; the form asks for sources and settings. Each video is fetched once, put on a 20 Hz grid, filtered
for clean survival play, cut into working clips, and labelled frame by frame by the inverse dynamics model. Done work is
never repeated: a second run with the same settings does only what is missing.

| task | does |
|---|---|
| `scrape` | finds and fetches videos |
| `segment` | grid and sampled frames, once per batch of videos |
| `duplicates` | finds videos that show the same play, so that it is labelled once |
| `batch` | `filter -> cut -> label`, once per batch of videos |
| `shard` | packs the labels into Parquet shards and an immutable snapshot |
| `publish` | announces the snapshot; skipped when nothing changed |

Inputs that cannot be processed are put aside with a reason and do not stop the run; `retry_quarantined` tries them
again. Videos that the rules refuse are put aside too, before any download, and judged again when the rules change.
The tasks are in `operators/label_flow.py`.
"""

from airflow.sdk import DAG, Param

from operators.defaults import DAG_DEFAULTS
from operators.label_flow import INTAKE_PARAMS, MODEL_PARAMS, RUN_PARAMS, label_flow

with DAG(
    "label_videos",
    doc_md=__doc__,
    schedule=None,  # by hand; label_nightly does the saved searches
    tags=["smelter", "label"],
    params={
        "sources": Param(
            [],
            type="array",
            items={"type": "string"},
            description="One per line: folders, files, URLs, playlists, channels, feeds, s3:// prefixes, "
            "`search:words`, `preset:vpt` (the paper's searches). Empty: what is there.",
        ),
        **INTAKE_PARAMS,
        **MODEL_PARAMS,
        **RUN_PARAMS,
    },
    **DAG_DEFAULTS,
) as dag:
    label_flow(dag, dag.param("sources"))
