"""Work folders in step with the store: around a stage, and on the machine of the people."""

import contextlib
import logging
import threading
import time
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path

from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.errors import DubbingError, VideoBusy
from dubarr_pipeline.library.series.names import CASTS
from dubarr_pipeline.library.staging.manifest import FilmObjects, StagedFile
from dubarr_pipeline.library.staging.session import NOTES, StagingSession, Wanted, is_of_person
from dubarr_pipeline.library.videos import KEY_PATTERN, registered
from dubarr_pipeline.workdir import checkpoints
from dubarr_pipeline.workdir.corrections import EDITABLE
from dubarr_pipeline.workdir.layout import WorkDir, exclusive

_log = logging.getLogger(__name__)
_SMALL_BYTES = 1 << 20
_IDLE_SHARE = 10
"""A look for new files is followed by a pause of so many times its own length."""


@contextlib.contextmanager
def staged_film(
    key: str, settings: Settings, stage: str, inputs: Collection[str], *, claims: bool = True
) -> Iterator[None]:
    """Fetch what a stage needs of a film, and hand over what it makes while it makes it.

    Does nothing where ``workers.work_store`` is empty. New files and
    entries of the journal are looked for every ``store_every_s`` and sent; the last ones follow at
    the end, also of a stage that fails. Where it `claims` the film, no other machine's stage may
    write it any more.

    Raises:
        VideoBusy: if another machine took the film over.
        SettingsError, MissingRequirement, ServiceUnavailable: as `object_store.open_store`.
        VerificationError: if the store does not hold what was sent.
        ArtifactError: if a person changed one file on two machines.
    """
    url = settings.workers.work_store
    if not url or not KEY_PATTERN.fullmatch(key):
        yield
        return
    work = WorkDir(settings.work_dir / key)
    with exclusive(work):
        session = StagingSession(work, url, "stage" if claims else "person", whole=True)
        session.fetch(needed_by(work, stage, inputs))
        try:
            with _sending(session, float(settings.workers.store_every_s)):
                yield
        except BaseException:
            # Finished lines are kept; the stage's own failure is the one to report.
            with contextlib.suppress(DubbingError):
                session.send(last=True)
            raise
        session.send(last=True)


@contextlib.contextmanager
def _sending(session: StagingSession, every_s: float) -> Iterator[None]:
    over = threading.Event()

    def send() -> None:
        pause_s = every_s
        while not over.wait(pause_s):
            began_s = time.monotonic()
            try:
                session.send()
            # The end of the stage says so, where nothing can be lost by it.
            except VideoBusy as error:
                _log.error("%s", error)
                return
            except DubbingError as error:
                _log.warning("not in the store yet, will be tried again: %s", error)
            pause_s = max(every_s, _IDLE_SHARE * (time.monotonic() - began_s))

    thread = threading.Thread(target=send, name="work store", daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def needed_by(work: WorkDir, stage: str, inputs: Collection[str]) -> Wanted:
    """Return which files a stage needs: its own and its inputs', and all that are small."""
    kept = {stage, *inputs}

    @cache
    def of_others() -> frozenset[str]:
        """Return what other stages alone recorded; their lists are here by then."""
        theirs, ours = set[Path](), set[Path]()
        for listed in work.checkpoints.glob("*.json"):
            files = checkpoints.recorded_files(work, listed.stem)
            (ours if listed.stem in kept else theirs).update(files)
        return frozenset(path.relative_to(work.root).as_posix() for path in theirs - ours)

    def wanted(path: str, file: StagedFile) -> bool:
        if path.startswith((".checkpoints/", "edits/")):
            return True
        if path.startswith("segments/takes/"):
            return stage == "segments"
        if path.startswith(".tmp/"):
            return stage == "vocals"
        small = file.size <= _SMALL_BYTES and not path.startswith("segments/")
        return small or path not in of_others()

    return wanted


def remove_film(key: str, settings: Settings) -> None:
    """Remove a film's folder here; the store's files of it are left to `clear_film`."""
    work = WorkDir(settings.work_dir / key)
    if settings.workers.work_store:
        mark = _removed(settings) / key
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.touch()
    work.remove()


def removed_films(settings: Settings) -> list[str]:
    """Return the films that were removed here, and whose files are still in the store."""
    folder = _removed(settings)
    has_store = settings.workers.work_store and folder.is_dir()
    return sorted(path.name for path in folder.iterdir()) if has_store else []


def clear_film(key: str, settings: Settings) -> None:
    """Remove from the store what a removed film has there, but edits and decisions.

    The caller holds the film, on all machines. Raises as `staged_film`.
    """
    work, mark = WorkDir(settings.work_dir / key), _removed(settings) / key
    # One that was taken in again since goes on with what is there.
    if not work.video.is_file():
        own = lambda path: is_of_person(path) and path != work.video.name  # noqa: E731
        FilmObjects(settings.workers.work_store, key).clear(own)
    mark.unlink(missing_ok=True)


def _removed(settings: Settings) -> Path:
    """Return the folder of marks, by which a removal that was broken off goes on."""
    return settings.work_dir / NOTES / "removed"


@contextlib.contextmanager
def staged_series(settings: Settings) -> Iterator[None]:
    """Fetch the memories of all series, and hand over what is changed of them.

    The caller sees to it that no other machine does the same. Raises as `staged_film`.
    """
    work = WorkDir(settings.work_dir / CASTS)
    session = StagingSession(work, settings.workers.work_store, "person", whole=True)
    session.fetch()
    yield
    session.send(last=True)


def hand_over(key: str, settings: Settings) -> int:
    """Send what a person changed of a film here: its request, edits, decisions.

    Return how many files that were. Raises as `staged_film`; `VideoBusy` if a process of this
    machine works at it, which sends it.
    """
    work = WorkDir(settings.work_dir / key)
    if not settings.workers.work_store:
        return 0
    with exclusive(work):
        session = StagingSession(work, settings.workers.work_store, by="person")
        session.fetch(whole=False)
        return session.send(last=True)


def take_in(key: str, settings: Settings, *, whole: bool) -> None:
    """Fetch what other machines made of a film; not `whole`: its small files. Raises as above."""
    work = WorkDir(settings.work_dir / key)
    with exclusive(work):
        session = StagingSession(work, settings.workers.work_store, by="person")
        if whole:
            session.fetch()
        else:
            session.fetch(needed_by(work, "", ()))
        session.send(last=True)


def hand_over_changed(settings: Settings, end_s: float) -> Iterator[str]:
    """Send what people changed here since it was sent last; yield what failed, in words.

    It ends at `end_s` on the monotonic clock; the next call goes on.
    """
    if not settings.workers.work_store:
        return
    for key in registered(settings.work_dir):
        if time.monotonic() > end_s:
            return
        if _is_changed(WorkDir(settings.work_dir / key)):
            try:
                hand_over(key, settings)
            except VideoBusy as error:
                _log.info("%s: its edits are sent later: %s", key, error)
            except DubbingError as error:
                yield f"{key}: its edits are not in the store: {error}"


def _is_changed(work: WorkDir) -> bool:
    """Return whether a person's files are newer than the last exchange with the store."""
    try:
        last_s = (work.root.parent / NOTES / f"{work.root.name}.json").stat().st_mtime
    except FileNotFoundError:
        return True
    paths = [work.video, work.decisions, work.edits, *work.edits.rglob("*")]
    paths += [work.root / name for names in EDITABLE.values() for name in names]
    for path in paths:
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime >= last_s:
                return True
    return False
