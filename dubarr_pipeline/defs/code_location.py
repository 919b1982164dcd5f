"""The definitions of a dubbing library, made new at each call, for any Dagster project."""

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path

import dagster as dg

from dubarr_pipeline.config.options import ONE_MACHINE
from dubarr_pipeline.config.settings import Settings, user_settings
from dubarr_pipeline.defs.dub_file import dub_file_job
from dubarr_pipeline.defs.failure_sensor import failures_sensor
from dubarr_pipeline.defs.gate import approve_job
from dubarr_pipeline.defs.jobs import daily, dub_job, housekeeping_job
from dubarr_pipeline.defs.library_names import LibraryNames, keep_names
from dubarr_pipeline.defs.publishing import publish_job, published_asset, publishing_sensor
from dubarr_pipeline.defs.resources import DubarrResource, MarkingResource
from dubarr_pipeline.defs.runtime.stage_run import LOST_STEPS, stage_asset
from dubarr_pipeline.defs.sensors import media_folder_sensor, webhook_inbox_sensor
from dubarr_pipeline.defs.series_cast import cast_asset
from dubarr_pipeline.defs.stages import GPU, STAGES
from dubarr_pipeline.engines.registry import PROFILES
from dubarr_pipeline.errors import DubbingError, SettingsError

_log = logging.getLogger(__name__)


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

    The work folder keeps the names, by which commands and pages find its films.

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
    settings = faultless_settings(config, work_dir)
    if settings:
        try:
            keep_names(names, settings.work_dir)
        except (DubbingError, OSError) as error:
            _log.warning("the commands of dubarr will not find this library's records: %s", error)
    return library_definitions(
        names, settings, executor, resources=resources, config=config, work_dir=work_dir
    )


def library_definitions(
    names: LibraryNames,
    settings: Settings | None,
    executor: dg.ExecutorDefinition | None = None,
    *,
    resources: Mapping[str, object] | None = None,
    config: Path | str | None = None,
    work_dir: Path | str | None = None,
) -> dg.Definitions:
    """Return the definitions of a library under its names.

    Args:
        names: those of the library.
        settings: for badges and rooms of stages; None: those are the embedded profile's.
        executor: how steps run; None: as the project does it.
        resources: bound besides ours.
        config: file of the settings of every run; None: the user's own.
        work_dir: folder of the films' work of every run; None: as the settings say.
    """
    is_local = executor is dg.in_process_executor
    kind, retries = (MarkingResource, None) if is_local else (DubarrResource, LOST_STEPS)
    ours = kind(config_file=str(config or ""), work_dir=str(work_dir or ""))
    engines = settings.engines if settings else PROFILES["lite"]
    workers = settings.workers if settings else ONE_MACHINE
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


def faultless_settings(
    config: Path | str | None = None, work_dir: Path | str | None = None
) -> Settings | None:
    """Return the user's settings, or None if they are faulty: every run says so by name."""
    try:
        return user_settings(*(Path(each) if each else None for each in (config, work_dir)))
    except DubbingError:
        return None


def chosen_executor(settings: Settings | None) -> dg.ExecutorDefinition:
    """Return the executor that settings choose; without any, in process.

    Raises:
        SettingsError: if its packages are not installed.
    """
    workers = settings.workers if settings else ONE_MACHINE
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
