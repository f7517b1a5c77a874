"""Reading a Ray job's log: what is new since last time, the stage's summary, the tail for an error."""

import json
import re
from typing import Any

TAIL_LINES = 30
MAX_LINES_PER_LOOK = 200
"""A chatty job must not drown the task's log; the rest stays in the Ray dashboard."""
MAX_LINE_CHARS = 2000

_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def clean(line: str) -> str:
    """A line without colours, cut to MAX_LINE_CHARS; of a line redrawn by carriage returns, what stays visible."""
    return _ANSI.sub("", line.rstrip("\r\n").rsplit("\r", 1)[-1])[:MAX_LINE_CHARS]


class LogCursor:
    """Remembers how much of a growing log has been seen."""

    def __init__(self) -> None:
        self._seen = 0

    def new_lines(self, log: str, *, last: bool = False) -> list[str]:
        """Complete lines that were not seen before; with `last`, the unfinished one as well."""
        if len(log) < self._seen:  # rotated or a new head: start over
            self._seen = 0
        end = len(log) if last else log.rfind("\n") + 1
        fresh = [clean(line) for line in log[self._seen : end].split("\n") if line.strip()]
        self._seen = max(self._seen, end)
        if len(fresh) > MAX_LINES_PER_LOOK:
            left_out = len(fresh) - MAX_LINES_PER_LOOK
            return [f"... {left_out} lines left out, see the Ray dashboard ...", *fresh[-MAX_LINES_PER_LOOK:]]
        return fresh


def summary_of(log: str) -> dict[str, Any] | None:
    """The stage's summary: the last line that is a JSON object with the key `stage`. None if there is none."""
    for line in reversed(log.splitlines()):
        text = line.strip()
        if not (text.startswith("{") and '"stage"' in text):
            continue
        try:
            value = json.loads(text)
        except json.JSONDecodeError:
            continue
        if isinstance(value, dict) and "stage" in value:
            return value
    return None


def tail_of(log: str, lines: int = TAIL_LINES) -> str:
    """The last lines of a log, without empty ones."""
    return "\n".join([clean(line) for line in log.splitlines() if line.strip()][-lines:])
