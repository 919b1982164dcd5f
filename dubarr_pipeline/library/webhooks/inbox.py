"""Inbox of webhooks: file events, kept on disk until they have been processed.

A message is written whole and flushed before its sender gets an answer, so that none is lost to a
crash on either side; and it stays until its outcome is recorded.
"""

import fcntl
import hashlib
import json
import os
import secrets
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import TypeAdapter

from dubarr_pipeline.config.libraries import Library
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.errors import ArtifactError, RequestRefused, WorkspaceError
from dubarr_pipeline.files import named_disk_errors, read_json, write_json

Kind = Literal["arrived", "renamed", "deleted"]
SENDERS = ("radarr", "sonarr", "generic")
_ARRIVALS = frozenset(("Download", "ImportComplete", "ManualImport"))
_DELETIONS = frozenset(("MovieFileDelete", "EpisodeFileDelete"))


@dataclass(frozen=True, slots=True)
class FileEvent:
    """Arrival, new name or deletion of one file, with the sender's paths."""

    kind: Kind
    path: str
    previous: str | None = None


def file_events(sender: str, document: Any) -> list[FileEvent]:
    """Return the file events of a webhook's JSON document.

    Raises:
        ValueError: if the sender does not write such documents; the message names the fault.
    """
    if not isinstance(document, Mapping):
        raise ValueError("the body must be a JSON object")
    if sender == "generic":
        return _generic(document)
    kind = document.get("eventType")
    if not isinstance(kind, str):
        raise ValueError(f"eventType is missing: this is not a webhook of {sender}")
    if kind in _ARRIVALS:
        return [FileEvent("arrived", path) for path in _files(document, sender)]
    if kind in _DELETIONS:
        return [FileEvent("deleted", path) for path in _files(document, sender)]
    if kind == "Rename":
        names = ("renamedMovieFiles", "renamedEpisodeFiles")
        files = [file for name in names for file in _objects(document, name)]
        paths = [[_path(f, name, "renamed") for name in ("path", "previousPath")] for f in files]
        return [FileEvent("renamed", *both) for both in paths]
    return []


def _files(document: Mapping[str, Any], sender: str) -> list[str]:
    one = "movieFile" if sender == "radarr" else "episodeFile"
    single = {} if document.get(one) is None else {one: [document[one]]}
    files = [*_objects(document, f"{one}s"), *_objects(single, one)]
    paths = [_path(file, "path", one) for file in files]
    if not paths:
        raise ValueError(f"{one}.path is missing")
    return list(dict.fromkeys(paths))


def _generic(document: Mapping[str, Any]) -> list[FileEvent]:
    kind = document.get("event", "arrived")
    if kind not in ("arrived", "renamed", "deleted"):
        raise ValueError(f"unknown event {kind!r}: choose arrived, renamed or deleted")
    previous = _path(document, "previous", "the body") if kind == "renamed" else None
    listed = document.get("paths")
    if listed is None:
        return [FileEvent(kind, _path(document, "path", "the body"), previous)]
    if not isinstance(listed, list) or kind == "renamed":
        raise ValueError("paths must be a list, and is not allowed with event = renamed")
    return [FileEvent(kind, _path({"path": each}, "path", "paths")) for each in listed]


def _objects(document: Mapping[str, Any], name: str) -> Iterable[Mapping[str, Any]]:
    listed = document.get(name)
    if listed is None:
        return []
    if not isinstance(listed, list) or not all(isinstance(each, Mapping) for each in listed):
        raise ValueError(f"{name} must be a list of objects")
    return listed


def _path(document: Mapping[str, Any], name: str, where: str) -> str:
    path = document.get(name)
    if not isinstance(path, str) or not path.strip() or "\0" in path:
        raise ValueError(f"{name} of {where} must be a path")
    return path


_EVENT = TypeAdapter(FileEvent)
MOST_MESSAGES = 100_000
"""So many unprocessed messages mean that the sensor is off."""


@dataclass(frozen=True, slots=True)
class Message:
    """Event of one file of a library, with our own paths.

    Attributes:
        name: of its file in the inbox; sorts by time.
        received_s: seconds since 1970.
    """

    name: str
    library: str
    event: FileEvent
    received_s: float


class Inbox:
    """Messages of one work folder. Several processes may write and read it."""

    def __init__(self, work_dir: Path) -> None:
        self.folder = work_dir / ".inbox"

    def put(self, library: str, event: FileEvent) -> Message:
        """Write one message, as `put_all` does."""
        (message,) = self.put_all([(library, event)])
        return message

    def put_all(self, events: Sequence[tuple[str, FileEvent]]) -> list[Message]:
        """Write messages of libraries, flushed to the disk; each replaces an equal one.

        Raises:
            DiskFull, NotWritable, WorkspaceError: if they cannot be written: the sender must learn
                of it.
            ArtifactError: if the inbox is full, because no sensor processes it.
        """
        with self._alone():
            known: dict[str, list[str]] = {}
            for name in self.names():
                known.setdefault(name.partition("-")[2], []).append(name)
            waiting = sum(map(len, known.values()))
            if waiting + len(events) > MOST_MESSAGES:
                raise ArtifactError(
                    f"{waiting} unprocessed messages in {self.folder}: "
                    "is the webhook_inbox sensor on?"
                )
            return [self._put(library, event, known) for library, event in events]

    def _put(self, library: str, event: FileEvent, known: dict[str, list[str]]) -> Message:
        facts = f"{library}\0{event.kind}\0{event.path}\0{event.previous}"
        digest = hashlib.blake2b(facts.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        name = f"{time.time_ns():020d}-{digest}.json"
        message = Message(name, library, event, time.time())
        document = {"library": library, "received_s": message.received_s, "event": asdict(event)}
        write_json(self.folder / name, document)
        self.drop(known.pop(f"{digest}.json", ()))
        known[f"{digest}.json"] = [name]
        return message

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let one sender at a time look for equal messages and write its own."""
        try:
            with named_disk_errors(self.folder):
                self.folder.mkdir(parents=True, exist_ok=True)
                lock = (self.folder / ".lock").open("ab")
        except OSError as error:
            raise WorkspaceError(
                f"{self.folder} cannot hold messages ({error.strerror}): move what is there"
            ) from error
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def names(self) -> list[str]:
        """Return the names of all messages, the oldest first."""
        if not self.folder.is_dir():
            return []
        return sorted(path.name for path in self.folder.glob("[0-9]*-*.json"))

    def read(self, name: str) -> Message:
        """Read a message. Raises `ArtifactError` if it is damaged."""
        path = self.folder / name
        try:
            document = read_json(path)
            event = _EVENT.validate_python(document["event"])
            return Message(name, str(document["library"]), event, float(document["received_s"]))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            raise ArtifactError(f"{path} is damaged: {error}") from error

    def drop(self, names: Iterable[str]) -> None:
        """Remove messages with a recorded outcome; a missing one is not an error."""
        for name in names:
            (self.folder / name).unlink(missing_ok=True)


TOKEN_VARIABLE = "DUBARR_WEBHOOK_TOKEN"
_MAX_NAME, _MAX_PATH = 255, 4096
"""In bytes: Linux has no longer names, and asking for one is an error."""
_QUOTED = 300


class WebhookIntake:
    """Writes the events of webhooks into the inbox of a work folder."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._inbox = Inbox(settings.work_dir)

    def take(self, sender: str, body: bytes) -> int:
        """Write the events of a webhook's document to the inbox, and return their number.

        Raises:
            RequestRefused: with the status that the sender gets.
        """
        try:
            events = file_events(sender, json.loads(body))
        except (ValueError, RecursionError) as error:
            raise RequestRefused(400, "not_understood", f"not understood: {error}") from None
        placed: list[tuple[str, FileEvent]] = []
        for event in events:
            for name in self._settings.libraries:
                library: Library = self._settings.library(name)
                if path := _ours(library, event.path):
                    previous = _ours(library, event.previous) if event.previous else None
                    placed.append((name, FileEvent(event.kind, path, previous)))
                    break
            else:
                raise RequestRefused(
                    422,
                    "not_in_a_library",
                    f"{event.path[:_QUOTED]!r} is not inside any library (see path_mappings)",
                )
        try:
            self._inbox.put_all(placed)
        except (WorkspaceError, OSError) as error:
            raise RequestRefused(507, "inbox_not_writable", str(error)) from error
        return len(placed)


def _ours(library: Library, theirs: str) -> str | None:
    """Return our path of a file that a sender names, if it is a possible path in the library."""
    path = Path(os.path.normpath(library.mapped(theirs)))
    inside = path.is_relative_to(library.path) if library.outside_links else library.holds(path)
    if not path.is_absolute() or not inside:
        return None
    longest = max(len(os.fsencode(part)) for part in path.parts)
    return str(path) if longest <= _MAX_NAME and len(os.fsencode(path)) < _MAX_PATH else None


def webhook_token(work_dir: Path) -> tuple[str, Path | None]:
    """Return the token, and its file: ``$DUBARR_WEBHOOK_TOKEN``, else one made once and kept.

    Raises:
        DiskFull, NotWritable: if a new one cannot be kept.
    """
    if named := os.environ.get(TOKEN_VARIABLE, ""):
        return named, None
    path = work_dir / ".webhook-token"
    if not path.is_file():
        part = path.with_name(f"{path.name}.part")
        with named_disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            # Readable by its owner only, from the first byte on.
            opener = lambda name, flags: os.open(name, flags, 0o600)  # noqa: E731
            with open(part, "w", encoding="ascii", opener=opener) as file:
                file.write(secrets.token_hex(32))
            part.rename(path)
    return path.read_text(encoding="ascii").strip(), path
