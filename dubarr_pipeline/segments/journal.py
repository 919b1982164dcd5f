"""The journal of a video: every costly answer, written down before anything is built on it.

``segments.journal`` is append-only, one JSON object per line, flushed to the disk before the work
goes on. Eight kinds of entry are kept by (language, index, key), the key being a digest of all that
the answer depends on (a line that was numbered anew finds its answers by the key alone):

- ``draft``: the versions of a translated line. All lines of a call share one entry, so that a kill
  never leaves half a call behind;
- ``rewrite``: another wording;
- ``take``: a rendering, whose sound is whole in ``segments/takes`` before the entry is written;
- ``heard``: the words that a recogniser wrote down of a take;
- ``line``: a finished line, with its takes and the position of the chosen one;
- ``final``: the digest of its final sound, so that it is not rendered again;
- ``prior``: the length model that the film began with;
- ``measured``: the seconds that a new voice took for its measuring sentences.

Failures are never journaled: see `docs/decisions/0004-production.md`.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.files import flush_to_disk, named_disk_errors
from dubarr_pipeline.services.call_queue import Cancelled
from dubarr_pipeline.workdir.canonical import canonical

_log = logging.getLogger(__name__)

SCHEMA = 1

Entry = Mapping[str, Any]
"""A journal entry as it is in the file; `cache` reads it by type."""


def digest(*facts: object) -> str:
    """Return 24 hex digits over facts; their order counts, the order of keys does not.

    Plain JSON enters as it is, so that keys in older journals hold; all else is canonical.

    Raises:
        TypeError: if a fact has no canonical form.
    """
    document = json.dumps(facts, sort_keys=True, ensure_ascii=False, default=canonical)
    return hashlib.blake2b(document.encode(), digest_size=12).hexdigest()


class Journal:
    """The journal of one video, for many threads; raises `ArtifactError` for another format."""

    def __init__(self, path: Path, *, fresh: bool = False) -> None:
        self.path = path
        self._lock = threading.Lock()
        self._flushing = threading.Lock()
        self._pending: list[tuple[bytes, threading.Event]] = []
        # As text, which is a third as large as its objects.
        self._kept: dict[tuple[str, str], dict[str, dict[int, bytes]]] = {}
        with named_disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            if fresh:
                path.unlink(missing_ok=True)
            whole = self._read() if path.exists() else 0
            self._descriptor: int | None = os.open(
                path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644
            )
            # An entry that a crash cut off would spoil the next one, which is written after it.
            os.ftruncate(self._descriptor, whole)
            flush_to_disk(path.parent)
        if whole == 0:
            self._append([_as_text({"kind": "journal", "schema": SCHEMA})])

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file; every entry is on the disk already."""
        with self._flushing:
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def find(self, kind: str, language: str, index: int, key: str) -> Entry | None:
        """Return the last entry of this kind and key for a line, or None."""
        with self._lock:
            text = self._kept.get((kind, language), {}).get(key, {}).get(index)
        return json.loads(text) if text else None

    def found(self, kind: str, language: str, key: str) -> Mapping[int, Entry]:
        """Return the last entry of this kind and key for every line that has one, by its index."""
        with self._lock:
            texts = dict(self._kept.get((kind, language), {}).get(key, {}))
        return {index: json.loads(text) for index, text in texts.items()}

    def entries(self, kind: str, language: str) -> Iterator[Entry]:
        """Yield the last entries of a kind, in the order in which their keys were written."""
        with self._lock:
            keys = [tuple(each.values()) for each in self._kept.get((kind, language), {}).values()]
        for texts in keys:
            yield from map(json.loads, texts)

    def write(self, *entries: Entry) -> None:
        """Append entries as one, and return when they are on the disk.

        Raises:
            Cancelled: if the journal was closed meanwhile.
            DiskFull: if there is no room; nothing of them is left behind.
        """
        texts = [_as_text(entry) for entry in entries]
        self._append(texts)
        with self._lock:
            for entry, text in zip(entries, texts, strict=True):
                self._keep(entry, text)

    def _append(self, texts: Iterable[bytes]) -> None:
        data = b"".join(text + b"\n" for text in texts)
        written = threading.Event()
        with self._lock:
            self._pending.append((data, written))
        with self._flushing:
            # Another thread may have flushed this entry with its own.
            if written.is_set():
                return
            if self._descriptor is None:
                raise Cancelled("the journal is closed")
            with self._lock:
                batch, self._pending = self._pending, []
            with named_disk_errors(self.path):
                size = os.fstat(self._descriptor).st_size
                try:
                    view = memoryview(b"".join(data for data, _ in batch))
                    while view:
                        view = view[os.write(self._descriptor, view) :]
                    # One wait for the disk for all threads.
                    os.fsync(self._descriptor)
                # Half an entry must not stay: the batch is tried again as a whole.
                except OSError:
                    os.ftruncate(self._descriptor, size)
                    with self._lock:
                        self._pending = batch + self._pending
                    raise
            for _, event in batch:
                event.set()

    def _read(self) -> int:
        """Keep all whole entries; return how many bytes of the file are whole."""
        whole = 0
        for number, line in enumerate(self.path.read_bytes().splitlines(keepends=True), start=1):
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                entry = None
            if not line.endswith(b"\n"):
                _log.info("%s: its last entry was cut off by a crash; dropped", self.path)
                break
            whole += len(line)
            if not isinstance(entry, dict) or "kind" not in entry:
                _log.warning("%s: entry %d is damaged; that work is done again", self.path, number)
            elif entry.get("kind") == "journal" and entry.get("schema") != SCHEMA:
                raise ArtifactError(
                    f"{self.path} has schema {entry.get('schema')!r}, this version reads {SCHEMA}: "
                    "delete it, or use the version that wrote it"
                )
            else:
                try:
                    self._keep(entry, line.rstrip())
                except (KeyError, TypeError, ValueError, OverflowError):
                    _log.warning("%s: entry %d is damaged; it is made again", self.path, number)
        return whole

    def _keep(self, entry: Entry, text: bytes) -> None:
        for line in entry.get("lines", [entry]):
            if "index" in line:
                place = self._kept.setdefault((str(entry["kind"]), str(entry["language"])), {})
                own = text if line is entry else _as_text(line)
                place.setdefault(str(line["key"]), {})[int(line["index"])] = own


def _as_text(entry: Entry) -> bytes:
    return json.dumps(entry, ensure_ascii=False, separators=(",", ":")).encode()
