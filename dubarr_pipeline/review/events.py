"""Server-sent events of a film while its page is open."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.responses import Response, StreamingResponse

from dubarr_pipeline.errors import DubbingError, RequestRefused
from dubarr_pipeline.review.calls import FILM, Asked, RestCall
from dubarr_pipeline.review.films import file_state
from dubarr_pipeline.review.room import ReviewRoom
from dubarr_pipeline.workdir.run_progress import RunProgress, read_progress

_EVERY_S = 1.0
_SIGN_OF_LIFE_S = 15.0


@dataclass(slots=True)
class FilmWatch:
    """A look at a film every second, and what has changed since the last one.

    The store is asked only while there is a sign of a run: it costs 20 ms.
    """

    room: ReviewRoom
    key: str
    _started: int = field(init=False)
    _running: bool = field(init=False)
    _note: RunProgress | None = None
    _edits: object = None
    _revisions: dict[str, int] = field(default_factory=dict[str, int])

    def __post_init__(self) -> None:
        self._started = self.room.runs_started(self.key)
        self._running = self.room.is_running(self.key)
        self._revisions = self._now()

    def look(self) -> Iterator[dict[str, Any]]:
        """Yield the events since the last look.

        Raises:
            RequestRefused: if the film is gone.
        """
        yield from self._of_run()
        before, self._revisions = self._revisions, self._now()
        for language, revision in self._revisions.items():
            if revision != before.get(language, 0):
                yield {"type": "edits", "lang": language, "revision": revision}

    def _of_run(self) -> Iterator[dict[str, Any]]:
        work = self.room.video(self.key).work(self.room.settings.work_dir)
        note, started = read_progress(work), self.room.runs_started(self.key)
        # The note of a process that was killed stays, and does not change.
        sign = self._running or started != self._started or (note and note != self._note)
        if not sign:
            return
        was, self._running = self._running, self.room.is_running(self.key)
        if self._running and note and note != self._note:
            yield {"type": "run", "stage": note.stage, "done": note.done, "total": note.total}
        elif self._running and not was:
            yield {"type": "run", "stage": "", "done": 0, "total": 0}
        elif not self._running and (was or started != self._started):
            yield {"type": "finished", "fault": self.room.backstage.fault(self.key)}
        self._note, self._started = note, started

    def _now(self) -> dict[str, int]:
        """Return the revision of each language; its files are read only if one has changed."""
        video = self.room.video(self.key)
        folder = video.work(self.room.settings.work_dir).edits
        state = [file_state(path) for path in sorted(folder.glob("*.json"))]
        if state == self._edits:
            return self._revisions
        try:
            view = self.room.view(self.key)
        except RequestRefused:
            raise
        except DubbingError:
            # Somebody is writing a file by hand.
            return self._revisions
        self._edits = state
        return {language: each.revision for language, each in view.documents.items()}


def events(room: ReviewRoom, asked: Asked) -> Response:
    """Tell of runs (`run`, `finished`) and of edits by others, as server-sent events."""
    return StreamingResponse(
        _told(FilmWatch(room, asked.key)), 200, {"X-Accel-Buffering": "no"}, "text/event-stream"
    )


async def _told(watch: FilmWatch) -> AsyncIterator[str]:
    quiet_s = 0.0
    yield "retry: 3000\n\n"
    while True:
        try:
            found = await run_in_threadpool(lambda: list(watch.look()))
        except RequestRefused:
            return
        for each in found:
            yield f"data: {json.dumps(each)}\n\n"
        quiet_s = 0.0 if found else quiet_s + _EVERY_S
        if quiet_s >= _SIGN_OF_LIFE_S:
            quiet_s = 0.0
            yield ":\n\n"
        await asyncio.sleep(_EVERY_S)


CALLS = (RestCall("GET", f"{FILM}/events", events, "text/event-stream"),)
