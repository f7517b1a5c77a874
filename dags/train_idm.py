"""
### Train the IDM

Starts whenever the ground truth moved. Trains the inverse dynamics model on contractor recordings (paper, section 4.1
and Appendix D), in short from the champion's weights if there is one, and tests it on worlds that it never saw. It
becomes the champion only if it beats the present one on the same worlds; `label_nightly` then relabels what is stale.
"""

from airflow.sdk import DAG, Param

from operators.assets import GROUND_TRUTH, IDM, publish
from operators.defaults import DAG_DEFAULTS
from operators.stage_operators import TrainIdmOperator

with DAG(
    "train_idm",
    doc_md=__doc__,
    schedule=[GROUND_TRUTH],
    tags=["smelter", "models"],
    params={
        "recipe": Param("nano_cpu", type="string", description="Named model and training configuration."),
        "init": Param(
            "champion",
            type="string",
            description="Where the weights start: champion (nothing, while there is none), none, or a model's version.",
        ),
        "held_out": Param(
            [],
            type="array",
            items={"type": "string"},
            description="Worlds that are never trained on, one per line; empty picks a fifth of them.",
        ),
        "calibrate": Param(
            [],
            type="array",
            items={"type": "string"},
            description="Further worlds, one per line, that only fit the confidence; empty leaves it to the recipe.",
        ),
        "max_steps": Param(0, type="integer", minimum=0, description="Training steps; 0 means the recipe's."),
    },
    **DAG_DEFAULTS,
) as dag:
    train = TrainIdmOperator(
        task_id="train_idm",
        recipe=dag.param("recipe"),
        init=dag.param("init"),
        held_out=dag.param("held_out"),
        calibrate=dag.param("calibrate"),
        max_steps=dag.param("max_steps"),
    )
    publish(IDM, train.output)
