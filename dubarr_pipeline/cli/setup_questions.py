"""The questions of `dubarr setup`, each with a default, and its steps."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from dubarr_pipeline import api
from dubarr_pipeline.cli.terminal import complain, say
from dubarr_pipeline.errors import DubbingError, SettingsError

if TYPE_CHECKING:
    from dubarr_pipeline.api.profiles import Settings
    from dubarr_pipeline.api.setup import ServerReport, ServerWish, SetupPlan, SetupWish


@dataclass(frozen=True, slots=True)
class SetupOptions:
    """Options of the command; what is empty is asked for."""

    yes: bool
    films: tuple[str, ...]
    to: str
    profile: str
    publish: str
    radarr: str
    sonarr: str
    bazarr: str
    jellyfin: str
    plex: str
    maps: tuple[str, ...]
    address: str
    first_film: bool

    @property
    def asks(self) -> bool:
        """True if somebody is there to answer. Raises `SettingsError` if it should, and is not."""
        if not self.yes and not sys.stdin.isatty():
            raise SettingsError("nobody is here to answer: add --yes, and the options")
        return not self.yes


def set_up(options: SetupOptions, settings: Settings) -> int:
    """Ask, show what would change, change it, and try a film; return the exit code."""
    asks = options.asks
    servers, reports = _servers(options, settings)
    wish = _wish(options, settings, servers, reports)
    plan = api.setup.plan_changes(wish, settings, reports)
    if asks and plan.unknown:
        more = {path: _ask(f"Our folder for {path} (empty: none)") for path in plan.unknown}
        said = {path: ours for path, ours in more.items() if ours}
        wish = replace(wish, mappings={**wish.mappings, **said})
        plan = api.setup.plan_changes(wish, settings, reports)
    _show(plan)
    if plan.changes and asks and not click.confirm("Do all this?", default=True, err=True):
        return 0
    code = 1 if plan.faults else 0
    for step in api.setup.apply_changes(wish, plan, settings) if plan.changes else ():
        say(f"  {'FAILED' if step.fault else 'done'}: {step.words}")
        if step.fault:
            complain(step.fault)
            code = 1
    return max(code, _try_film(options, settings))


def _show(plan: SetupPlan) -> None:
    for fault in plan.faults:
        complain(fault)
    for note in plan.notes:
        say(note)
    say("This would change:" if plan.changes else "nothing to change")
    for change in plan.changes:
        say(f"  {change.words}")


def _ask(words: str, default: str = "") -> str:
    found: str = click.prompt(words, default=default, show_default=bool(default), err=True)
    return found.strip()


def _servers(
    options: SetupOptions, settings: Settings
) -> tuple[list[ServerWish], list[ServerReport]]:
    """Return the servers that answer as they should or not, with their reports."""
    present = {each.kind: each.url for each in api.setup.present_wish(settings).servers}
    given = {kind: getattr(options, kind) for kind in api.setup.KINDS}
    found: dict[str, str] = {}
    if not any(given.values()):
        found.update(api.setup.find_servers())
    servers: list[ServerWish] = []
    reports: list[ServerReport] = []
    for kind in api.setup.KINDS:
        title = api.setup.title_of(kind)
        url = given[kind] or present.get(kind) or found.get(kind, "")
        if options.asks and not given[kind]:
            url = _ask(f"Address of {title} (- for none)", url or "-")
            url = "" if url == "-" else url
        while url:
            server = api.setup.ServerWish(kind, url, _key(kind, url, options, settings))
            wish = api.setup.SetupWish(servers=(server,))
            (report,) = api.setup.try_servers(wish, settings)
            if report.fault and options.asks:
                complain(report.fault)
                url = _ask(f"Address of {title} (- for none)", report.better_url or "-")
                url = "" if url == "-" else url
                continue
            servers.append(server)
            reports.append(report)
            if not report.fault:
                paths = ", ".join(each.path for each in report.folders)
                say(f"  {title} {report.version} at {report.url}: {paths or 'answers'}")
            break
    return servers, reports


def _key(kind: str, url: str, options: SetupOptions, settings: Settings) -> str:
    """Return a key from the environment or a hidden question; empty: the one that is kept."""
    if key := api.setup.has_terminal_key(kind):
        return key
    if not options.asks:
        return ""
    kept = any(each.url == url for each in api.setup.present_wish(settings).servers)
    words = f"Key of {api.setup.title_of(kind)}{' (empty: as before)' if kept else ''}"
    found: str = click.prompt(words, default="", hide_input=True, show_default=False, err=True)
    return found.strip()


def _wish(
    options: SetupOptions,
    settings: Settings,
    servers: list[ServerWish],
    reports: list[ServerReport],
) -> SetupWish:
    present = api.setup.present_wish(settings)
    roots = [root.path for report in reports for root in report.folders]
    here = [path for path in dict.fromkeys(roots) if Path(path).is_dir()]
    folders = options.films or present.folders or tuple(here)
    targets, profile = options.to or ",".join(present.targets), options.profile
    if options.asks:
        if not options.films:
            told = _ask("Folders of films (several by commas)", ",".join(folders))
            folders = tuple(filter(None, (each.strip() for each in told.split(","))))
        targets = options.to or _ask("Dub into (like es,fr)", targets)
        if not profile:
            for choice in api.setup.voice_choices(settings):
                say(f"  {choice.profile}: {choice.words}")
            profile = _ask("Voices", settings.profile)
    mappings: dict[str, str] = {}
    for each in options.maps:
        theirs, separator, ours = each.partition("=")
        if not separator:
            raise SettingsError(f"--map {each!r}: write it as /their/folder=/our/folder")
        mappings[theirs] = ours
    return api.setup.SetupWish(
        folders=folders,
        targets=tuple(filter(None, (each.strip() for each in targets.split(",")))),
        profile=profile,
        publish=options.publish,  # type: ignore[arg-type]
        servers=tuple(servers),
        mappings=mappings,
        address=options.address,
    )


def _try_film(options: SetupOptions, settings: Settings) -> int:
    """Plan one film, and dub it if it is wished; return the exit code."""
    config = settings.config_file or Path("dubarr.toml").absolute()
    settings = api.profiles.read_settings(settings.work_dir, config if config.exists() else None)
    film = api.setup.first_film(settings)
    if film is None:
        say("No film waits to be dubbed: `dubarr library scan` lists all, with the reasons.")
        return 0
    say(f"First film: {film.path} into {', '.join(film.targets)}: {film.words}")
    if film.waits:
        say(f"  {film.waits}")
    wanted = options.first_film or (options.asks and click.confirm("Dub it now?", err=True))
    if not wanted:
        say("`dubarr serve library` dubs it, and all that come.")
        return 0
    waits = api.setup.queue_film(film, settings) if api.setup.daemon_runs(settings) else None
    if waits is not None:
        say(waits or "Queued: `dubarr status` shows it.")
        return 0
    for attempt in api.dubbing.dub_videos(
        [Path(film.path)], film.targets, settings, api.dubbing.Watch()
    ):
        if isinstance(attempt, DubbingError):
            complain(str(attempt))
            return 1
        say(f"DONE {', '.join(attempt.published) or attempt.video}")
    return 0
