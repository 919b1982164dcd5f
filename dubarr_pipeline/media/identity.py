"""Whether a file is still the one that was registered: by its content, not its name or dates."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dubarr_pipeline.errors import SourceChanged, SourceMissing
from dubarr_pipeline.media.probe import check_readable

_BLOCK_BYTES = 4 << 20
_DIGEST_BYTES = 32

OnBytes = Callable[[int, int], None]
"""Told the bytes that are done, and of how many."""


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """What tells one file's content from another's.

    Attributes:
        size, mtime_ns, ctime_ns, inode: as the file system gave them; equal ones spare the digest.
        digest: BLAKE2b-256 of the whole content, in hex.
    """

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    digest: str


def identify(path: Path, on_progress: OnBytes | None = None) -> FileIdentity:
    """Read a whole file once and return its identity. Memory is flat.

    Raises:
        SourceMissing, NotAVideo: if it is not there, not readable, no file, or empty.
        SourceChanged: if it is being written while it is read.
    """
    check_readable(path)
    try:
        before = path.stat()
        digest = _digest(path, before.st_size, on_progress)
        after = path.stat()
    except OSError as error:
        raise SourceMissing(
            f"{path} cannot be read ({error}): check the path and the disk"
        ) from error
    if _times(before) != _times(after):
        raise SourceChanged(
            f"{path} changed while it was read: wait until it is copied, then run again"
        )
    return FileIdentity(*_times(after), digest)


def is_same(path: Path, identity: FileIdentity) -> bool:
    """Whether a file still has its content: at once if size and dates say so, else by reading it.

    A file that was touched, or came back from a backup, is the same; with one other byte it is not.

    Raises:
        As `identify`.
    """
    check_readable(path)
    try:
        found = path.stat()
    except OSError as error:
        raise SourceMissing(
            f"{path} cannot be read ({error}): check the path and the disk"
        ) from error
    if _times(found) == _known(identity):
        return True
    return found.st_size == identity.size and identify(path).digest == identity.digest


def stat_matches(path: Path, identity: FileIdentity) -> bool:
    """Whether a file is the registered one by size and dates alone. Reads nothing."""
    try:
        return _times(path.stat()) == _known(identity)
    except OSError:
        return False


def _known(identity: FileIdentity) -> tuple[int, int, int, int]:
    return identity.size, identity.mtime_ns, identity.ctime_ns, identity.inode


def _digest(path: Path, size: int, on_progress: OnBytes | None) -> str:
    digest = hashlib.blake2b(digest_size=_DIGEST_BYTES)
    done = 0
    with path.open("rb", buffering=0) as stream:
        while block := stream.read(_BLOCK_BYTES):
            digest.update(block)
            done += len(block)
            if on_progress:
                on_progress(done, max(done, size))
            if done > size:
                # It is being written, perhaps faster than it can be read.
                break
    return digest.hexdigest()


def _times(found: os.stat_result) -> tuple[int, int, int, int]:
    return found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino
