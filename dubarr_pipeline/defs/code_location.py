"""The definitions of a dubbing library, made new at each call, for any Dagster project."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import dagster as dg

from dubarr_pipeline.config.options import ONE_MACHINE, WorkerOptions
from dubarr_pipeline.config.settings import user_settings
from dubarr_pipeline.defs.dub_file import dub_file_job
from dubarr_pipeline.defs.failure_sensor import failures_sensor
from dubarr_pipeline.defs.gate import approve_job
from dubarr_pipeline.defs.jobs import daily, dub_job, housekeeping_job
from dubarr_pipeline.defs.library_names import LibraryNames
from dubarr_pipeline.defs.publishing import publish_job, published_asset, publishing_sensor
from dubarr_pipeline.defs.resources import DubarrResource, MarkingResource
from dubarr_pipeline.defs.runtime.stage_run import LOST_STEPS, stage_asset
from dubarr_pipeline.defs.sensors import media_folder_sensor, webhook_inbox_sensor
from dubarr_pipeline.defs.series_cast import cast_asset
from dubarr_pipeline.defs.stages import GPU, STAGES
from dubarr_pipeline.engines.registry import PROFILES, Kind
from dubarr_pipeline.errors import DubbingError, SettingsError


def build_definitions(
    *,
    work_dir: Path | str | None = None,
    config: Path | str | None = None,
    executor: dg.ExecutorDefinition | None = None,
    resources: Mapping[str, object] | None = None,
    key_prefix: Sequence[str] = (),
    partitions: dg.DynamicPartitionsDefinition | None = None,
    pool: str = GPU,
) -> dg.Definitions:
    """Return the assets, jobs, sensors and the resource of a dubbing library.

    Args:
        work_dir: folder of the films' work; None: as the settings say.
        config: file of the settings; None: the user's own.
        executor: how steps run; None: as the project does it.
        resources: bound besides ours; one under the key of ours takes its place.
        key_prefix: put before the key of every asset, and before all names.
        partitions: partitions of the films; None: ``videos``, with the prefix before it.
        pool: concurrency pool of the stages that load models.

    Raises:
        SettingsError: if a name is none that Dagster takes.
    """
    names = LibraryNames(tuple(key_prefix), str(partitions.name) if partitions else "", pool)
    is_local = executor is dg.in_process_executor
    kind, retries = (MarkingResource, None) if is_local else (DubarrResource, LOST_STEPS)
    ours = kind(config_file=str(config or ""), work_dir=str(work_dir or ""))
    engines, workers = chosen_engines(config, work_dir), chosen_workers(config, work_dir)
    housekeeping = housekeeping_job(names)
    return dg.Definitions(
        assets=[
            *(stage_asset(stage, engines, names, workers, retries) for stage in STAGES),
            published_asset(names, workers, retries),
            cast_asset(names, retries),
        ],
        jobs=[
            dub_job(names),
            dub_file_job(names),
            publish_job(names),
            approve_job(names),
            housekeeping,
        ],
        schedules=[daily(names, housekeeping)],
        sensors=[
            media_folder_sensor(names),
            webhook_inbox_sensor(names),
            publishing_sensor(names),
            failures_sensor(names),
        ],
        resources={names.resource: ours, **(resources or {})},
        executor=executor,
    )


def chosen_executor() -> dg.ExecutorDefinition:
    """Return the executor of the user's settings; in process if those are faulty.

    Raises:
        SettingsError: if its packages are not installed.
    """
    try:
        workers = user_settings().workers
    except DubbingError:
        return dg.in_process_executor
    if workers.steps == "in-process":
        return dg.in_process_executor
    extra = "celery" if workers.steps == "celery" else "k8s"
    try:
        if extra == "k8s":
            from dagster_k8s import k8s_job_executor

            return k8s_job_executor
        from dubarr_pipeline.defs.distributed.celery_steps import celery_steps
    except ImportError as error:
        raise SettingsError(
            f"workers.steps = {workers.steps!r} needs the extra: "
            f"pip install 'dubarr-pipeline[{extra}]'"
        ) from error
    return celery_steps(workers)


def chosen_workers(
    config: Path | str | None = None, work_dir: Path | str | None = None
) -> WorkerOptions:
    """Return where the user's settings let stages work; in process if those are faulty."""
    try:
        return user_settings(*(Path(each) if each else None for each in (config, work_dir))).workers
    except DubbingError:
        return ONE_MACHINE


def chosen_engines(
    config: Path | str | None = None, work_dir: Path | str | None = None
) -> Mapping[Kind, str]:
    """Return the engines of the user's settings; the embedded profile's if those are faulty."""
    try:
        return user_settings(*(Path(each) if each else None for each in (config, work_dir))).engines
    except DubbingError:
        return PROFILES["lite"]
