"""Work that Dagster and Alembic would repeat at every look at a store, done once.

Nothing of a store changes by it: neither its tables nor what is written, nor when.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator
from functools import cache
from sqlite3 import Connection
from typing import Any

import dagster as dg
from alembic.config import Config
from alembic.script import ScriptDirectory
from dagster._core.storage.event_log.sqlite import sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage
from dagster._core.storage.sql import ALEMBIC_SCRIPTS_LOCATION
from sqlalchemy import Engine, NullPool, QueuePool, create_engine
from sqlalchemy.event import listen

_MOST_ENGINES = 32
"""Engines that are kept at once: three for a store, and one for each run that is written."""
_engines: dict[tuple[str, str], Engine] = {}
_KEPT_S = 60
"""Age at which a connection to a server is made anew: nothing on the way has forgotten it yet."""


class OpenStoreFiles(QueuePool):
    """Connections that stay open when Dagster disposes of their engine, after each statement."""

    # Of SQLAlchemy: else it logs under our name.
    _sqla_logger_namespace = "sqlalchemy.pool"

    def dispose(self) -> None:
        """Keep what is open."""

    def recreate(self) -> "OpenStoreFiles":
        """Return this very pool: what is open is used again."""
        return self

    def close(self) -> None:
        """Close what is open and not in use."""
        super().dispose()


_open: dict[tuple[str, str], tuple[Engine, OpenStoreFiles]] = {}
_lock = threading.RLock()
_users = 0
"""So many runs of this process keep their store open."""


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


@contextlib.contextmanager
def store_kept_open(instance: dg.DagsterInstance) -> Iterator[None]:
    """Keep the files of a store open meanwhile, or the connections to its server.

    Dagster opens and closes a file for each statement, 900 times in a dub: each time SQLite reads
    the tables anew, and empties its log when nobody else has the file open. That is a third of
    what a run costs by itself. For each connection PostgreSQL starts a process: nine tenths. Only
    for a run: a store that nobody works on may be deleted.
    """
    global _users
    be_thrifty()
    with _lock:
        _users += 1
    try:
        with _connections_kept(instance):
            yield
    finally:
        with _lock:
            _users -= 1
            if not _users:
                _close_files()


@contextlib.contextmanager
def _connections_kept(instance: dg.DagsterInstance) -> Iterator[None]:
    """Let each part of a store in PostgreSQL keep its connections, of which it asks the next first.

    Nothing is done where the store is of another kind, or keeps its connections already.
    """
    with contextlib.ExitStack() as undo:
        for part in (instance.run_storage, instance.event_log_storage, instance.schedule_storage):
            held = vars(part) if part else {}
            engine = held.get("_engine")
            if not isinstance(engine, Engine) or engine.dialect.name != "postgresql":
                continue
            if isinstance(engine.pool, NullPool):
                held["_engine"] = kept = _keeping_engine(held)
                undo.callback(kept.dispose)
                undo.callback(held.__setitem__, "_engine", engine)
        yield


def _keeping_engine(part: dict[str, Any]) -> Engine:
    """Return an engine for a part of a store, from its attributes.

    A connection is tried before it is used again: the server may have been started anew.
    """
    from dagster_postgres.utils import create_pg_engine

    return create_pg_engine(
        part["postgres_url"],
        part["_token_provider"],
        isolation_level="AUTOCOMMIT",
        pool_pre_ping=True,
        pool_recycle=_KEPT_S,
    )


def _close_files() -> None:
    for _, files in _open.values():
        files.close()
    _open.clear()


@cache
def _own_scripts() -> ScriptDirectory:
    config = Config()
    config.set_main_option("script_location", ALEMBIC_SCRIPTS_LOCATION)
    return _read(config)


def _engine(address: str, **options: Any) -> Engine:
    """Return the engine of a file with these options, made at the first call."""
    wanted = address, repr(options)
    with _lock:
        if _users:
            return _open_engine(wanted, options)
        if wanted not in _engines:
            if len(_engines) >= _MOST_ENGINES:
                _engines.clear()
            _engines[wanted] = create_engine(address, **options)
        return _engines[wanted]


def _open_engine(wanted: tuple[str, str], options: dict[str, Any]) -> Engine:
    """Return the engine of a file that stays open while a run lasts."""
    if wanted not in _open:
        if len(_open) >= _MOST_ENGINES:
            _close_files()
        engine = create_engine(wanted[0], **{**options, "poolclass": OpenStoreFiles})
        assert isinstance(engine.pool, OpenStoreFiles)
        listen(engine, "connect", _keep_log_short)
        _open[wanted] = engine, engine.pool
    return _open[wanted][0]


def _keep_log_short(connection: Connection, _: object) -> None:
    """Have a file's log emptied at 128 kB: it would need 4 MB of a disk that may be full."""
    connection.execute("PRAGMA wal_autocheckpoint = 32")
