"""Calls of the set-up page. No answer holds a key."""

from __future__ import annotations

from dataclasses import dataclass

from dubarr_pipeline.errors import RequestRefused
from dubarr_pipeline.library.setup.desk import FirstFilm, SetupDesk, SetupProgress, VoiceChoice
from dubarr_pipeline.library.setup.servers import ServerReport
from dubarr_pipeline.library.setup.wishes import ServerWish, SetupChange, SetupWish
from dubarr_pipeline.review.access import API
from dubarr_pipeline.review.answers.film_answers import Accepted
from dubarr_pipeline.review.calls import Asked, RestCall
from dubarr_pipeline.review.room import ReviewRoom

SETUP = f"{API}/setup"


@dataclass(frozen=True, slots=True)
class SetupState:
    """The wish that changes nothing, with no key, and the voices to choose from."""

    wish: SetupWish
    voices: tuple[VoiceChoice, ...]


@dataclass(frozen=True, slots=True)
class FoundServers:
    """Servers that answer at the usual addresses."""

    servers: tuple[ServerWish, ...]


@dataclass(frozen=True, slots=True)
class SetupPlanAnswer:
    """Changes that are due, faults, and folders of servers that none of ours is known for."""

    changes: tuple[SetupChange, ...]
    faults: tuple[str, ...]
    unknown: tuple[str, ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class FirstFilmAnswer:
    """A film to try, or None."""

    film: FirstFilm | None


@dataclass(frozen=True, slots=True)
class StartAnswer:
    """Reason why a queued film waits; empty: it does not."""

    waits: str


def setup_state(room: ReviewRoom, _: Asked) -> SetupState:
    """Return what is set up, and the voices to choose from."""
    desk = _desk(room)
    return SetupState(desk.present(), tuple(desk.voices()))


def find_servers(room: ReviewRoom, _: Asked) -> FoundServers:
    """Look for servers at their usual addresses."""
    return FoundServers(tuple(ServerWish(kind, url) for kind, url in _desk(room).find()))


def try_server(room: ReviewRoom, asked: Asked) -> ServerReport:
    """Test a server by its address and key; an empty key is the one that is kept for it."""
    return _desk(room).try_server(asked.document(ServerWish))


def plan_setup(room: ReviewRoom, asked: Asked) -> SetupPlanAnswer:
    """Return what a wish would change. Changes nothing."""
    plan = _desk(room).plan(asked.document(SetupWish))
    return SetupPlanAnswer(plan.changes, plan.faults, plan.unknown, plan.notes)


def begin_setup(room: ReviewRoom, asked: Asked) -> Accepted:
    """Begin to change what a wish changes; 409 while that is under way."""
    _desk(room).begin(asked.document(SetupWish))
    return Accepted()


def setup_progress(room: ReviewRoom, _: Asked) -> SetupProgress:
    """Return the steps that were done, and whether more come."""
    return _desk(room).progress()


def first_film(room: ReviewRoom, _: Asked) -> FirstFilmAnswer:
    """Return a film that would be dubbed, with what it would cost."""
    return FirstFilmAnswer(_desk(room).first_film())


def start_first_film(room: ReviewRoom, _: Asked) -> StartAnswer:
    """Queue the film that would be dubbed first."""
    desk = _desk(room)
    film = desk.first_film()
    if film is None:
        raise RequestRefused(404, "no_film", "no film waits to be dubbed")
    return StartAnswer(desk.start(film))


def _desk(room: ReviewRoom) -> SetupDesk:
    if room.backstage.setup is None or room.only:
        raise RequestRefused(404, "no_setup", "this server shows one film: see `dubarr setup`")
    return room.backstage.setup


CALLS = (
    RestCall("GET", SETUP, setup_state, SetupState),
    RestCall("POST", f"{SETUP}/find", find_servers, FoundServers),
    RestCall("POST", f"{SETUP}/server", try_server, ServerReport, body=ServerWish),
    RestCall("POST", f"{SETUP}/plan", plan_setup, SetupPlanAnswer, body=SetupWish),
    RestCall("POST", SETUP, begin_setup, Accepted, body=SetupWish, status=202),
    RestCall("GET", f"{SETUP}/progress", setup_progress, SetupProgress),
    RestCall("GET", f"{SETUP}/film", first_film, FirstFilmAnswer),
    RestCall("POST", f"{SETUP}/film", start_first_film, StartAnswer, status=202),
)
