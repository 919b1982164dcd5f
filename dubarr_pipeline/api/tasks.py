"""The state of the registered videos; Dagster is loaded only for those that a run works at."""

import os

from dubarr_pipeline.api.profiles import read_settings
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.tables.quiet import quiet_rows
from dubarr_pipeline.defs.tables.rows import Task
from dubarr_pipeline.library.videos import registered


def status(
    work_dir: str | os.PathLike[str] | None = None, config: str | os.PathLike[str] | None = None
) -> list[Task]:
    """Return the task table: one row for each video of a work folder."""
    return list_tasks(read_settings(work_dir, config))


def list_tasks(settings: Settings) -> list[Task]:
    """Return the task table; a work folder that does not exist is not made."""
    if not settings.work_dir.is_dir():
        return []
    keys = list(registered(settings.work_dir))
    rows = quiet_rows(keys, settings)
    others = [key for key in keys if key not in rows]
    if others or not keys:
        # Not at the top: Dagster costs as much as a thousand rows.
        from dubarr_pipeline.defs.runtime.runs import open_instance
        from dubarr_pipeline.defs.runtime.status import task_table

        with open_instance(settings.work_dir) as instance:
            found = task_table(instance, settings.work_dir, others, settings)
        rows |= {task.video.key: task for task in found}
    return [rows[key] for key in keys]
