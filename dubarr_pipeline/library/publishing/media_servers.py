"""Notifications of media servers and managers about published films."""

import os
import time
from pathlib import Path, PurePosixPath
from typing import Any

import httpx

from dubarr_pipeline.compute.backoff import Backoff
from dubarr_pipeline.config.libraries import RescanOptions
from dubarr_pipeline.errors import ServiceTimeout, ServiceUnavailable, SettingsError

_TOKEN_HEADERS = {"jellyfin": "X-Emby-Token", "plex": "X-Plex-Token"}
_ATTEMPTS = 4
_TIMEOUT_S = 30.0


def rescan(options: RescanOptions, path: Path) -> None:
    """Have a server rescan one published file.

    Raises:
        SettingsError: if the key is not in the environment, or is refused.
        ServiceTimeout, ServiceUnavailable: if the server does not answer, tried four times.
    """
    token = os.environ.get(options.token_variable, "")
    if not token:
        raise SettingsError(
            f"rescan of {options.url}: ${options.token_variable} is empty: put the key there"
        )
    theirs, transport = options.theirs(path), httpx.HTTPTransport(retries=1)
    headers = {_TOKEN_HEADERS.get(options.kind, "X-Api-Key"): token, "Accept": "application/json"}
    with httpx.Client(
        transport=transport, timeout=_TIMEOUT_S, trust_env=False, headers=headers
    ) as session:
        if options.kind == "jellyfin":
            updates = [{"Path": theirs, "UpdateType": "Modified"}]
            _ask(session, options, "POST", "/Library/Media/Updated", json={"Updates": updates})
        elif options.kind == "plex":
            _rescan_plex(session, options, theirs)
        else:
            _rescan_manager(session, options, theirs)


def _rescan_plex(session: httpx.Client, options: RescanOptions, path: str) -> None:
    found = _ask(session, options, "GET", "/library/sections")
    for section in found.get("MediaContainer", {}).get("Directory", []):
        roots = [str(each.get("path", "/?")) for each in section.get("Location", [])]
        if any(PurePosixPath(path).is_relative_to(root) for root in roots):
            folder = {"path": str(PurePosixPath(path).parent)}
            place = f"/library/sections/{section['key']}/refresh"
            _ask(session, options, "GET", place, params=folder)
            return
    raise _unknown(options, path, "section")


def _rescan_manager(session: httpx.Client, options: RescanOptions, path: str) -> None:
    """Have Radarr or Sonarr rescan the film or series whose folder holds the file."""
    radarr = options.kind == "radarr"
    found = _ask(session, options, "GET", "/api/v3/movie" if radarr else "/api/v3/series")
    for each in found if isinstance(found, list) else []:
        if PurePosixPath(path).is_relative_to(str(each.get("path", "/?"))):
            command = {"name": "RescanSeries", "seriesId": each["id"]}
            if radarr:
                command = {"name": "RefreshMovie", "movieIds": [each["id"]]}
            _ask(session, options, "POST", "/api/v3/command", json=command)
            return
    raise _unknown(options, path, "film or series")


def _unknown(options: RescanOptions, path: str, what: str) -> SettingsError:
    return SettingsError(
        f"{options.kind} at {options.url} has no {what} that holds {path!r}: see path_mappings"
    )


def _ask(
    session: httpx.Client, options: RescanOptions, method: str, place: str, **parts: Any
) -> Any:
    """Send a request, four times at most; return the JSON of the answer, or None."""
    backoff = Backoff(options.backoff_s)
    for attempt in range(1, _ATTEMPTS):
        try:
            return _once(session, options, method, place, **parts)
        except (ServiceTimeout, ServiceUnavailable):
            time.sleep(backoff.pause_s(attempt))
    return _once(session, options, method, place, **parts)


def _once(
    session: httpx.Client, options: RescanOptions, method: str, place: str, **parts: Any
) -> Any:
    url = options.url + place
    try:
        answer = session.request(method, url, **parts)
    except httpx.TimeoutException:
        raise ServiceTimeout(f"{url} gave no answer in {_TIMEOUT_S:.0f} s") from None
    except httpx.HTTPError as error:
        raise ServiceUnavailable(f"{url} cannot be reached: {type(error).__name__}") from None
    if answer.status_code in (401, 403):
        raise SettingsError(f"{url} refuses the key in ${options.token_variable}")
    if not answer.is_success:
        raise ServiceUnavailable(f"{url} answered {answer.status_code}")
    try:
        return answer.json() if answer.content else None
    except ValueError:
        return None
