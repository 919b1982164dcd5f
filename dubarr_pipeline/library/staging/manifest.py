"""Manifests of a film in the store of work folders: numbered, and each is written once.

Below ``{work_store}/{key}`` lie ``objects/{digest}``, which never change, and ``manifests/{number}
.json``. A manifest lists all files, or what changed against the one before; it is written when the
objects that it names are there and read back, and only if nobody has written that number yet. So a
crash leaves the older manifest valid, and of two machines one is refused.
"""

import hashlib
import json
import os
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter, ValidationError

from dubarr_pipeline.errors import ServiceUnavailable, VerificationError
from dubarr_pipeline.library.publishing.object_store import (
    BUCKETS,
    driver_errors,
    drop_unfinished,
    object_digest,
    open_store,
)

SETTING = "workers.work_store"
_TRIES = 5
Author = Literal["stage", "person"]


@dataclass(frozen=True, slots=True)
class StagedFile:
    """A file by its size, its BLAKE2b-256, and the objects that it consists of, in their order."""

    size: int
    digest: str
    parts: tuple[str, ...]

    def is_same(self, other: "StagedFile | None") -> bool:
        """Return whether the content is the same, however it is divided."""
        return other is not None and self.digest == other.digest


@dataclass(frozen=True, slots=True)
class Manifest:
    """Files of a film, or the changes against the manifest before; None: removed.

    Attributes:
        full: it lists all files.
        holder: the session that worked at a stage last.
        by: a stage, or a person's edits from beside it.
    """

    full: bool = True
    holder: str = ""
    by: Author = "stage"
    files: Mapping[str, StagedFile | None] = field(default_factory=dict[str, StagedFile | None])


@dataclass(frozen=True, slots=True)
class FilmState:
    """Last state of a film in the store, all its manifests read as one.

    Attributes:
        number: that of its newest manifest; 0: there is none.
        since_full: manifests after the last that lists all files.
    """

    number: int = 0
    since_full: int = 0
    holder: str = ""
    files: Mapping[str, StagedFile] = field(default_factory=dict[str, StagedFile])

    def after(self, changes: Mapping[str, StagedFile | None]) -> dict[str, StagedFile]:
        """Return the files after changes."""
        both = {**self.files, **changes}
        return {path: each for path, each in both.items() if each is not None}


_MANIFEST = TypeAdapter(Manifest)


class FilmObjects:
    """Objects and manifests of one film in the store; errors as those of `open_store`."""

    def __init__(self, url: str, key: str) -> None:
        self.url = f"{url.rstrip('/')}/{key}"

    @contextmanager
    def _open(self) -> Iterator[tuple[Any, str]]:
        with open_store(self.url, SETTING) as found:
            yield found

    def read(self) -> FilmState:
        """Return the film's last state."""
        with self._open() as (store, base):
            for _ in range(_TRIES):
                try:
                    return _state(store, f"{base}/manifests")
                # Another machine has put a full manifest in the place of the older ones.
                except FileNotFoundError:
                    continue
        raise ServiceUnavailable(f"{self.url}: its manifests are incomplete: try again")

    def write(self, number: int, manifest: Manifest) -> bool:
        """Write a manifest under a number; return whether it is the one after the last."""
        data = json.dumps(asdict(manifest)).encode()
        with self._open() as (store, base):
            path = f"{base}/manifests/{number:08d}.json"
            # A full one of another machine cleared the way for ours, which comes too late.
            if number > 1 and not store.exists(f"{base}/manifests/{number - 1:08d}.json"):
                return False
            _make_folder(store, path)
            try:
                _create(store, path, data)
            except driver_errors():
                if not store.exists(path):
                    raise
                # The driver tries again by itself: it may have met its own.
                return store.cat_file(path) == data
        return True

    def clear(self, kept: Callable[[str], bool]) -> None:
        """Remove all files but those that are kept: a manifest says so, then their objects go.

        The last manifest stays, so that a session that knows an older one is refused. What a crash
        leaves, the next call removes.
        """
        with self._open() as (store, base), suppress(FileNotFoundError):
            listed = {str(each).rpartition("/")[2] for each in store.ls(f"{base}/objects", False)}
            # What is sent from now on is not among them, and belongs to a newer manifest.
            while True:
                state = self.read()
                number, holder = state.number + 1, f"removed/{uuid.uuid4().hex}"
                files = {path: each for path, each in state.files.items() if kept(path)}
                if self.write(number, Manifest(True, holder, "stage", files)):
                    break
            named = {part for each in files.values() for part in each.parts}
            self.forget_before(number, listed - named)

    def forget_before(self, number: int, objects: set[str]) -> None:
        """Remove the manifests before a full one, and objects that nothing names any more."""
        with self._open() as (store, base), suppress(FileNotFoundError):
            for each in _numbers(store, f"{base}/manifests"):
                if each < number:
                    store.rm_file(f"{base}/manifests/{each:08d}.json")
            for digest in objects:
                with suppress(FileNotFoundError):
                    store.rm_file(f"{base}/objects/{digest}")

    def put(self, path: Path, size: int, digest: str) -> None:
        """Send a file as an object, and compare what is there by size and digest.

        Raises:
            VerificationError: if that differs; it is removed.
        """
        with self._open() as (store, base):
            name = f"{base}/objects/{digest}"
            _make_folder(store, name)
            drop_unfinished(store, name)
            store.put_file(str(path), name)
            if store.size(name) != size or object_digest(store, name) != digest:
                store.rm_file(name)
                raise VerificationError(f"{self.url} does not hold {path.name!r} as it was sent")

    def get(self, file: StagedFile, to: Path) -> None:
        """Fetch a file.

        Raises:
            VerificationError: if the store has it no more, or returns something else.
        """
        digest, size = hashlib.blake2b(digest_size=32), 0
        with self._open() as (store, base), to.open("wb") as made:
            for part in file.parts:
                name = f"{base}/objects/{part}"
                if not store.exists(name):
                    raise VerificationError(f"{self.url} has lost the object {part}")
                with store.open(name, "rb") as source:
                    while block := source.read(4 << 20):
                        digest.update(block)
                        size += len(block)
                        made.write(block)
        if (size, digest.hexdigest()) != (file.size, file.digest):
            raise VerificationError(f"{self.url} holds a damaged {to.name!r}: {file.digest}")


def _state(store: Any, folder: str) -> FilmState:
    numbers = _numbers(store, folder)
    found: list[Manifest] = []
    newest = 0
    for number in reversed(numbers):
        try:
            each = _MANIFEST.validate_python(
                json.loads(store.cat_file(f"{folder}/{number:08d}.json"))
            )
        # A crash cut it off: the one before is valid.
        except (ValueError, ValidationError):
            continue
        newest = newest or number
        found.append(each)
        if each.full:
            break
    if found and not found[-1].full:
        raise FileNotFoundError(folder)
    state = FilmState(numbers[-1] if numbers else 0, len(found), found[0].holder if found else "")
    files: dict[str, StagedFile | None] = {}
    for each in reversed(found):
        files |= each.files
    return FilmState(state.number, state.since_full, state.holder, state.after(files))


def _numbers(store: Any, folder: str) -> list[int]:
    try:
        names = [str(path).rpartition("/")[2] for path in store.ls(folder, detail=False)]
    except FileNotFoundError:
        return []
    stems = (name.removesuffix(".json") for name in names if name.endswith(".json"))
    return sorted(int(stem) for stem in stems if stem.isdecimal())


def _make_folder(store: Any, path: str) -> None:
    if _protocols(store).isdisjoint(BUCKETS):
        store.makedirs(path.rpartition("/")[0], exist_ok=True)


def _protocols(store: Any) -> set[str]:
    return {store.protocol} if isinstance(store.protocol, str) else {*store.protocol}


def _create(store: Any, path: str, data: bytes) -> None:
    """Write an object that must not be there yet, whole or not at all."""
    if "file" not in _protocols(store):
        store.pipe_file(path, data, mode="create")
        return
    part = f"{path}.{os.urandom(8).hex()}"
    store.pipe_file(part, data)
    try:
        os.link(part, path)
    finally:
        store.rm_file(part)
