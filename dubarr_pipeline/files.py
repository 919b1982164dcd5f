"""Files that appear whole or not at all, a cache of results, and disk errors with a cure."""

import contextlib
import errno
import hashlib
import json
import os
import tempfile
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from dubarr_pipeline.errors import ArtifactError, DiskFull, NotWritable, WorkspaceError

TEMPORARY = ".part"
_DIGEST_BYTES = 16
_fences: dict[Path, Callable[[], object]] = {}
"""Folders of this process, each with the check before a file of it is put in its place."""


@contextlib.contextmanager
def fenced(folder: Path, check: Callable[[], object]) -> Iterator[None]:
    """Call `check` before a file below a folder is put in its place, in any thread.

    It raises where this process lost the right to write there.
    """
    _fences[folder] = check
    try:
        yield
    finally:
        del _fences[folder]


def put_in_place(temporary: Path, path: Path) -> None:
    """Rename a finished file to its own name. Raises what the fence of its folder raises."""
    for folder, check in tuple(_fences.items()):
        if path.is_relative_to(folder):
            check()
    temporary.replace(path)


@contextlib.contextmanager
def named_disk_errors(path: Path, option: str = "--work-dir") -> Iterator[None]:
    """Turn the system's "no space", "read-only" and "not permitted" into errors with a cure.

    `path` was to be written; `option` is the one of the command line that chooses another folder.

    Raises:
        DiskFull, NotWritable, WorkspaceError: instead of the bare `OSError`.
    """
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise DiskFull(
                f"no room left on the disk of {path}: free some, then run again; "
                "what is finished is kept"
            ) from error
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise NotWritable(
                f"cannot write {path}: {os.strerror(error.errno)}; "
                f"choose another folder with {option}"
            ) from error
        if error.errno == errno.EFBIG:
            raise WorkspaceError(
                f"{path} grows larger than its file system or the process's limit allows: "
                f"choose a folder on another file system with {option}, or raise `ulimit -f`"
            ) from error
        raise


@contextlib.contextmanager
def whole_file(path: Path, mode: int = 0o644) -> Iterator[Path]:
    """Yield a temporary path, which is renamed to `path` at the end, or removed on failure.

    The file is flushed to disk before it is renamed, and the folder after, so that a crash leaves
    the old file or the new one. Until it is whole, its owner alone may read it; then as `mode`
    says. The temporary name keeps the suffix: tools choose formats by it.
    """
    with named_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(
            prefix=f".{path.stem[:40]}{TEMPORARY}.", suffix=path.suffix, dir=path.parent
        )
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            temporary.chmod(mode)
            flush_to_disk(temporary)
            put_in_place(temporary, path)
            flush_to_disk(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def flush_to_disk(path: Path) -> None:
    """Make a file's or a folder's contents survive a power cut."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_text(path: Path, text: str, mode: int = 0o644) -> None:
    """Write a text file whole (UTF-8).

    A file name that is no UTF-8 holds lone surrogates: they are written as escapes, which JSON
    reads back as they were.
    """
    with whole_file(path, mode) as temporary:
        temporary.write_bytes(text.encode("utf-8", "backslashreplace"))


def write_json(
    path: Path,
    document: Any,
    schema: int = 1,
    mode: int = 0o644,
    encode: Callable[[Any], Any] | None = None,
) -> None:
    """Write a JSON object whole, with its schema number in front; texts as `write_text` does.

    Piece by piece: the pieces of a long film's words are ten times as large as their text.
    `encode` is asked for each value that JSON does not know, when it is its turn.
    """
    encoder = json.JSONEncoder(ensure_ascii=False, indent=1, default=encode)
    with (
        whole_file(path, mode) as temporary,
        temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="\n") as file,
    ):
        file.writelines(encoder.iterencode({"schema": schema, **document}))
        file.write("\n")


def keep_secret(path: Path) -> None:
    """Take from all but its owner the rights to a file, which a copy may have given them."""
    with contextlib.suppress(OSError):
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)


def read_json(path: Path, schema: int = 1) -> dict[str, Any]:
    """Read what `write_json` wrote. `ArtifactError`: missing, damaged, or of another schema."""
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ArtifactError(f"{path} is missing: materialize the stage that makes it") from None
    except OSError as error:
        raise ArtifactError(
            f"{path} is damaged ({error}): delete it, and its stage makes it again"
        ) from error
    return as_json(path, content, schema)


def as_json(path: Path, content: bytes, schema: int = 1) -> dict[str, Any]:
    """Return the JSON object that a file holds. Raises as `read_json`."""
    try:
        document = json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise ArtifactError(
            f"{path} is damaged ({error}): delete it, and its stage makes it again"
        ) from error
    found = document.get("schema") if isinstance(document, dict) else None
    if found != schema:
        raise ArtifactError(
            f"{path} has schema {found!r}, this version reads {schema}: "
            "delete it, or use the version that wrote it"
        )
    return document


def composed(name: str) -> str:
    """Compose the accents of a name: macOS decomposes them, others do not; it is the same name."""
    return unicodedata.normalize("NFC", name)


def as_on_disk(path: Path, above: Path) -> Path:
    """Return a path below a folder with the names that the disk has, whose accents may differ.

    From the first name on that is not there, it stays as it is.
    """
    found, names = above, path.relative_to(above).parts
    for depth, name in enumerate(names):
        here = found / name
        if not os.path.lexists(here):
            try:
                listed = [each.name for each in found.iterdir()]
                same = [each for each in listed if composed(each) == composed(name)]
            except OSError:
                same = []
            if not same:
                return found.joinpath(*names[depth:])
            here = found / min(same)
        found = here
    return found


def check_writable(folder: Path, option: str = "--work-dir") -> None:
    """Check that files can be made in the folder, which is made if it is missing.

    Raises:
        NotWritable, DiskFull, WorkspaceError: if they cannot.
    """
    try:
        with named_disk_errors(folder, option):
            folder.mkdir(parents=True, exist_ok=True)
            with tempfile.NamedTemporaryFile(dir=folder, prefix=".writable."):
                pass
    except (FileExistsError, NotADirectoryError):
        raise WorkspaceError(f"{folder} is not a folder: choose another with {option}") from None
    except OSError as error:
        raise NotWritable(
            f"cannot make {folder}: {error.strerror}; choose another folder with {option}"
        ) from error


class ResumeCache:
    """Finished results on disk, so that a killed run repeats none of them.

    A file holds a digest and the result; a damaged one counts as missing. No folder keeps nothing.
    """

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder

    def find(self, key: str) -> bytes | None:
        """Return the result under a key, if it is there and whole."""
        if self.folder is None:
            return None
        try:
            content = (self.folder / key).read_bytes()
        except FileNotFoundError:
            return None
        digest, result = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        return result if digest == _digest(result) else None

    def put(self, key: str, result: bytes) -> None:
        """Keep a result. Raises `DiskFull` or `NotWritable` if the disk refuses."""
        if self.folder is None:
            return
        temporary = self.folder / f".{key}"
        with named_disk_errors(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            # Not flushed to disk: after a power cut the digest shows what was lost.
            temporary.write_bytes(_digest(result) + result)
            put_in_place(temporary, self.folder / key)


def resume_key(*facts: str | memoryview) -> str:
    """Return the key of a result: 24 hex digits over all facts that it depends on."""
    digest = hashlib.blake2b(digest_size=12)
    for number, fact in enumerate(facts):
        digest.update(b"\0" if number else b"")
        digest.update(fact.encode() if isinstance(fact, str) else fact)
    return digest.hexdigest()


def _digest(result: bytes) -> bytes:
    return hashlib.blake2b(result, digest_size=_DIGEST_BYTES).digest()
