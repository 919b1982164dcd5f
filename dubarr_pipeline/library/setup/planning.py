"""The plan of a set-up: what would change, in words, before anything does."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from urllib.parse import urlsplit

from dubarr_pipeline.config.settings import Settings, parse_settings
from dubarr_pipeline.errors import SettingsError
from dubarr_pipeline.library.setup.connect import webhook_change
from dubarr_pipeline.library.setup.folders import our_folder
from dubarr_pipeline.library.setup.keys import KnownServer, known_servers
from dubarr_pipeline.library.setup.servers import (
    MANAGERS,
    MEDIA_SERVERS,
    ServerReport,
    title_of,
)
from dubarr_pipeline.library.setup.settings_file import (
    SettingsText,
    put_library,
    put_mapping,
    put_rescan,
)
from dubarr_pipeline.library.setup.wishes import SetupChange, SetupPlan, SetupWish
from dubarr_pipeline.library.webhooks.inbox import webhook_token
from dubarr_pipeline.text.languages import parse_languages

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def plan_setup(wish: SetupWish, reports: Sequence[ServerReport], settings: Settings) -> SetupPlan:
    """Return what set-up would change; `reports` are those of the wish's servers. Writes nothing.

    Raises:
        SettingsError: if the settings file cannot be read, or a language is none.
    """
    faults = [each.fault for each in reports if each.fault]
    usable = [each for each in reports if not each.fault]
    file = SettingsText.read(settings)
    targets = parse_languages(",".join(wish.targets)) if wish.targets else ()
    libraries: dict[Path, str] = {each.path: n for n, each in settings.libraries.items()}
    for folder in map(_absolute, wish.folders):
        if not folder.is_dir():
            faults.append(f"{folder} is not there: make or mount it, or name another folder")
        elif targets or folder in libraries:
            libraries[folder] = put_library(file, folder, targets, wish.publish, settings)
        else:
            faults.append(f"{folder} has no languages to be dubbed into: name some")
    unknown = _map_folders(file, usable, libraries, wish.mappings)
    faults += (words for _, words in unknown)
    receiver = _receiver(wish, usable, settings)
    elsewhere = any(urlsplit(each).hostname not in _LOOPBACK for each in receiver.values())
    if elsewhere and settings.webhooks.host in _LOOPBACK:
        file.put(("webhooks", "host"), "0.0.0.0")
    if settings.work_dir != parse_settings(settings.document, _from_environment()).work_dir:
        file.put(("work_dir",), str(settings.work_dir))
    text = file.text(settings.work_dir)
    changes = [SetupChange(f"{file.path.name}: {each}") for each in file.changes]
    servers = tuple(_usable_servers(wish, usable, settings))
    changes += _server_changes(servers, receiver, settings, faults)
    paths = tuple(dict.fromkeys(path for path, _ in unknown))
    return SetupPlan(tuple(changes), tuple(faults), text, receiver, servers, paths)


def _usable_servers(
    wish: SetupWish, reports: Sequence[ServerReport], settings: Settings
) -> Iterator[KnownServer]:
    """Yield the servers of a wish that can be used, as they are kept if the key is the same."""
    usable = {each.url for each in reports}
    kept = {(each.url, each.key): each for each in known_servers(settings.work_dir)}
    for each in wish.servers:
        url, key = each.url.strip().rstrip("/"), each.key.strip()
        if url in usable:
            yield kept.get((url, key)) or KnownServer(each.kind, url, key)


def _from_environment() -> Path | None:
    return Path(named) if (named := os.environ.get("DUBARR_WORK_DIR")) else None


def _absolute(folder: str) -> Path:
    return Path(folder.strip()).expanduser().absolute()


def _map_folders(
    file: SettingsText,
    reports: Sequence[ServerReport],
    libraries: Mapping[Path, str],
    said: Mapping[str, str],
) -> list[tuple[str, str]]:
    """Write each server's names of our folders; return those that nobody can tell, with words."""
    known, unknown = dict(said), list[tuple[str, str]]()
    # Managers first: they tell what lies in their folders, media servers do not.
    for report in sorted(reports, key=lambda each: each.kind not in MANAGERS):
        theirs: dict[Path, str] = {}
        for root in report.folders:
            ours = our_folder(root, list(libraries), known)
            owner = _owner(ours, libraries) if ours else None
            if ours is None or owner is None:
                words = (
                    f"{title_of(report.kind)} at {report.url}: its folder {root.path} is none of "
                    f"the libraries: name our folder for it ({root.path}=/our/folder), or leave it"
                )
                unknown.append((root.path, words))
                continue
            known.setdefault(root.path, str(ours))
            theirs[ours] = root.path
            if report.kind in MANAGERS and str(ours) != root.path:
                put_mapping(file, owner, root.path, ours)
        if report.kind in MEDIA_SERVERS:
            put_rescan(file, report, theirs)
        for manager_s, bazarr_s in report.renames.items():
            ours_text = known.get(manager_s, manager_s)
            owner = _owner(Path(ours_text), libraries)
            if owner and ours_text != bazarr_s:
                put_mapping(file, owner, bazarr_s, Path(ours_text))
    return unknown


def _owner(folder: Path, libraries: Mapping[Path, str]) -> str | None:
    holding = [each for each in libraries if folder.is_relative_to(each)]
    return libraries[max(holding, key=lambda each: len(each.parts))] if holding else None


def _receiver(
    wish: SetupWish, reports: Sequence[ServerReport], settings: Settings
) -> dict[str, str]:
    """Return the address of our receiver as each manager reaches it, by the manager's URL."""
    found: dict[str, str] = {}
    for each in reports:
        if each.kind in MANAGERS:
            base = wish.address.strip().rstrip("/")
            base = base or f"http://{_seen_from(each.url)}:{settings.webhooks.port}"
            found[each.url] = f"{base}/{each.kind}"
    return found


def _seen_from(url: str) -> str:
    """Return this machine's address as a server of that URL sees it."""
    host = urlsplit(url).hostname or ""
    if host in _LOOPBACK:
        return "127.0.0.1"
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as trial:
            # Sends nothing: it only chooses the way.
            trial.connect((host, 9))
            return str(trial.getsockname()[0])
    except OSError:
        return "127.0.0.1"


def _server_changes(
    servers: Sequence[KnownServer],
    receiver: Mapping[str, str],
    settings: Settings,
    faults: list[str],
) -> list[SetupChange]:
    """Return the changes at the servers, and of the keys that are kept."""
    token, _ = webhook_token(settings.work_dir) if receiver else ("", None)
    kept = known_servers(settings.work_dir)
    changes: list[SetupChange] = []
    for server in servers:
        if server not in kept:
            words = f"the key of {title_of(server.kind)} at {server.url} is kept for dubarr alone"
            changes.append(SetupChange(words))
        if address := receiver.get(server.url):
            try:
                if words := webhook_change(server, address, token):
                    changes.append(SetupChange(words))
            except SettingsError as error:
                faults.append(str(error))
    return changes
