"""Desk at which the inbox's messages are worked off, each on its own.

A message whose film is not there yet, is half copied or has no subtitles waits, and is looked into
again when something about it has changed; the others go on meanwhile.
"""

import datetime
import time
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from dubarr_pipeline.config.libraries import is_quiet
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.errors import DubbingError
from dubarr_pipeline.files import as_on_disk
from dubarr_pipeline.library.admission import FilmNews, Refusal
from dubarr_pipeline.library.arrivals import Arrivals
from dubarr_pipeline.library.background import BackgroundWork
from dubarr_pipeline.library.dub_requests import DubRequest
from dubarr_pipeline.library.scan import Scan, ScanState, left_out, scan, signature_of
from dubarr_pipeline.library.videos import Video, load_video
from dubarr_pipeline.library.webhooks.inbox import Message
from dubarr_pipeline.library.webhooks.payloads import FileEvent
from dubarr_pipeline.library.webhooks.receipts import Receipt, read_receipt, write_receipt
from dubarr_pipeline.library.webhooks.titles import TitleEvent
from dubarr_pipeline.workdir.identity import stat_matches

_MB = 1_000_000
_LOOK_AGAIN_S = 900.0
"""Pause after which a film is looked into again even if nothing about it seems to have changed."""
_LOOK_FOR_PERSON_S = 60.0
"""The same for a film that a person asked for, wherever it lies."""
_LIST_AGAIN_S = 300.0
_scans = BackgroundWork[Scan]()
_lists: dict[str, tuple[float, Scan]] = {}
"""The last list of each library's films, for titles, and when it was made."""


@dataclass(frozen=True, slots=True)
class _Look:
    """The last look into a message's film: its signature then, and the time."""

    signature: str | None
    refusal: Refusal
    at_s: float


_looks: dict[str, _Look] = {}
_looked_s: dict[str, float] = {}


def last_looked_s(name: str) -> float:
    """Return when a message that waits was looked at last; 0 for a new one."""
    return _looked_s.get(name, 0.0)


def is_settled(key: str, settings: Settings) -> bool:
    """Return whether a video's file still is what was registered: it was whole when it came."""
    try:
        video = load_video(key, settings.work_dir)
        return not video.source.is_file() or stat_matches(video.source, video.identity)
    except (DubbingError, OSError):
        return True


class MessageDesk:
    """Works off messages within one tick.

    Attributes:
        requests: people's requests among them, by the message's name.
    """

    def __init__(self, settings: Settings, arrivals: Arrivals) -> None:
        self._settings, self._arrivals = settings, arrivals
        self.requests: dict[str, DubRequest] = {}

    def work(self, message: Message) -> list[Video] | Refusal | None:
        """Return the videos that a message led to, why there are none, or None while it waits.

        Raises:
            NotWritable, WorkspaceError: if nothing can be registered at all.
        """
        event = message.event
        if isinstance(event, DubRequest):
            found = self._by_request(event, message.name)
        elif isinstance(event, TitleEvent):
            found = self._by_title(message)
        else:
            found = self._by_path(message)
        waited_h = (time.time() - message.received_s) / 3600
        if isinstance(found, Refusal) and found.lasts != "for good":
            hours = float(self._settings.webhooks.wait_hours)
            if waited_h < hours:
                self._arrivals.left[Path(_name_of(message))] = found.reason
                found = None
            else:
                found = Refusal(f"{_name_of(message)!r}: {found.reason}; it waited {hours:g} hours")
        if found is None:
            _looked_s[message.name] = time.monotonic()
        else:
            _looks.pop(message.name, None)
            _looked_s.pop(message.name, None)
        if isinstance(event, DubRequest):
            self._note_receipt(event, found)
        return found

    def _by_request(self, request: DubRequest, name: str) -> list[Video] | Refusal | None:
        self.requests[name] = request
        last, now_s = _looks.get(name), time.monotonic()
        if last and now_s - last.at_s < _LOOK_FOR_PERSON_S:
            return last.refusal
        came = self._arrivals.accept(request, name)
        if isinstance(came, Refusal) and came.lasts != "for good":
            _looks[name] = _Look(None, came, now_s)
        return [came] if isinstance(came, Video) else came

    def _note_receipt(self, request: DubRequest, found: list[Video] | Refusal | None) -> None:
        receipt, work_dir = Receipt(request), self._settings.work_dir
        if read_receipt(receipt.name, work_dir) is None:
            return
        if isinstance(found, Refusal):
            receipt = replace(receipt, state="REFUSED", cause=found.reason)
        elif found:
            receipt = replace(receipt, state="ACCEPTED", video=found[0].key)
        else:
            receipt = replace(receipt, cause=self._arrivals.left.get(Path(request.path), ""))
        write_receipt(receipt, work_dir)

    def _by_path(self, message: Message) -> list[Video] | Refusal | None:
        event = message.event
        assert isinstance(event, FileEvent)
        path = Path(event.path)
        name = self._settings.owner_of(path) or message.library
        if name not in self._settings.libraries:
            return Refusal(f"there is no library {name!r} any more")
        if event.kind == "deleted":
            return Refusal(f"{event.path!r} was deleted; what was made of it is kept")
        library = self._settings.library(name)
        if is_quiet(library.quiet_hours, datetime.datetime.now().time()):
            return None
        try:
            came = self._look(message, event, name)
        except OSError as error:
            return Refusal(f"it cannot be read ({error.strerror})", "a while")
        return [came] if isinstance(came, Video) else came

    def _look(self, message: Message, event: FileEvent, name: str) -> Video | Refusal | None:
        """Look into the film of a message, unless nothing has changed since the last time."""
        library, path = self._settings.library(name), Path(event.path)
        if path.is_relative_to(library.path):
            path = as_on_disk(path, library.path)
        if not path.is_file():
            return Refusal("it did not appear: check the mount", "until it changes")
        if path.stat().st_size < library.rules.min_size_mb * _MB:
            least = f"min_size_mb = {library.rules.min_size_mb}"
            return Refusal(f"it is smaller than {least}", "until it changes")
        if reason := left_out(library, path):
            return Refusal(f"{str(path)!r} is not dubbed: {reason}")
        signature, last = signature_of(library, path), _looks.get(message.name)
        now_s = time.monotonic()
        if last and signature == last.signature and now_s - last.at_s < _LOOK_AGAIN_S:
            return last.refusal
        news = FilmNews(event.tags, tuple(map(Path, event.replaces)), series=event.series)
        came = self._arrivals.take(path, name, message.name, news)
        if isinstance(came, Refusal) and came.lasts != "for good":
            _looks[message.name] = _Look(signature, came, now_s)
        return came

    def _by_title(self, message: Message) -> list[Video] | Refusal | None:
        """Take in every film of the libraries that a title means."""
        event = message.event
        assert isinstance(event, TitleEvent)
        came: list[Video | Refusal] = []
        for name, library in self._settings.libraries.items():
            if is_quiet(library.quiet_hours, datetime.datetime.now().time()):
                return None
            films = self._films(name, message.received_s)
            if films is None:
                return None
            for path in films:
                if event.names(path.relative_to(library.path)):
                    one = self._arrivals.take(path, name, f"{message.name} {path}")
                    if one is None:
                        return None
                    came.append(one)
        videos = [one for one in came if isinstance(one, Video)]
        refused = [one for one in came if isinstance(one, Refusal)]
        waiting = [one for one in refused if one.lasts != "for good"]
        if waiting or not came:
            missing = Refusal("no film of this title is in the libraries", "until it changes")
            return waiting[0] if waiting else missing
        return videos or refused[0]

    def _films(self, name: str, since_s: float) -> list[Path] | None:
        """Return the films of a library as they were after a time, or None if that takes longer."""
        at_s, seen = _lists.get(name, (0.0, None))
        now_s = time.time()
        if seen is None or at_s < since_s or now_s - at_s > _LIST_AGAIN_S:
            library, inner = self._settings.library(name), self._settings.inner_libraries(name)
            work = partial(scan, library, ScanState(), self._settings.work_dir, inner=inner)
            wait_s = self._arrivals.end_s - time.monotonic()
            seen = _scans.result((name, repr(library)), work, wait_s)
            if seen is None:
                return None
            _lists[name] = now_s, seen
        return sorted(seen.videos.values())


def _name_of(message: Message) -> str:
    event = message.event
    return event.title if isinstance(event, TitleEvent) else event.path
