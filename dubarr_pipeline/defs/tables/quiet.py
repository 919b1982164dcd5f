"""Videos that no run has anything to do with: their rows follow from their results alone."""

import sqlite3
from collections.abc import Collection, Iterator, Mapping
from contextlib import suppress

from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.library_names import names_of
from dubarr_pipeline.defs.runtime.home import dagster_home
from dubarr_pipeline.defs.stages import STAGE_NAMES
from dubarr_pipeline.defs.tables.results import StageResults
from dubarr_pipeline.defs.tables.rows import Task, row_by_results, with_publication
from dubarr_pipeline.defs.tables.store_files import open_files
from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.library.videos import load_video

_CLEARLY_S = 86_400.0
"""A report this much newer than a failed run is so by any clock."""


def quiet_rows(keys: Collection[str], settings: Settings) -> dict[str, Task]:
    """Return the rows of videos that no run works at, and that none has failed at of late.

    All others are left to `defs.runtime.status`: none is here where the store is no store of files
    as we know them.

    Raises:
        SettingsError, DiskFull, NotWritable, WorkspaceError: as `dagster_home`.
        ArtifactError: as `names_of`.
    """
    names = names_of(settings.work_dir)
    # A file that cannot be read is Dagster's to name.
    with (
        open_files(dagster_home(settings.work_dir), names) as files,
        suppress(sqlite3.Error, ValueError),
    ):
        if files:
            troubled, made = files.troubled(), files.results(keys, names)
            return dict(_rows(keys, settings, troubled, made))
    return {}


def _rows(
    keys: Collection[str], settings: Settings, troubled: Mapping[str, float], made: StageResults
) -> Iterator[tuple[str, Task]]:
    for key in keys:
        with suppress(ArtifactError):
            video = load_video(key, settings.work_dir)
            results = {stage: made[stage].get(key) for stage in STAGE_NAMES}
            row = row_by_results(video, results, video.work(settings.work_dir))
            row = with_publication(row, settings)
            if key not in troubled or _is_over(row, troubled[key]):
                yield key, row


def _is_over(row: Task, troubled_s: float) -> bool:
    """Return whether what failed a run has no say in a row any more."""
    reported_s = row.steps[-1].recorded_at or 0.0
    return reported_s > troubled_s + _CLEARLY_S and row.status != "DONE, not published"
