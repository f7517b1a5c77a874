"""Every object key is built here and nowhere else. The prefixes stand in flow order, so a listing tells the story.

A key holds the work key of the unit that made it (its first 16 hex digits), so two configurations never write one
object differently, and two workers on one unit write the same bytes to the same place.
"""

VIDEOS = "1_videos"
SEGMENTS = "2_segments"
FILTER = "3_filter"
CLIPS = "4_clips"
LABELS = "5_labels"
SHARDS = "6_shards"
POLICIES = "7_policies"
MODELS = "models"
LEDGER = "_ledger"
QUARANTINE = "_quarantine"
POINTERS = "_pointers"

TRUTH = "truth"
"""The label version of contractor ground truth: `5_labels/idm=truth/`."""


def source(video_id: str, name: str) -> str:
    """An untouched source file; `name` is `source.mp4`, `source.jsonl` and the like."""
    return f"{VIDEOS}/{video_id}/{name}"


def segment(video_id: str, key: str, name: str) -> str:
    """`grid.parquet` or `samples.parquet` of one video."""
    return f"{SEGMENTS}/{video_id}/{key[:16]}/{name}"


def scores(video_id: str, key: str) -> str:
    """Clean scores per sample; `key` covers samples and classifier only, never the rule."""
    return f"{FILTER}/{video_id}/{key[:16]}/scores.parquet"


def clip(clip_id: str, key: str) -> str:
    """A working clip: 128x128, 20 Hz."""
    return f"{CLIPS}/{clip_id}/{key[:16]}.mp4"


def labels(version: str, clip_id: str, key: str) -> str:
    """Action rows of one clip under one label version (an IDM's digest, or `truth`)."""
    return f"{LABELS}/idm={version}/{clip_id}/{key[:16]}.parquet"


def shard(version: str, digest: str) -> str:
    """A Parquet action shard, named by its content."""
    return f"{SHARDS}/idm={version}/{digest[:16]}.parquet"


def snapshot(digest: str) -> str:
    """An immutable list of shards, named by its content."""
    return f"{SHARDS}/snapshots/{digest[:16]}.json"


def policy(digest: str, name: str) -> str:
    """A file of a trained policy."""
    return f"{POLICIES}/{digest[:12]}/{name}"


def model(kind: str, digest: str, name: str) -> str:
    """A file of a registered model; `kind` is `idm` or `filter`."""
    return f"{MODELS}/{kind}/{digest[:12]}/{name}"


def commit_prefix(stage: str) -> str:
    return f"{LEDGER}/{stage}/records"


def commit(stage: str, unit: str, key: str) -> str:
    """A commit record. The two-digit folder lets 10^7 records be listed in 256 parallel parts."""
    return f"{commit_prefix(stage)}/{unit[:2]}/{unit}/{key}.json"


def compacted_prefix(stage: str) -> str:
    return f"{LEDGER}/{stage}/compacted"


def compacted(stage: str, number: int) -> str:
    return f"{compacted_prefix(stage)}/{number:06d}.parquet"


def checkpoints(stage: str, key: str) -> str:
    """Folder of the checkpoints of a training that is under way: scratch that no record names."""
    return f"{LEDGER}/{stage}/checkpoints/{key[:32]}"


def quarantine_prefix(stage: str) -> str:
    return f"{QUARANTINE}/{stage}"


def quarantine(stage: str, unit: str, key: str, attempt: int) -> str:
    return f"{quarantine_prefix(stage)}/{unit[:2]}/{unit}/{key}/{attempt:03d}.json"


def takedown_prefix() -> str:
    return f"{QUARANTINE}/takedown"


def takedown(video_id: str) -> str:
    """Its presence means that nothing may be derived from this video, ever."""
    return f"{takedown_prefix()}/{video_id}.json"


def pointer_prefix(name: str) -> str:
    return f"{POINTERS}/{name}"


def pointer(name: str, number: int) -> str:
    return f"{pointer_prefix(name)}/{number:06d}.json"


def probe(nonce: str) -> str:
    return f"{LEDGER}/probe/{nonce}"


def split_unit(key: str) -> tuple[str, str]:
    """(unit, work key) of a commit or quarantine record's key."""
    parts = key.removesuffix(".json").split("/")
    return (parts[-3], parts[-2]) if parts[0] == QUARANTINE else (parts[-2], parts[-1])
