"""What finding duplicates costs among many videos: `python -m infra.bench_duplicates 10000`.

Makes signatures of 10 minutes each out of random hashes, one in a hundred videos a worse copy of another, and prints
seconds, peak memory and how many of the copies were found. No video is decoded and nothing is written.
"""

import resource
import sys
import time

import numpy as np

from stages.matching import MatchRule, find_overlaps

SAMPLES = 1800
"""10 minutes at 3 per second."""
COPIES = 100
"""One video in so many is a copy."""
FLIPPED = 0.1
"""Share of the bits in which a copy's hashes differ: the median of real re-uploads."""


def make_signatures(videos: int, seed: int = 0) -> list[np.ndarray]:
    """Random signatures; video i * COPIES + 1 is a trimmed copy of the one before it."""
    rng = np.random.default_rng(seed)
    signatures = [rng.integers(1, 2**64, SAMPLES, dtype=np.uint64) for _ in range(videos)]
    for i in range(1, videos, COPIES):
        bits = rng.random((SAMPLES - 100, 64)) < FLIPPED
        signatures[i] = signatures[i - 1][100:] ^ (bits @ (np.uint64(1) << np.arange(64, dtype=np.uint64)))
    return signatures


def main() -> int:
    videos = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    signatures = make_signatures(videos)
    started = time.process_time()
    found = {(overlap.a, overlap.b) for overlap in find_overlaps(signatures, MatchRule())}
    copies = {(i - 1, i) for i in range(1, videos, COPIES)}
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(
        f"{videos} videos, {videos * SAMPLES:,} samples: {time.process_time() - started:.1f} CPU s, "
        f"{memory:.0f} MB at most, {len(found & copies)} of {len(copies)} copies found, {len(found - copies)} others"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
