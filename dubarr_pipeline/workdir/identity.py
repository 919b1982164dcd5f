"""Identity of a file by its content, not by its name or dates."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from dubarr_pipeline.errors import SourceChanged, SourceMissing
from dubarr_pipeline.media.container.probe import check_readable, version

_BLOCK_BYTES = 4 << 20
_DIGEST_BYTES = 32

OnBytes = Callable[[int, int], None]
"""Takes the bytes that are done, and the total."""


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """Stat and BLAKE2b-256 of a file's content, in hex; an equal stat spares the digest."""

    size: int
    mtime_ns: int
    ctime_ns: int
    inode: int
    digest: str


def identify(path: Path, on_progress: OnBytes | None = None) -> FileIdentity:
    """Read a whole file once and return its identity, in flat memory.

    Raises:
        SourceMissing, NotAVideo: if it is missing, not readable, not a file, or empty.
        SourceChanged: if it is being written while it is read.
    """
    before = check_readable(path)
    try:
        digest = _digest(path, before.st_size, on_progress)
        after = path.stat()
    except OSError as error:
        raise SourceMissing(
            f"{path} cannot be read ({error}): check the path and the disk"
        ) from error
    if version(before) != version(after):
        raise SourceChanged(
            f"{path} changed while it was read: wait until it is copied, then run again"
        )
    return FileIdentity(*version(after), digest)


def is_same(path: Path, identity: FileIdentity) -> bool:
    """Return whether a file still has its content, by its stat if that is equal, else by reading.

    A file that was touched, or restored from a backup, is the same. Raises as `identify`.
    """
    now = check_readable(path)
    if version(now) == _known(identity):
        return True
    return now.st_size == identity.size and identify(path).digest == identity.digest


def stat_matches(path: Path, identity: FileIdentity) -> bool:
    """Return whether a file is the registered one by its stat alone, without reading it."""
    try:
        return version(path.stat()) == _known(identity)
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
