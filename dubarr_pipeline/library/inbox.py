"""The inbox: what other programs told of files, kept on disk until it has been worked.

A message is written whole and flushed before its sender is told that it was taken, so that none is
lost to a crash on either side; and it lies there until what came of it is recorded.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import TypeAdapter

from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.library.webhook_events import FileEvent
from dubarr_pipeline.workdir import read_json, write_json

_EVENT = TypeAdapter(FileEvent)
MOST_MESSAGES = 100_000
"""Beyond that nobody works the inbox, and more of it helps nobody."""


@dataclass(frozen=True, slots=True)
class Message:
    """One event of one file of a library, with our own path of it.

    Attributes:
        name: of its file in the inbox; sorts by time.
        received_s: seconds since 1970.
    """

    name: str
    library: str
    event: FileEvent
    received_s: float


class Inbox:
    """The messages of one work folder. Several processes may write and read it."""

    def __init__(self, work_dir: Path) -> None:
        self.folder = work_dir / ".inbox"

    def put(self, library: str, event: FileEvent) -> Message:
        """Write a message, flushed to the disk. One that lies there already is not doubled.

        Raises:
            DiskFull, NotWritable: if it cannot be kept: the sender must be told so.
            ArtifactError: if nobody works the inbox any more.
        """
        known = self.names()
        if len(known) >= MOST_MESSAGES:
            raise ArtifactError(f"{self.folder} holds {len(known)} messages that nobody works")
        told = f"{library}\0{event.kind}\0{event.path}\0{event.previous}"
        digest = hashlib.blake2b(told.encode("utf-8", "surrogatepass"), digest_size=8).hexdigest()
        name = f"{time.time_ns():020d}-{digest}.json"
        message = Message(name, library, event, time.time())
        document = {"library": library, "received_s": message.received_s, "event": asdict(event)}
        write_json(self.folder / name, document)
        for older in known:
            if older.endswith(f"-{digest}.json"):
                (self.folder / older).unlink(missing_ok=True)
        return message

    def names(self) -> list[str]:
        """The names of all messages, the oldest first."""
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
        """Remove messages whose outcome is recorded; one that has gone already is no fault."""
        for name in names:
            (self.folder / name).unlink(missing_ok=True)
