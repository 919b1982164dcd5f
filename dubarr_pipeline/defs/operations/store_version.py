"""Version of a store's tables: an older one is used and brought up to date, a newer one refused.

Dagster reads the tables of its earlier versions, so an old store works at once. What its migration
adds (indexes, tables for newer parts of the UI) comes where no other machine may use the store.
"""

import logging
from collections.abc import Iterable
from pathlib import Path

import dagster as dg
from alembic.config import Config
from alembic.script import ScriptDirectory
from dagster._core.storage.runs import SqliteRunStorage
from dagster._core.storage.sql import ALEMBIC_SCRIPTS_LOCATION, AlembicVersion

from dubarr_pipeline.errors import WorkspaceError

_log = logging.getLogger(__name__)
_checked: set[str] = set()
"""Stores that this process has looked at."""


def check_version(instance: dg.DagsterInstance, home: Path) -> None:
    """Check that a store's tables are no newer than this version; each process looks once.

    It looks at the table of runs: Dagster brings all tables to one version at a time, and each look
    reads its whole history of versions.

    Raises:
        WorkspaceError: if they are: it may mean something else by them.
    """
    if str(home) not in _checked:
        _are_up_to_date([instance.run_storage.alembic_version()], home)
        _checked.add(str(home))


def is_up_to_date(instance: dg.DagsterInstance, home: Path) -> bool:
    """Return whether a store's tables are those of this version, not of an older one.

    Raises:
        WorkspaceError: if they are of a newer one.
    """
    storages = (instance.run_storage, instance.event_log_storage, instance.schedule_storage)
    return _are_up_to_date([each.alembic_version() for each in storages if each], home)


def bring_tables_up_to_date(instance: dg.DagsterInstance, home: Path) -> None:
    """Migrate the tables of an older store, if it lies in files that this machine alone uses.

    Raises:
        WorkspaceError: if they are of a newer version.
    """
    if is_up_to_date(instance, home):
        return
    if not isinstance(instance.run_storage, SqliteRunStorage):
        _log.warning(
            "the tables of the store %s are of an older version, and work: stop all that uses it, "
            "back it up, and run `DAGSTER_HOME=%s dagster instance migrate`",
            *(home, home),
        )
        return
    _log.warning("the tables of the store %s are brought up to date", home)
    instance.upgrade(lambda line: _log.info("%s", line))


def _are_up_to_date(versions: Iterable[AlembicVersion | None], home: Path) -> bool:
    others = {found[0] for found in versions if found and found[0] and found[0] != found[1]}
    if others and (unknown := others - _known_versions()):
        raise WorkspaceError(
            f"the store {home} is of a newer version (its tables: {', '.join(sorted(unknown))}): "
            "install the dubarr that wrote it, or restore a backup from before (docs/operations.md)"
        )
    return not others


def _known_versions() -> set[str]:
    config = Config()
    config.set_main_option("script_location", ALEMBIC_SCRIPTS_LOCATION)
    return {each.revision for each in ScriptDirectory.from_config(config).walk_revisions()}
