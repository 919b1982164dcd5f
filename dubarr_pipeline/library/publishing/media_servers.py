"""Notifications of media servers and managers about published films.

A server that does not answer is told later (`Untold`): its films are published all the same.
"""

import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from dubarr_pipeline.compute.backoff import Backoff
from dubarr_pipeline.config.libraries import RescanOptions
from dubarr_pipeline.config.path_mappings import is_below, pure_path
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.errors import (
    ArtifactError,
    DubbingError,
    ServiceTimeout,
    ServiceUnavailable,
    SettingsError,
)
from dubarr_pipeline.files import read_json, write_json
from dubarr_pipeline.library.setup.keys import kept_key
from dubarr_pipeline.library.setup.servers import credentials

_ATTEMPTS = 4
_TIMEOUT_S, _SHORT_TIMEOUT_S = 30.0, 5.0
_GIVEN_UP_S = 14 * 86_400.0


def rescan(
    options: RescanOptions,
    path: Path,
    attempts: int = _ATTEMPTS,
    timeout_s: float = _TIMEOUT_S,
    work_dir: Path | None = None,
) -> str | None:
    """Have a server look at one file that came or went.

    Where the options name no variable, the key is the one that `work_dir` keeps for the address.

    Return None, or the reason why it has nothing to look at: the file is in none of its libraries.

    Raises:
        SettingsError: if the key is not in the environment, or is refused.
        ServiceTimeout, ServiceUnavailable: if the server does not answer, tried four times.
    """
    variable = options.token_variable
    kept = kept_key(options.url, work_dir) if work_dir and not variable else ""
    token = os.environ.get(variable, "").strip() if variable else kept
    if not token:
        cure = (
            f"${variable} is empty: put the key there" if variable else "no key: run dubarr setup"
        )
        raise SettingsError(f"rescan of {options.url}: {cure}")
    theirs = options.theirs(path)
    try:
        theirs.encode()
        headers = {"Accept": "application/json", **credentials(options.kind, token)}
        session = httpx.Client(timeout=timeout_s, trust_env=False, headers=headers)
    except UnicodeEncodeError:
        # A name that is no UTF-8 is in no server's database; such a key is no server's either.
        return f"{options.kind} knows no name like {theirs!r}"
    with session:
        server = _Server(session, options, attempts)
        if options.kind in ("jellyfin", "emby"):
            updates = [{"Path": theirs, "UpdateType": "Modified"}]
            server.ask("POST", "/Library/Media/Updated", json={"Updates": updates})
            return None
        if options.kind == "kodi":
            _rescan_kodi(server, theirs)
            return None
        search = _rescan_plex if options.kind == "plex" else _rescan_manager
        if search(server, theirs):
            return None
    return f"{options.kind} at {options.url} has nothing that holds {theirs!r}: see path_mappings"


@dataclass(frozen=True, slots=True)
class _Server:
    """A session with a server, and how often a request is tried."""

    session: httpx.Client
    options: RescanOptions
    attempts: int

    def ask(self, method: str, place: str, **parts: Any) -> Any:
        """Send a request until it is answered; return the JSON of the answer, or None."""
        backoff = Backoff(self.options.backoff_s)
        for attempt in range(1, self.attempts):
            try:
                return self._once(method, place, **parts)
            except (ServiceTimeout, ServiceUnavailable):
                time.sleep(backoff.pause_s(attempt))
        return self._once(method, place, **parts)

    def _once(self, method: str, place: str, **parts: Any) -> Any:
        url = self.options.url + place
        try:
            answer = self.session.request(method, url, **parts)
        except httpx.TimeoutException:
            raise ServiceTimeout(f"{url} gave no answer in time") from None
        except httpx.HTTPError as error:
            raise ServiceUnavailable(f"{url} cannot be reached: {type(error).__name__}") from None
        if answer.status_code in (401, 403):
            variable = self.options.token_variable
            which = f"in ${variable}" if variable else "that dubarr setup keeps: run it again"
            raise SettingsError(f"{url} refuses the key {which}")
        if not answer.is_success:
            raise ServiceUnavailable(f"{url} answered {answer.status_code}")
        try:
            return answer.json() if answer.content else None
        except ValueError:
            return None


def _rescan_kodi(server: _Server, path: str) -> None:
    """Have Kodi scan the file's folder; it ignores folders outside its sources by itself."""
    # A folder is named with its separator at the end.
    separator = "\\" if pure_path(path).drive else "/"
    folder = f"{pure_path(path).parent}{separator}"
    asked = {"jsonrpc": "2.0", "id": 1, "method": "VideoLibrary.Scan"}
    asked["params"] = {"directory": folder, "showdialogs": False}
    answer = server.ask("POST", "/jsonrpc", json=asked)
    if isinstance(answer, dict) and "error" in answer:
        raise ServiceUnavailable(f"{server.options.url} refuses to scan: {answer['error']}"[:300])


def _rescan_plex(server: _Server, path: str) -> bool:
    """Have Plex refresh the file's folder in every section that holds it; False if none does."""
    found = server.ask("GET", "/library/sections")
    container = found.get("MediaContainer", {}) if isinstance(found, dict) else {}
    told = False
    for section in container.get("Directory", []):
        roots = (str(each.get("path", "")) for each in section.get("Location", []))
        if any(_holds(root, path) for root in roots):
            folder = {"path": str(pure_path(path).parent)}
            server.ask("GET", f"/library/sections/{section['key']}/refresh", params=folder)
            told = True
    return told


def _rescan_manager(server: _Server, path: str) -> bool:
    """Have Radarr or Sonarr rescan the film or series that holds the file; False if none does."""
    radarr = server.options.kind == "radarr"
    found = server.ask("GET", "/api/v3/movie" if radarr else "/api/v3/series")
    listed = found if isinstance(found, list) else []
    holding = [each for each in listed if _holds(str(each.get("path", "")), path)]
    if not holding:
        return False
    # A collection's folder may hold the folders of other films: the deepest is the film's own.
    own = max(holding, key=lambda each: len(str(each["path"])))
    command = {"name": "RescanSeries", "seriesId": own["id"]}
    if radarr:
        command = {"name": "RefreshMovie", "movieIds": [own["id"]]}
    server.ask("POST", "/api/v3/command", json=command)
    return True


def _holds(folder: str, path: str) -> bool:
    return bool(folder) and is_below(pure_path(path), pure_path(folder))


@dataclass(frozen=True, slots=True)
class Untold:
    """A file that came or went, of which a server could not be told yet."""

    record: Path
    server: str
    path: Path
    since_s: float


def tell_servers(paths: Iterable[Path], library: str, settings: Settings) -> list[str]:
    """Tell the servers of a library of files that came or went; none keeps another from it.

    Return the faults by name. Those servers are told again by `tell_waiting`.
    """
    faults: list[str] = []
    changed = list(dict.fromkeys(paths))
    for name, options in settings.rescans.items():
        if options.libraries and library not in options.libraries:
            continue
        fault = ""
        for path in changed:
            try:
                # A server that was away a moment ago is not waited for again.
                if not fault:
                    rescan(options, path, work_dir=settings.work_dir)
                    continue
            except DubbingError as error:
                fault = str(error)
                faults.append(f"{name} will be told later: {fault}")
            _remember(name, path, settings)
    return faults


def tell_waiting(settings: Settings, end_s: float, now_s: float) -> Iterator[str]:
    """Tell servers of what they missed, until `end_s` of the monotonic clock; yield the faults."""
    away: set[str] = set()
    for untold in _untold(settings):
        options = settings.rescans.get(untold.server)
        if options is None or now_s - untold.since_s > _GIVEN_UP_S:
            untold.record.unlink(missing_ok=True)
            continue
        if untold.server in away or time.monotonic() >= end_s:
            continue
        try:
            rescan(options, untold.path, 1, _SHORT_TIMEOUT_S, settings.work_dir)
            untold.record.unlink(missing_ok=True)
        except DubbingError as error:
            away.add(untold.server)
            yield f"{untold.server} is told later: {error}"


def _untold(settings: Settings) -> Iterator[Untold]:
    folder = settings.work_dir / ".untold"
    for record in sorted(folder.glob("*.json")) if folder.is_dir() else ():
        with suppress(ArtifactError, KeyError, TypeError, ValueError):
            document = read_json(record)
            since_s = float(document["since_s"])
            yield Untold(record, str(document["server"]), Path(str(document["path"])), since_s)


def _remember(server: str, path: Path, settings: Settings) -> None:
    facts = os.fsencode(f"{server}\0{path}")
    digest = hashlib.blake2b(facts, digest_size=12).hexdigest()
    document = {"server": server, "path": str(path), "since_s": time.time()}
    write_json(settings.work_dir / ".untold" / f"{digest}.json", document)
