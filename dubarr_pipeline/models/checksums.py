"""Whether a file holds the very bytes that it must hold."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

from dubarr_pipeline.models.hub import RemoteFile

_BLOCK = 1 << 22


def sha256_of(path: Path) -> str:
    """The sha256 of a file, in hex; reads it in blocks of 4 MB."""
    digest = hashlib.sha256()
    for block in _blocks(path):
        digest.update(block)
    return digest.hexdigest()


def fault(path: Path, file: RemoteFile) -> tuple[str, str]:
    """A file's sha256, and in words what is wrong with it (empty: nothing).

    Where the host tells no sha256, git's own checksum of the file is compared: the sha1 of
    ``blob``, the size, a zero byte and the file's bytes. Where it tells neither, only the length
    can be compared.
    """
    size = path.stat().st_size
    found = sha256_of(path)
    if size != file.size:
        return found, f"has {size} bytes instead of {file.size}"
    if file.sha256:
        wrong = not found.startswith(file.sha256.lower())
        return found, f"has the sha256 {found} instead of {file.sha256}" if wrong else ""
    if file.git_sha1 and (git := _git_sha1(path, size)) != file.git_sha1:
        return found, f"has git's checksum {git} instead of {file.git_sha1}"
    return found, ""


def _git_sha1(path: Path, size: int) -> str:
    digest = hashlib.sha1(b"blob %d\0" % size, usedforsecurity=False)
    for block in _blocks(path):
        digest.update(block)
    return digest.hexdigest()


def _blocks(path: Path) -> Iterator[bytes]:
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            yield block
