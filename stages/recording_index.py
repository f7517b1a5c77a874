"""OpenAI's index of contractor recordings: `{"basedir": URL, "relpaths": [...]}`, with or without `.mp4` at the end.

The released README prints relpaths without a suffix, the released files and their users have `.mp4`: both are read.
What an index names stays below its basedir, whatever its relpaths say.
"""

import json
import posixpath
from urllib.parse import quote, urlsplit

from stages.errors import BadInput


def read_index(data: bytes, where: str, schemes: tuple[str, ...]) -> list[str]:
    """URLs of the videos that an index names, in its order.

    Args:
        where: where the index came from, for messages.
        schemes: what basedir may begin with; an index from the web must not name our own buckets.

    Raises:
        BadInput: `bad_index`: not JSON of this form, or a basedir of another scheme.
    """
    try:
        index = json.loads(data)
        base, relpaths = str(index["basedir"]), [str(path) for path in index["relpaths"]]
    except (ValueError, TypeError, KeyError) as error:
        raise BadInput("bad_index", f"expected {{basedir, relpaths}} at {where}, got {error!r}") from None
    if urlsplit(base).scheme.lower() not in schemes:
        raise BadInput("bad_index", f"expected a basedir that begins with {', '.join(schemes)}, got {base[:200]!r}")
    return [_join(base, path, where) for path in relpaths]


def _join(base: str, relpath: str, where: str) -> str:
    path = relpath if relpath.lower().endswith(".mp4") else f"{relpath}.mp4"
    plain = posixpath.normpath(path)
    if plain.startswith(("/", "..")) or "\\" in path or "://" in path or any(ord(letter) < 32 for letter in path):
        raise BadInput("bad_index", f"expected paths below basedir at {where}, got {relpath[:200]!r}")
    return f"{base.rstrip('/')}/{quote(plain, safe='/-_.~+=,:@')}"
