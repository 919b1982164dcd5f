"""Set-up from nothing to a first film: what terminal and page do is done here."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, replace
from http.client import HTTPConnection, HTTPException
from ipaddress import ip_address
from pathlib import Path

from dubarr_pipeline.api.libraries import scan_libraries
from dubarr_pipeline.api.planning import plan_videos
from dubarr_pipeline.api.profiles import models_to_fetch, read_settings
from dubarr_pipeline.api.voices import (
    BETTER,
    better_settings,
    choose_profile,
    install,
    voices_offer,
)
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.library_names import PLAIN, names_of
from dubarr_pipeline.defs.runtime.person_runs import daemon_is_away, queue_request
from dubarr_pipeline.defs.runtime.runs import open_instance
from dubarr_pipeline.defs.runtime.sensor_switches import WATCHING, sensors_off, switch_on
from dubarr_pipeline.errors import DubbingError, SettingsError
from dubarr_pipeline.files import check_writable, write_text
from dubarr_pipeline.library.dub_requests import read_request
from dubarr_pipeline.library.setup.connect import connect_webhook, webhook_change
from dubarr_pipeline.library.setup.desk import FirstFilm, SetupDesk, VoiceChoice
from dubarr_pipeline.library.setup.keys import keep_server, kept_key, known_servers
from dubarr_pipeline.library.setup.planning import plan_setup
from dubarr_pipeline.library.setup.servers import KINDS as KINDS
from dubarr_pipeline.library.setup.servers import ServerReport, checked_url, try_server
from dubarr_pipeline.library.setup.servers import find_servers as find_servers
from dubarr_pipeline.library.setup.servers import title_of as title_of
from dubarr_pipeline.library.setup.settings_file import SettingsText
from dubarr_pipeline.library.setup.wishes import ServerWish as ServerWish
from dubarr_pipeline.library.setup.wishes import SetupChange
from dubarr_pipeline.library.setup.wishes import SetupPlan as SetupPlan
from dubarr_pipeline.library.setup.wishes import SetupWish as SetupWish
from dubarr_pipeline.library.webhooks.inbox import webhook_token

GetVoices = Callable[[Settings], None]
"""Installs and fetches what the better voices lack."""
_PROBE_S = 2.0
_ELSEWHERE = "this library is part of another Dagster project: there, switch on its sensors"


def present_wish(settings: Settings) -> SetupWish:
    """Return the wish that would change nothing: what the settings say. It holds no key."""
    libraries = settings.libraries.values()
    targets = dict.fromkeys(each for library in libraries for each in library.target_langs)
    known = known_servers(settings.work_dir)
    return SetupWish(
        folders=tuple(str(each.path) for each in libraries),
        targets=tuple(targets),
        profile=settings.profile,
        servers=tuple(ServerWish(each.kind, each.url) for each in known),
    )


def try_servers(wish: SetupWish, settings: Settings) -> list[ServerReport]:
    """Test the servers of a wish, in turn."""
    full = with_kept_keys(wish, settings)
    return [try_server(each.kind, each.url, each.key) for each in full.servers]


def with_kept_keys(wish: SetupWish, settings: Settings) -> SetupWish:
    """Return a wish in which a server without a key has the one that is kept for its address."""

    def filled(server: ServerWish) -> ServerWish:
        with suppress(SettingsError):
            url = checked_url(server.url)
            return replace(server, url=url, key=server.key or kept_key(url, settings.work_dir))
        return server

    return replace(wish, servers=tuple(map(filled, wish.servers)))


def plan_changes(
    wish: SetupWish, settings: Settings, reports: Sequence[ServerReport] | None = None
) -> SetupPlan:
    """Return all that set-up would change, and what it leaves. Writes nothing but a token.

    Raises:
        SettingsError: if the settings file cannot be read, or a language is none.
        NotWritable: if the work folder cannot be used.
    """
    check_writable(settings.work_dir)
    full = with_kept_keys(wish, settings)
    tested = try_servers(full, settings) if reports is None else reports
    plan = plan_setup(full, tested, settings)
    changes = list(plan.changes)
    if wish.profile and wish.profile != settings.profile:
        if wish.profile not in ("lite", BETTER):
            raise SettingsError(f'unknown voices {wish.profile!r} (choices: "lite", "{BETTER}")')
        (choice,) = (each for each in voice_choices(settings) if each.profile == wish.profile)
        changes.append(SetupChange(f'profile = "{wish.profile}": {choice.words}'))
    if (names := names_of(settings.work_dir)) != PLAIN:
        sensors = " and ".join(map(names.prefixed, WATCHING))
        return replace(plan, changes=tuple(changes), notes=(f"{_ELSEWHERE} {sensors}",))
    with open_instance(settings.work_dir) as instance:
        for name in sensors_off(instance):
            changes.append(SetupChange(f"the sensor {name} is switched on"))
    return replace(plan, changes=tuple(changes))


def voice_choices(settings: Settings) -> list[VoiceChoice]:
    """Return the profiles to choose from, with what each would fetch."""
    offer = voices_offer(settings)
    cost = f"about {offer.about_mb} MB to fetch ({', '.join(offer.licences)})"
    if offer.packages:
        cost += f", and by pip {', '.join(offer.packages)}"
    here = not (offer.models or offer.packages)
    return [
        VoiceChoice("lite", "a robot's voices, nothing to fetch; needs subtitles"),
        VoiceChoice(
            BETTER,
            "natural voices and speech recognition on the CPU: "
            + ("all of it is here" if here else cost),
        ),
    ]


def get_voices(settings: Settings) -> None:
    """Install and fetch what the better voices lack. Raises `MissingRequirement`."""
    offer = voices_offer(settings)
    if offer.packages:
        install(offer.packages)
    better = better_settings(settings)
    for each in models_to_fetch(better):
        each.fetch()


def apply_changes(
    wish: SetupWish, plan: SetupPlan, settings: Settings, get: GetVoices = get_voices
) -> Iterator[SetupChange]:
    """Do what a plan says, and yield each step with its fault; the others go on."""
    file = SettingsText.read(settings)
    for server in plan.servers:
        keep_server(server, settings.work_dir)
    if plan.text is not None:
        write_text(file.path, plan.text)
        yield SetupChange(f"{file.path} is written")
    settings = read_settings(settings.work_dir, file.path if file.path.exists() else None)
    if wish.profile and wish.profile != settings.profile:
        yield _step(f'profile = "{wish.profile}"', lambda: _choose(wish.profile, settings, get))
    if plan.receiver:
        yield from _connected(plan, settings)
    if names_of(settings.work_dir) != PLAIN:
        return
    with open_instance(settings.work_dir) as instance:
        if off := sensors_off(instance):
            switch_on(instance, off)
            yield SetupChange(f"{' and '.join(off)} are on")


def _connected(plan: SetupPlan, settings: Settings) -> Iterator[SetupChange]:
    """Have the managers send their news; yield those whose webhook was changed."""
    token, _ = webhook_token(settings.work_dir)
    with _answering_receiver(settings, token):
        for server in plan.servers:
            address = plan.receiver.get(server.url)
            words = f"{title_of(server.kind)} at {server.url}: its webhook {address}"
            try:
                if address and webhook_change(server, address, token):
                    keep_server(connect_webhook(server, address, token), settings.work_dir)
                    yield SetupChange(words)
            except DubbingError as error:
                yield SetupChange(words, str(error))


def _step(words: str, act: Callable[[], object]) -> SetupChange:
    try:
        act()
    except DubbingError as error:
        return SetupChange(words, str(error))
    return SetupChange(words)


def _choose(profile: str, settings: Settings, get: GetVoices) -> None:
    if profile == BETTER:
        get(settings)
    choose_profile(settings, profile)


@contextmanager
def _answering_receiver(settings: Settings, token: str) -> Iterator[None]:
    """Have the receiver answer meanwhile: a server tries it when its webhook is saved."""
    if _receiver_answers(settings):
        yield
        return
    from dubarr_pipeline.library.webhooks.server import webhook_server

    try:
        server = webhook_server(settings, settings.webhooks, token)
    except SettingsError:
        # Something else has the port: the server's own words tell.
        yield
        return
    with closing(server):
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.stop()
            thread.join()


def _receiver_answers(settings: Settings) -> bool:
    host = settings.webhooks.host
    with suppress(ValueError):
        host = "127.0.0.1" if not host or ip_address(host).is_unspecified else host
    connection = HTTPConnection(host, settings.webhooks.port, timeout=_PROBE_S)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def first_film(settings: Settings) -> FirstFilm | None:
    """Return a film that a library would dub, with what that would cost; None if there is none."""
    if not settings.libraries:
        return None
    found = scan_libraries((), settings)
    film = next((each for each in found if each.status == "NEW" and each.targets), None)
    if film is None:
        return None
    (planned,) = plan_videos([str(film.path)], film.targets, settings)
    about_s = planned.estimate.total_s if planned.estimate else 0.0
    words = planned.fault or f"{len(planned.steps)} stages, about {about_s / 60:.1f} minutes"
    return FirstFilm(str(film.path), film.targets, words, film.reason or "")


def queue_film(film: FirstFilm, settings: Settings) -> str:
    """Queue a film; return words where nothing starts it yet, else empty."""
    request = read_request({"path": film.path, "target_langs": [*film.targets]})
    with open_instance(settings.work_dir) as instance:
        queue_request(instance, request, settings)
        return daemon_is_away(instance) or ""


def page_link(settings: Settings) -> str:
    """Return the address of the set-up page, with the token in its fragment."""
    options = settings.review
    address = options.address or f"http://{options.host}:{options.port}"
    token, _ = webhook_token(settings.work_dir)
    return f"{address}/setup#token={token}"


@dataclass(frozen=True, slots=True)
class _Now:
    """The settings of a server that runs, read anew at each use."""

    settings: Settings

    def read(self) -> Settings:
        path = self.settings.config_file or Path("dubarr.toml").absolute()
        return read_settings(self.settings.work_dir, path if path.exists() else None)


def setup_desk(settings: Settings) -> SetupDesk:
    """Return what the page asks of set-up."""
    now = _Now(settings)
    return SetupDesk(
        present=lambda: present_wish(now.read()),
        voices=lambda: voice_choices(now.read()),
        find=find_servers,
        try_server=lambda wish: try_servers(SetupWish(servers=(wish,)), now.read())[0],
        plan=lambda wish: plan_changes(wish, now.read()),
        apply=lambda wish, plan: apply_changes(wish, plan, now.read()),
        first_film=lambda: first_film(now.read()),
        start=lambda film: queue_film(film, now.read()),
    )


def has_terminal_key(kind: str) -> str:
    """Return the key that the environment has for a kind of server, or empty."""
    return os.environ.get(f"{kind.upper()}_KEY", "").strip()


def daemon_runs(settings: Settings) -> bool:
    """Return whether a server starts what is queued."""
    with open_instance(settings.work_dir) as instance:
        return daemon_is_away(instance) is None
