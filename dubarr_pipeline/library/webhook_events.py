"""What Radarr, Sonarr and others tell of a file, in one form.

Radarr names a film's file in ``movieFile.path``, Sonarr an episode's in ``episodeFile.path`` (or
several in ``episodeFiles``); there is no path at the top. Events that are of no use to us (a grab,
a health notice, a test) are read without complaint and tell of nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

Kind = Literal["arrived", "renamed", "deleted"]
SENDERS = ("radarr", "sonarr", "generic")
_ARRIVALS = frozenset(("Download", "ImportComplete", "ManualImport"))
_DELETIONS = frozenset(("MovieFileDelete", "EpisodeFileDelete"))


@dataclass(frozen=True, slots=True)
class FileEvent:
    """One file, as the sender names it: it is there, has another name, or is gone."""

    kind: Kind
    path: str
    previous: str | None = None


def file_events(sender: str, document: Any) -> list[FileEvent]:
    """Return what a webhook's JSON document tells.

    Args:
        sender: one of `SENDERS`.
        document: as parsed from JSON; anything at all.

    Raises:
        ValueError: if the document is not what that sender writes; the message names the fault.
    """
    if not isinstance(document, Mapping):
        raise ValueError("the body must be a JSON object")
    if sender == "generic":
        return _generic(document)
    kind = document.get("eventType")
    if not isinstance(kind, str):
        raise ValueError(f"eventType is missing: this is no webhook of {sender}")
    if kind in _ARRIVALS:
        return [FileEvent("arrived", path) for path in _files(document, sender)]
    if kind in _DELETIONS:
        return [FileEvent("deleted", path) for path in _files(document, sender)]
    return _renamed(document) if kind == "Rename" else []


def _files(document: Mapping[str, Any], sender: str) -> list[str]:
    one, many = (
        ("movieFile", "movieFiles") if sender == "radarr" else ("episodeFile", "episodeFiles")
    )
    found = [
        *_objects(document, many),
        *_objects({one: [document[one]]} if one in document else {}, one),
    ]
    paths = [_path(each, "path", one) for each in found]
    if not paths:
        raise ValueError(f"{one}.path is missing")
    return list(dict.fromkeys(paths))


def _renamed(document: Mapping[str, Any]) -> list[FileEvent]:
    names = ("renamedMovieFiles", "renamedEpisodeFiles")
    found = [each for name in names for each in _objects(document, name)]
    return [
        FileEvent("renamed", _path(each, "path", "renamed"), _path(each, "previousPath", "renamed"))
        for each in found
    ]


def _generic(document: Mapping[str, Any]) -> list[FileEvent]:
    kind = document.get("event", "arrived")
    if kind not in ("arrived", "renamed", "deleted"):
        raise ValueError(f"unknown event {kind!r}: choose arrived, renamed or deleted")
    previous = _path(document, "previous", "the body") if kind == "renamed" else None
    listed = document.get("paths")
    if listed is None:
        return [FileEvent(kind, _path(document, "path", "the body"), previous)]
    if not isinstance(listed, list) or kind == "renamed":
        raise ValueError("paths must be a list, and cannot tell of new names")
    return [FileEvent(kind, _path({"path": each}, "path", "paths")) for each in listed]


def _objects(document: Mapping[str, Any], name: str) -> Iterable[Mapping[str, Any]]:
    listed = document.get(name, [])
    if not isinstance(listed, list) or not all(isinstance(each, Mapping) for each in listed):
        raise ValueError(f"{name} must be a list of objects")
    return listed


def _path(document: Mapping[str, Any], name: str, where: str) -> str:
    path = document.get(name)
    if not isinstance(path, str) or not path.strip() or "\0" in path:
        raise ValueError(f"{name} of {where} must be a path")
    return path
