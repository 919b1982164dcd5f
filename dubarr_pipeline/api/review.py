"""The review page: a server for all films, or for one, with runs started from it."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path

from dagster import DagsterInstance

from dubarr_pipeline.api.gate import approve, gate, hold, qc_sheet
from dubarr_pipeline.api.planning import find_key
from dubarr_pipeline.api.series import SeriesCast, correct_cast, series_cast
from dubarr_pipeline.api.setup import setup_desk
from dubarr_pipeline.config.live_settings import LiveSettings
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.distributed.leases import hold_film
from dubarr_pipeline.defs.library_names import names_of
from dubarr_pipeline.defs.operations.monitor import monitor_of
from dubarr_pipeline.defs.runtime.runs import open_instance
from dubarr_pipeline.defs.runtime.status import is_worked_at, task_table
from dubarr_pipeline.defs.tables.rows import Task
from dubarr_pipeline.errors import ArtifactError, VideoBusy
from dubarr_pipeline.files import check_writable
from dubarr_pipeline.library.housekeeping import REVIEWS
from dubarr_pipeline.library.webhooks.inbox import webhook_token
from dubarr_pipeline.review.answers.cast_answers import (
    SeriesAnswer,
    SeriesCharacter,
    SeriesWish,
    UnsureAnswer,
)
from dubarr_pipeline.review.answers.film_answers import GateAnswer, GateWish
from dubarr_pipeline.review.room import Backstage, ReviewRoom
from dubarr_pipeline.review.server import review_server

_GRACE_S = 20.0
_SHOWN = 400
_AUTHOR = "the review page"


def serve_review(
    settings: Settings,
    say: Callable[[str], object],
    film: str = "",
    open_browser: bool = False,
) -> None:
    """Serve the review page until stopped: of one film, by key, a part of it or path, or of all.

    Raises:
        SettingsError: if there is no such film, or the address cannot be listened on.
        NotWritable: if the work folder cannot be used.
    """
    check_writable(settings.work_dir)
    token, _ = webhook_token(settings.work_dir)
    only, options = "", settings.review
    if film:
        # Beside the server of the library, which has the port.
        only, options = find_key(film, settings), replace(options, port=0, address="")
    with ExitStack() as stack:
        runs = stack.enter_context(closing(ReviewRuns(settings)))
        room = ReviewRoom(settings, runs.backstage(), only)
        server = review_server(
            room, options, token, None if film else monitor_of(LiveSettings(settings))
        )
        stack.enter_context(closing(server.web))
        stack.enter_context(closing(room))
        say(server.link if film else f"{server.address} (the token: `dubarr review` shows it)")
        if open_browser:
            webbrowser.open(server.link)
        # The runs that were started from the page end in order however the server is stopped.
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        with suppress(KeyboardInterrupt):
            server.web.serve()


class ReviewRuns:
    """Runs that are started from the page: each a process of its own, which ends with the server.

    What they finished is kept, as with any run that is stopped.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._lock = threading.RLock()
        self._stack = ExitStack()
        self._instance: DagsterInstance | None = None

    def backstage(self) -> Backstage:
        """Return what the page may ask of the rest of dubarr."""
        return Backstage(
            states=self.states,
            is_running=self.is_running,
            render=self.render,
            fault=self.fault,
            gate=self.gate,
            decide=self.decide,
            qc_sheet=lambda key: qc_sheet(key, self._settings),
            hold=self.hold,
            series_cast=lambda key: self._shown(series_cast(key, self._settings)),
            correct_series=self.correct_series,
            setup=setup_desk(self._settings),
        )

    def states(self, keys: Sequence[str]) -> Mapping[str, str]:
        """Return the status of films in the task table."""
        return {row.video.key: row.status for row in self._rows(keys)}

    def is_running(self, key: str) -> bool:
        """Return whether a run works at a film, started from here or elsewhere."""
        own = self._processes.get(key)
        if own is not None and own.poll() is None:
            return True
        return is_worked_at(self._store(), key, names_of(self._settings.work_dir))

    def hold(self, key: str) -> AbstractContextManager[None]:
        """Hold a film while the page changes what a run would; raises `VideoBusy`."""
        return hold_film(self._store(), key, self._settings)

    def fault(self, key: str) -> str:
        """Return why the last run failed, in words; empty if it did not."""
        own, log = self._processes.get(key), self._log(key)
        if own is not None and log.is_file():
            # Of one that could not begin the store knows nothing.
            words = log.read_text("utf-8", "replace").strip().rpartition("dubarr: ")[2]
            return words[-_SHOWN:] if own.poll() else ""
        return next((row.cause or "" for row in self._rows([key]) if row.status == "ERROR"), "")

    def gate(self, key: str) -> GateAnswer:
        """Return the state of a film's gate; one whose record is damaged is held by that."""
        try:
            found = gate(key, self._settings)
        except ArtifactError as error:
            return GateAnswer("held", (str(error),))
        note = found.decision.words() if found.decision else ""
        return GateAnswer(found.state, found.reasons, note)

    def decide(self, key: str, wish: GateWish) -> None:
        """Approve or hold a film; the sensor `publishing` does the rest."""
        act = approve if wish.action == "approve" else hold
        act(key, self._settings, wish.by or _AUTHOR, wish.note)

    def render(self, key: str) -> None:
        """Start a run of everything that is not valid any more.

        Raises:
            VideoBusy: if one is running.
        """
        with self._lock:
            if self.is_running(key):
                raise VideoBusy(f"a run works at {key}: wait for it, or stop it")
            command = [sys.executable, "-m", "dubarr_pipeline.cli.main", "retry", key]
            command += ["--work-dir", str(self._settings.work_dir)]
            if self._settings.config_file:
                command += ["--config", str(self._settings.config_file)]
            log = self._log(key)
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("wb") as told:
                self._processes[key] = subprocess.Popen(
                    command, stdin=subprocess.DEVNULL, stdout=told, stderr=subprocess.STDOUT
                )

    def correct_series(self, key: str, wish: SeriesWish) -> SeriesAnswer:
        """Correct a series' cast, and return it."""
        by = wish.by or _AUTHOR
        return self._shown(correct_cast(key, wish.corrections, self._settings, by))

    def _shown(self, cast: SeriesCast) -> SeriesAnswer:
        engine = self._settings.engines["synthesis"]
        characters = (
            SeriesCharacter(
                id=each.id,
                name=each.name,
                gender=each.gender,
                voices=dict(each.voices.get(engine, {})),
                films=len(each.episodes),
            )
            for each in cast.people
        )
        unsure = (UnsureAnswer(e.episode, e.speaker, e.proposed, e.why) for e in cast.unsure)
        return SeriesAnswer(
            cast.key,
            cast.title,
            cast.revision,
            tuple(characters),
            tuple(unsure),
            dict(cast.episodes),
            cast.to_respeak,
        )

    def _rows(self, keys: Sequence[str]) -> Sequence[Task]:
        return task_table(self._store(), self._settings.work_dir, keys, self._settings)

    def _store(self) -> DagsterInstance:
        """Return the store, which stays open: opening it costs more than asking it."""
        with self._lock:
            if self._instance is None:
                opened = open_instance(self._settings.work_dir)
                self._instance = self._stack.enter_context(opened)
            return self._instance

    def _log(self, key: str) -> Path:
        return self._settings.work_dir / REVIEWS / key / "render.log"

    def close(self) -> None:
        """Stop the runs that were started from here."""
        going = [each for each in self._processes.values() if each.poll() is None]
        for process in going:
            process.send_signal(signal.SIGINT)
        for process in going:
            try:
                process.wait(_GRACE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        self._stack.close()
