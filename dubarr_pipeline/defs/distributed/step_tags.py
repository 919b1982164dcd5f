"""Tags by which other executors place a step: its queue of workers, and what its pod may use."""

from collections.abc import Mapping
from typing import Any

from dubarr_pipeline.config.options import StepResources, WorkerOptions
from dubarr_pipeline.defs.stages import GPU

QUEUE_TAG, CPU = "dagster-celery/queue", "cpu"
POD_TAG = "dagster-k8s/config"


def step_tags(pool: str | None, workers: WorkerOptions) -> Mapping[str, Any]:
    """Return the op tags of a stage of the pool `GPU`, or of none."""
    queue = {QUEUE_TAG: GPU if pool == GPU else CPU}
    if workers.steps != "kubernetes":
        return queue
    return {**queue, POD_TAG: _pod(workers.gpu_step if pool == GPU else workers.cpu_step)}


def _pod(step: StepResources) -> Mapping[str, Any]:
    """Return the resources of a step's container, as Kubernetes writes them."""
    asked = {"cpu": f"{round(1000 * step.cpus)}m", "memory": f"{round(1000 * step.memory_gb)}M"}
    # Of devices Kubernetes takes a limit alone; a limit on CPUs would only slow a step down.
    limits: dict[str, str] = {"memory": asked["memory"]}
    if step.gpus:
        limits[step.gpu_resource] = str(step.gpus)
    return {"container_config": {"resources": {"requests": asked, "limits": limits}}}
