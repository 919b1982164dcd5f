"""What every stage is handed: the settings, read anew in every run."""

from pathlib import Path

import dagster as dg

from dubarr_pipeline.settings import Settings, load_settings
from dubarr_pipeline.workers import mark_run, unmark_run


class Workshop(dg.ConfigurableResource):
    """Where the settings and the work folders lie.

    Left empty, both come from ``DUBARR_CONFIG`` and ``DUBARR_WORK_DIR``, or their defaults.
    """

    config_file: str = ""
    work_dir: str = ""

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Have the run carry the mark of its process, from its first moment on."""
        if context.run and context.instance:
            mark_run(context.instance, context.run.run_id)

    def teardown_after_execution(self, context: dg.InitResourceContext) -> None:
        """The run has ended, and needs its process no more."""
        if context.run and context.instance:
            unmark_run(context.instance, context.run.run_id)

    def settings(self) -> Settings:
        """Read the settings; cheap, and never kept: an edit counts from the next stage on."""
        return load_settings(
            Path(self.config_file) if self.config_file else None,
            Path(self.work_dir) if self.work_dir else None,
        )
