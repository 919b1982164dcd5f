"""A film's work folder in step with its copy in the store, while one process works at it.

Three states of every file are compared: here, in the store, and where both were the same last. What
changed on one side alone goes to the other. What changed on both is the store's, since whoever
wrote it last had the film; but a person's edits are never decided on: they are refused by name.
"""

import contextlib
import hashlib
import logging
import os
import shutil
import socket
import uuid
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from dubarr_pipeline.errors import ArtifactError, SourceError, VideoBusy
from dubarr_pipeline.files import TEMPORARY, put_in_place, read_json, write_json
from dubarr_pipeline.library.series.names import CAST_FILE
from dubarr_pipeline.library.staging.manifest import (
    Author,
    FilmObjects,
    FilmState,
    Manifest,
    StagedFile,
)
from dubarr_pipeline.media.container.probe import Version, version
from dubarr_pipeline.workdir.corrections import EDITABLE
from dubarr_pipeline.workdir.identity import identify
from dubarr_pipeline.workdir.layout import WorkDir

_log = logging.getLogger(__name__)
NOTES = ".staging"
"""Folder beside the work folders that holds what was the same here and in the store last."""
_MOST_CHANGES = 50
"""Manifests of changes before all files are listed again."""
_MOST_PARTS = 100
_EDITED = frozenset(name for names in EDITABLE.values() for name in names)
_MEMORY = f"/{CAST_FILE}"
"""Of a series; it has people's corrections."""
_OWN = frozenset((".superseded", ".supersedes"))
_LEFT_OUT = ("logs/", "segments/trials/")
_SCRATCH = ".tmp/separation/"
"""Resumable work below the folder of scratch files."""

Wanted = Callable[[str, StagedFile], bool]
"""Tells of a file of the store, by its path below the film's folder, whether it is needed here."""


@dataclass(frozen=True, slots=True)
class _Held:
    """A file as it was here and in the store, with its stat here."""

    file: StagedFile
    stat: Version


_HELD = TypeAdapter(dict[str, _Held])


def is_of_person(path: str) -> bool:
    """Return whether a file below a film's folder is a person's own: edits, decisions, request."""
    return path.startswith("edits/") or path in ("decisions.json", "video.json")


def is_staged(path: str) -> bool:
    """Return whether a file below a film's folder is of use to another machine."""
    name = path.rpartition("/")[2]
    if path.startswith(".tmp/"):
        return path.startswith(_SCRATCH) and not name.startswith(".")
    unfinished = name.startswith(".") and (TEMPORARY in name or name not in _OWN)
    return not unfinished and not path.startswith(_LEFT_OUT)


class StagingSession:
    """One process's turn at a film; the caller holds its lock. Not for several threads at once.

    A stage claims the film, and is refused once another has. Beside it, `by` a person, only what a
    person may change is sent, or with `whole` all files.
    """

    def __init__(
        self, work: WorkDir, url: str, by: Author = "stage", *, whole: bool = False
    ) -> None:
        self.work = work
        self._by: Author = by
        self._objects = FilmObjects(url, work.root.name)
        folder = work.root.parent / NOTES
        self._note = folder / f"{work.root.name}.json"
        self._machine = _machine_of(folder)
        self._session = f"{self._machine}/{uuid.uuid4().hex}"
        self._state = FilmState()
        self._held: dict[str, _Held] = {}
        self._garbage: set[str] = set()
        self._all = whole or by == "stage"
        if self._note.is_file():
            with contextlib.suppress(ArtifactError, ValueError):
                self._held = _HELD.validate_python(read_json(self._note)["held"])

    def fetch(self, wanted: Wanted = lambda *_: True, *, whole: bool = True) -> None:
        """Bring what is needed here up to the store's state; a stage claims the film as well.

        Not `whole`: only what a person may have changed.

        Raises:
            ArtifactError: if a person changed one file here and elsewhere.
            VerificationError: if the store returns other bytes than it took.
        """
        self._state = self._objects.read()
        # A film that is new to the store may bring lines of an earlier release with it.
        self._all |= self._state.number == 0
        self.work.root.mkdir(parents=True, exist_ok=True)
        known = {*self._state.files, *self._held}
        paths = [path for path in known if whole or self._is_ours(path)]
        # What the stages recorded decides what else is needed.
        for path in sorted(paths, key=lambda each: (not each.startswith(".checkpoints/"), each)):
            self._settle(path, wanted)
        self._remember()
        if self._by == "stage":
            self._commit({})

    def send(self, *, last: bool = False) -> int:
        """Send what is new here, then its manifest; return how many files that were.

        Raises:
            VideoBusy: if another session has claimed the film meanwhile.
        """
        here = self._here()
        sent = self._sent_files(here)
        gone = [path for path in self._held.keys() - here.keys() if self._is_ours(path)]
        changes = {**sent, **dict.fromkeys(gone)}
        changed = {p: f for p, f in changes.items() if not _same(f, self._state.files.get(p))}
        if changed or (last and self._state.since_full > 1):
            self._commit(changed, last)
        self._held |= {path: _Held(file, here[path]) for path, file in sent.items()}
        for path in gone:
            del self._held[path]
        if last:
            self._remember()
        return len(changed)

    def _sent_files(self, here: Mapping[str, Version]) -> dict[str, StagedFile]:
        """Send the files that are not as they were last, and return them."""
        found: dict[str, StagedFile] = {}
        # An entry of the journal names sounds that are whole by then: it is read before them.
        for path in sorted(here, key=lambda each: each != self.work.journal.name):
            held = self._held.get(path)
            if held is None or held.stat != here[path]:
                with contextlib.suppress(SourceError, FileNotFoundError):
                    found[path] = self._sent(path)
        return found

    def _settle(self, path: str, wanted: Wanted) -> None:
        there = self._state.files.get(path)
        held = self._held.get(path)
        local = self.work.root / path
        here = self._local(path)
        base = held.file if held else None
        if _same(here, there) or (_same(there, base) and here):
            if here and there and _same(here, there):
                self._held[path] = _Held(there, version(local.stat()))
            return
        if here and not _same(here, base) and self._keeps(path, there):
            return
        if base and here is None and is_of_person(path) and self.work.video.is_file():
            # A person removed it; where the whole folder is gone, nobody meant that.
            return
        self._held.pop(path, None)
        if there is None or not wanted(path, there):
            local.unlink(missing_ok=True)
        else:
            self._get(path, there)

    def _keeps(self, path: str, there: StagedFile | None) -> bool:
        """Return whether a file that was changed here and in the store stays as it is here."""
        local = self.work.root / path
        if is_of_person(path):
            if there is None:
                return True
            theirs = local.with_name(f"{local.name}.theirs")
            self._objects.get(there, theirs)
            # The next try goes by what is here then.
            self._held[path] = _Held(there, (0, 0, 0, 0))
            self._remember()
            raise ArtifactError(
                f"{local} was changed here and on another machine: the other one is beside it as "
                f"{theirs.name}: put what you want of both into {local.name}, then run again"
            )
        if self._state.holder.startswith(f"{self._machine}/"):
            return True
        if path in _EDITED or path.endswith(_MEMORY):
            shutil.copyfile(local, local.with_name(f"{local.name}.bak"))
            _log.warning("%s was changed here and elsewhere: kept as %s.bak", local, local.name)
        return False

    def _get(self, path: str, file: StagedFile) -> None:
        local = self.work.root / path
        local.parent.mkdir(parents=True, exist_ok=True)
        part = local.with_name(f".{local.name[:40]}{TEMPORARY}.staged")
        try:
            self._objects.get(file, part)
            put_in_place(part, local)
        finally:
            part.unlink(missing_ok=True)
        self._held[path] = _Held(file, version(local.stat()))

    def _sent(self, path: str) -> StagedFile:
        """Send a file, or what was added to the journal, and return it as the store has it."""
        local = self.work.root / path
        if path == self.work.journal.name:
            return self._sent_journal(local)
        found = identify(local)
        made = StagedFile(found.size, found.digest, (found.digest,))
        if not made.is_same(self._state.files.get(path)):
            self._objects.put(local, found.size, found.digest)
        return made

    def _sent_journal(self, local: Path) -> StagedFile:
        data = local.read_bytes()
        known = self._state.files.get(local.name)
        parts: tuple[str, ...] = ()
        start = 0
        if known and len(known.parts) < _MOST_PARTS and _digest(data[: known.size]) == known.digest:
            parts, start = known.parts, known.size
        if start < len(data) or not parts:
            part = local.with_name(f".{local.name}{TEMPORARY}.staged")
            part.write_bytes(data[start:])
            digest = _digest(data[start:])
            try:
                self._objects.put(part, len(data) - start, digest)
            finally:
                part.unlink(missing_ok=True)
            parts = (*parts, digest)
        return StagedFile(len(data), _digest(data), parts)

    def _commit(self, changes: Mapping[str, StagedFile | None], last: bool = False) -> None:
        while True:
            number, after = self._state.number + 1, self._state.after(changes)
            full = last or number == 1 or self._state.since_full >= _MOST_CHANGES
            holder = self._session if self._by == "stage" else self._state.holder
            manifest = Manifest(full, holder, self._by, dict(after) if full else changes)
            if self._objects.write(number, manifest):
                break
            newer = self._objects.read()
            self._check_others(newer, changes)
            self._state = newer
            # Where the film was removed meanwhile, its objects went.
            for path, file in changes.items():
                if file and is_of_person(path):
                    self._objects.put(self.work.root / path, file.size, file.digest)
        for path in changes:
            old = self._state.files.get(path)
            # What a person wrote may be written again by another machine at this moment.
            if old and not is_of_person(path):
                self._garbage |= {*old.parts}
        since = 1 if full else self._state.since_full + 1
        self._state = FilmState(number, since, holder, after)
        if full:
            named = {part for each in after.values() for part in each.parts}
            self._objects.forget_before(number, self._garbage - named)
            self._garbage = set()

    def _check_others(self, newer: FilmState, changes: Mapping[str, StagedFile | None]) -> None:
        """Refuse to write over another session's work, or over what a person wrote meanwhile."""
        if self._by == "stage" and newer.holder != self._state.holder:
            raise VideoBusy(
                f"{self._objects.url}: another machine ({newer.holder.partition(':')[0]}) took over"
                f" and wrote manifest {newer.number}: what was made here since is not used"
            )
        for path in changes:
            if not _same(newer.files.get(path), self._state.files.get(path)):
                raise ArtifactError(
                    f"{self.work.root / path} was changed on another machine meanwhile: run again"
                )

    def _here(self) -> dict[str, Version]:
        found: dict[str, Version] = {}
        for folder, _, names in os.walk(self.work.root):
            for name in names:
                path = Path(folder, name)
                below = path.relative_to(self.work.root).as_posix()
                if is_staged(below) and self._is_ours(below):
                    with contextlib.suppress(FileNotFoundError):
                        found[below] = version(path.stat())
        return found

    def _is_ours(self, path: str) -> bool:
        return self._all or is_of_person(path) or path in _EDITED

    def _local(self, path: str) -> StagedFile | None:
        """Return a file as it is here; None if it is not."""
        local = self.work.root / path
        held = self._held.get(path)
        with contextlib.suppress(FileNotFoundError, SourceError):
            if held and held.stat == version(local.stat()):
                return held.file
            found = identify(local)
            return StagedFile(found.size, found.digest, (found.digest,))
        return None

    def _remember(self) -> None:
        write_json(self._note, {"held": {path: asdict(each) for path, each in self._held.items()}})


def _same(one: StagedFile | None, other: StagedFile | None) -> bool:
    return one.is_same(other) if one else other is None


def _digest(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=32).hexdigest()


def _machine_of(folder: Path) -> str:
    """Return the name of this machine's work folder, drawn by chance at its first use."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "machine"
    with contextlib.suppress(FileExistsError), path.open("x", encoding="utf-8") as file:
        file.write(f"{socket.gethostname()}:{uuid.uuid4().hex[:12]}")
    return path.read_text(encoding="utf-8")
