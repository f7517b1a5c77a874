"""Metadata rules: which videos are let in, judged on what is known before anything is downloaded.

The paper dropped videos by 15 words in title or description, where these exist (Appendix A.1): the preset `vpt`.
Beside it: patterns to allow and deny, bounds on length and date, a licence policy. A refusal names its reason and is
kept with a digest of the rules, so that it is not judged again until the rules change.
"""

import re
from dataclasses import asdict, dataclass, fields
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from stages.errors import BadInput, ConfigError
from stages.records import digest

PRESET = "preset:"
_FOLDER = Path(__file__).parent / "presets"
_CREATIVE_COMMONS = re.compile(r"creative[ -]?commons|\bcc[ -]?(by|0|zero)\b", re.IGNORECASE)
_TEXT_LIMIT = 5000
"""Characters kept of any text that the web gives us."""


def read_preset(name: str, kind: str) -> tuple[str, ...]:
    """The lines of a shipped list: `kind` is `queries` or `blacklist`.

    Raises:
        ConfigError: there is no such preset.
    """
    known = {path.stem.removesuffix(f"_{kind}"): path for path in sorted(_FOLDER.glob(f"*_{kind}.txt"))}
    if name not in known:
        raise ConfigError(f"expected a preset of {kind} ({', '.join(known)}), got {name!r}; see stages/presets/")
    lines = known[name].read_text(encoding="utf-8").splitlines()
    return tuple(line.strip() for line in lines if line.strip() and not line.startswith("#"))


@dataclass(frozen=True)
class Facts:
    """What is known of a video without its pixels; '' or None where the source says nothing."""

    url: str = ""
    title: str = ""
    description: str = ""
    uploader: str = ""
    licence: str = ""
    extractor: str = ""
    published: str = ""
    """YYYYMMDD."""
    duration_s: float | None = None

    @classmethod
    def from_info(cls, info: dict[str, Any], url: str = "") -> "Facts":
        """From yt-dlp's info, or from an `.info.json` beside a file."""

        def text(*names: str) -> str:
            return next((str(info[name])[:1000] for name in names if info.get(name)), "")

        duration = info.get("duration")
        return cls(
            url=text("webpage_url", "original_url", "url") or url,
            title=text("title", "fulltitle"),
            description=str(info.get("description") or "")[:_TEXT_LIMIT],
            uploader=text("uploader", "channel", "creator"),
            licence=text("license", "licence"),
            extractor=text("extractor"),
            published=text("upload_date", "release_date"),
            duration_s=float(duration) if isinstance(duration, int | float) else None,
        )

    def over(self, other: "Facts") -> "Facts":
        """These facts, and the other's where these are silent."""
        names = [field.name for field in fields(self)]
        return Facts(**{name: getattr(self, name) or getattr(other, name) for name in names})

    def record(self) -> dict[str, Any]:
        """What a commit record keeps: everything but the description."""
        return {name: value for name, value in asdict(self).items() if name != "description"}


NOTHING = Facts()
"""What is known of a video of which nothing is known."""


@dataclass(frozen=True, kw_only=True)
class Rules:
    """What keeps a video out before it is downloaded. Texts are compared without regard to case."""

    blacklist: tuple[str, ...] = ("preset:vpt",)
    """Words in title or description that keep a video out; `preset:vpt` stands for the paper's 15. Empty: none."""
    allow: tuple[str, ...] = ()
    """Regular expressions: where a title or description is known, one of these must be found in it. Empty: all."""
    deny: tuple[str, ...] = ()
    """Regular expressions that keep a video out when found in title, description or uploader."""
    min_duration_s: float = 0.0
    """Shortest video in seconds, where its length is known."""
    max_duration_s: float = 0.0
    """Longest video in seconds, where its length is known; 0 means no bound."""
    published_from: str = ""
    """First day of publication, YYYY-MM-DD, where it is known."""
    published_until: str = ""
    """Last day of publication, YYYY-MM-DD, where it is known."""
    licence_policy: Literal["any", "creative-commons"] = "any"
    """`creative-commons` keeps out whatever does not state such a licence, also when it states none."""
    max_per_source: int = 0
    """Most videos taken from one source, in its own order, refused ones not counted; 0 means no bound."""

    def __post_init__(self) -> None:
        for pattern in (*self.allow, *self.deny):
            _check_pattern(pattern)
        for name in ("published_from", "published_until"):
            _check_day(name, getattr(self, name))
        for name in ("min_duration_s", "max_duration_s", "max_per_source"):
            if getattr(self, name) < 0:
                raise ConfigError(f"scrape: {name}: expected 0 or more, got {getattr(self, name)}")
        _ = self.words

    @cached_property
    def words(self) -> tuple[str, ...]:
        """The blacklist with its presets spelled out."""
        found: list[str] = []
        for word in self.blacklist:
            found += read_preset(word.removeprefix(PRESET), "blacklist") if word.startswith(PRESET) else [word]
        return tuple(word.lower() for word in found)

    def gate(self) -> str:
        """Digest of all that judges a single video."""
        judged = [getattr(self, field.name) for field in fields(Rules) if field.name != "max_per_source"]
        return digest(judged, self.words)[:16]

    def refusal(self, facts: Facts, complete: bool = True) -> BadInput | None:
        """Why a video is kept out, or None.

        Args:
            complete: False while only a list has been read: a licence that is not known yet is no reason then.
        """
        reason, message = self._by_text(facts) or self._by_bounds(facts) or self._by_licence(facts, complete)
        return BadInput(reason, f"{message}: {facts.title[:100]!r} {facts.url}".strip(), "rules") if reason else None

    def _by_text(self, facts: Facts) -> tuple[str, str] | None:
        text = f"{facts.title}\n{facts.description}"
        if word := next((word for word in self.words if word in text.lower()), ""):
            return "blacklisted", f"title or description holds {word!r}"
        if pattern := next((p for p in self.deny if _found(p, f"{text}\n{facts.uploader}")), ""):
            return "denied", f"title, description or uploader holds the pattern {pattern!r}"
        if self.allow and text.strip() and not any(_found(pattern, text) for pattern in self.allow):
            return "not_allowed", f"expected one of the patterns {', '.join(self.allow)} in title or description"
        return None

    def _by_bounds(self, facts: Facts) -> tuple[str, str] | None:
        length, day = facts.duration_s, facts.published
        if length is not None and length < self.min_duration_s:
            return "too_short", f"expected at least {self.min_duration_s:g} s, got {length:g} s"
        if length is not None and 0 < self.max_duration_s < length:
            return "too_long", f"expected at most {self.max_duration_s:g} s, got {length:g} s"
        if day and self.published_from and day < _compact(self.published_from):
            return "too_old", f"expected publication from {self.published_from}, got {day}"
        if day and self.published_until and day > _compact(self.published_until):
            return "too_new", f"expected publication until {self.published_until}, got {day}"
        return None

    def _by_licence(self, facts: Facts, complete: bool) -> tuple[str, str]:
        if self.licence_policy == "any" or (not complete and not facts.licence):
            return "", ""
        if is_creative_commons(facts.licence):
            return "", ""
        return "licence", f"expected a Creative Commons licence, got {facts.licence or 'none stated'!r}"


def is_creative_commons(licence: str) -> bool:
    """Whether a stated licence is one of Creative Commons, by its name, its short form or its URL."""
    return bool(_CREATIVE_COMMONS.search(licence))


def _found(pattern: str, text: str) -> bool:
    return re.search(pattern, text, re.IGNORECASE) is not None


def _check_pattern(pattern: str) -> None:
    try:
        re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"scrape: allow, deny: expected regular expressions, got {pattern!r}: {error}") from None


def _compact(day: str) -> str:
    return date.fromisoformat(day).strftime("%Y%m%d")


def _check_day(name: str, day: str) -> None:
    try:
        _ = day and _compact(day)
    except ValueError:
        raise ConfigError(f"scrape: {name}: expected YYYY-MM-DD, got {day!r}") from None
