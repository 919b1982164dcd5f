"""Telling media servers and managers that a published film lies there: they need not look."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Literal

import httpx

from dubarr_pipeline.errors import ServiceTimeout, ServiceUnavailable, SettingsError

ServerKind = Literal["radarr", "sonarr", "jellyfin", "plex"]
_ATTEMPTS = 4
_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class RescanOptions:
    """One server that is told of published films.

    Attributes:
        kind: "radarr", "sonarr", "jellyfin" or "plex".
        url: its address, with the base path if it has one: ``"http://127.0.0.1:8096"``.
        token_variable: environment variable that holds its key.
        path_mappings: how our paths read there, ``"/mnt/media/tv" = "/tv"``.
        backoff_s: pause before the second of four tries; doubled each time.
    """

    kind: ServerKind
    url: str
    token_variable: str
    path_mappings: Mapping[str, str] = field(default_factory=dict[str, str])
    backoff_s: float = 2.0

    def __post_init__(self) -> None:
        if not self.url.startswith(("http://", "https://")):
            raise ValueError("url must begin with http:// or https://")
        if "@" in self.url or "?" in self.url:
            raise ValueError("url must hold no password and no key: they go into $token_variable")
        object.__setattr__(self, "url", self.url.rstrip("/"))

    def theirs(self, path: Path) -> str:
        """How the server names one of our paths; the longest mapping that fits counts."""
        fitting = [each for each in self.path_mappings if path.is_relative_to(each)]
        if not fitting:
            return str(path)
        longest = max(fitting, key=lambda each: len(Path(each).parts))
        return str(PurePosixPath(self.path_mappings[longest]) / path.relative_to(longest))


def rescan(options: RescanOptions, path: Path) -> None:
    """Have a server look at one published file.

    Raises:
        SettingsError: if the key is not in the environment, or is refused.
        ServiceTimeout, ServiceUnavailable: if the server does not answer, tried four times.
    """
    token = os.environ.get(options.token_variable, "")
    if not token:
        raise SettingsError(
            f"rescan of {options.url}: ${options.token_variable} is empty: put the key there"
        )
    transport = httpx.HTTPTransport(retries=1)
    with httpx.Client(transport=transport, timeout=_TIMEOUT_S, trust_env=False) as client:
        _Talk(client, options, token).tell(options.theirs(path))


@dataclass(frozen=True, slots=True)
class _Talk:
    """One conversation with one server."""

    client: httpx.Client
    options: RescanOptions
    token: str = field(repr=False)

    def tell(self, path: str) -> None:
        if self.options.kind == "jellyfin":
            updates = [{"Path": path, "UpdateType": "Modified"}]
            self._ask("POST", "/Library/Media/Updated", json={"Updates": updates})
        elif self.options.kind == "plex":
            self._tell_plex(path)
        else:
            self._tell_manager(path)

    def _tell_plex(self, path: str) -> None:
        found = self._ask("GET", "/library/sections")
        for section in found.get("MediaContainer", {}).get("Directory", []):
            roots = [str(each.get("path", "/?")) for each in section.get("Location", [])]
            if any(PurePosixPath(path).is_relative_to(root) for root in roots):
                folder = str(PurePosixPath(path).parent)
                self._ask(
                    "GET", f"/library/sections/{section['key']}/refresh", params={"path": folder}
                )
                return
        raise self._unknown(path, "section")

    def _tell_manager(self, path: str) -> None:
        """Radarr and Sonarr look again at the film or series whose folder holds the file."""
        radarr = self.options.kind == "radarr"
        found = self._ask("GET", "/api/v3/movie" if radarr else "/api/v3/series")
        for each in found if isinstance(found, list) else []:
            if PurePosixPath(path).is_relative_to(str(each.get("path", "/?"))):
                command = (
                    {"name": "RefreshMovie", "movieIds": [each["id"]]}
                    if radarr
                    else {"name": "RescanSeries", "seriesId": each["id"]}
                )
                self._ask("POST", "/api/v3/command", json=command)
                return
        raise self._unknown(path, "film or series")

    def _unknown(self, path: str, what: str) -> SettingsError:
        return SettingsError(
            f"{self.options.kind} at {self.options.url} has no {what} that holds {path!r}: "
            "see path_mappings"
        )

    def _ask(self, method: str, place: str, **parts: Any) -> Any:
        """Send a request, four times at most; returns the JSON of the answer, or nothing."""
        for attempt in range(_ATTEMPTS - 1):
            try:
                return self._once(method, place, **parts)
            except (ServiceTimeout, ServiceUnavailable):
                time.sleep(self.options.backoff_s * 2.0**attempt)
        return self._once(method, place, **parts)

    def _once(self, method: str, place: str, **parts: Any) -> Any:
        url = self.options.url + place
        try:
            answer = self.client.request(method, url, headers=self._headers(), **parts)
        except httpx.TimeoutException:
            raise ServiceTimeout(f"{url} gave no answer in {_TIMEOUT_S:.0f} s") from None
        except httpx.HTTPError as error:
            raise ServiceUnavailable(f"{url} cannot be reached: {type(error).__name__}") from None
        if answer.status_code in (401, 403):
            raise SettingsError(f"{url} refuses the key in ${self.options.token_variable}")
        if not answer.is_success:
            raise ServiceUnavailable(f"{url} answered {answer.status_code}")
        try:
            return answer.json() if answer.content else None
        except ValueError:
            return None

    def _headers(self) -> dict[str, str]:
        names = {
            "radarr": "X-Api-Key",
            "sonarr": "X-Api-Key",
            "jellyfin": "X-Emby-Token",
            "plex": "X-Plex-Token",
        }
        return {names[self.options.kind]: self.token, "Accept": "application/json"}
