"""How the web is asked: what a run may configure, and what belongs to the machine. Light: imports no yt-dlp."""

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path

from stages.errors import ConfigError
from stages.settings import Settings

SCHEMES = ("http", "https")
VIDEO_SUFFIXES = ("mp4", "mkv", "webm", "mov", "avi", "flv", "m4v", "ts")


@dataclass(frozen=True, kw_only=True)
class FetchOptions:
    """Fields of a recipe that say how pages are listed and videos fetched."""

    extractors: tuple[str, ...] = ("generic", "html5")
    """yt-dlp extractors that may run (regular expressions): add `youtube.*` and the like where you have the right."""
    height: int = 360
    """Wanted height in pixels: the smallest stream at least this high is fetched, else the highest there is."""
    format: str = ""
    """yt-dlp format expression instead of `height`; empty means by height."""
    max_bytes: int = 20 * 10**9
    """Largest file, in bytes; larger ones are quarantined as too_large."""
    max_page_bytes: int = 64 * 2**20
    """Largest page, feed, list or index, in bytes after unpacking; larger ones are quarantined as page_too_large."""
    max_items: int = 1000
    """Most videos listed from one page, playlist, feed or search; that there were more is recorded as list_cut."""
    retries: int = 3
    """More tries after a failure that may pass: no answer, HTTP 429 or 5xx. Waits about 1, 2, 4... seconds between."""
    rate_limit: int = 0
    """Bytes per second and download; 0 means no limit."""
    min_rate: int = 1000
    """Bytes per second that an answer must keep up, else it is given up as too_slow; 0 means none."""
    stall_s: float = 30.0
    """Seconds over which `min_rate` is judged."""
    requests_per_s: float = 5.0
    """Requests a second to one host, from all workers of a machine together; 0 means no limit."""
    list_timeout_s: float = 600.0
    """Wall seconds to list one page, playlist, feed or search; beyond it the source fails with fetch_timeout."""
    timeout_s: float = 2 * 3600.0
    """Wall seconds for one download; beyond it the item is quarantined as fetch_timeout."""
    allow_private_hosts: bool = False
    """Fetch from private and loopback addresses too, as the setting of the same name does. For your own servers."""

    def __post_init__(self) -> None:
        for name in ("height", "max_bytes", "max_page_bytes", "max_items", "stall_s", "list_timeout_s", "timeout_s"):
            if getattr(self, name) <= 0:
                raise ConfigError(f"scrape: {name}: expected more than 0, got {getattr(self, name)}")
        for name in ("retries", "rate_limit", "min_rate", "requests_per_s"):
            if getattr(self, name) < 0:
                raise ConfigError(f"scrape: {name}: expected 0 or more, got {getattr(self, name)}")


@dataclass(frozen=True)
class Access:
    """What this machine brings: permission, proxy, cookies, and the folder in which its workers share host limits."""

    allow_private_hosts: bool = False
    proxy: str = ""
    cookies_file: str = ""
    state_folder: str = ""

    @classmethod
    def of(cls, settings: Settings, options: FetchOptions) -> "Access":
        """From the settings of this process."""
        folder = Path(settings.cache_dir or tempfile.gettempdir()) / f"smelter-hosts-{os.getuid()}"
        allowed = settings.allow_private_hosts or options.allow_private_hosts
        return cls(allowed, settings.proxy.get_secret_value(), settings.cookies_file, str(folder))
