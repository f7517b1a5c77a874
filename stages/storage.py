"""The one door to the object store: bytes by key, atomic put-if-absent, listing, and filesystems for readers.

`file://` is a local folder, `s3://` any S3 whose conditional writes work; `Store.probe` refuses one where they do not.
obstore does the work: its create is atomic on both (reference figures: infra/decisions/0001).
"""

import hashlib
import os
import re
import uuid
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlparse

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, S3Store

from stages import paths
from stages.errors import ConfigError, ServiceError
from stages.records import Output
from stages.settings import Settings

READ_THREADS = 32
"""Small reads in flight. obstore releases the GIL; 32 hides a few milliseconds of latency without flooding a server."""

T = TypeVar("T")


class Store:
    """Objects under one URI. Cheap to open; safe to use from threads; reopened, not pickled, on another machine."""

    def __init__(self, settings: Settings) -> None:
        self.uri = settings.require_store()
        self._settings = settings
        self._store = _open_s3(settings) if self.uri.startswith("s3://") else _open_local(self.uri)

    def get(self, key: str) -> bytes:
        """The object's bytes. Raises FileNotFoundError when there is none."""
        return self._call(lambda: bytes(obstore.get(self._store, key).bytes()), key)

    def get_many(self, keys: Iterable[str]) -> Iterator[bytes]:
        """Objects in the order of `keys`, read by several threads."""
        with ThreadPoolExecutor(READ_THREADS) as pool:
            yield from pool.map(self.get, keys)

    def get_file(self, key: str, path: Path) -> None:
        """Write the object to a local file, in pieces, so that a long video never sits in memory."""

        def copy() -> None:
            with open(path, "wb") as file:
                for piece in obstore.get(self._store, key).stream(min_chunk_size=8 * 2**20):
                    file.write(piece)

        self._call(copy, key)

    def put(self, key: str, data: bytes) -> Output:
        """Write bytes that only this key can hold. Whoever writes it again writes the same bytes."""
        self._call(lambda: obstore.put(self._store, key, data), key)
        return Output(key=key, sha256=hashlib.sha256(data).hexdigest(), bytes=len(data))

    def put_file(self, key: str, path: Path) -> Output:
        """`put` for a local file of any size, sent in parts."""
        with open(path, "rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
        self._call(lambda: obstore.put(self._store, key, path), key)
        return Output(key=key, sha256=sha256, bytes=path.stat().st_size)

    def put_if_absent(self, key: str, data: bytes) -> bool:
        """Create the object; False when it was there. The one atomic step on which every commit rests."""

        def create() -> bool:
            try:
                obstore.put(self._store, key, data, mode="create")
            except AlreadyExistsError:
                return False
            return True

        return self._call(create, key)

    def exists(self, key: str) -> bool:
        try:
            self._call(lambda: obstore.head(self._store, key), key)
        except FileNotFoundError:
            return False
        return True

    def keys(self, prefix: str) -> Iterator[str]:
        """Keys below a prefix (a folder, without the final slash), sorted within each page only."""

        def pages() -> Iterator[list[Any]]:
            yield from obstore.list(self._store, prefix=prefix, chunk_size=1000)

        iterator = pages()
        while (page := self._call(lambda: next(iterator, None), prefix)) is not None:
            yield from (entry["path"] for entry in page)

    def folders(self, prefix: str) -> list[str]:
        """The folders right below a prefix."""
        found = self._call(lambda: obstore.list_with_delimiter(self._store, prefix=prefix), prefix)
        return list(found["common_prefixes"])

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects. Only a takedown and the probe do this."""
        for key in keys:
            try:
                self._call(lambda key=key: obstore.delete(self._store, key), key)  # type: ignore[misc]
            except FileNotFoundError:
                continue

    def probe(self) -> None:
        """Prove at start-up that the store can be written and that put-if-absent holds.

        Raises:
            ServiceError: it cannot be reached or written, or it overwrites instead of refusing.
        """
        key = paths.probe(uuid.uuid4().hex)
        self.folders(paths.LEDGER)  # a missing bucket fails here; some servers would create it at the first put
        first, second = self.put_if_absent(key, b"1"), self.put_if_absent(key, b"2")
        self.delete([key])
        if not first or second:
            raise ServiceError(
                f"expected a store with conditional writes (If-None-Match: *), got one that overwrites, at {self.uri}; "
                "use file://, AWS S3 or SeaweedFS (infra/decisions/0001)"
            )

    def filesystem(self) -> tuple[Any, str]:
        """An fsspec filesystem and the root path in it, for pandas and pyarrow readers. Never write through it."""
        parts = urlparse(self.uri)
        if parts.scheme == "file":
            from fsspec.implementations.local import LocalFileSystem

            return LocalFileSystem(), parts.path
        import s3fs

        settings = self._settings
        keys = settings.s3_access_key.get_secret_value(), settings.s3_secret_key.get_secret_value()
        client = {"region_name": settings.s3_region}
        filesystem = s3fs.S3FileSystem(
            key=keys[0] or None, secret=keys[1] or None, endpoint_url=settings.s3_endpoint or None, client_kwargs=client
        )
        return filesystem, f"{parts.netloc}{parts.path}"

    def _call(self, action: Callable[[], T], key: str) -> T:
        try:
            return action()
        except FileNotFoundError:
            raise
        except (BaseError, OSError) as error:
            raise ServiceError(self._explain(f"{type(error).__name__} at {key}: {_first_line(error)}")) from error

    def _explain(self, problem: str) -> str:
        return (
            f"expected a store that answers at {self.uri}, got: {problem}; check SMELTER_STORE, SMELTER_S3_ENDPOINT "
            "and the credentials, and that the bucket or folder exists and is writable"
        )


@lru_cache(maxsize=8)
def open_store(settings: Settings) -> Store:
    """The store of these settings, opened once in each process."""
    return Store(settings)


def _open_local(uri: str) -> LocalStore:
    root = urlparse(uri).path
    try:
        os.makedirs(root, exist_ok=True)
    except OSError as error:
        raise ServiceError(f"expected a writable folder for the store at {uri}, got: {error}; choose another") from None
    return LocalStore(root)


def _open_s3(settings: Settings) -> S3Store:
    parts = urlparse(settings.store)
    access_key, secret_key = settings.s3_access_key.get_secret_value(), settings.s3_secret_key.get_secret_value()
    options: dict[str, Any] = {"region": settings.s3_region}
    if settings.s3_endpoint:
        options |= {"endpoint": settings.s3_endpoint, "virtual_hosted_style_request": False}
    if access_key:
        options |= {"access_key_id": access_key, "secret_access_key": secret_key}
    try:
        return S3Store(
            parts.netloc,
            prefix=parts.path.strip("/") or None,
            # 60 s: SeaweedFS was seen to take 19 s for one conditional put under 50 writers.
            client_options={"allow_http": settings.s3_endpoint.startswith("http://"), "timeout": "60s"},
            retry_config={"max_retries": 6, "retry_timeout": timedelta(seconds=30)},
            **options,
        )
    except BaseError as error:
        raise ConfigError(f"expected usable S3 settings for {settings.store}, got: {_first_line(error)}") from error


def _first_line(error: BaseException) -> str:
    """The first line of a long message, after S3's own error code where there is one."""
    code = re.search(r"<Code>(\w+)</Code>", str(error))
    return (f"{code[1]}, " if code else "") + str(error).partition("\n")[0][:300]
