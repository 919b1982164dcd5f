"""Films that arrive: each is looked into on its own, and none holds up the others.

A film is admitted in the background, one at a time, so that a tick ends in time whatever a file or
its disk does; what was not finished is asked for again by the next tick.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from dubarr_pipeline.config import profile_engines
from dubarr_pipeline.config.libraries import Library
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.errors import (
    DiskFull,
    DubbingError,
    MissingRequirement,
    SettingsError,
    SourceMissing,
    WorkspaceError,
)
from dubarr_pipeline.files import check_writable
from dubarr_pipeline.library.admission import FilmNews, Refusal, admit, refusal_of
from dubarr_pipeline.library.background import BackgroundWork
from dubarr_pipeline.library.disk_space import check_video
from dubarr_pipeline.library.dub_requests import SPOKEN, DubRequest, accept_request
from dubarr_pipeline.library.videos import Video, last_at

_log = logging.getLogger(__name__)
_background = BackgroundWork[tuple[int, Video | Refusal]]()
_tried_s: dict[str, float] = {}
"""Occasions that had no outcome yet, and when they were tried last: the next one goes first."""
_NAMED = 5
_REMEMBERED = 100_000


@dataclass(slots=True)
class Arrivals:
    """Films that one tick takes in.

    Attributes:
        end_s: time of the monotonic clock after which no film is begun.
        left: films that are left for the next tick, and the reasons.
        faults: faults of the installation, by library; its films wait.
    """

    settings: Settings
    end_s: float
    left: dict[Path, str] = field(default_factory=dict[Path, str])
    faults: dict[str, DubbingError] = field(default_factory=dict[str, DubbingError])
    _full: str = ""
    _promised: int = 0
    _ready: set[str] = field(default_factory=set[str])

    @property
    def is_over(self) -> bool:
        """True if the time of the tick is over."""
        return time.monotonic() >= self.end_s

    def take(
        self, path: Path, name: str, occasion: str, news: FilmNews | None = None
    ) -> Video | Refusal | None:
        """Register a film of a library; return it, why it is not dubbed, or None if it is left.

        `occasion` is one piece of news: a file's signature, or the name of a message.

        Raises:
            NotWritable, WorkspaceError: if nothing can be registered at all.
        """
        if not (self._ready or self.faults):
            check_writable(self.settings.work_dir)
        if not self._is_ready(name):
            return self._leave(path, occasion, str(self.faults[name]))
        work = partial(_admit, path, name, self.settings, news, self._promised)
        return self._outcome(name, path, occasion, work)

    def accept(self, request: DubRequest, occasion: str) -> Video | Refusal | None:
        """Register the film of a person's request, as `take` does."""
        work = partial(_accept, request, self.settings)
        return self._outcome(request.library, Path(request.path), occasion, work)

    def _outcome(
        self, name: str, path: Path, occasion: str, work: Callable[[], tuple[int, Video | Refusal]]
    ) -> Video | Refusal | None:
        if self._full:
            return self._leave(path, occasion, self._full)
        found = self._result((name, path, occasion), work)
        if isinstance(found, str):
            return self._leave(path, occasion, found)
        need, outcome = found
        if isinstance(outcome, Refusal) and outcome.lasts == "a while":
            return self._leave(path, occasion, outcome.reason)
        self._promised += need if isinstance(outcome, Video) else 0
        _tried_s.pop(occasion, None)
        return outcome

    def _result(
        self, key: tuple[str, Path, str], work: Callable[[], tuple[int, Video | Refusal]]
    ) -> tuple[int, Video | Refusal] | str:
        """Return what the look into a film came to, or why it has no outcome yet."""
        try:
            found = _background.result(key, work, self.end_s - time.monotonic())
            return "it is being read" if found is None else found
        except DiskFull as error:
            self._full = str(error)
            return self._full
        except MissingRequirement as error:
            self.faults[key[0]] = error
            return str(error)
        except (DubbingError, OSError) as error:
            return str(error)
        # A fault of ours at one film must not keep the others waiting.
        except Exception as error:
            _log.exception("library %s: %s", key[0], key[1])
            return f"{type(error).__name__}: {error}"

    def summary(self) -> str:
        """Return what is left, for people; empty if nothing is."""
        lines = [f"{str(path)!r}: {reason}" for path, reason in self.left.items()]
        more = len(lines) - _NAMED
        also = f"; and {more} more" if more > 0 else ""
        listed = "; ".join(lines[:_NAMED]) + also
        return f"{len(lines)} left for the next tick: {listed}" if lines else ""

    def _is_ready(self, name: str) -> bool:
        """Return whether what a library's engines need is there; looked at once."""
        if name not in self._ready and name not in self.faults:
            try:
                library = self.settings.library(name)
                profile_engines.check_needs(self.settings.for_library(library))
                self._ready.add(name)
            except (MissingRequirement, SettingsError) as error:
                self.faults[name] = error
        return name in self._ready

    def _leave(self, path: Path, occasion: str, reason: str) -> None:
        self.left[path] = reason
        if len(_tried_s) > _REMEMBERED:
            _tried_s.clear()
        _tried_s[occasion] = time.monotonic()


def last_tried_s(occasion: str) -> float:
    """Return when a piece of news was tried last without an outcome; 0 if it never was."""
    return _tried_s.get(occasion, 0.0)


def _admit(
    path: Path, name: str, settings: Settings, news: FilmNews | None, promised: int
) -> tuple[int, Video | Refusal]:
    """Admit a film; return the bytes that it will need, too."""
    library = library_of(path, settings.library(name), settings, news)
    need = check_video(path, len(library.target_langs), settings, None, promised)
    return need, admit(path, name, library, settings, news)


def _accept(request: DubRequest, settings: Settings) -> tuple[int, Video | Refusal]:
    """Accept a request; where something is missing that may come, it may wait for it."""
    try:
        return 0, accept_request(request, settings)
    except (MissingRequirement, SourceMissing) as error:
        return 0, Refusal(str(error), "until it changes")
    except WorkspaceError:
        raise
    except DubbingError as error:
        return 0, refusal_of(error, Path(request.path))


def library_of(
    path: Path, library: Library, settings: Settings, news: FilmNews | None = None
) -> Library:
    """Return a film's library, with the languages that its tags choose, or a person chose."""
    news = news or FilmNews()
    releases = (last_at(each, settings.work_dir) for each in (path, *news.replaces))
    video = next(filter(None, releases), None)
    if video and video.by_person:
        spoken = {name: v for name, v in video.overrides.items() if name == SPOKEN}
        asked = {"target_langs": video.target_langs, "profile": video.profile}
        return replace(library, **asked, overrides={**library.overrides, **spoken})
    tags = video.tags if video and news.tags is None else news.tags
    return settings.for_tags(library, tags or ())
