"""Exchange between machines without a shared folder, beside the stages: films, memories."""

import contextlib
import uuid
from collections.abc import Iterator, Sequence

import dagster as dg

from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.distributed.leases import film_lease, hold_film
from dubarr_pipeline.defs.library_names import LibraryNames, names_of
from dubarr_pipeline.errors import DubbingError, VideoBusy
from dubarr_pipeline.files import fenced
from dubarr_pipeline.library.series.memory import taking_turns
from dubarr_pipeline.library.series.names import CASTS
from dubarr_pipeline.library.staging.folders import (
    clear_film,
    hand_over_changed,
    removed_films,
    staged_series,
    take_in,
)


@contextlib.contextmanager
def shared_memories(
    instance: dg.DagsterInstance, settings: Settings, names: LibraryNames | None = None
) -> Iterator[None]:
    """Have the memories of series as the store of work folders has them, now and at each change.

    Each change waits for those of other machines. Without such a store nothing is to be done.

    Raises:
        DubbingError: as `staged_film`.
    """
    if not settings.workers.work_store:
        yield
        return
    name = (names or names_of(settings.work_dir)).prefixed(CASTS)

    @contextlib.contextmanager
    def turn() -> Iterator[None]:
        lease_s = float(settings.workers.lease_s)
        with (
            film_lease(instance, name, f"no-run-{uuid.uuid4().hex}", lease_s) as lease,
            fenced(settings.work_dir / CASTS, lease.check),
            staged_series(settings),
        ):
            yield

    with turn():
        pass
    with taking_turns(turn):
        yield


def clear_removed(
    instance: dg.DagsterInstance, settings: Settings, names: LibraryNames | None = None
) -> None:
    """Remove from the store of work folders what removed films have there.

    Raises:
        DubbingError: as `staged_film`; the next call goes on.
    """
    for key in removed_films(settings):
        # One at which a run works was taken in again.
        with contextlib.suppress(VideoBusy), hold_film(instance, key, settings, names):
            clear_film(key, settings)


def exchanged(
    instance: dg.DagsterInstance,
    keys: Sequence[str],
    settings: Settings,
    names: LibraryNames,
    end_s: float,
) -> Iterator[str]:
    """Fetch films that other machines finished, and send what people changed here.

    Yield what failed, in words. Without a store of work folders nothing is to be done.
    """
    yield from hand_over_changed(settings, end_s)
    try:
        with shared_memories(instance, settings, names):
            pass
    except DubbingError as error:
        yield f"the memories of series are exchanged later: {error}"
    for key in keys if settings.workers.work_store else ():
        try:
            take_in(key, settings, whole=True)
        except DubbingError as error:
            yield f"{key} is finished elsewhere, and not here yet: {error}"
