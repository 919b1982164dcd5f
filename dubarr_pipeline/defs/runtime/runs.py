"""Runs in this process: the whole pipeline without a server, on the store of the UI."""

import contextlib
import sqlite3
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import dagster as dg
from dagster._core.instance.ref import InstanceRef
from sqlalchemy.exc import OperationalError

from dubarr_pipeline.compute.json_lines import logs_json
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.library_names import DUB, PUBLISH, LibraryNames, names_of, stage_of
from dubarr_pipeline.defs.operations.store_thrift import be_thrifty, store_kept_open
from dubarr_pipeline.defs.operations.store_version import check_version
from dubarr_pipeline.defs.runtime.home import dagster_home
from dubarr_pipeline.defs.runtime.liveness import PROCESS_TAG, bury_dead_runs, process_mark
from dubarr_pipeline.defs.runtime.records import (
    add_video,
    film_tags,
    last_materialization,
)
from dubarr_pipeline.defs.runtime.status import causes, error_name, failure_message
from dubarr_pipeline.defs.stages import PUBLISHED, STAGE_NAMES
from dubarr_pipeline.errors import DiskFull, NotWritable, ServiceUnavailable, WorkspaceError
from dubarr_pipeline.files import named_disk_errors
from dubarr_pipeline.library.videos import Video

_INTERRUPTED = ("KeyboardInterrupt", "DagsterExecutionInterruptedError")
_NO_COMPUTE_LOGS = {
    "module": "dagster._core.storage.noop_compute_log_manager",
    "class": "NoOpComputeLogManager",
}
"""Runs on a terminal keep their output there: to capture it, Dagster starts four processes for
every stage, which answer Ctrl-C with stack traces. Our own log is kept with the run all the same.
"""


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """Outcome of a run.

    Attributes:
        made, kept: the stages that ran, and those whose results were reused.
        failed_stage, cause: stage and reason of its failure, else None.
        error: the name of the error type behind `cause`, where it is one of ours.
    """

    run_id: str
    made: tuple[str, ...]
    kept: tuple[str, ...]
    failed_stage: str | None = None
    cause: str | None = None
    error: str | None = None

    @property
    def succeeded(self) -> bool:
        return self.cause is None


@contextlib.contextmanager
def open_instance(work_dir: Path) -> Iterator[dg.DagsterInstance]:
    """Open the store of a work folder, as `home` chooses it.

    Raises:
        SettingsError: if ``$DAGSTER_HOME`` is not a folder.
        DiskFull, NotWritable, WorkspaceError, ServiceUnavailable: if the store refuses, now or
            while it is open, or is of a newer version.
    """
    home = dagster_home(work_dir)
    be_thrifty()
    try:
        with named_disk_errors(home):
            found = InstanceRef.from_dir(str(home), overrides={"compute_logs": _NO_COMPUTE_LOGS})
            with dg.DagsterInstance.from_ref(found) as instance:
                check_version(instance, home)
                yield instance
    except OperationalError as error:
        words = str(error.orig)
        if not isinstance(error.orig, sqlite3.Error):
            raise ServiceUnavailable(
                f"the store of {home} cannot be reached: {words.strip()}"
            ) from error
        if "full" in words:
            raise DiskFull(
                f"no room left on the disk of the store {home}: free some, then run again; "
                "what is finished is kept"
            ) from error
        if "readonly" in words or "unable to open" in words:
            raise NotWritable(
                f"cannot write the store {home}: {words}; choose another folder with --work-dir, "
                "or another DAGSTER_HOME"
            ) from error
        raise WorkspaceError(f"the store {home} refuses: {words}; run again") from error


def dub_video(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    video: Video,
    settings: Settings,
    force: bool = False,
    names: LibraryNames | None = None,
) -> RunOutcome:
    """Pass a registered video through every stage in this process, with these settings.

    Raises:
        KeyboardInterrupt: if it was stopped from the keyboard; what is finished is kept.
    """
    wishes = {stage: {"force": force} for stage in STAGE_NAMES}
    return _run(definitions, instance, DUB, video, settings, wishes, names)


def publish_here(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    video: Video,
    settings: Settings,
    asked: bool,
    names: LibraryNames | None = None,
) -> RunOutcome:
    """Publish a finished video in this process, or take back what its library does not wish.

    `asked`: also where a person took it back before.
    """
    wishes = {PUBLISHED: {"asked": asked}}
    return _run(definitions, instance, PUBLISH, video, settings, wishes, names)


def _run(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    job: str,
    video: Video,
    settings: Settings,
    configs: Mapping[str, Mapping[str, object]],
    names: LibraryNames | None,
) -> RunOutcome:
    """Run a job for a video in this process; `configs` are those of its assets, by name."""
    with store_kept_open(instance):
        bury_dead_runs(instance)
        names = names or names_of(settings.work_dir)
        add_video(instance, video.key, names)
        run_id = str(uuid.uuid4())
        level = "INFO" if logs_json() else "CRITICAL"
        where = {"config_file": str(settings.config_file or ""), "work_dir": str(settings.work_dir)}
        result = definitions.resolve_job_def(names.prefixed(job)).execute_in_process(
            instance=instance,
            partition_key=video.key,
            raise_on_error=False,
            run_config={
                "ops": {names.op(name): {"config": dict(each)} for name, each in configs.items()},
                "resources": {names.resource: {"config": where}},
                "loggers": {"console": {"config": {"log_level": level}}},
            },
            run_id=run_id,
            tags={
                **film_tags(video),
                "dubarr/launcher": "cli",
                PROCESS_TAG: process_mark(run_id),
            },
        )
        return _outcome(result, instance, video.key, names)


def _outcome(
    result: dg.ExecuteInProcessResult,
    instance: dg.DagsterInstance,
    key: str,
    names: LibraryNames,
) -> RunOutcome:
    keys = {event.asset_key for event in result.all_events if event.is_step_materialization}
    reused = {
        stage: last.reused
        for stage in STAGE_NAMES
        if names.key(stage) in keys and (last := last_materialization(instance, stage, key, names))
    }
    made = tuple(stage for stage, was in reused.items() if not was)
    kept = tuple(stage for stage, was in reused.items() if was)
    stage, cause, error = None, None if result.success else "the run did not finish", None
    if failed := next((event for event in result.all_events if event.is_step_failure), None):
        data = failed.step_failure_data
        if any(each.cls_name in _INTERRUPTED for each in causes(data)):
            raise KeyboardInterrupt
        stage = stage_of(failed.step_key)
        cause, error = failure_message(data), error_name(data)
    return RunOutcome(result.run_id, made, kept, stage, cause, error)
