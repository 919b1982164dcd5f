"""Leases in Dagster's store: one process at a time, seen from every machine.

A lease is a row with a time at which it ends, by the store's own clock, so that no machine's clock
counts. Its holder beats to keep it. Whoever takes it after its end gets a higher token, and the
former holder's next beat is refused: it may have been stopped, not killed, and go on.

Two things are leased: a film, by the process of a stage (`film_lease`) or of what a person does to
it (`hold_film`), and a try of a step that was sent to another machine (`celery_steps`).
"""

import contextlib
import logging
import os
import threading
import time
import uuid
from collections.abc import Iterator
from contextvars import ContextVar
from dataclasses import dataclass, field
from weakref import WeakSet

import dagster as dg
import sqlalchemy as sa
from dagster._core.storage.runs import RunStorage, SqlRunStorage
from sqlalchemy.exc import DBAPIError, IntegrityError

from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.library_names import LibraryNames, names_of
from dubarr_pipeline.defs.runtime.liveness import is_gone, process_mark
from dubarr_pipeline.errors import VideoBusy, WorkspaceError
from dubarr_pipeline.files import fenced

_log = logging.getLogger(__name__)

BEATS_PER_LEASE = 4
_EXPIRED, _NEVER = "number of expired leases", 1e12
"""Row whose token counts, and its end."""
_LOOK_AGAIN_S = 0.5
_LEASES = sa.Table(
    "dubarr_leases",
    sa.MetaData(),
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("holder", sa.String(512), nullable=False),
    sa.Column("token", sa.BigInteger, nullable=False),
    sa.Column("expires", sa.Double, nullable=False),
)
_NOW = {
    "sqlite": "(julianday('now') - 2440587.5) * 86400.0",
    "postgresql": "extract(epoch from clock_timestamp())",
    "mysql": "unix_timestamp(now(6))",
}
"""Seconds since 1970 by the store's clock, by the database's dialect."""
_LOST_STATUS = 70
"""Exit status of a process that may not go on: EX_SOFTWARE."""
_exits_on_loss = threading.Event()
_films: ContextVar[frozenset[str]] = ContextVar("dubarr_films", default=frozenset())
"""Leases that `hold_film` has in this context."""
_ready: WeakSet[RunStorage] = WeakSet()
"""Stores that have the table, as far as this process knows."""


@dataclass(frozen=True, slots=True)
class LeaseState:
    """Row of a lease: its holder, and the seconds that it still has; 0 or less: it has ended."""

    holder: str
    token: int
    left_s: float


@dataclass(slots=True)
class Lease:
    """A lease that this process took.

    Attributes:
        holder: mark of this process, as in `liveness`; it begins with the run.
        token: higher than that of every earlier holder.
        ttl_s: time from a beat to the lease's end, in seconds.
        good_until_s: time on this machine's clock until which nobody else can have it.
    """

    instance: dg.DagsterInstance
    name: str
    holder: str
    token: int
    ttl_s: float
    good_until_s: float = field(default=0.0)

    def beat(self) -> None:
        """Keep the lease for another `ttl_s`.

        Raises:
            VideoBusy: if another has it now, unless this process ends then (`exit_on_loss`).
        """
        asked_s = _uptime_s()
        if not self._move(self.ttl_s):
            self.good_until_s = 0.0
            if _exits_on_loss.is_set():
                _log.error("%s: lost to another process", self.name)
                os._exit(_LOST_STATUS)
            raise VideoBusy(
                f"{self.name}: this process was silent for over {self.ttl_s:g} s, and another took"
                " over: what it made meanwhile is not used"
            )
        self.good_until_s = asked_s + self.ttl_s

    def check(self) -> None:
        """Check that nobody else has it; the store is only asked if a beat was missed.

        Raises:
            VideoBusy: if another has it.
        """
        if _uptime_s() >= self.good_until_s:
            self.beat()

    def release(self, grace_s: float = 0.0) -> None:
        """End the lease now, or in a while; one that another has is left alone."""
        self._move(grace_s)

    def _move(self, ttl_s: float) -> bool:
        mine = (_LEASES.c.name == self.name) & (_LEASES.c.token == self.token)
        with _store(self.instance) as (conn, now):
            moved = conn.execute(_LEASES.update().where(mine).values(expires=now + ttl_s))
            return moved.rowcount == 1


def exit_on_loss() -> None:
    """Have this process end, without a word to Dagster, as soon as it loses a lease.

    For workers: what a lost try says of its step would be taken for the next try's word.
    """
    _exits_on_loss.set()


def take(
    instance: dg.DagsterInstance, name: str, run_id: str, ttl_s: float, again: bool = True
) -> Lease | None:
    """Take a lease, or return None if another has it; not `again`: or ever had it."""
    asked_s, holder = _uptime_s(), process_mark(run_id)
    named = _LEASES.c.name == name
    with _store(instance) as (conn, now):
        until = now + ttl_s
        row = {"holder": holder, "expires": until}
        free = named & (_LEASES.c.expires <= now)
        moved = _LEASES.update().where(free).values(**row, token=_LEASES.c.token + 1)
        if not again or conn.execute(moved).rowcount == 0:
            known = conn.execute(sa.select(_LEASES.c.name).where(named)).first()
            if known or not _inserted(conn, {**row, "name": name, "token": 1}):
                return None
        # Not in one transaction on every store: between the two it may have ended again.
        taken = sa.select(_LEASES.c.token).where(named & (_LEASES.c.holder == holder))
        token = conn.execute(taken).scalar()
    return None if token is None else Lease(instance, name, holder, token, ttl_s, asked_s + ttl_s)


def look(instance: dg.DagsterInstance, name: str) -> LeaseState | None:
    """Return the state of a lease, or None if nobody ever had it."""
    with _store(instance) as (conn, now):
        wanted = sa.select(_LEASES.c.holder, _LEASES.c.token, _LEASES.c.expires - now)
        row = conn.execute(wanted.where(_LEASES.c.name == name)).first()
    return LeaseState(str(row[0]), int(row[1]), float(row[2])) if row else None


def revoke(instance: dg.DagsterInstance, name: str, token: int, only_ended: bool = False) -> bool:
    """Take a lease from a holder, whose next beat is refused; return whether that was so.

    `only_ended`: not if it was kept alive since it was looked at; such ends are counted.
    """
    with _store(instance) as (conn, now):
        his = (_LEASES.c.name == name) & (_LEASES.c.token == token)
        if only_ended:
            his &= _LEASES.c.expires <= now
        ended = {"token": token + 1, "expires": now - 1.0}
        was_his = conn.execute(_LEASES.update().where(his).values(**ended)).rowcount == 1
        if was_his and only_ended:
            counted = _LEASES.update().where(_LEASES.c.name == _EXPIRED)
            more = counted.values(token=_LEASES.c.token + 1)
            row = {"name": _EXPIRED, "holder": "", "token": 1, "expires": _NEVER}
            if not conn.execute(more).rowcount and not _inserted(conn, row):
                conn.execute(more)
        return was_his


def expired_total(instance: dg.DagsterInstance) -> int:
    """Return how many leases ended because their holders gave no sign of life."""
    counted = look(instance, _EXPIRED)
    return counted.token if counted else 0


def forget_ended(instance: dg.DagsterInstance, older_than_s: float) -> int:
    """Delete the rows of leases that ended so long ago; return how many."""
    with _store(instance) as (conn, now):
        old = _LEASES.c.expires < now - older_than_s
        return conn.execute(_LEASES.delete().where(old)).rowcount


@contextlib.contextmanager
def beating(lease: Lease) -> Iterator[None]:
    """Keep a lease while the block runs, from a thread."""
    over = threading.Event()

    def beat() -> None:
        while not over.wait(lease.ttl_s / BEATS_PER_LEASE):
            try:
                lease.beat()
            except VideoBusy as error:
                _log.error("%s", error)
                return
            # The store may be away for a while; `check` asks it before anything is written.
            except DBAPIError as error:
                _log.warning("%s: the store did not take a beat: %s", lease.name, error.orig)

    thread = threading.Thread(target=beat, name=f"lease {lease.name}", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


@contextlib.contextmanager
def film_lease(
    instance: dg.DagsterInstance, name: str, run_id: str, ttl_s: float
) -> Iterator[Lease]:
    """Hold a film for a stage of a run, whichever machine it is on.

    Another stage of the same run is waited for, and so is one whose run has ended without it: what
    it finishes is kept. A process that was killed on this machine is not waited for.

    Raises:
        VideoBusy: if a live run has it.
    """
    while (lease := take(instance, name, run_id, ttl_s)) is None:
        if (state := look(instance, name)) is None or state.left_s <= 0:
            continue
        if state.holder == process_mark(run_id) or is_gone(state.holder):
            revoke(instance, name, state.token)
            continue
        other_id = state.holder.partition(":")[0]
        other = None if other_id == run_id else instance.get_run_by_id(other_id)
        if other and not other.is_finished:
            raise VideoBusy(f"another process is working at {name} ({state.holder}): wait for it")
        time.sleep(_LOOK_AGAIN_S)
    try:
        with beating(lease):
            yield lease
            lease.check()
    finally:
        with contextlib.suppress(DBAPIError):
            lease.release()


@contextlib.contextmanager
def hold_film(
    instance: dg.DagsterInstance, key: str, settings: Settings, names: LibraryNames | None = None
) -> Iterator[None]:
    """Hold a film for what is done to it outside a run, so that no machine works at it meanwhile.

    What others do to it outside runs is waited for. It is reentrant; no run may be worked at
    within, whose stages would wait for it.

    Raises:
        VideoBusy: if a live run works at it, on whichever machine.
    """
    name = (names or names_of(settings.work_dir)).film(key)
    if name in _films.get():
        yield
        return
    lease_s = float(settings.workers.lease_s)
    with film_lease(instance, name, f"no-run-{uuid.uuid4().hex}", lease_s) as lease:
        token = _films.set(_films.get() | {name})
        try:
            with fenced(settings.work_dir / key, lease.check):
                yield
        finally:
            _films.reset(token)


@contextlib.contextmanager
def _store(instance: dg.DagsterInstance) -> Iterator[tuple[sa.Connection, sa.ColumnElement[float]]]:
    """Yield a connection to a store that has the table, and its clock as an expression."""
    storage = instance.run_storage
    if not isinstance(storage, SqlRunStorage):
        raise WorkspaceError(f"leases need a store in a database, not {type(storage).__name__}")
    with storage.connect() as conn:
        if storage not in _ready:
            # Two processes may make it at once; both go on with the one that is there.
            with contextlib.suppress(DBAPIError):
                _LEASES.create(conn, checkfirst=True)
            _ready.add(storage)
        yield conn, sa.literal_column(_NOW[conn.dialect.name], sa.Double)


def _inserted(conn: sa.Connection, row: dict[str, object]) -> bool:
    """Insert a row; return whether no other process was quicker."""
    try:
        conn.execute(_LEASES.insert().values(**row))
    except IntegrityError:
        return False
    return True


def _uptime_s() -> float:
    """Return a clock that runs on while the machine sleeps."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)
