"""Requests of people: this file, into these languages; the same by every road.

The command line, Python, a job of the UI and REST ask in these words, and one function takes them.
"""

import os
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import ConfigDict, Field, TypeAdapter, ValidationError

from dubarr_pipeline.config import profile_engines
from dubarr_pipeline.config.libraries import Library
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.engines.registry import PROFILES
from dubarr_pipeline.errors import SettingsError
from dubarr_pipeline.library.admission import FilmNews, original_of, register
from dubarr_pipeline.library.identities import identify_once
from dubarr_pipeline.library.source import inspect_source
from dubarr_pipeline.library.videos import Video, find_source, last_at
from dubarr_pipeline.text.languages import parse_languages, standard_tag
from dubarr_pipeline.workdir.identity import stat_matches

SPOKEN = "audio.language"
"""The setting of a film whose spoken language a person names."""
_MAX_NAME, _MAX_PATH = 255, 4096
"""In bytes: Linux has no longer names, and asking for one is an error."""


@dataclass(frozen=True, slots=True)
class DubRequest:
    """A person's request: this file, into these languages.

    Attributes:
        path: absolute path of the video, ours or as a library's path_mappings know it.
        target_langs: target languages, BCP-47; they take the place of those it had.
        spoken_language: BCP-47 of what is spoken; empty: what the file names.
        library: name of the library that it belongs to; empty: the deepest that holds it, if any.
        profile: engine profile; empty: the library's, else that of the settings.
        priority: -100 to 100; runs of a higher one start first, those that a person launches in
            the UI have 0.
        force: rerun every stage.
    """

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(extra="forbid")

    path: Annotated[str, Field(min_length=1, max_length=_MAX_PATH)]
    target_langs: Annotated[tuple[str, ...], Field(min_length=1, max_length=64)]
    spoken_language: str = ""
    library: str = ""
    profile: str = ""
    priority: Annotated[int, Field(ge=-100, le=100)] = 0
    force: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "target_langs", parse_languages(",".join(self.target_langs)))
        if self.spoken_language:
            object.__setattr__(self, "spoken_language", standard_tag(self.spoken_language))
        if self.profile and self.profile not in PROFILES:
            choices = ", ".join(PROFILES)
            raise SettingsError(f"unknown profile {self.profile!r} (choices: {choices})")


DUB_REQUEST = TypeAdapter(DubRequest)


def read_request(document: Mapping[str, Any] | bytes) -> DubRequest:
    """Read a request from a mapping, or strictly from JSON.

    Raises:
        LanguageError: if a language is unknown.
        SettingsError: if anything else is wrong; the message names the field.
    """
    try:
        if isinstance(document, bytes):
            return DUB_REQUEST.validate_json(document, strict=True)
        return DUB_REQUEST.validate_python(document)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the request"
        raise SettingsError(f"{place}: {first['msg']}") from None


@dataclass(frozen=True, slots=True)
class RequestedFilm:
    """The film of a request.

    Attributes:
        library: name of the one it belongs to, or None.
        settings: with the film's profile and overrides.
        by_person: True if its library wishes something else, or it has none.
    """

    path: Path
    library: str | None
    settings: Settings
    overrides: Mapping[str, Any]
    by_person: bool


def film_of(request: DubRequest, settings: Settings) -> RequestedFilm:
    """Return the film of a request; of the file only its existence is checked.

    Where its dub took its place, it is the original that was kept.

    Raises:
        SettingsError: if the path is not absolute, or the library is unknown or does not hold it.
        SourceMissing, NotAVideo: if there is no such file, or nothing in it.
    """
    path = Path(request.path)
    if not os.path.exists(path):  # noqa: PTH110 - False for names that no file can have
        path = path_in_library(request.path, settings.libraries.values()) or path
    if not path.is_absolute() or "\0" in request.path:
        raise SettingsError(f"path {request.path!r} must be absolute")
    # What stands before a ``..`` says nothing of where the file lies, and ``//`` is another root.
    plain = ".." not in path.parts and path.root == "/"
    path, _ = original_of(find_source(path if plain else path.resolve()), settings)
    owner = request.library or settings.owner_of(path)
    library = settings.library(owner) if owner else None
    if library and not (path.is_relative_to(library.path) or library.holds(path)):
        raise SettingsError(f"{str(path)!r} is not inside library {owner!r} ({library.path})")
    spoken = {SPOKEN: request.spoken_language} if request.spoken_language else {}
    overrides = {**(library.overrides if library else {}), **spoken}
    usual = (library.profile if library else "") or settings.profile
    profile = request.profile or usual
    # Who asks for what the library wishes anyway leaves it to the library.
    wished = {*library.target_langs} if library else set[str]()
    differs = {*request.target_langs} != wished or profile != usual or bool(spoken)
    own = settings.for_video(profile, overrides)
    return RequestedFilm(path, owner, own, overrides, by_person=differs)


def accept_request(request: DubRequest, settings: Settings) -> Video:
    """Register the film of a request, unless it is registered for the same; then nothing changes.

    The film is read to its end, once per content.

    Raises:
        SettingsError, LanguageError: if the request is wrong, or no engine serves it.
        SourceError: if the film cannot be dubbed.
        MissingRequirement: if the profile lacks something.
        DubbingError: as `register` else.
    """
    film = film_of(request, settings)
    if known := registered_for(request, film, settings):
        return known
    profile_engines.check_needs(film.settings)
    source = inspect_source(film.path, film.settings, request.target_langs)
    source = replace(source, identity=identify_once(film.path, settings.work_dir))
    asked = film.overrides, film.library, FilmNews(by_person=film.by_person)
    return register(source, request.target_langs, film.settings, *asked)


def registered_for(request: DubRequest, film: RequestedFilm, settings: Settings) -> Video | None:
    """Return the video that is registered for the very request, or None."""
    known = last_at(film.path, settings.work_dir)
    if known is None or not stat_matches(film.path, known.identity):
        return None
    asked: dict[str, Any] = {"target_langs": request.target_langs, "by_person": film.by_person}
    asked |= {"profile": film.settings.profile, "overrides": film.overrides}
    same = replace(known, library=film.library, source=film.path, **asked) == known
    return known if same else None


def path_in_library(theirs: str, libraries: Iterable[Library]) -> Path | None:
    """Return our path of a file that somebody names, if a library may hold it."""
    return next(filter(None, (_path_in(library, theirs) for library in libraries)), None)


def _path_in(library: Library, theirs: str) -> Path | None:
    for form in (theirs, *(unicodedata.normalize(kind, theirs) for kind in ("NFC", "NFD"))):
        path = Path(os.path.normpath(library.mapped(form)))
        inside = path.is_relative_to(library.path) if library.outside_links else library.holds(path)
        if path.is_absolute() and inside:
            longest = max(len(os.fsencode(part)) for part in path.parts)
            short = longest <= _MAX_NAME and len(os.fsencode(path)) < _MAX_PATH
            return path if short else None
    return None
