"""Copy of a store that is in use: SQLite's own online copies, in the order that loses nothing.

A result counts only where the store's record and the film's files agree by digest, so a copy of
both may be of different moments: what does not agree is made again. The store comes before the
films' folders, which then hold all that it knows.
"""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from dubarr_pipeline.defs.runtime.home import dagster_home
from dubarr_pipeline.errors import SettingsError, WorkspaceError
from dubarr_pipeline.files import check_writable, named_disk_errors, whole_file

_FIRST = ("schedules/schedules.db", "history/runs.db", "history/runs/index.db")
"""A cursor must not be ahead of the results, nor a run's end of its last result."""
_LOCKS, _CONFIG = "storage/*/alive.lock", "dagster.yaml"
"""By a run's lock file another machine knows that its process is gone."""


def back_up_store(work_dir: Path, folder: Path) -> tuple[int, int]:
    """Copy a work folder's store to the same place below a folder; runs may go on meanwhile.

    Return the number of databases and their bytes.

    Raises:
        SettingsError: if the store is in no SQLite file; the message has the command for it.
        WorkspaceError, NotWritable, DiskFull: if it cannot be copied.
    """
    home = dagster_home(work_dir)
    if not (home / _FIRST[1]).is_file():
        raise SettingsError(
            f"there is no SQLite store in {home}: one in PostgreSQL is copied by "
            "`pg_dump --format=custom --file=store.dump ADDRESS` (docs/operations.md)"
        )
    copy = folder / ".dagster"
    check_writable(copy, "FOLDER")
    if copy.resolve() == home.resolve():
        raise SettingsError(f"{folder} is the work folder itself: choose another FOLDER")
    count = size = 0
    with named_disk_errors(copy, "FOLDER"):
        for path in _databases(home):
            target = copy / path.relative_to(home)
            target.parent.mkdir(parents=True, exist_ok=True)
            with whole_file(target) as temporary:
                _copy(path, temporary)
            count, size = count + 1, size + target.stat().st_size
        for path in (*home.glob(_LOCKS), *home.glob(_CONFIG)):
            target = copy / path.relative_to(home)
            target.parent.mkdir(parents=True, exist_ok=True)
            # With its mode: the settings of a store may hold a password.
            shutil.copy(path, target)
    return count, size


def _databases(home: Path) -> Iterator[Path]:
    """Yield the store's databases: what refers to others first."""
    first = [home / name for name in _FIRST]
    yield from (path for path in first if path.is_file())
    yield from (path for path in sorted(home.glob("history/runs/*.db")) if path not in first)


def _copy(path: Path, target: Path) -> None:
    """Copy a database in one transaction. Raises `WorkspaceError`."""
    try:
        with (
            closing(sqlite3.connect(f"{path.as_uri()}?mode=rw", timeout=60, uri=True)) as source,
            closing(sqlite3.connect(target)) as copy,
        ):
            source.backup(copy)
    except sqlite3.Error as error:
        raise WorkspaceError(f"{path} cannot be copied: {error}") from error
