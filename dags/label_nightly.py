"""
### Label nightly: the saved searches, and whatever a new champion made stale

Every night at 02:00 UTC the saved searches are scraped, and every video that lacks labels under the champion IDM and
the champion filter is brought up to date. Labels of earlier IDMs stay beside the new ones; the snapshot moves on when
all are there. A night without news costs a few seconds per stage and publishes nothing.

The searches are the Airflow Variable `smelter_searches` (a JSON list, or one source per line), or else the setting
`SMELTER_SEARCHES` (separated by commas).
"""

from airflow.sdk import DAG, task
from airflow.timetables.trigger import CronTriggerTimetable

from operators.defaults import DAG_DEFAULTS
from operators.label_flow import INTAKE_PARAMS, MODEL_PARAMS, RUN_PARAMS, label_flow


@task
def read_searches() -> list[str]:
    """The sources to scrape tonight; none is fine, stale labels are brought up to date anyway."""
    from airflow.sdk import Variable

    from operators.connections import saved_searches

    return saved_searches(Variable.get("smelter_searches", default=None))


with DAG(
    "label_nightly",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("0 2 * * *", timezone="UTC"),
    tags=["smelter", "label"],
    params={**INTAKE_PARAMS, **MODEL_PARAMS, **RUN_PARAMS},
    **DAG_DEFAULTS,
) as dag:
    label_flow(dag, read_searches())
