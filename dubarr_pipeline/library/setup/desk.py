"""The desk of the set-up page: questions answered at once, changes made in the background."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from dubarr_pipeline.errors import DubbingError, VideoBusy
from dubarr_pipeline.library.setup.servers import Kind, ServerReport
from dubarr_pipeline.library.setup.wishes import ServerWish, SetupChange, SetupPlan, SetupWish

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class VoiceChoice:
    """A profile of voices: its name, and in words what it is and costs."""

    profile: str
    words: str


@dataclass(frozen=True, slots=True)
class FirstFilm:
    """A film to try: its path and languages, its plan in words, and what it waits for."""

    path: str
    targets: tuple[str, ...]
    words: str
    waits: str = ""


@dataclass(frozen=True, slots=True)
class SetupProgress:
    """Steps that were done, and whether more come."""

    running: bool
    done: tuple[SetupChange, ...]


@dataclass(slots=True)
class SetupDesk:
    """The set-up that the page asks for; `apply` is one at a time.

    Attributes:
        present: returns the wish that changes nothing.
        voices: returns the profiles to choose from.
        find, try_server: look for servers, and test one.
        plan, apply: return what would change, and change it step by step.
        first_film, start: return a film to try, and queue it.
    """

    present: Callable[[], SetupWish]
    voices: Callable[[], Sequence[VoiceChoice]]
    find: Callable[[], Sequence[tuple[Kind, str]]]
    try_server: Callable[[ServerWish], ServerReport]
    plan: Callable[[SetupWish], SetupPlan]
    apply: Callable[[SetupWish, SetupPlan], Iterable[SetupChange]]
    first_film: Callable[[], FirstFilm | None]
    start: Callable[[FirstFilm], str]
    _done: list[SetupChange] = field(default_factory=list[SetupChange])
    _worker: threading.Thread | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def begin(self, wish: SetupWish) -> None:
        """Change what the wish changes, in the background. Raises `VideoBusy` if it is under way.

        Raises:
            DubbingError: if it cannot be planned.
        """
        with self._lock:
            if self._worker and self._worker.is_alive():
                raise VideoBusy("a set-up is under way: wait for its end")
            plan = self.plan(wish)
            self._done.clear()
            self._worker = threading.Thread(target=self._work, args=(wish, plan), daemon=True)
            self._worker.start()

    def progress(self) -> SetupProgress:
        """Return what was done so far."""
        running = self._worker is not None and self._worker.is_alive()
        return SetupProgress(running, tuple(self._done))

    def _work(self, wish: SetupWish, plan: SetupPlan) -> None:
        try:
            for step in self.apply(wish, plan):
                self._done.append(step)
        except DubbingError as error:
            self._done.append(SetupChange("the set-up stopped", str(error)))
        # It is at work behind a page: whoever looks must see that it stopped, by whatever fault.
        except Exception:
            _log.exception("the set-up stopped")
            self._done.append(SetupChange("the set-up stopped", "an error of dubarr: see its log"))
