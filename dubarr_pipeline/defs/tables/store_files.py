"""The SQLite files of a store as Dagster lays them out, read without it.

Loading Dagster costs more than a thousand videos. These are its queries (1.13), on files of the
form that we know: of any other store, in PostgreSQL or of other tables, `open_files` gives nothing,
and it is asked through Dagster.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from dubarr_pipeline.defs.library_names import LibraryNames
from dubarr_pipeline.defs.operations.stored_results import read_row
from dubarr_pipeline.defs.runtime.home import is_as_shipped
from dubarr_pipeline.defs.stages import STAGE_NAMES
from dubarr_pipeline.defs.tables.results import Materialization, StageResults, record_in

TABLES = "29b539ebc72a"
"""Version of Dagster's tables that these queries are for."""
LIVE_NAMES = ("STARTED", "STARTING", "CANCELING")
FAILED_NAMES = ("FAILURE", "CANCELED")
_PARTITION = "dagster/partition"
_MADE = """
    FROM event_logs WHERE asset_key = ? AND partition IS NOT NULL
    AND dagster_event_type = 'ASSET_MATERIALIZATION' GROUP BY partition"""
# SQLite takes the other columns of a group from the row of the highest.
_NEWEST = f"SELECT partition, max(id), run_id {_MADE}"
_LAST = f"""
    SELECT e.id, e.partition, e.event FROM event_logs AS e
    JOIN (SELECT max(id) AS id {_MADE}) AS last ON e.id = last.id"""
_RUNS = f"""
    SELECT t.value, r.status, r.create_timestamp FROM runs AS r
    JOIN run_tags AS t ON t.run_id = r.run_id
    WHERE t.key = '{_PARTITION}' AND r.status IN ({", ".join("?" * 5)})"""

NewestEvents = Mapping[str, tuple[tuple[str, int, str], ...]]
"""The last event of each stage of a video, by its key: the stage, the event's id and its run."""


@dataclass(frozen=True, slots=True)
class StoreFiles:
    """The files of an open store: its events, and its runs."""

    events: sqlite3.Connection
    runs: sqlite3.Connection

    def results(self, keys: Collection[str], names: LibraryNames) -> StageResults:
        """Read the last results of every stage for some videos."""
        wanted = frozenset(keys)
        found: dict[str, dict[str, Materialization]] = {}
        for stage in STAGE_NAMES:
            rows = self.events.execute(_LAST, (names.stored_key(stage),))
            some = ((storage_id, key, text) for storage_id, key, text in rows if key in wanted)
            found[stage] = dict(_results(some))
        return found

    def newest(self, names: LibraryNames) -> NewestEvents:
        """Return the last event of each stage of all videos."""
        found: dict[str, list[tuple[str, int, str]]] = defaultdict(list)
        for stage in STAGE_NAMES:
            for key, storage_id, run_id in self.events.execute(_NEWEST, (names.stored_key(stage),)):
                found[key].append((stage, storage_id, run_id))
        return {key: tuple(events) for key, events in found.items()}

    def troubled(self) -> Mapping[str, float]:
        """Return when the newest run of each video was made that failed, or that is at work.

        Seconds since 1970; infinite for one at work.
        """
        found: dict[str, float] = {}
        for key, status, made in self.runs.execute(_RUNS, (*LIVE_NAMES, *FAILED_NAMES)):
            at_s = datetime.fromisoformat(made).replace(tzinfo=UTC).timestamp()
            at_s = float("inf") if status in LIVE_NAMES else at_s
            found[key] = max(found.get(key, 0.0), at_s)
        return found


def _results(
    rows: Iterator[tuple[int, str, str]],
) -> Iterator[tuple[str, Materialization]]:
    for storage_id, key, text in rows:
        each = read_row(storage_id, text)
        record = record_in(each.metadata) if each else None
        if each and record:
            yield key, Materialization(record, each.metadata, each.timestamp, each.run_id)


@contextlib.contextmanager
def open_files(home: Path, names: LibraryNames) -> Iterator[StoreFiles | None]:
    """Open the files of a store to read them; None where they have not the form that we know."""
    with contextlib.ExitStack() as opened:
        files = None
        if is_as_shipped(home / "dagster.yaml"):
            with contextlib.suppress(sqlite3.Error):
                history = home / "history"
                both = [
                    opened.enter_context(contextlib.closing(_connected(path)))
                    for path in (history / "runs" / "index.db", history / "runs.db")
                ]
                if all(map(_is_known, both)) and not _has_wiped(both[0], names):
                    files = StoreFiles(*both)
        yield files


def _connected(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)


def _is_known(file: sqlite3.Connection) -> bool:
    return file.execute("SELECT version_num FROM alembic_version").fetchall() == [(TABLES,)]


def _has_wiped(events: sqlite3.Connection, names: LibraryNames) -> bool:
    """Return whether somebody wiped an asset in the UI: of its results only later ones count."""
    keys = [names.stored_key(stage) for stage in STAGE_NAMES]
    marks = ", ".join("?" * len(keys))
    wiped = f"SELECT 1 FROM asset_keys WHERE asset_details IS NOT NULL AND asset_key IN ({marks})"
    return events.execute(wiped, keys).fetchone() is not None
