"""
### Takedown

Bans a video for ever and removes its source and everything derived from it: segments, scores, clips, labels, and every
shard with one of its rows. Then the shards are packed again without it and new snapshots are published. The summary of
`takedown` names the models that were trained on the video.

The settings in the form say which labels the snapshot holds; leave them as in the run that made the present one.
"""

from airflow.sdk import DAG, Param

from operators.assets import GROUND_TRUTH, SNAPSHOT, publish
from operators.defaults import DAG_DEFAULTS
from operators.label_flow import MODEL_PARAMS, recipe_of
from operators.stage_operators import ShardOperator, TakedownOperator

with DAG(
    "takedown",
    doc_md=__doc__,
    schedule=None,  # when somebody asks for it
    tags=["smelter", "care"],
    params={
        "video": Param("", type="string", minLength=1, description="Video id, 20 hex digits, or the URL it came from."),
        "reason": Param("", type="string", minLength=1, description="Who asked, and why; kept with the ban."),
        **MODEL_PARAMS,
    },
    **DAG_DEFAULTS,
) as dag:
    takedown = TakedownOperator(task_id="takedown", videos=[dag.param("video")], reason=dag.param("reason"))
    shard = ShardOperator(task_id="shard", config=recipe_of(dag))
    shard_truth = ShardOperator(task_id="shard_truth", labels="truth")
    takedown >> [shard, shard_truth]
    publish(SNAPSHOT, shard.output)
    publish(GROUND_TRUTH, shard_truth.output, task_id="publish_truth")
