"""Tests of Radarr, Sonarr, Bazarr, Jellyfin and Plex: who answers, as whom, with which folders.

The shapes are those of their published sources: Radarr 6, Sonarr 4, Bazarr 1.5, Jellyfin 12, Plex
as python-plexapi reads it. A fault is one sentence: what, where, cure.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

import httpx

from dubarr_pipeline.errors import SettingsError
from dubarr_pipeline.services.http_client import check_url
from dubarr_pipeline.text.printable import one_line
from dubarr_pipeline.text.tables import read_table

Kind = Literal["radarr", "sonarr", "bazarr", "jellyfin", "plex"]
KINDS: tuple[Kind, ...] = ("radarr", "sonarr", "bazarr", "jellyfin", "plex")
MANAGERS: tuple[Kind, ...] = ("radarr", "sonarr")
MEDIA_SERVERS: tuple[Kind, ...] = ("jellyfin", "plex")
_TIMEOUT_S, _FIND_S = 10.0, 1.5
_NAMES = 200
_MOST_BYTES = 64 << 20


def title_of(kind: str) -> str:
    """Return the name of a kind of server for people."""
    return _table()[kind]["title"]


@dataclass(frozen=True, slots=True)
class RootFolder:
    """A folder of films as a server names it, and names of folders in it, where it tells them."""

    path: str
    accessible: bool = True
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ServerReport:
    """Outcome of a test: version and folders, or a fault in one sentence.

    Attributes:
        better_url: the address under which it said that it answers; empty: none.
        renames: folders as Radarr or Sonarr name them, and as Bazarr does.
    """

    kind: Kind
    url: str
    version: str = ""
    folders: tuple[RootFolder, ...] = ()
    fault: str = ""
    better_url: str = ""
    renames: Mapping[str, str] = field(default_factory=dict[str, str])


class ServerFault(SettingsError):
    """A server that cannot be used, in words; and perhaps the address that it has."""

    def __init__(self, words: str, better_url: str = "") -> None:
        super().__init__(words)
        self.better_url = better_url


def checked_url(url: str) -> str:
    """Return an address without the slash at its end. Raises `SettingsError` if it is none."""
    url = url.strip().rstrip("/")
    if "@" in url or "?" in url or "#" in url:
        raise SettingsError("an address must hold no password and no key: give the key by itself")
    try:
        check_url(url)
    except ValueError as error:
        raise SettingsError(f"{error}: write it like http://127.0.0.1:7878") from error
    return url


class ServerSession:
    """Requests to one server. Faults are sentences that hold neither the key nor its words."""

    def __init__(self, kind: Kind, url: str, key: str, timeout_s: float = _TIMEOUT_S) -> None:
        self.kind: Kind = kind
        self.url, self._key = checked_url(url), key.strip()
        self.where = f"{title_of(kind)} at {self.url}"
        if not self._key.isascii() or not self._key.isprintable() or '"' in self._key:
            raise SettingsError(f"{self.where}: the key has letters that no key has: copy it again")
        known_by = credentials(kind, self._key) if self._key else {}
        headers = {"Accept": "application/json", **known_by}
        self._client = httpx.Client(headers=headers, timeout=timeout_s, trust_env=False)

    def __enter__(self) -> ServerSession:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(self, place: str, method: str = "GET", document: Any = None) -> Any:
        """Return the JSON of an answer. Raises `ServerFault`."""
        answer = self.send(place, method, document)
        if answer.status_code == 404:
            title = title_of(self.kind)
            raise self.fault(f"does not know {place}: another server listens there than {title}")
        if not answer.is_success:
            raise self.fault(f"answered {answer.status_code} to {place}: see its log")
        if not answer.content:
            return None
        try:
            return answer.json()
        except ValueError:
            what = "a page" if "html" in answer.headers.get("content-type", "") else "no JSON"
            cure = f"is that {title_of(self.kind)}'s own address?"
            raise self.fault(f"sent {what} instead of data: {cure}") from None

    def fault(self, words: str, better_url: str = "") -> ServerFault:
        """Return a fault of this server."""
        return ServerFault(f"{self.where} {words}", better_url)

    def send(self, place: str, method: str = "GET", document: Any = None) -> httpx.Response:
        """Return an answer of any status but those that name the address or the key as wrong."""
        json = {} if document is None else {"json": document}
        try:
            with self._client.stream(method, self.url + place, **json) as reply:
                body = bytearray()
                for part in reply.iter_bytes():
                    body += part
                    if len(body) > _MOST_BYTES:
                        raise self.fault("sent more than 64 MB: is this the right address?")
        except httpx.TimeoutException:
            cure = "is it running, and is the port right?"
            raise self.fault(f"gave no answer in time: {cure}") from None
        except httpx.HTTPError as error:
            cure = "is it running, and is the address right as seen from here?"
            raise self.fault(f"cannot be reached ({type(error).__name__}): {cure}") from None
        answer = httpx.Response(reply.status_code, headers=_plain(reply), content=bytes(body))
        if answer.is_redirect:
            raise self._moved(answer.headers.get("location", ""), place)
        if answer.status_code in (401, 403):
            raise self.fault("refuses the key: copy it again from its settings")
        return answer

    def _moved(self, location: str, place: str) -> ServerFault:
        """Return the fault of an address without the server's URL base."""
        target = httpx.URL(self.url + "/").join(location) if location else None
        base = str(target).partition(place)[0].rstrip("/") if target else ""
        if target is None or place not in str(target) or base == self.url:
            return self.fault("sends elsewhere, perhaps to a login page: give its own address")
        if urlsplit(base).hostname != urlsplit(self.url).hostname:
            return self.fault("sends to another machine: give that address if it is yours")
        return self.fault(f"has a URL base: its address is {base}", base)

    def without_key(self, words: str) -> str:
        """Return a server's words, in which the key is not repeated."""
        return one_line(words.replace(self._key, "***") if self._key else words)


def _plain(reply: httpx.Response) -> dict[str, str]:
    kept = ("content-type", "location")
    return {name: reply.headers[name] for name in kept if name in reply.headers}


def credentials(kind: str, token: str) -> dict[str, str]:
    """Return the header by which a server of a kind knows us."""
    if kind == "jellyfin":
        # Jellyfin 12 takes this one alone, and older ones take it as well.
        return {"Authorization": f'MediaBrowser Token="{token}"'}
    if kind == "kodi":
        return {"Authorization": f"Basic {base64.b64encode(token.encode()).decode()}"}
    return {{"emby": "X-Emby-Token", "plex": "X-Plex-Token"}.get(kind, "X-Api-Key"): token}


def find_servers(addresses: Iterable[tuple[Kind, str]] | None = None) -> list[tuple[Kind, str]]:
    """Return the servers that answer at the usual addresses, or at those given, by kind."""
    tried = list(usual_addresses() if addresses is None else addresses)
    with ThreadPoolExecutor(max_workers=16) as pool:
        found = list(pool.map(lambda each: _answers(*each), tried))
    first: dict[Kind, str] = {}
    for (kind, url), answers in zip(tried, found, strict=True):
        if answers:
            first.setdefault(kind, url)
    return list(first.items())


def usual_addresses() -> list[tuple[Kind, str]]:
    """Return where servers are looked for: this machine's ports, and compose files' names."""
    table = _table()
    return [
        (kind, f"http://{kind if host == 'KIND' else host}:{table[kind]['port']}")
        for kind in KINDS
        for host in table["hosts"]
    ]


def _answers(kind: Kind, url: str) -> bool:
    try:
        with ServerSession(kind, url, "", _FIND_S) as session:
            return isinstance(session.ask(_table()[kind]["open"]), dict)
    except ServerFault as fault:
        return bool(fault.better_url)


def try_server(kind: Kind, url: str, key: str) -> ServerReport:
    """Ask a server who it is and which folders it has; a fault is in the report."""
    try:
        with ServerSession(kind, url, key) as session:
            try:
                if not key.strip():
                    raise session.fault("wants a key: copy it from its settings")
                return _READERS[kind](session)
            except ServerFault as fault:
                better = fault.better_url
                return ServerReport(kind, session.url, fault=str(fault), better_url=better)
            except (KeyError, TypeError, AttributeError):
                words = f"{session.where} sent other data than {title_of(kind)} does: which is it?"
                return ServerReport(kind, session.url, fault=words)
    except SettingsError as error:
        return ServerReport(kind, url, fault=f"{title_of(kind)}: {error}")


def _manager(session: ServerSession) -> ServerReport:
    status = session.ask("/api/v3/system/status")
    wanted, found = title_of(session.kind), str(status["appName"])
    if found != wanted:
        raise session.fault(f"is {one_line(found)}: give the address of {wanted}")
    listed = session.ask("/api/v3/movie" if session.kind == "radarr" else "/api/v3/series")
    paths = [str(each.get("path", "")) for each in listed]
    folders = [
        RootFolder(root["path"], root.get("accessible", True), _names_below(root["path"], paths))
        for root in session.ask("/api/v3/rootfolder")
    ]
    return ServerReport(session.kind, session.url, str(status["version"]), tuple(folders))


def _names_below(root: str, paths: Iterable[str]) -> tuple[str, ...]:
    base = root.replace("\\", "/").rstrip("/") + "/"
    below = (p.replace("\\", "/").removeprefix(base) for p in paths)
    names = dict.fromkeys(p.strip("/").partition("/")[0] for p in below if not p.startswith("/"))
    return tuple(filter(None, names))[:_NAMES]


def _bazarr(session: ServerSession) -> ServerReport:
    version = str(session.ask("/api/system/status")["data"]["bazarr_version"])
    # The answer holds every key that Bazarr has: nothing else is taken from it.
    general = session.ask("/api/system/settings")["general"]
    pairs = [*general.get("path_mappings", ()), *general.get("path_mappings_movie", ())]
    renames = {str(theirs): str(own) for theirs, own in pairs if theirs and own and theirs != own}
    return ServerReport("bazarr", session.url, version, renames=renames)


def _jellyfin(session: ServerSession) -> ServerReport:
    info = session.ask("/System/Info/Public")
    product = one_line(str(info.get("ProductName", "Jellyfin")))
    if not product.startswith("Jellyfin"):
        raise session.fault(f"is {product}: give the address of Jellyfin")
    libraries = session.ask("/Library/VirtualFolders")
    paths = dict.fromkeys(path for each in libraries for path in each["Locations"])
    return ServerReport("jellyfin", session.url, info["Version"], tuple(map(RootFolder, paths)))


def _plex(session: ServerSession) -> ServerReport:
    identity = session.ask("/identity")["MediaContainer"]
    container = session.ask("/library/sections")["MediaContainer"]
    sections = container.get("Directory", [])
    paths = dict.fromkeys(place["path"] for each in sections for place in each["Location"])
    return ServerReport("plex", session.url, identity["version"], tuple(map(RootFolder, paths)))


_READERS = {
    "radarr": _manager,
    "sonarr": _manager,
    "bazarr": _bazarr,
    "jellyfin": _jellyfin,
    "plex": _plex,
}


def _table() -> dict[str, Any]:
    return read_table("dubarr_pipeline.library.setup", "servers")
