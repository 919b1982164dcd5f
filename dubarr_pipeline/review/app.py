"""The application of the review server: its calls behind the guard, and the page's files."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from functools import cache
from importlib.resources import files
from pathlib import Path

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response

from dubarr_pipeline import __version__
from dubarr_pipeline.errors import (
    ArtifactError,
    DubbingError,
    LanguageError,
    MissingRequirement,
    RequestRefused,
    ServiceError,
    SettingsError,
    VideoBusy,
)
from dubarr_pipeline.review import actions, casting, events, exchange, mending, reading, setting_up
from dubarr_pipeline.review.access import API, GuardedApp, Names
from dubarr_pipeline.review.calls import Asked, RestCall, openapi
from dubarr_pipeline.review.room import ReviewRoom
from dubarr_pipeline.services.bearer_auth import OPEN_PATH
from dubarr_pipeline.services.monitoring import Monitor, monitoring_routes
from dubarr_pipeline.services.web import Endpoint, WebApp, WebLimits, read_body

_log = logging.getLogger(__name__)
PAGES, SETUP_PAGE = "/review", "/setup"
OPENAPI = f"{API}/openapi.json"
_LIMITS = WebLimits(body_bytes=8 << 20, timeout_s=30.0, requests=256)
_STATUS: tuple[tuple[type[DubbingError], int], ...] = (
    (VideoBusy, 409),
    (ArtifactError, 409),
    (LanguageError, 422),
    (SettingsError, 422),
    (MissingRequirement, 503),
    (ServiceError, 503),
)
"""Errors of the rest of dubarr as HTTP says them; all others are our own (500)."""
_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".txt": "text/plain; charset=utf-8",
}
CALLS: tuple[RestCall, ...] = tuple(
    call
    for room in (reading, mending, casting, exchange, actions, events, setting_up)
    for call in room.CALLS
)


def review_app(
    room: ReviewRoom, token: str, names: Names, monitor: Monitor | None = None
) -> GuardedApp:
    """Return the review server's application; everybody must show the `token`.

    With a `monitor` it answers watching programs, too.
    """
    routes: dict[tuple[str, str], Endpoint] = {
        (call.method, call.path): _endpoint(room, call) for call in CALLS
    }

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok"})

    async def described(_: Request) -> Response:
        return Response(openapi_text(), media_type="application/json")

    async def home(_: Request) -> Response:
        return RedirectResponse(f"{PAGES}/")

    async def page(_: Request) -> Response:
        return _page_file("index.html")

    async def static(request: Request) -> Response:
        return _page_file(request.path_params["name"])

    routes |= {
        ("GET", OPEN_PATH): health,
        ("GET", OPENAPI): described,
        ("GET", "/"): home,
        ("GET", f"{PAGES}/static/{{name:path}}"): static,
        ("GET", SETUP_PAGE): page,
        ("GET", f"{PAGES}/"): page,
        ("GET", f"{PAGES}/{{key}}"): page,
        ("GET", f"{PAGES}/{{key}}/cast"): page,
    }
    routes |= monitoring_routes(monitor, token)
    site = WebApp(routes, "", _LIMITS, lambda error: {"error": str(error)})
    return GuardedApp(site, token, names, (f"{PAGES}/", SETUP_PAGE))


@cache
def openapi_text() -> str:
    """Return the OpenAPI document of all calls."""
    return json.dumps(openapi(CALLS, __version__), indent=1)


def _endpoint(room: ReviewRoom, call: RestCall) -> Endpoint:
    """Return the endpoint of a call, which works in a thread: files and ffmpeg block."""

    async def answer(request: Request) -> Response:
        body = await read_body(request, _LIMITS) if call.method in ("POST", "PUT") else b""
        given: Mapping[str, str] = request.query_params
        query = {each.name: each.read(given.get(each.name)) for each in call.query}
        asked = Asked(request.path_params, query, dict(request.headers), body)
        try:
            return await run_in_threadpool(call.respond, room, asked)
        except RequestRefused:
            raise
        except (DubbingError, FileNotFoundError) as error:
            # A film may be removed, or its files replaced, at any moment.
            status = next((s for kind, s in _STATUS if isinstance(error, kind)), 500)
            status = 404 if isinstance(error, FileNotFoundError) else status
            raise RequestRefused(status, type(error).__name__, str(error)) from error

    return answer


def _page_file(name: str) -> Response:
    """Return one of the page's own files; a name from an address is never a path."""
    if name not in _page_files():
        raise RequestRefused(404, "no_file", f"the page has no file {name[:40]!r}")
    path = _page_files()[name]
    kind = _TYPES.get(path.suffix, "application/octet-stream")
    headers = {"Cache-Control": "no-cache"}
    return FileResponse(path, 200, headers, kind, stat_result=path.stat())


@cache
def _page_files() -> Mapping[str, Path]:
    """Return the page's files by their names below its folder, which is read once."""
    folder = Path(str(files("dubarr_pipeline.review").joinpath("page")))
    found = (path for path in sorted(folder.rglob("*")) if path.suffix in _TYPES)
    return {path.relative_to(folder).as_posix(): path for path in found}
