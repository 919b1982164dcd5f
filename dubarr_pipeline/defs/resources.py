"""The resource of every stage: the settings of a run, its open store, its process's mark."""

from contextlib import ExitStack
from pathlib import Path
from typing import Any

import dagster as dg
from pydantic import PrivateAttr

from dubarr_pipeline.config.settings import Settings, user_settings
from dubarr_pipeline.defs.library_names import LibraryNames
from dubarr_pipeline.defs.operations.store_thrift import store_kept_open
from dubarr_pipeline.defs.runtime.liveness import mark_run, unmark_run


class DubarrResource(dg.ConfigurableResource):
    """Settings file and work folder of dubarr.

    A run that is started from Python or the command line carries both in its config. Left empty, as
    in a code location that Dagster starts, they are the user's defaults.
    """

    config_file: str = ""
    work_dir: str = ""
    _settings: Settings | None = PrivateAttr(default=None)
    _meanwhile: ExitStack = PrivateAttr(default_factory=ExitStack)

    def settings(self) -> Settings:
        """Return the settings; read once, so that all stages of a run agree."""
        if self._settings is None:
            config = Path(self.config_file) if self.config_file else None
            self._settings = user_settings(config, Path(self.work_dir) if self.work_dir else None)
        return self._settings

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Keep the store open for a run, or for a step of it that has a process of its own."""
        if context.run and context.instance:
            self._meanwhile.enter_context(store_kept_open(context.instance))

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:  # noqa: ARG002
        """Close what was kept open."""
        self._meanwhile.close()


class MarkingResource(DubarrResource):
    """The same under an executor that has all steps of a run in one process.

    The end of that process is the run's. From the end of a process that has a single step, nothing
    follows for the run: under any other executor runs bear no mark, and Dagster's own monitoring
    judges them.
    """

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Mark the run with its process from its first moment on."""
        super().setup_for_execution(context)
        if context.run and context.instance:
            mark_run(context.instance, context.run.run_id)

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """Release the run, which has ended."""
        if context.run and context.instance:
            unmark_run(context.instance, context.run.run_id)
        super().teardown_after_execution(context)


def resource_of(context: Any, names: LibraryNames) -> DubarrResource:
    """Return a library's resource from the context of an asset, op or sensor."""
    return getattr(context.resources, names.resource)
