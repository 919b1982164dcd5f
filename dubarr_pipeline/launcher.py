"""Starts runs for Dagster's daemon, and tells it which of them have lost their process.

Named in `dagster.yaml`. Dagster's own launcher cannot tell: after a crash of the machine its runs
count as started for ever, and their pool slots are never free again.
"""

from __future__ import annotations

import dagster as dg
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus

from dubarr_pipeline.workers import is_dead


class WatchedRunLauncher(dg.DefaultRunLauncher):
    """Dagster's launcher, with an eye on the processes that it started."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """Say whether the process of a run lives; the run monitor asks every few seconds."""
        if is_dead(run, self._instance):
            return CheckRunHealthResult(
                WorkerStatus.FAILED, "its process was killed; what it finished is kept"
            )
        return CheckRunHealthResult(WorkerStatus.RUNNING)
