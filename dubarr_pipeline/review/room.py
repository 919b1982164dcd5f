"""The review server's room: its settings, what it may ask of the rest, and what it keeps open."""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.errors import ArtifactError, RequestRefused
from dubarr_pipeline.library.series.memory import SeriesFolder
from dubarr_pipeline.library.series.names import series_of
from dubarr_pipeline.library.setup.desk import SetupDesk
from dubarr_pipeline.library.videos import Video, load_video
from dubarr_pipeline.review.answers.cast_answers import SeriesAnswer, SeriesWish
from dubarr_pipeline.review.answers.film_answers import GateAnswer, GateWish
from dubarr_pipeline.review.films import FilmView, read_view
from dubarr_pipeline.review.picture import ProxyMaker
from dubarr_pipeline.review.sounds.trials import TrialDesk

_log = logging.getLogger(__name__)
_Value = TypeVar("_Value")
_KEPT_FILMS = 4
"""Films whose documents are kept in memory: a feature film's take about 20 MB."""
_RUNNING_S = 2.0
"""Age up to which it is believed whether a run works at a film; asking the store takes 20 ms."""


@dataclass(frozen=True, slots=True)
class Backstage:
    """Calls into the rest of dubarr, most of them by a film's key.

    Attributes:
        states: returns the status of the named films in the task table.
        is_running: returns whether a run works at a film, or waits to.
        render: starts a run of what is not valid any more; raises `VideoBusy` if one is running.
        fault: returns why a film's last run failed, in words; empty if it did not.
        gate: returns the state of a film's gate.
        decide: takes a person's decision.
        hold: keeps runs on all machines off a film; raises `VideoBusy` if one works at it.
        qc_sheet: returns a page with the flagged lines and their sounds inside.
        setup: desk of the set-up page; None where one film is served.
        series_cast, correct_series: return a series' cast, by its key, as it is and corrected.
    """

    states: Callable[[Sequence[str]], Mapping[str, str]]
    is_running: Callable[[str], bool]
    render: Callable[[str], None]
    fault: Callable[[str], str]
    gate: Callable[[str], GateAnswer]
    decide: Callable[[str, GateWish], None]
    hold: Callable[[str], AbstractContextManager[None]]
    qc_sheet: Callable[[str], str]
    series_cast: Callable[[str], SeriesAnswer]
    correct_series: Callable[[str, SeriesWish], SeriesAnswer]
    setup: SetupDesk | None = None


class Recent(Generic[_Value]):
    """The last few values that were made, by key; each is made once, however many wait for it."""

    def __init__(self, most: int, let_go: Callable[[_Value], object] = lambda _: None) -> None:
        self._most, self._let_go = most, let_go
        self._kept: OrderedDict[str, tuple[object, _Value]] = OrderedDict()
        self._making: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()

    def get(self, key: str, stamp: object, make: Callable[[], _Value]) -> _Value:
        """Return the value of a key, made anew if its stamp has changed."""
        with self._lock:
            making = self._making.setdefault(key, threading.Lock())
        with making:
            with self._lock:
                kept = self._kept.get(key)
                if kept and kept[0] == stamp:
                    self._kept.move_to_end(key)
                    return kept[1]
            value = make()
            with self._lock:
                gone = [self._kept.pop(key)] if key in self._kept else []
                self._kept[key] = stamp, value
                while len(self._kept) > self._most:
                    old, one = self._kept.popitem(last=False)
                    self._making.pop(old, None)
                    gone.append(one)
            for _, each in gone:
                self._let_go(each)
            return value


@dataclass(frozen=True, slots=True)
class ReviewRoom:
    """Everything that the server's calls share; for many threads.

    Attributes:
        only: key of the one film that is served; empty: all of the work folder.
    """

    settings: Settings
    backstage: Backstage
    only: str = ""
    proxies: ProxyMaker = field(default_factory=ProxyMaker)
    trials: TrialDesk = field(default_factory=TrialDesk)
    _started: Counter[str] = field(default_factory=Counter[str])
    _views: Recent[FilmView] = field(default_factory=lambda: Recent[FilmView](_KEPT_FILMS))
    _running: Recent[bool] = field(default_factory=lambda: Recent[bool](64))

    def video(self, key: str) -> Video:
        """Return a film by its key. Raises `RequestRefused` (404) if none is called that."""
        try:
            if not self.only or key == self.only:
                return load_video(key, self.settings.work_dir)
        except ArtifactError as error:
            _log.info("no film for the page: %s", error)
        raise RequestRefused(404, "no_film", f"no film {key[:120]!r} here")

    def view(self, key: str) -> FilmView:
        """Return what is known of a film now; its files are read again only if they changed.

        Raises:
            RequestRefused: if there is no such film (404).
            ArtifactError: if its edits are not readable.
        """
        video = self.video(key)
        work = video.work(self.settings.work_dir)

        def read(stamp: object) -> FilmView:
            make = lambda: read_view(video, self.settings.work_dir)  # noqa: E731
            return self._views.get(key, stamp, make)

        view = read(before := FilmView.stamp(video, work))
        after = FilmView.stamp(video, work)
        # A run may have put new files in the place of those that were being read.
        return view if before == after else read(after)

    def series(self, video: Video) -> str | None:
        """Return the key of the series whose memory has a film's cast; None if none has."""
        found = series_of(video, self.settings.work_dir)
        if found and SeriesFolder.of(found.key, self.settings.work_dir).cast.is_file():
            return found.key
        return None

    def is_running(self, key: str) -> bool:
        """Return whether a run works at a film, or did within the last two seconds."""
        moment = (int(time.monotonic() / _RUNNING_S), self._started[key])
        return self._running.get(key, moment, lambda: self.backstage.is_running(key))

    def runs_started(self, key: str) -> int:
        """Return how often a run of a film was started from here."""
        return self._started[key]

    def render(self, key: str) -> None:
        """Start a run, after the line that is being tried. Raises `VideoBusy` if one is running."""
        self.trials.wait()
        self.backstage.render(key)
        self._started[key] += 1

    def close(self) -> None:
        """Give back what is open."""
        self.trials.close()
