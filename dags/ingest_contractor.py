"""
### Ingest contractor recordings

Takes recordings in OpenAI's contractor format (`NAME.mp4` + `NAME.jsonl`, in folders or by OpenAI's index files), makes
working clips and ground-truth labels of them, and publishes the ground-truth snapshot. `train_idm` starts when it
moved.

A recording that cannot be aligned (frames and lines differ, broken video) is put aside with a reason.
"""

from airflow.sdk import DAG, Param

from operators.assets import GROUND_TRUTH, publish
from operators.defaults import DAG_DEFAULTS
from operators.stage_operators import IngestOperator, ShardOperator

with DAG(
    "ingest_contractor",
    doc_md=__doc__,
    schedule=None,  # recordings arrive when somebody brings them
    tags=["smelter", "truth"],
    params={
        "recordings": Param(
            [],
            type="array",
            items={"type": "string"},
            minItems=1,
            description="One per line: folders of NAME.mp4 + NAME.jsonl that Ray workers can read, or .json indexes.",
        ),
        "licence": Param("", type="string", description="Licence of these recordings; it travels with every row."),
        "consent": Param("", type="string", description="On what basis they are used; it travels with every row."),
        "schema": Param(
            "minecraft",
            type="string",
            description="The game's buttons, keys and camera: a name in models/schemas/, or a .json file.",
        ),
        "retry_quarantined": Param(
            "", type="string", description="Try recordings again that were put aside: `all`, or one reason."
        ),
    },
    **DAG_DEFAULTS,
) as dag:
    ingest = IngestOperator(
        task_id="ingest",
        recordings=dag.param("recordings"),
        licence=dag.param("licence"),
        consent=dag.param("consent"),
        schema=dag.param("schema"),
        retry_quarantined=dag.param("retry_quarantined"),
    )
    shard = ShardOperator(task_id="shard", labels="truth")
    ingest >> shard
    publish(GROUND_TRUTH, shard.output)
