"""Home of Dagster's store: its folder, ``$DAGSTER_HOME``, and the ``dagster.yaml`` in it.

A store keeps the file of its first day. The file carries the version of our part: values that an
earlier version shipped are replaced; values that differ from all shipped ones are the user's.
"""

import hashlib
import logging
import os
import re
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from dubarr_pipeline.errors import SettingsError
from dubarr_pipeline.files import named_disk_errors, write_text
from dubarr_pipeline.text.tables import read_table

_log = logging.getLogger(__name__)

_HERE = "dubarr_pipeline.defs.runtime"
VERSION = 2
"""The version that ``dagster.yaml`` carries; raise both together, and add what changed below."""
_MARK = re.compile(r"^# Version (\d+) of dubarr's part", re.MULTILINE)

_REPLACED: Mapping[tuple[str, ...], tuple[tuple[int, Any], ...]] = {
    ("run_coordinator",): (
        (1, ("dagster.core.run_coordinator", "QueuedRunCoordinator")),
        (1, ("dubarr_pipeline.queueing", "FairRunCoordinator")),
    ),
    ("run_launcher",): ((1, ("dubarr_pipeline.launcher", "WatchedRunLauncher")),),
    ("run_retries", "max_retries"): ((1, 0),),
    ("concurrency", "runs", "max_concurrent_runs"): ((2, 3),),
}
"""Setting -> the version that replaced a value, and the value: of a class, its module and name."""


def dagster_home(work_dir: Path) -> Path:
    """Return the folder of the store: ``$DAGSTER_HOME`` if it is set, else one in the work folder.

    Our part of the ``dagster.yaml`` in the work folder is brought up to date; one elsewhere is
    never touched.

    Raises:
        SettingsError: if ``$DAGSTER_HOME`` is not a folder, its file is not YAML, or SQLite cannot
            keep a store at its path.
        DiskFull, NotWritable, WorkspaceError: if it cannot be made.
    """
    own = work_dir / ".dagster"
    named = os.environ.get("DAGSTER_HOME")
    _check_address(Path(named) if named else own)
    if not named or (own.is_dir() and Path(named).resolve() == own.resolve()):
        bring_up_to_date(own / "dagster.yaml")
    home = named or str(own)
    if not (Path(home).is_absolute() and Path(home).is_dir()):
        raise SettingsError(f"DAGSTER_HOME={home!r} must be the absolute path of a folder: make it")
    return Path(home)


def serving_folder(home: Path) -> Path:
    """Return the folder of the processes' logs and shared files.

    Not ``logs``: Dagster's webserver sends everything in that folder to Dagster's makers, even
    with its telemetry switched off (1.13.27, `dagster/_core/telemetry_upload.py`).
    """
    return home / "serving"


def _check_address(home: Path) -> None:
    """Check that the store's path survives Dagster's URL of its SQLite files."""
    path, config = str(home), home / "dagster.yaml"
    if unquote(path) == path and "?" not in path:
        return
    if not config.is_file() or "storage:" not in config.read_text("utf-8", errors="replace"):
        raise SettingsError(
            f"{path!r} cannot hold Dagster's SQLite store, because of its ? or %: choose another"
            " work folder (--work-dir, DUBARR_WORK_DIR)"
        )


def bring_up_to_date(path: Path) -> None:
    """Write a store's ``dagster.yaml``, or bring our part of it up to date.

    Where a user changed the file, their values stay and the old file is kept next to it, as
    ``dagster.yaml.bak``, because its comments are lost.

    Raises:
        SettingsError: if the file is not a YAML table.
        DiskFull, NotWritable: if the disk refuses.
    """
    shipped = _shipped()
    if not path.exists():
        write_text(path, shipped)
        return
    try:
        with named_disk_errors(path):
            data = path.read_bytes()
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SettingsError(f"{path} is not UTF-8 ({error}): correct it, or delete it") from error
    if text == shipped:
        return
    # Not at the top: most files are as shipped.
    import yaml

    cure = "correct it, or delete it: then the default is written"
    try:
        theirs = yaml.safe_load(text) or {}
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        words = " ".join(str(error).split())
        raise SettingsError(f"{path} is not YAML ({words}): {cure}") from error
    if not isinstance(theirs, dict):
        raise SettingsError(f"{path} is not a table of settings: {cure}")
    ours = yaml.safe_load(shipped)
    mark = _MARK.search(text)
    version = int(mark.group(1)) if mark else 0
    if version >= VERSION:
        return
    merged = _merged(theirs, ours, (), version)
    # What follows our part, where that is as it was shipped.
    known = ((int(size), digest) for size, digest in read_table(_HERE, "earlier_files").items())
    sizes = [n for n, digest in known if hashlib.sha256(data[:n]).hexdigest()[:32] == digest]
    rest = data[sizes[-1] :].decode() if sizes else None
    if rest is None:
        write_text(path.with_name(f"{path.name}.bak"), text)
        head = f"# Version {VERSION} of dubarr's part, with your own values.\n"
        write_text(path, head + yaml.safe_dump(merged, sort_keys=False, allow_unicode=True))
    else:
        write_text(path, shipped + rest)
    named = ", ".join(_changes(theirs, merged)) or "comments"
    kept = f"; the file as it was: {path.name}.bak" if rest is None else ""
    _log.warning("%s brought up to date: %s%s", path, named, kept)


def is_as_shipped(path: Path) -> bool:
    """Return whether a ``dagster.yaml`` is ours, without a change."""
    try:
        return path.read_bytes() == _shipped().encode()
    except OSError:
        return False


def _shipped() -> str:
    return files(_HERE).joinpath("dagster.yaml").read_text("utf-8")


def _merged(theirs: Any, ours: Any, path: tuple[str, ...], version: int) -> Any:
    """Merge our settings into theirs, which stay unless an earlier version shipped them."""
    earlier = [value for since, value in _REPLACED.get(path, ()) if since > version]
    if isinstance(theirs, dict) and isinstance(ours, dict):
        if "class" in ours and _class_of(theirs) not in (_class_of(ours), *earlier):
            return theirs
        if _class_of(theirs) in earlier:
            theirs = {**theirs, "module": ours["module"], "class": ours["class"]}
        added = {name: value for name, value in ours.items() if name not in theirs}
        kept = {
            name: _merged(value, ours[name], (*path, name), version) if name in ours else value
            for name, value in theirs.items()
        }
        return {**kept, **added}
    if isinstance(theirs, list) and isinstance(ours, list):
        known = [_limit_of(each) for each in theirs]
        return [*theirs, *(each for each in ours if _limit_of(each) not in known)]
    return ours if theirs in earlier else theirs


def _class_of(table: Mapping[str, Any]) -> tuple[Any, Any]:
    return table.get("module"), table.get("class")


def _limit_of(entry: Any) -> Any:
    """Return the tag that a concurrency limit is for; other entries stand for themselves."""
    is_limit = isinstance(entry, dict) and "key" in entry
    return (entry["key"], entry.get("value")) if is_limit else entry


def _changes(before: Any, after: Any, path: str = "") -> list[str]:
    """Name the settings that differ."""
    if isinstance(before, dict) and isinstance(after, dict):
        names = [*after, *(name for name in before if name not in after)]
        return [
            change
            for name in names
            for change in _changes(before.get(name), after.get(name), f"{path}.{name}".lstrip("."))
        ]
    return [] if before == after else [path]
