"""What Dagster and Alembic would do again at every look at a store of SQLite files, done once.

Nothing of a store changes by it: neither its tables nor what is written, nor when.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from alembic.config import Config
from alembic.script import ScriptDirectory
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage
from dagster._core.storage.sql import ALEMBIC_SCRIPTS_LOCATION
from sqlalchemy import Engine, create_engine

_MOST_ENGINES = 32
"""Engines that are kept at once: three for a store, and one for each run that is written."""
_engines: dict[tuple[str, str], Engine] = {}


@cache
def be_thrifty() -> None:
    """Let this process read the versions of Dagster's tables once, and keep engines of files.

    A new store asks eight times for the head of ninety scripts, each time by running them all. Each
    statement gets an engine of its own, which compiles it anew; as these engines pool nothing, one
    that stays holds no connection.
    """
    ScriptDirectory.from_config = _scripts  # pyright: ignore[reportAttributeAccessIssue]
    for module in (sqlite_event_log, sqlite_run_storage, sqlite_schedule_storage):
        module.create_engine = _engine  # pyright: ignore[reportAttributeAccessIssue]


_read: Callable[[Config], ScriptDirectory] = ScriptDirectory.from_config


def _scripts(config: Config) -> ScriptDirectory:
    """Return the directory of scripts that a configuration names; Dagster's own as known."""
    own = config.get_main_option("script_location") == ALEMBIC_SCRIPTS_LOCATION
    return _own_scripts() if own else _read(config)


@cache
def _own_scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", ALEMBIC_SCRIPTS_LOCATION)
    return _read(config)


def _engine(address: str, **options: Any) -> Engine:
    """Return the engine of a file with these options, made at the first call."""
    wanted = address, repr(options)
    if wanted not in _engines:
        if len(_engines) >= _MOST_ENGINES:
            _engines.clear()
        _engines[wanted] = create_engine(address, **options)
    return _engines[wanted]
