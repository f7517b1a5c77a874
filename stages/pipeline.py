"""The table of contents: every stage in flow order, what enters, what leaves, what it needs. The README shows it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """One line of the table of stages."""

    name: str
    takes: str
    makes: str
    resources: str


STAGES = (
    Row(
        "scrape",
        "folders, URLs, playlists, feeds, searches, buckets",
        "one untouched source file and one record per video",
        "CPU",
    ),
    Row("segment", "a video", "its 20 Hz grid, candidate clips, frames at 3 per second", "1 CPU"),
    Row("filter", "sampled frames", "a clean score per sample, then clean spans by the paper's rule", "GPU or CPU"),
    Row("cut", "a video and its clean spans", "working clips: 128x128, 20 Hz, frame-exact", "1 CPU"),
    Row("label", "working clips, an IDM", "one row per frame: buttons, camera, confidence", "GPU or CPU"),
    Row("shard", "labels or ground truth", "even Parquet shards and an immutable snapshot", "CPU"),
    Row("train", "a snapshot", "a policy with its metrics", "GPU or CPU"),
)
"""The seven stages of the flow (design section 1)."""

BESIDE = (
    Row("duplicates", "sampled frames", "where two videos show the same play, so that one is labelled", "1 CPU"),
    Row("ingest", "contractor recordings: mp4 + jsonl", "working clips and ground-truth labels", "1 CPU"),
    Row("train_filter", "labelled frames", "the clean classifier; champion if it is better", "CPU"),
    Row("train_idm", "ground truth", "the inverse dynamics model; champion if it is better", "GPU or CPU"),
    Row("takedown", "a video", "its removal, with everything derived from it", "CPU"),
)
"""What feeds the flow, what keeps it from doing one thing twice, and what undoes it."""

MODULES = tuple(row.name for row in STAGES + BESIDE)
"""Every name that `python -m stages.<name>` takes."""
