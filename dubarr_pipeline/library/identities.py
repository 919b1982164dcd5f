"""Identities of films in libraries, each read to its end once per content.

What was read is noted by inode, size and date: a new subtitle, another setting or a new name makes
nobody read a film again. Where the inode was touched since (a new name, another owner), samples of
the content must agree; where the date differs, the film is read.
"""

import hashlib
import os
from contextlib import suppress
from dataclasses import asdict, replace
from pathlib import Path

from pydantic import TypeAdapter

from dubarr_pipeline.errors import ArtifactError, DubbingError
from dubarr_pipeline.files import read_json, write_json
from dubarr_pipeline.library.videos import last_at
from dubarr_pipeline.workdir.identity import FileIdentity, identify, stat_matches

_NOTES = ".identities"
_IDENTITY = TypeAdapter(FileIdentity)
_SAMPLES = 18
_SAMPLE_BYTES = 1 << 18


def identify_once(path: Path, work_dir: Path) -> FileIdentity:
    """Return a film's identity, and note it. Raises as `workdir.identity.identify`."""
    if known := known_identity(path, work_dir):
        return known
    read = identify(path)
    _note(read, path, work_dir)
    return read


def known_identity(path: Path, work_dir: Path) -> FileIdentity | None:
    """Return the identity of a film that was read before, or None if it must be read."""
    with suppress(DubbingError):
        video = last_at(path, work_dir)
        if video and stat_matches(path, video.identity):
            return video.identity
    try:
        found = path.stat()
        note = read_json(_place(found.st_ino, found.st_size, found.st_mtime_ns, work_dir))
        identity = _IDENTITY.validate_python(note["identity"])
        if found.st_ctime_ns == identity.ctime_ns:
            return identity
        if _samples(path, found.st_size) != note["samples"]:
            return None
    except (ArtifactError, OSError, KeyError, ValueError):
        return None
    moved = replace(identity, ctime_ns=found.st_ctime_ns)
    _note(moved, path, work_dir)
    return moved


def _note(identity: FileIdentity, path: Path, work_dir: Path) -> None:
    place = _place(identity.inode, identity.size, identity.mtime_ns, work_dir)
    samples = _samples(path, identity.size)
    write_json(place, {"identity": asdict(identity), "samples": samples})


def _place(inode: int, size: int, mtime_ns: int, work_dir: Path) -> Path:
    name = hashlib.blake2b(f"{inode} {size} {mtime_ns}".encode(), digest_size=12).hexdigest()
    return work_dir / _NOTES / f"{name}.json"


def _samples(path: Path, size: int) -> str:
    """Return the digest of pieces of a file, from its first bytes to its last."""
    digest = hashlib.blake2b(digest_size=16)
    with path.open("rb", buffering=0) as file:
        for number in range(_SAMPLES):
            file.seek(max(0, size - _SAMPLE_BYTES) * number // (_SAMPLES - 1), os.SEEK_SET)
            digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()
