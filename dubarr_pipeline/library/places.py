"""Writing into a folder that others write into too: nothing of ours goes through a link of theirs.

Whoever may put files into a library, a download for one, may put a symbolic link there, under the
very name that we are about to write, or in place of a folder.
"""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from pathlib import Path

from dubarr_pipeline.errors import SettingsError

_LONGEST_NAME = 255


def check_place(path: Path, home: Path) -> None:
    """See that a file's folder lies in the folder that it belongs to, with all links resolved.

    Raises:
        SettingsError: if it lies elsewhere, or its name is longer than file systems take.
    """
    try:
        inside = path.parent.resolve().is_relative_to(home.resolve())
    except (OSError, RuntimeError, ValueError) as error:
        raise SettingsError(f"{str(path)!r} is no place for a film: {error}") from error
    if not inside:
        raise SettingsError(
            f"{str(path.parent)!r} leads out of {str(home)!r}: a link stands in its way, remove it"
        )
    if len(os.fsencode(path.name)) > _LONGEST_NAME:
        raise SettingsError(
            f"the name {path.name[:60]!r}... is longer than {_LONGEST_NAME} bytes: give the "
            "source, or publish.label, a shorter one"
        )


def copy_anew(source: Path, path: Path) -> None:
    """Copy a file to a path at which nothing stands afterwards but this copy, flushed to disk."""
    _remove(path)
    with source.open("rb") as original, open(path, "wb", opener=_new) as copy:
        shutil.copyfileobj(original, copy, 1 << 20)
        copy.flush()
        os.fsync(copy.fileno())


def write_anew(path: Path, text: str) -> None:
    """Write a small file in the place of whatever stood there; a link is removed, not followed."""
    _remove(path)
    with open(path, "w", encoding="ascii", opener=_new) as file:
        file.write(text)


def _remove(path: Path) -> None:
    with suppress(FileNotFoundError):
        path.unlink()


def _new(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_EXCL | os.O_NOFOLLOW, 0o644)
