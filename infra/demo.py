"""`make demo`: gameplay video in, a trained policy out, through real Airflow, Ray and a store, on the bundled sample.

Registers the models that come with the project (`data/models/`) as champions of an empty store, trains the IDM in short
from the champion's weights, labels two videos with filter and IDM, packs shards and trains a policy: each step is a DAG
run that is triggered over Airflow's REST API and followed here. Run again, it plans from the ledger, finds nothing to
do and says so.
"""

import os
import sys
import time
from pathlib import Path
from typing import Any

from infra import services
from infra.airflow_api import AirflowApi, now
from infra.demo_bars import StageBars
from stages.errors import SmelterError
from stages.promote import KINDS, add, move
from stages.report import funnel, render
from stages.settings import load_settings
from stages.stage import Context, Recipe
from stages.status import status

ROOT = Path(__file__).resolve().parent.parent
SAMPLE = ROOT / "data" / "sample"
SHIPPED = ROOT / "data" / "models"
RECIPE: dict[str, dict[str, Any]] = {
    "ingest": {"recordings": [str(SAMPLE / "contractor")], "licence": "CC BY-SA 3.0"},
    "train_idm": {"init": "champion"},
    "scrape": {"sources": [str(SAMPLE / "web")]},
}


def main() -> int:
    """Run the demo; returns the exit status."""
    started = time.monotonic()
    os.environ.setdefault("SMELTER_STORE", f"file://{ROOT}/.smelter/store")
    ctx = Context(load_settings(), Recipe(RECIPE))
    try:
        for kind, version in register_shipped(ctx, SHIPPED):
            print(f"champion   {kind} {version}, which comes with the project")
        todo = open_work(ctx)
        if todo:
            print(f"store      {ctx.settings.store}\nto do      {', '.join(todo)}\n", flush=True)
        else:
            print(f"Nothing to do: every unit of work is committed in {ctx.settings.store}.\n", flush=True)
        endpoints = services.up(ROOT)
        if todo:
            run_flow(endpoints)
        print("\n".join(render(funnel(ctx))))
    except SmelterError as error:
        print(f"\ndemo: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(
        f"\nstore      {ctx.settings.store}\nAirflow    {endpoints.airflow_url}   user {endpoints.user}, "
        f"password {endpoints.password}\nRay        {endpoints.ray_dashboard}\n"
        f"{time.monotonic() - started:.0f} s in all. Both stay up until `make down`."
    )
    return 0


def register_shipped(ctx: Context, root: Path) -> list[tuple[str, str]]:
    """Make the models below `root` (a folder per kind) champions where the store has none; what was registered."""
    found = [kind for kind in KINDS if (root / kind / "model.json").is_file() and ctx.ledger.pointer(kind) is None]
    registered = []
    for kind in found:
        version = add(ctx, kind, root / kind)
        move(ctx, kind, version, "comes with the project")
        registered.append((kind, version[:12]))
    return registered


def open_work(ctx: Context) -> list[str]:
    """Stages that have units to do, or cannot plan yet because an earlier one has."""
    rows = status(ctx)
    rows.pop("train_filter", None)  # a filter comes with the project: the 151 sample frames make a worse one
    return [name for name, row in rows.items() if row["open"] or row["blocked"]]


def run_flow(endpoints: services.Endpoints) -> None:
    """The DAG runs in order. Those that follow from another are started by its asset, not by us."""
    api = AirflowApi(endpoints.airflow_url, endpoints.user, endpoints.password)
    with StageBars(endpoints.ray_dashboard, endpoints.token_path) as bars:
        began = now()
        run = api.trigger("ingest_contractor", RECIPE["ingest"])
        api.wait("ingest_contractor", run, seen=bars.refresh)
        wait_for_asset(api, "train_idm", began, bars)
        began = now()
        run = api.trigger("label_videos", {"sources": RECIPE["scrape"]["sources"]})
        api.wait("label_videos", run, seen=bars.refresh)
        wait_for_asset(api, "train_policy", began, bars)


def wait_for_asset(api: AirflowApi, dag: str, began: Any, bars: StageBars, patience_s: float = 20) -> None:
    """Wait for the run that an asset event started; there is none if the event said that nothing changed."""
    deadline = time.monotonic() + patience_s
    while not (runs := api.runs_since(dag, began)) and time.monotonic() < deadline:
        bars.refresh()
        time.sleep(1)
    run = runs[-1]["dag_run_id"] if runs else api.trigger(dag, {})
    api.wait(dag, run, seen=bars.refresh)


if __name__ == "__main__":
    sys.exit(main())
