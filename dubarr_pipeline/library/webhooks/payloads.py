"""Webhooks of other programs, as events of files and titles.

The shapes are those that the programs' own sources build: Radarr and Sonarr since their third
versions (whose `path` may be the download's, or missing), Bazarr's notifications and its command
after a download, Jellyfin's webhook plugin, Overseerr and its descendants, Plex.
"""

import html
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from email import message_from_bytes
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any, Literal

from dubarr_pipeline.library.walk import VIDEO_SUFFIXES
from dubarr_pipeline.library.webhooks.titles import TitleEvent

Kind = Literal["arrived", "renamed", "deleted"]
_Document = Mapping[str, Any]
_ARRIVALS = frozenset(("Download", "ImportComplete", "ManualImport"))
_DELETIONS = frozenset(("MovieFileDelete", "EpisodeFileDelete"))
_BAZARR = re.compile(
    r"(?P<title>.+?)(?: \((?P<year>\d{4})\))?(?: - S(?P<season>\d+)E(?P<episode>\d+) - .*)? : "
)
_SUBJECT = re.compile(r"(?P<title>.+?)(?: \((?P<year>\d{4})\))?")


@dataclass(frozen=True, slots=True)
class FileEvent:
    """Arrival, new name or deletion of one file, with the sender's paths.

    Attributes:
        replaces: files of earlier releases that were deleted for it.
        tags: labels of the film or series; None where the sender tells none.
        series: number of the series, ``tvdb-81189``; empty where the sender tells none.
    """

    kind: Kind
    path: str
    previous: str | None = None
    replaces: tuple[str, ...] = ()
    tags: tuple[str, ...] | None = None
    series: str = ""


def read_body(sender: str, body: bytes, content_type: str = "") -> bytes:
    """Return the JSON of a request's body: Plex sends it as a field of a form.

    Raises:
        ValueError: if a form holds no field ``payload``.
    """
    if not content_type.lower().startswith("multipart/"):
        return body
    head = f"Content-Type: {content_type}\r\n\r\n".encode("utf-8", "replace")
    for part in message_from_bytes(head + body).walk():
        if part.get_param("name", header="content-disposition") == "payload":
            return bytes(part.get_payload(decode=True))  # pyright: ignore[reportArgumentType]
    raise ValueError(f"the form of {sender} has no field named payload")


def file_events(sender: str, document: Any) -> list[FileEvent | TitleEvent]:
    """Return the events of a webhook's JSON document.

    Raises:
        ValueError: if the sender does not write such documents; the message names the fault.
    """
    if not isinstance(document, Mapping):
        raise ValueError("the body must be a JSON object")
    return list(_READERS[sender](document))


def _movies(document: _Document) -> Iterable[FileEvent]:
    return _managed(document, "movie", "movieFile", "radarr")


def _series(document: _Document) -> Iterable[FileEvent]:
    return _managed(document, "series", "episodeFile", "sonarr")


def _managed(document: _Document, item: str, one: str, sender: str) -> Iterable[FileEvent]:
    kind = document.get("eventType")
    if not isinstance(kind, str):
        raise ValueError(f"eventType is missing: this is not a webhook of {sender}")
    about = document.get(item) or {}
    about = about if isinstance(about, Mapping) else {}
    folder = about.get("folderPath") or about.get("path")
    tags = about.get("tags")
    labels = tuple(str(tag) for tag in tags) if isinstance(tags, list) else None
    number = _number(about.get("tvdbId")) if item == "series" else None
    series = f"tvdb-{number}" if number else ""
    if kind in _ARRIVALS:
        deleted = document.get("deletedFiles")
        gone = _objects(document, "deletedFiles") if isinstance(deleted, list) else ()
        replaced = tuple(_place(file, folder, "deletedFiles") for file in gone)
        for path in _files(document, one, folder):
            yield FileEvent("arrived", path, None, replaced, labels, series)
    elif kind in _DELETIONS:
        yield from (FileEvent("deleted", path) for path in _files(document, one, folder))
    elif kind == "Rename":
        names = ("renamedMovieFiles", "renamedEpisodeFiles")
        for file in (file for name in names for file in _objects(document, name)):
            before = {"path": file.get("previousPath"), "relativePath": None}
            if not before["path"]:
                before["relativePath"] = file.get("previousRelativePath")
            previous = _place(before, folder, "renamed") if any(before.values()) else None
            now = _place(file, folder, "renamed")
            yield FileEvent("renamed", now, previous, (), labels, series)


def _files(document: _Document, one: str, folder: Any) -> list[str]:
    single = {} if document.get(one) is None else {one: [document[one]]}
    files = [*_objects(document, f"{one}s"), *_objects(single, one)]
    paths = [_place(file, folder, one) for file in files]
    if not paths:
        raise ValueError(f"{one}.path is missing")
    return list(dict.fromkeys(paths))


def _place(file: _Document, folder: Any, where: str) -> str:
    """Return a file's path in its library: older versions name the download's, or none."""
    below = file.get("relativePath")
    if not (
        isinstance(folder, str) and folder.strip() and isinstance(below, str) and below.strip()
    ):
        return _path(file, "path", where)
    is_windows = bool(PureWindowsPath(folder).drive)
    joined = (PureWindowsPath if is_windows else PurePosixPath)(folder) / below
    return _path({"path": str(joined)}, "path", where)


def _generic(document: _Document) -> Iterable[FileEvent]:
    kind = document.get("event", "arrived")
    if kind not in ("arrived", "renamed", "deleted"):
        raise ValueError(f"unknown event {kind!r}: choose arrived, renamed or deleted")
    previous = _path(document, "previous", "the body") if kind == "renamed" else None
    listed = document.get("paths")
    if listed is None:
        return [FileEvent(kind, _path(document, "path", "the body"), previous)]
    if not isinstance(listed, list) or kind == "renamed":
        raise ValueError("paths must be a list, and is not allowed with event = renamed")
    return [FileEvent(kind, _path({"path": each}, "path", "paths")) for each in listed]


def _bazarr(document: _Document) -> Iterable[FileEvent | TitleEvent]:
    for name in ("path", "episode"):
        if document.get(name) is not None:
            return [FileEvent("arrived", _path(document, name, "the body"))]
    said = document.get("message")
    if not isinstance(said, str):
        raise ValueError("path (of the video) and message are both missing")
    told = _BAZARR.match(said)
    return [_title(told["title"], told["year"], told["season"], told["episode"])] if told else []


def _jellyfin(document: _Document) -> Iterable[FileEvent | TitleEvent]:
    told = {str(name).casefold(): value for name, value in document.items()}
    kind = told.get("notificationtype")
    if not isinstance(kind, str):
        raise ValueError("NotificationType is missing: have the plugin send all properties")
    if kind not in ("ItemAdded", "ItemDeleted"):
        return []
    path = told.get("path")
    if isinstance(path, str) and path.lower().endswith(tuple(VIDEO_SUFFIXES)):
        event: Kind = "arrived" if kind == "ItemAdded" else "deleted"
        return [FileEvent(event, _path({"path": html.unescape(path)}, "path", "the body"))]
    if kind == "ItemDeleted" or told.get("itemtype") not in _JELLYFIN_ITEMS:
        return []
    is_part = told["itemtype"] in ("Season", "Episode")
    ids = {name: told.get(f"provider_{name}") for name in ("tmdb", "tvdb", "imdb")}
    return [
        _title(
            told.get("seriesname") if is_part else told.get("name"),
            told.get("year"),
            told.get("seasonnumber"),
            told.get("episodenumber"),
            # Those of an episode are its own, and stand in no folder's name.
            {} if is_part else ids,
        )
    ]


_JELLYFIN_ITEMS = ("Movie", "Episode", "Season", "Series", "Video")


def _requests(document: _Document) -> Iterable[TitleEvent]:
    kind = document.get("notification_type")
    if not isinstance(kind, str):
        raise ValueError("notification_type is missing: send Overseerr's default payload")
    if kind != "MEDIA_AVAILABLE":
        return
    told = _SUBJECT.fullmatch(str(document.get("subject") or "").strip())
    if not told:
        raise ValueError("subject is missing: send Overseerr's default payload")
    media = document.get("media") or {}
    media = media if isinstance(media, Mapping) else {}
    ids = {"tmdb": media.get("tmdbId"), "tvdb": media.get("tvdbId"), "imdb": media.get("imdbId")}
    extra = document.get("extra") or []
    asked = [e.get("value") for e in extra if isinstance(e, Mapping) and "Season" in str(e)]
    seasons = [season for value in asked for season in re.findall(r"\d+", str(value))]
    for season in seasons or [None]:
        yield _title(told["title"], told["year"], season, ids=ids)


def _plex(document: _Document) -> Iterable[TitleEvent]:
    kind, item = document.get("event"), document.get("Metadata")
    if not isinstance(kind, str):
        raise ValueError("event is missing: this is not a webhook of Plex")
    if kind != "library.new" or not isinstance(item, Mapping):
        return []
    match item.get("type"):
        case "movie":
            return [_title(item.get("title"), item.get("year"))]
        case "show":
            return [_title(item.get("title"))]
        case "season":
            return [_title(item.get("parentTitle"), None, item.get("index"))]
        case "episode":
            title, season = item.get("grandparentTitle"), item.get("parentIndex")
            return [_title(title, None, season, item.get("index"))]
        case _:
            return []


def _title(
    title: Any,
    year: Any = None,
    season: Any = None,
    episode: Any = None,
    ids: Mapping[str, Any] | None = None,
) -> TitleEvent:
    if not isinstance(title, str) or not title.strip():
        raise ValueError("the title is missing")
    named = tuple(f"{name}-{value}" for name, value in (ids or {}).items() if value)
    words = html.unescape(title).strip()
    return TitleEvent(words, _number(year), _number(season), _number(episode), named)


def _number(value: Any) -> int | None:
    return int(value) if re.fullmatch(r"[0-9]{1,6}", str(value)) else None


def _objects(document: _Document, name: str) -> Iterable[_Document]:
    listed = document.get(name)
    if listed is None:
        return []
    if not isinstance(listed, list) or not all(isinstance(each, Mapping) for each in listed):
        raise ValueError(f"{name} must be a list of objects")
    return listed


def _path(document: _Document, name: str, where: str) -> str:
    path = document.get(name)
    if not isinstance(path, str) or not path.strip() or "\0" in path:
        raise ValueError(f"{name} of {where} must be a path")
    return path


_READERS: Mapping[str, Callable[[_Document], Iterable[FileEvent | TitleEvent]]] = {
    "radarr": _movies,
    "sonarr": _series,
    "generic": _generic,
    "bazarr": _bazarr,
    "jellyfin": _jellyfin,
    "overseerr": _requests,
    "jellyseerr": _requests,
    "seerr": _requests,
    "plex": _plex,
}
SENDERS = tuple(_READERS)
