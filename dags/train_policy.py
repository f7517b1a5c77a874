"""
### Train the policy

Starts whenever the snapshot of labelled play moved. Behavioural cloning on the snapshot (paper, section 4.3): whole
videos are held out, null actions are dropped. The policy becomes the champion only if it predicts held-out play better
than the present one. The run's record names the snapshot, so it can be repeated for ever.
"""

from airflow.sdk import DAG, Param

from operators.assets import POLICY, SNAPSHOT, publish
from operators.defaults import DAG_DEFAULTS
from operators.stage_operators import TrainOperator

with DAG(
    "train_policy",
    doc_md=__doc__,
    schedule=[SNAPSHOT],
    tags=["smelter", "models"],
    params={
        "recipe": Param(
            "nano_cpu",
            type="string",
            enum=["nano_cpu", "1x", "2x", "3x"],
            description="Named model and training configuration; nano_cpu trains in minutes without a GPU.",
        ),
        "labels": Param("idm", enum=["idm", "truth"], description="Labels of the IDM, or contractor ground truth."),
        "snapshot": Param("latest", type="string", description="Digest of the snapshot, or `latest`."),
        "max_steps": Param(0, type="integer", minimum=0, description="Training steps; 0 means the recipe's."),
    },
    **DAG_DEFAULTS,
) as dag:
    train = TrainOperator(
        task_id="train",
        recipe=dag.param("recipe"),
        labels=dag.param("labels"),
        snapshot=dag.param("snapshot"),
        max_steps=dag.param("max_steps"),
    )
    publish(POLICY, train.output)
