"""The store, on a folder and on SeaweedFS: atomic create, listing, errors that a person understands."""

import threading
from pathlib import Path

import obstore
import pytest

from stages.errors import ServiceError
from stages.settings import Settings, load_settings
from stages.storage import Store
from tests.seaweed import SeaweedFS


def test_round_trip_listing_and_delete(settings: Settings) -> None:
    store = Store(settings)
    output = store.put("5_labels/idm=truth/a/1.parquet", b"abc")
    store.put("5_labels/idm=truth/b/2.parquet", b"de")
    assert (output.bytes, output.sha256[:8]) == (3, "ba7816bf")
    assert store.get(output.key) == b"abc"
    assert sorted(store.keys("5_labels")) == ["5_labels/idm=truth/a/1.parquet", "5_labels/idm=truth/b/2.parquet"]
    assert store.folders("5_labels/idm=truth") == ["5_labels/idm=truth/a", "5_labels/idm=truth/b"]
    store.delete([output.key, "5_labels/none"])
    assert not store.exists(output.key)
    with pytest.raises(FileNotFoundError):
        store.get(output.key)


def test_files_of_several_parts(settings: Settings, tmp_path: Path) -> None:
    store, source, copy = Store(settings), tmp_path / "a", tmp_path / "b"
    source.write_bytes(bytes(range(256)) * 2**16)  # 16 MiB: more than one part
    output = store.put_file("1_videos/x/source.mp4", source)
    store.get_file(output.key, copy)
    assert copy.read_bytes() == source.read_bytes()
    assert output.bytes == 2**24


def test_listing_pages(file_settings: Settings) -> None:
    store = Store(file_settings)
    for i in range(1203):
        store.put(f"many/{i:05d}", b"")
    assert sorted(store.keys("many")) == [f"many/{i:05d}" for i in range(1203)]
    assert list(store.keys("nothing")) == []


def test_put_if_absent_has_one_winner(settings: Settings) -> None:
    store, wins = Store(settings), []
    barrier = threading.Barrier(8)

    def race(number: int) -> None:
        barrier.wait()
        if store.put_if_absent("_pointers/idm/000001.json", str(number).encode()):
            wins.append(number)

    threads = [threading.Thread(target=race, args=(n,)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wins) == 1
    assert store.get("_pointers/idm/000001.json") == str(wins[0]).encode()


def test_probe_accepts_both_and_leaves_nothing(settings: Settings) -> None:
    store = Store(settings)
    store.probe()
    assert list(store.keys("_ledger")) == []


def test_probe_refuses_a_store_that_overwrites(file_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server without conditional writes accepts both puts; here the client's condition is taken off the wire."""
    plain = obstore.put
    monkeypatch.setattr(obstore, "put", lambda store, key, data, mode=None: plain(store, key, data))
    with pytest.raises(ServiceError, match="expected a store with conditional writes"):
        Store(file_settings).probe()


def test_wrong_bucket_is_one_clear_error(s3_server: SeaweedFS) -> None:
    with pytest.raises(ServiceError, match=r"expected a store that answers at s3://nowhere, got: .*NoSuchBucket"):
        Store(s3_server.settings("nowhere")).probe()
    with pytest.raises(ServiceError, match="expected a store that answers at s3://smelter"):
        Store(s3_server.settings("smelter", s3_access_key="wrongkey")).probe()


def test_unreachable_server_is_one_clear_error() -> None:
    settings = load_settings(store="s3://b", s3_endpoint="http://127.0.0.1:9", s3_access_key="k", s3_secret_key="s")
    with pytest.raises(ServiceError, match="check SMELTER_STORE, SMELTER_S3_ENDPOINT"):
        Store(settings).probe()


def test_unwritable_folder_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("a file, not a folder")
    with pytest.raises(ServiceError, match="expected a writable folder"):
        Store(load_settings(store=f"file://{tmp_path}/file/store"))


def test_readers_get_a_filesystem(settings: Settings) -> None:
    store = Store(settings)
    store.put("6_shards/x.parquet", b"123")
    filesystem, root = store.filesystem()
    assert filesystem.cat_file(f"{root}/6_shards/x.parquet") == b"123"
