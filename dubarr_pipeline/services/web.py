"""HTTP frame of our own servers: one token check, one body limit, one time-out.

Starlette routes and answers, uvicorn listens. What neither of them bounds is bounded here: the time
that a client may take for a request's head, for its body, and for reading the answer.
"""

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from typing import Any, Protocol

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from dubarr_pipeline.errors import RequestRefused
from dubarr_pipeline.services.bearer_auth import OPEN_PATH, guarded
from dubarr_pipeline.text.printable import printable

_log = logging.getLogger(__name__)

Endpoint = Callable[[Request], Awaitable[Response]]
_MAX_CONNECTIONS = 512
"""Well below the usual limit of 1,024 open files."""
_BACKLOG = 256
_GRACE_S = 5.0
"""Time for requests in progress when the server is stopped."""


@dataclass(frozen=True, slots=True)
class WebLimits:
    """Limits of what one client may send, and of all clients together.

    Attributes:
        body_bytes: longer bodies are refused (413).
        timeout_s: longest time for a request's head, for its body (408), for reading an answer,
            and for a connection between two requests.
        requests: requests in progress, those that wait included; more are refused (503).
    """

    body_bytes: int
    timeout_s: float
    requests: int = 64


async def read_body(request: Request, limits: WebLimits) -> bytes:
    """Return the body of a request.

    Raises:
        RequestRefused: if its length is not declared (411) or too great (413), or if it does not
            arrive whole (400) and in time (408).
    """
    length = request.headers.get("content-length")
    if length is None:
        raise RequestRefused(411, "length_required", "Content-Length header required")
    if "transfer-encoding" in request.headers:
        # Proxies differ in which of the two they believe: the way to smuggle a second request.
        raise RequestRefused(400, "ambiguous_length", "Content-Length beside Transfer-Encoding")
    if int(length) > limits.body_bytes:
        raise RequestRefused(
            413, "body_too_large", f"the body has more than {limits.body_bytes // 1024} KiB"
        )
    try:
        async with asyncio.timeout(limits.timeout_s):
            return await request.body()
    except TimeoutError:
        raise RequestRefused(
            408, "body_timeout", f"the body did not arrive within {limits.timeout_s:g} s"
        ) from None
    except ClientDisconnect:
        raise RequestRefused(400, "body_cut_off", "the body broke off") from None


class ServedApp(Protocol):
    """An ASGI application with the limits of its requests."""

    limits: WebLimits

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None: ...


class WebApp:
    """ASGI application that answers every refusal in JSON, and then hangs up.

    All paths but `OPEN_PATH` and `open_paths` need the token, if it is not empty.
    """

    def __init__(
        self,
        routes: Mapping[tuple[str, str], Endpoint],
        token: str,
        limits: WebLimits,
        error_document: Callable[[RequestRefused], Mapping[str, Any]],
        open_paths: Collection[str] = (),
    ) -> None:
        self.limits = limits
        self._error_document = error_document
        self._in_progress = 0
        self._site = Starlette(
            routes=[Route(path, each, methods=[method]) for (method, path), each in routes.items()],
            exception_handlers=dict.fromkeys(
                (RequestRefused, HTTPException, Exception), self._refusal
            ),
        )
        self._site.router.redirect_slashes = False
        words = "the token is missing or wrong: send Authorization: Bearer TOKEN"
        refuse = partial(self._refuse, RequestRefused(401, "invalid_token", words))
        self._entry = (
            guarded(self._admit, token, refuse, {OPEN_PATH, *open_paths}) if token else self._admit
        )

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._entry(scope, receive, send)

    async def _admit(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a request, if there are not too many in progress."""
        if self._in_progress >= self.limits.requests and scope["path"] != OPEN_PATH:
            crowded = RequestRefused(503, "too_many_requests", "too many requests at once")
            await self._refuse(crowded, scope, receive, send)
            return
        self._in_progress += 1
        try:
            await self._site(scope, receive, send)
        finally:
            self._in_progress -= 1

    async def _refuse(self, error: RequestRefused, scope: Any, receive: Any, send: Any) -> None:
        response = await self._refusal(Request(scope), error)
        await response(scope, receive, send)

    async def _refusal(self, request: Request, error: Exception) -> Response:
        if isinstance(error, HTTPException):  # Starlette's 404 and 405
            words = f"{request.method} {request.url.path[:80]} is not served here"
            error = RequestRefused(404, "not_found", words)
        if not isinstance(error, RequestRefused):
            error = RequestRefused(500, "internal_error", f"internal error: {type(error).__name__}")
        _log.warning("a request was refused (%d): %s", error.status, printable(str(error)))
        # The rest of a refused body must not be taken for the next request.
        headers = {"Connection": "close"}
        if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
            headers["Retry-After"] = "1"
        return JSONResponse(self._error_document(error), error.status, headers)


class _TimedProtocol(H11Protocol):
    """A connection that is cut when it stays too long without a request in progress.

    Uvicorn bounds the pause after an answer only, and any byte ends that watch: a client that
    sends its head slowly, or does not read its answer, would keep the connection for ever.
    """

    _cut: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        super().connection_made(transport)
        self._watch()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._watch()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._cut:
            self._cut.cancel()

    def _watch(self) -> None:
        """Start the watch when no request is in progress, stop it when one is."""
        in_progress = self.cycle is not None and not self.cycle.response_complete
        if in_progress and self._cut:
            self._cut.cancel()
            self._cut = None
        elif not in_progress and not self._cut:
            self._cut = self.loop.call_later(self.timeout_keep_alive, self.transport.abort)


class WebServer:
    """An application on a port, listening from construction until `close`.

    `serve` blocks, in the main thread until SIGINT or SIGTERM, in any other until `stop`. Port 0
    is a free one.

    Raises:
        OSError: if the address cannot be listened on.
    """

    def __init__(self, app: ServedApp, host: str, port: int) -> None:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        self._socket = socket.socket(family, kind)
        try:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self._socket.bind(address)
            self._socket.listen(_BACKLOG)
        except OSError:
            self._socket.close()
            raise
        config = uvicorn.Config(
            app,
            http=_TimedProtocol,
            ws="none",
            lifespan="off",
            loop="asyncio",
            log_config=None,
            proxy_headers=False,
            server_header=False,
            backlog=_BACKLOG,
            limit_concurrency=_MAX_CONNECTIONS,
            timeout_keep_alive=app.limits.timeout_s,  # pyright: ignore[reportArgumentType] - any number will do
            timeout_graceful_shutdown=int(_GRACE_S),
        )
        self._server = uvicorn.Server(config)

    @property
    def url(self) -> str:
        """Root address, without a slash at its end."""
        host, port = self._socket.getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    def serve(self) -> None:
        """Answer until a signal or `stop`; requests in progress are given some seconds."""
        self._server.run([self._socket])

    def stop(self) -> None:
        """Have `serve` return; for another thread."""
        self._server.should_exit = True

    def close(self) -> None:
        """Release the port."""
        self._socket.close()
