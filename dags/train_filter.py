"""
### Train the filter

Trains the classifier that tells clean survival play from everything else, on frames that people have labelled (paper,
Appendix A.2). Frames of one video stay on one side of the split. It becomes the champion only if it beats the present
one on the held-out frames; `label_nightly` then scores the samples that are there again, and decodes nothing.
"""

from airflow.sdk import DAG, Param

from operators.assets import FILTER, publish
from operators.defaults import DAG_DEFAULTS
from operators.stage_operators import TrainFilterOperator

with DAG(
    "train_filter",
    doc_md=__doc__,
    schedule=None,  # frames are labelled by people, now and then
    tags=["smelter", "models"],
    params={
        "frames": Param(
            "",
            type="string",
            minLength=1,
            description="Labelled frames: a folder with clean/, artifact/ and other/, or a .csv or .parquet table.",
        ),
        "overlays": Param(
            3,
            type="integer",
            minimum=0,
            description="Unclean copies drawn of each clean frame: face cameras, watermarks, banners; 0 for none.",
        ),
    },
    **DAG_DEFAULTS,
) as dag:
    train = TrainFilterOperator(task_id="train_filter", frames=dag.param("frames"), overlays=dag.param("overlays"))
    publish(FILTER, train.output)
