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
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter

from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.errors import ArtifactError, RequestRefused, WorkspaceError
from dubarr_pipeline.files import keep_secret, named_disk_errors, read_json, write_json
from dubarr_pipeline.library.dub_requests import DubRequest, path_in_library
from dubarr_pipeline.library.webhooks.payloads import FileEvent, file_events, read_body
from dubarr_pipeline.library.webhooks.titles import TitleEvent

WebhookEvent = FileEvent | TitleEvent | DubRequest
_EVENT = TypeAdapter[WebhookEvent](WebhookEvent)
MOST_MESSAGES = 100_000
"""So many unprocessed messages mean that the sensor is off."""


@dataclass(frozen=True, slots=True)
class Message:
    """Event of one file, with our own paths, or of a title in any library; or a request.

    Attributes:
        library: its name; empty for a title, and for a request outside of all.
        name: of its file in the inbox; sorts by time.
        received_s: seconds since 1970.
    """

    name: str
    library: str
    event: WebhookEvent
    received_s: float


class Inbox:
    """Messages of one work folder. Several processes may write and read it."""

    def __init__(self, work_dir: Path) -> None:
        self.folder = work_dir / ".inbox"

    def put(self, library: str, event: WebhookEvent) -> Message:
        """Write one message, as `put_all` does."""
        (message,) = self.put_all([(library, event)])
        return message

    def put_all(self, events: Sequence[tuple[str, WebhookEvent]]) -> list[Message]:
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

    def _put(self, library: str, event: WebhookEvent, known: dict[str, list[str]]) -> Message:
        facts = f"{library}\0{event}"
        if isinstance(event, FileEvent):
            facts = f"{library}\0{event.kind}\0{event.path}\0{event.previous}"
        digest = hashlib.blake2b(facts.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        name = f"{time.time_ns():020d}-{digest}.json"
        for older in known.get(f"{digest}.json", ()):
            with suppress(ArtifactError):
                event = _merged(self.read(older).event, event)
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


def _merged(older: WebhookEvent, newer: WebhookEvent) -> WebhookEvent:
    """Return a newer event with what only the older one of the same file told."""
    if not (isinstance(older, FileEvent) and isinstance(newer, FileEvent)):
        return newer
    replaces = tuple(dict.fromkeys((*older.replaces, *newer.replaces)))
    tags = older.tags if newer.tags is None else newer.tags
    return replace(newer, replaces=replaces, tags=tags)


TOKEN_VARIABLE = "DUBARR_WEBHOOK_TOKEN"
_QUOTED = 300


class WebhookIntake:
    """Writes the events of webhooks into the inbox of a work folder."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._inbox = Inbox(settings.work_dir)

    def take(self, sender: str, body: bytes, content_type: str = "") -> int:
        """Write the events of a webhook's document to the inbox, and return their number.

        Raises:
            RequestRefused: with the status that the sender gets.
        """
        try:
            events = file_events(sender, json.loads(read_body(sender, body, content_type)))
        except (ValueError, RecursionError) as error:
            raise RequestRefused(400, "not_understood", f"not understood: {error}") from None
        placed: list[tuple[str, WebhookEvent]] = []
        for event in events:
            if place := self._placed(event):
                placed.append(place)
            # A media server tells of everything that it has.
            elif sender != "jellyfin":
                path = getattr(event, "path", "")[:_QUOTED]
                raise RequestRefused(
                    422,
                    "not_in_a_library",
                    f"{path!r} is not inside any library (see path_mappings)",
                )
        try:
            self._inbox.put_all(placed)
        except (WorkspaceError, OSError) as error:
            raise RequestRefused(507, "inbox_not_writable", str(error)) from error
        return len(placed)

    def _placed(self, event: WebhookEvent) -> tuple[str, WebhookEvent] | None:
        """Return the library of an event, and the event with our own paths; None if it has none."""
        if not isinstance(event, FileEvent):
            return "", event
        path = self._ours(event.path)
        name = self._settings.owner_of(Path(path)) if path else None
        if not (path and name):
            return None
        replaces = filter(None, map(self._ours, event.replaces))
        previous = self._ours(event.previous) if event.previous else None
        return name, replace(event, path=path, previous=previous, replaces=tuple(replaces))

    def _ours(self, theirs: str) -> str | None:
        path = path_in_library(theirs, self._settings.libraries.values())
        return str(path) if path else None


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
    keep_secret(path)
    return path.read_text(encoding="ascii").strip(), path
