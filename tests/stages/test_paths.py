"""Keys: flow order, the work key in every name, and untrusted names nowhere."""

from stages import paths


def test_prefixes_stand_in_flow_order() -> None:
    order = [paths.VIDEOS, paths.SEGMENTS, paths.FILTER, paths.CLIPS, paths.LABELS, paths.SHARDS, paths.POLICIES]
    assert order == sorted(order)
    assert [prefix[0] for prefix in order] == list("1234567")


def test_two_configurations_never_share_a_key() -> None:
    a, b = "a" * 64, "b" * 64
    for build in (paths.scores, paths.clip):
        assert build("v", a) != build("v", b)
    assert paths.segment("v", a, "grid.parquet") != paths.segment("v", b, "grid.parquet")
    assert paths.labels("idm1", "c", a) != paths.labels("idm2", "c", a)


def test_design_names() -> None:
    assert paths.labels("0123456789ab", "clip", "f" * 64) == f"5_labels/idm=0123456789ab/clip/{'f' * 16}.parquet"
    assert paths.pointer("idm", 7) == "_pointers/idm/000007.json"
    assert paths.commit("label", "abc-1", "k") == "_ledger/label/records/ab/abc-1/k.json"
