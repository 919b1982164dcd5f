"""Files of edits on the disk: one writer at a time, whole or not at all."""

import contextlib
import fcntl
import json
import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, TextIO, TypeVar

from pydantic import ValidationError

from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.files import flush_to_disk, named_disk_errors
from dubarr_pipeline.workdir.corrections import MOST_BYTES
from dubarr_pipeline.workdir.layout import WorkDir

_Value = TypeVar("_Value")


@contextlib.contextmanager
def edits_lock(work: WorkDir) -> Iterator[None]:
    """Hold the lock on a film's edits; it ends with the process, however that ends.

    It is none of the film itself: people edit while a run works.
    """
    path = work.edits / ".lock"
    with _locked(path):
        try:
            yield
        finally:
            # Facts that were refused leave nothing; whoever waits for this file takes a new one.
            if [each.name for each in work.edits.iterdir()] == [path.name]:
                path.unlink()
                with contextlib.suppress(OSError):
                    work.edits.rmdir()


def _locked(path: Path) -> TextIO:
    """Return a file that is locked, and still lies where it was opened."""
    while True:
        with named_disk_errors(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
            try:
                handle = path.open("w")
            except FileNotFoundError:
                continue
        fcntl.flock(handle, fcntl.LOCK_EX)
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_ino == os.fstat(handle.fileno()).st_ino:
                return handle
        handle.close()


def replace_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON object in the place of another: a kill leaves the one or the other, whole.

    The caller holds the lock. `files.whole_file` would not do: a run that starts removes what that
    leaves unfinished, also while people edit.

    Raises:
        ArtifactError: if it is larger than could be read again.
        DiskFull, NotWritable: if the disk refuses.
    """
    temporary = path.with_name(f".{path.name}.new")
    data = (json.dumps(document, ensure_ascii=False, indent=1) + "\n").encode("utf-8")
    if len(data) > MOST_BYTES:
        raise too_large(path)
    with named_disk_errors(path):
        temporary.write_bytes(data)
        flush_to_disk(temporary)
        temporary.replace(path)
        flush_to_disk(path.parent)


def read_checked(path: Path, read: Callable[[Any], _Value]) -> _Value | None:
    """Return what `read` makes of a JSON file; None if there is no file.

    Raises:
        ArtifactError: if it is too large, or not readable.
    """
    try:
        if path.stat().st_size > MOST_BYTES:
            raise too_large(path)
        return read(json.loads(path.read_bytes()))
    except FileNotFoundError:
        return None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        words = f"{where}: {first['msg']}"
    except (OSError, RecursionError, TypeError, KeyError, ValueError) as error:
        words = f"{type(error).__name__}: {error}"
    raise ArtifactError(f"{path} is not readable ({words}): see docs/edits.md, or remove it")


def too_large(path: Path) -> ArtifactError:
    """Return the error that a file of edits is larger than any film needs."""
    return ArtifactError(
        f"{path} has more than {MOST_BYTES // 1_000_000} MB: keep corrections alone in it"
    )
