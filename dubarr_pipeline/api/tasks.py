"""The state of the registered videos; apart from `videos`, which loads what judges their stages."""

import os

from dubarr_pipeline.api.profiles import read_settings
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.runtime.runs import open_instance
from dubarr_pipeline.defs.runtime.status import Task, task_table


def status(
    work_dir: str | os.PathLike[str] | None = None, config: str | os.PathLike[str] | None = None
) -> list[Task]:
    """Return the task table: one row for each video of a work folder."""
    return list_tasks(read_settings(work_dir, config))


def list_tasks(settings: Settings) -> list[Task]:
    """Return the task table; a work folder that does not exist is not made."""
    if not settings.work_dir.is_dir():
        return []
    with open_instance(settings.work_dir) as instance:
        return task_table(instance, settings.work_dir, settings=settings)
