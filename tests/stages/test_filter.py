"""Filter: spans and reasons in the record, scores computed once, bad samples put aside."""

import io
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from stages.errors import ConfigError
from stages.filter import Filter, FilterConfig
from stages.runner import run_stage
from stages.settings import Settings, load_settings
from stages.stage import Context
from stages.train_filter import TrainFilter, TrainFilterConfig
from tests.frames import VIDEO_ID, Segmented, write_folders


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """A store with a champion filter, trained once for this file."""
    root = tmp_path_factory.mktemp("filter")
    settings = load_settings(store=f"file://{root}/store", cache_dir=str(root / "cache"))
    config = TrainFilterConfig(frames=str(write_folders(root / "frames")), overlays=0)
    run_stage(TrainFilter(config), Context(settings), ray="off")
    return settings


def run(ctx: Context, **fields: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The summary, and the info of the one video."""
    stage = Filter(FilterConfig(**fields))
    summary = run_stage(stage, ctx, ray="off")
    records = stage.committed(ctx)
    return summary, records[0].info if records else {}


def test_a_span_starts_where_the_overlay_ends(trained: Settings) -> None:
    ctx = Segmented(trained)
    ctx.add("u" + "c" * 9)
    summary, info = run(ctx)
    assert summary["done"] == 1
    assert info["spans"] == [{"start": 17, "end": 200}]
    assert (info["reason"], info["clean_share"], info["seconds_clean"]) == ("", 0.9, 9.15)
    assert sum(info["seconds"].values()) == 10.0
    assert summary["videos"] == {"kept": 1}


def test_a_gated_video_is_done_with_its_reason(trained: Settings) -> None:
    ctx = Segmented(trained)
    ctx.add("u" * 4 + "c" * 6)
    summary, info = run(ctx)
    assert (summary["done"], summary["quarantined"], summary["videos"]) == (1, 0, {"below_clean_share": 1})
    assert (info["spans"], info["reason"]) == ([], "below_clean_share")


def test_a_new_rule_embeds_nothing(trained: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    ctx = Segmented(trained)
    ctx.add("u" * 3 + "c" * 7)
    assert run(ctx)[1]["reason"] == "below_clean_share"
    ctx.store.delete([ctx.given[0].output("samples.parquet").key])  # whoever embeds again fails
    _, info = run(ctx, min_clean_share=0.5)
    assert info["spans"] == [{"start": 57, "end": 200}]
    assert run(ctx, min_clean_share=0.5)[0]["skipped"] == 1


def test_scores_have_one_row_per_sample(trained: Settings) -> None:
    ctx = Segmented(trained)
    ctx.add("ccuu")
    stage = Filter(FilterConfig())
    run_stage(stage, ctx, ray="off")
    output = stage.committed(ctx)[0].output("scores.parquet")
    table = pq.read_table(io.BytesIO(ctx.store.get(output.key)))
    assert table.column_names == ["sample", "step", "time_s", "score"]
    assert [score > 0.5 for score in table["score"].to_pylist()] == [True] * 6 + [False] * 6
    assert table["step"].to_pylist()[:4] == [0, 6, 13, 20]


def test_an_unreadable_sample_is_quarantined_with_its_number(trained: Settings) -> None:
    ctx = Segmented(trained)
    ctx.add("ccccc", video_id="cd" * 10, broken=7)
    summary, _ = run(ctx)
    assert summary["reasons"] == {"sample_unreadable": 1}
    (entry,) = [q for (unit, _), q in ctx.ledger.quarantined("filter").items() if unit == "cd" * 10]
    assert "sample 7" in entry.message


def test_a_video_without_samples_says_so(trained: Settings) -> None:
    ctx = Segmented(trained)
    ctx.add("", video_id="ef" * 10)
    assert run(ctx)[1]["reason"] == "no_samples"


def test_no_champion_is_a_config_error(file_settings: Settings) -> None:
    ctx = Segmented(file_settings)
    ctx.add("c")
    with pytest.raises(ConfigError, match=r"run `python -m stages\.train_filter` first"):
        list(Filter(FilterConfig()).units(ctx))


def test_work_keys_follow_content(trained: Settings, tmp_path: Path) -> None:
    """The filter's name does not matter, its digest does; the rule is in the key, the pointer is not."""
    ctx = Segmented(trained)
    ctx.add("ccc")
    by_pointer = next(Filter(FilterConfig()).units(ctx))
    by_name = next(Filter(FilterConfig(model=ctx.model_digest("filter"))).units(ctx))
    stricter = next(Filter(FilterConfig(threshold=0.6)).units(ctx))
    assert (by_pointer.id, by_pointer.key) == (VIDEO_ID, by_name.key)
    assert stricter.key != by_pointer.key
    assert stricter.inputs["scores_key"] == by_pointer.inputs["scores_key"]


def test_wrong_rules_are_refused_before_work() -> None:
    with pytest.raises(ConfigError, match=r"filter\.median_kernel: expected an odd number"):
        FilterConfig(median_kernel=4)
