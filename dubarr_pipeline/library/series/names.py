"""The series of a film: as Sonarr tells, as its path names it, or as its folder is called.

Whatever a series was remembered under first stays its key: ``series.json`` says which other names
mean it, so that a folder that Sonarr numbers later keeps its cast.
"""

from __future__ import annotations

import fcntl
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from dubarr_pipeline.files import composed, named_disk_errors, read_json, write_json
from dubarr_pipeline.library.videos import EPISODE, Video, plain_words

CASTS = ".cast"
"""Folder of the work folder that holds a folder for every series."""
CAST_FILE = "cast.json"
_TVDB = re.compile(r"(?i)[\[{(]tvdb(?:id)?[-=:]([0-9]+)[\]})]")
_SEASON = re.compile(
    r"(?i)(?:season|series|staffel|saison|temporada|stagione|seizoen|sezon|s)[ ._-]*[0-9]{1,4}"
    r"|specials"
)
_DIGITS = 8


@dataclass(frozen=True, slots=True)
class Series:
    """A series.

    Attributes:
        key: ``tvdb-81189``, or words of its title and the digits of a digest; names a folder.
    """

    key: str
    title: str


def series_of(video: Video, work_dir: Path) -> Series | None:
    """Return the series of a film; None if it is no episode of any."""
    named = _by_path(video.source)
    if not (video.series or named):
        return None
    title = named.title if named else video.source.parent.name
    key = video.series or (named.key if named else "")
    return Series(_aliases(work_dir).get(key, key), title)


def note_series(video: Video, work_dir: Path) -> None:
    """Note that the number that Sonarr gave a film's series means that of its folder, too."""
    named = _by_path(video.source)
    if named is None or named.key == video.series:
        return
    with named_disk_errors(work_dir):
        (work_dir / CASTS).mkdir(parents=True, exist_ok=True)
        with (work_dir / CASTS / ".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            known = _aliases(work_dir)
            if named.key in known or video.series in known:
                return
            has_memory = (work_dir / CASTS / named.key / CAST_FILE).is_file()
            pair = (video.series, named.key) if has_memory else (named.key, video.series)
            write_json(aliases_file(work_dir), {"same": {**known, pair[0]: pair[1]}})


def _by_path(source: Path) -> Series | None:
    """Return a film's series by its path, or None if nothing in it says episode."""
    code = EPISODE.search(source.stem)
    in_season = bool(_SEASON.fullmatch(source.parent.name))
    if not code and not in_season:
        return None
    said = plain_words(source.stem[: code.start()]) if code else ""
    folder = (source.parent.parent if in_season else source.parent).name
    is_own = in_season or not said or plain_words(folder).startswith(said)
    title = composed(folder if is_own else source.stem[: code.start() if code else None])
    title = re.sub(r"[ ._-]+$", "", title)
    if numbers := _TVDB.findall(str(source.parent)):
        return Series(f"tvdb-{numbers[-1]}", title)
    digest = hashlib.sha256(title.casefold().encode("utf-8", "surrogateescape")).hexdigest()
    words = plain_words(title).replace(" ", "-")[:40].strip("-") or "series"
    return Series(f"{words}-{digest[:_DIGITS]}", title)


def _aliases(work_dir: Path) -> dict[str, str]:
    path = aliases_file(work_dir)
    return dict(read_json(path)["same"]) if path.is_file() else {}


def aliases_file(work_dir: Path) -> Path:
    """Return the file that says which names mean one series."""
    return work_dir / CASTS / "series.json"
