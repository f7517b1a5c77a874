"""The one door to video: what other modules import. Each part is a module of its own.

- `media_probe`: open untrusted files within limits, read what they claim to be.
- `media_read`: their frames in order, damage noted, work bounded.
- `media_picture`: a frame as a viewer sees it.
- `media_grid`: exact time: which source frame stands for each 1/20 s (paper, Appendix B: the IDM saw 20 Hz only).
- `media_scan`: one pass over the full-resolution source: grid, samples, candidate clips.
- `media_cut`: the same frames again, for the clean part only.
- `media_clip`: write and read working clips, 128x128 at 20 Hz.
"""

from stages.media_clip import ClipOptions, decode_clip, encode_clip
from stages.media_cut import Way, cut_clip, cut_clips
from stages.media_grid import STEPS_PER_S, Grid, Span, pieces
from stages.media_picture import CLIP_SIZE
from stages.media_probe import MediaLimits, Probe, probe
from stages.media_scan import Scan, ScanOptions, scan

__all__ = [
    "CLIP_SIZE",
    "STEPS_PER_S",
    "ClipOptions",
    "Grid",
    "MediaLimits",
    "Probe",
    "Scan",
    "ScanOptions",
    "Span",
    "Way",
    "cut_clip",
    "cut_clips",
    "decode_clip",
    "encode_clip",
    "pieces",
    "probe",
    "scan",
]
