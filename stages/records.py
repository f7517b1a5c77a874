"""The small records that stages hand to each other, and the schema of an action row.

A record is canonical JSON: sorted keys, no clock, no host name, no random part. The same work gives the same bytes,
so a store that was killed and repaired equals one that was never disturbed (infra/decisions/0002).
"""

import hashlib
import json
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

from stages.errors import Again

if TYPE_CHECKING:
    import pyarrow

FLAG_NULL = 1
"""Row flag: the action is null in the policy's action space; behavioural cloning drops it (paper, section 7)."""
FLAG_EDGE = 2
"""Row flag: fewer than 32 frames of context on one side, so the IDM knew less (paper, Appendix D)."""
FLAG_TRUTH = 4
"""Row flag: recorded by a contractor, not predicted."""
FLAG_UNKNOWN = 8
"""Row flag: the recording does not say what was pressed; losses must skip the row."""
FLAG_GUI = 16
"""Row flag: a menu is open (known for contractor recordings only)."""


def canonical_json(value: Any) -> bytes:
    """JSON bytes that depend on the value alone."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False).encode()


def digest(*parts: Any) -> str:
    """Hex sha256 over the canonical JSON of `parts`."""
    return hashlib.sha256(canonical_json(parts)).hexdigest()


@dataclass(frozen=True)
class Output:
    """One data object: its key in the store, the sha256 of its bytes and their number."""

    key: str
    sha256: str
    bytes: int


@dataclass(frozen=True)
class Record:
    """A commit record: this unit of work is done, and here is what it made."""

    stage: str
    unit: str
    key: str
    inputs: dict[str, Any]
    outputs: tuple[Output, ...] = ()
    info: dict[str, Any] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        return canonical_json(asdict(self))

    @classmethod
    def from_bytes(cls, data: bytes | str) -> "Record":
        fields = json.loads(data)
        return cls(**{**fields, "outputs": tuple(Output(**output) for output in fields["outputs"])})

    def output(self, name: str) -> Output:
        """The output whose key ends in `name`."""
        found = [output for output in self.outputs if output.key.endswith(name)]
        assert len(found) == 1, f"{self.stage} {self.unit} has {len(found)} outputs named {name}"
        return found[0]


@dataclass(frozen=True)
class Quarantined:
    """One attempt at a unit that failed because of its input."""

    stage: str
    unit: str
    key: str
    reason: str
    message: str
    attempt: int
    again: Again = "never"
    """When a later run tries the unit by itself (`stages/errors.py`)."""
    gate: str = ""
    """Digest of the rules that refused it, where `again` is `rules`."""

    def to_bytes(self) -> bytes:
        return canonical_json(asdict(self))

    @classmethod
    def from_bytes(cls, data: bytes | str) -> "Quarantined":
        return cls(**json.loads(data))


def label_schema(buttons: int) -> "pyarrow.Schema":
    """Arrow schema of an action row: one row per frame of a working clip.

    buttons: bit i is the i-th of the action schema's buttons, 64 bits wide where it has more than 32; camera in
    degrees, + is right and down; pts_us: microseconds from the first frame of the source video; confidence: 0 to 1, 1
    for truth; flags: the FLAG_ constants above.
    """
    import pyarrow as pa

    text = pa.dictionary(pa.int32(), pa.string())
    return pa.schema(
        [
            pa.field("clip_id", text, nullable=False),
            pa.field("frame", pa.int32(), nullable=False),
            pa.field("pts_us", pa.int64(), nullable=False),
            pa.field("buttons", pa.uint32() if buttons <= 32 else pa.uint64(), nullable=False),
            pa.field("camera_dx_deg", pa.float32(), nullable=False),
            pa.field("camera_dy_deg", pa.float32(), nullable=False),
            pa.field("confidence", pa.float32(), nullable=False),
            pa.field("flags", pa.uint8(), nullable=False),
        ]
    )
