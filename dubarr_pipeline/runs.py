"""Runs in this process: the whole pipeline without a server, on the same store as the UI."""

from __future__ import annotations

import contextlib
import sqlite3
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.instance.ref import InstanceRef
from sqlalchemy.exc import OperationalError

from dubarr_pipeline.assets.stage import Watcher, watching
from dubarr_pipeline.errors import (
    DiskFull,
    DubbingError,
    NotWritable,
    ServiceUnavailable,
    WorkspaceError,
)
from dubarr_pipeline.home import dagster_home
from dubarr_pipeline.jobs import STAGES
from dubarr_pipeline.library.videos import Video
from dubarr_pipeline.partitions import add_video
from dubarr_pipeline.records import last_materialization, stage_key
from dubarr_pipeline.tasks import causes, error_name, failure_message
from dubarr_pipeline.workdir import named_disk_errors
from dubarr_pipeline.workers import PROCESS_TAG, bury_dead_runs, process_mark

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
    """How a run ended.

    Attributes:
        made, kept: the stages that worked, and those whose results stood.
        failed_stage, cause: where and why it ended early, else None.
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
    """Open the store of a work folder, as `home` finds it.

    Raises:
        SettingsError: if ``$DAGSTER_HOME`` is no folder.
        DiskFull, NotWritable, WorkspaceError, ServiceUnavailable: if the store refuses, now or
            while it is open.
    """
    home = dagster_home(work_dir)
    try:
        with named_disk_errors(home):
            found = InstanceRef.from_dir(str(home), overrides={"compute_logs": _NO_COMPUTE_LOGS})
            with dg.DagsterInstance.from_ref(found) as instance:
                yield instance
    except OperationalError as error:
        raise _refused(home, error) from error


def _refused(home: Path, error: OperationalError) -> DubbingError:
    words = str(error.orig)
    if not isinstance(error.orig, sqlite3.Error):
        return ServiceUnavailable(f"the store of {home} cannot be reached: {words.strip()}")
    if "full" in words:
        return DiskFull(
            f"no room left on the disk of the store {home}: free some, then run again; "
            "what is finished is kept"
        )
    if "readonly" in words or "unable to open" in words:
        return NotWritable(
            f"cannot write the store {home}: {words}; choose another folder with --work-dir, or "
            "another DAGSTER_HOME"
        )
    return WorkspaceError(f"the store {home} refuses: {words}; run again")


def dub_video(
    definitions: dg.Definitions,
    instance: dg.DagsterInstance,
    video: Video,
    watcher: Watcher,
    force: bool = False,
) -> RunOutcome:
    """Pass a registered video through every stage in this process.

    Raises:
        KeyboardInterrupt: if it was stopped from the keyboard; what is finished is kept.
    """
    bury_dead_runs(instance)
    add_video(instance, video.key)
    job = definitions.resolve_job_def("dub")
    run_id = str(uuid.uuid4())
    with watching(watcher):
        result = job.execute_in_process(
            instance=instance,
            partition_key=video.key,
            raise_on_error=False,
            run_config=_run_config(force),
            run_id=run_id,
            tags={PROCESS_TAG: process_mark(run_id), "dubarr/launcher": "cli"},
        )
    return _outcome(result, instance, video.key)


def _run_config(force: bool) -> dict[str, object]:
    ops = {f"dub__{stage}": {"config": {"force": force}} for stage in STAGES}
    return {"ops": ops, "loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


def _outcome(
    result: dg.ExecuteInProcessResult, instance: dg.DagsterInstance, key: str
) -> RunOutcome:
    reused = {
        stage: made.reused
        for stage in _materialized(result.all_events)
        if (made := last_materialization(instance, stage, key))
    }
    made = tuple(stage for stage in STAGES if reused.get(stage) is False)
    kept = tuple(stage for stage in STAGES if reused.get(stage))
    for event in result.all_events:
        if event.is_step_failure:
            data = event.step_failure_data
            if _was_interrupted(data):
                raise KeyboardInterrupt
            stage = (event.step_key or "").removeprefix("dub__")
            return RunOutcome(
                result.run_id, made, kept, stage, failure_message(data), error_name(data)
            )
    if not result.success:
        return RunOutcome(result.run_id, made, kept, None, "the run did not finish")
    return RunOutcome(result.run_id, made, kept)


def _materialized(events: Sequence[dg.DagsterEvent]) -> list[str]:
    keys = {event.asset_key for event in events if event.is_step_materialization}
    return [stage for stage in STAGES if stage_key(stage) in keys]


def _was_interrupted(data: Any) -> bool:
    return any(error.cls_name in _INTERRUPTED for error in causes(data))
