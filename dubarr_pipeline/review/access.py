"""Guard of the review server: who may ask, from which page, under which name.

A browser sends no token with ``<audio>`` and ``<video>``: it exchanges the token for a cookie,
which no script can read and no other site can have sent. A write must come from a page of ours. A
name that somebody had resolve to this machine (DNS rebinding) is no name of ours.
"""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from typing import Any
from urllib.parse import urlsplit

from starlette.responses import JSONResponse, Response

from dubarr_pipeline.services.bearer_auth import OPEN_PATH, App, shows_token
from dubarr_pipeline.services.monitoring import MONITORING
from dubarr_pipeline.services.web import WebApp, WebLimits

API = "/api/v1"
SESSION = f"{API}/session"
_OURS = frozenset(("localhost", "localhost.localdomain"))
_READING = frozenset(("GET", "HEAD"))
_OF_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain")
"""Types of content that a page of another site may send without asking."""
_YEAR_S = 31_536_000
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; connect-src 'self'; "
    "img-src 'self' data: blob:; media-src 'self' blob:; font-src 'self'; base-uri 'none'; "
    "form-action 'none'; frame-ancestors 'none'"
)
"""No script that does not come from this server, and none in the page itself."""
_HEADERS = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
"""Of every answer that does not say otherwise."""


@dataclass(frozen=True, slots=True)
class Names:
    """Names and addresses under which the server may be asked.

    Attributes:
        hosts: names besides this machine's own addresses, in lower case.
        origin: of the address that people use, where a proxy stands before the server.
    """

    hosts: frozenset[str] = frozenset()
    origin: str = ""

    @classmethod
    def of(cls, host: str, address: str) -> Names:
        """Return the names of a server that listens on `host` and is linked as `address`."""
        parts = urlsplit(address)
        names = {host.lower(), (parts.hostname or "").lower()}
        return cls(
            frozenset(filter(None, names)), f"{parts.scheme}://{parts.netloc}" if address else ""
        )

    def has_host(self, header: str) -> bool:
        """Return whether a ``Host`` names this server.

        An address of digits always does: only a name can be made to lead elsewhere.
        """
        try:
            name = (urlsplit(f"//{header}").hostname or "").rstrip(".").lower()
        except ValueError:
            return False
        if name in _OURS or name in self.hosts:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def has_origin(self, origin: str, host: str) -> bool:
        """Return whether a page's origin is this server, as it was asked or as it is linked."""
        return origin in (f"http://{host}", f"https://{host}") or origin == self.origin != ""


class GuardedApp:
    """A `WebApp` behind the token or its cookie; pages and their files are open to everybody.

    Attributes:
        limits: of the application.
    """

    def __init__(self, app: WebApp, token: str, names: Names, open_paths: Collection[str]) -> None:
        self.limits: WebLimits = app.limits
        self._app: App = app
        self._token, self._names, self._open = token, names, tuple(open_paths)
        mark = hmac.digest(token.encode(), b"dubarr review: session", "sha256").hex()
        # Browsers keep cookies by host, not by port: another server's has another name.
        self._cookie = (f"dubarr-review-{mark[:8]}", mark[8:])

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in _of(scope)}
        refusal = self._refusal(scope, headers)

        async def sent(message: Any) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                added = ((n.encode(), v.encode()) for n, v in _HEADERS.items())
                message["headers"] = [
                    *message["headers"],
                    *(each for each in added if each[0] not in given),
                ]
            await send(message)

        if refusal:
            await refusal(scope, receive, sent)
        elif scope["path"] == SESSION and scope["method"] == "POST":
            await self._session(headers)(scope, receive, sent)
        else:
            await self._app(scope, receive, sent)

    def _refusal(self, scope: Any, headers: Mapping[str, str]) -> Response | None:
        """Return the answer to a request that may not be made, or None."""
        path: str = scope["path"]
        if path in MONITORING:
            return None
        host = headers.get("host", "")
        if not self._names.has_host(host):
            return _refused(421, "this server is not called that: see review.address")
        if path == OPEN_PATH or path.startswith(self._open) or path == "/":
            return None
        shown = shows_token(_of(scope), self._token)
        if not shown and (path == SESSION or not self._has_session(headers)):
            return _refused(401, "the token is missing or wrong: open the link with the token")
        if scope["method"] in _READING:
            return None
        origin = headers.get("origin", "")
        if not (self._names.has_origin(origin, host) or (shown and not origin)):
            return _refused(403, "a change must come from this server's own page")
        if headers.get("content-type", "").partition(";")[0].strip().lower() in _OF_FORMS:
            return _refused(415, "send application/json")
        return None

    def _has_session(self, headers: Mapping[str, str]) -> bool:
        name, value = self._cookie
        try:
            found = SimpleCookie(headers.get("cookie", "")).get(name)
        except CookieError:
            return False
        return found is not None and hmac.compare_digest(found.value.encode(), value.encode())

    def _session(self, headers: Mapping[str, str]) -> Response:
        """Return the answer that gives a browser its cookie, in place of the token."""
        answer = JSONResponse({"accepted": True})
        answer.set_cookie(
            *self._cookie,
            max_age=_YEAR_S,
            httponly=True,
            samesite="strict",
            secure=headers.get("origin", "").startswith("https:"),
        )
        return answer


def _of(scope: Any) -> list[tuple[bytes, bytes]]:
    return scope.get("headers") or []


def _refused(status: int, words: str) -> Response:
    # The rest of a refused body must not be taken for the next request.
    return JSONResponse({"error": words}, status, {"Connection": "close"})
