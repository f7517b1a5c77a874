"""The ways out of a worker: the web in a child process with limits, and objects below any prefix of a store.

`scrape` and `ingest` share them. Private addresses, proxy and cookies come from the settings of the machine.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from stages.errors import BadInput
from stages.fetch import Listing, download, list_page, read_url
from stages.rules import Facts, Rules
from stages.sandbox import Limits, run_limited
from stages.settings import Settings
from stages.sources import STORE
from stages.storage import Store, open_store
from stages.web_options import SCHEMES, VIDEO_SUFFIXES, Access, FetchOptions

MEMORY_BYTES = 2 * 2**30
"""Memory of a child that reads the web."""


@dataclass(frozen=True)
class OpenDoors:
    """`stages.sources.Doors`, open. `engine` and `results`: which search yt-dlp runs, and for how many videos."""

    settings: Settings
    options: FetchOptions
    engine: str = "ytsearch"
    results: int = 50

    def list_url(self, url: str) -> Listing:
        return self._in_child(list_page, url, seconds=self.options.list_timeout_s)

    def list_prefix(self, uri: str) -> list[str]:
        prefix = self.uri(uri).rstrip("/")
        found = sorted(key for key in self._store(prefix).keys("") if suffix_of(key) != "bin")
        if not found:
            raise BadInput("not_found", f"expected videos ({', '.join(VIDEO_SUFFIXES)}) below {uri}, got none")
        return [f"{prefix}/{key}" for key in found]

    def read(self, uri: str) -> bytes:
        if uri.lower().startswith(tuple(f"{scheme}://" for scheme in SCHEMES)):
            return self._in_child(read_url, uri, seconds=self.options.list_timeout_s)
        parent, name = self._split(uri)
        try:
            return self._store(parent).get(name)
        except FileNotFoundError:
            raise BadInput("not_found", f"expected an object at {uri}, got none", "later") from None

    def search(self, words: str) -> str:
        return f"{self.engine}{self.results}:{words}"

    def fetch(self, url: str, index: int, folder: Path, known: Facts, rules: Rules) -> tuple[Path, Facts]:
        """A video of the web, in `folder`. Raises BadInput: see `stages.fetch.download`."""
        arguments = {"known": known, "rules": rules}
        fetched = self._in_child(download, url, index, folder, seconds=self.options.timeout_s, **arguments)
        return folder / fetched.name, fetched.facts

    def fetch_object(self, uri: str, path: Path) -> None:
        """An object of a store, as a local file. Raises BadInput `not_found`."""
        parent, name = self._split(uri)
        try:
            self._store(parent).get_file(name, path)
        except FileNotFoundError:
            raise BadInput("not_found", f"expected an object at {uri}, got none") from None

    def uri(self, source: str) -> str:
        """`store:prefix` as a full URI; others as they are."""
        return f"{self.settings.store}/{source.removeprefix(STORE)}" if source.startswith(STORE) else source

    def _split(self, uri: str) -> tuple[str, str]:
        parent, _, name = self.uri(uri).rpartition("/")
        return parent, name

    def _store(self, uri: str) -> Store:
        """Reached with the store's own endpoint and credentials."""
        return open_store(self.settings.model_copy(update={"store": uri}))

    def _in_child(self, function: Any, *args: Any, seconds: float, **kwargs: Any) -> Any:
        # Only the options' own fields travel: a recipe's class would load the whole stage in the child.
        options = FetchOptions(**{name: getattr(self.options, name) for name in FetchOptions.__dataclass_fields__})
        given = {"options": options, "access": Access.of(self.settings, options), **kwargs}
        limits = Limits(MEMORY_BYTES, int(seconds) + 1, seconds, what="fetch", reservations_are_free=True)
        return run_limited(function, *args, limits=limits, **given)


def suffix_of(name: str) -> str:
    """A file's suffix if it is a video's, else `bin`: no other text reaches a key."""
    suffix = Path(name).suffix.lower().lstrip(".")
    return suffix if suffix in VIDEO_SUFFIXES else "bin"
