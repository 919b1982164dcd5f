"""Token check in front of an HTTP server, for our own servers and for `transformers serve`.

Loopback is open to everybody on a machine, and `transformers serve` asks for no key. Run as a
script by the Python of the environment that holds transformers, with the arguments of
`transformers`; that environment may not hold this package, so nothing of it is imported here.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import os
import sys
from collections.abc import Awaitable, Callable, Collection, Iterable, MutableMapping
from importlib.util import find_spec
from typing import Any

TOKEN = "DUBARR_SERVICE_TOKEN"
OPEN_PATH = "/health"
"""Our own servers answer it without the token."""
_Message = MutableMapping[str, Any]
_Receive = Callable[[], Awaitable[_Message]]
_Send = Callable[[_Message], Awaitable[None]]
App = Callable[[_Message, _Receive, _Send], Awaitable[None]]
"""An ASGI application."""


def shows_token(headers: Iterable[tuple[bytes, bytes]], token: str) -> bool:
    """Return whether a request shows the token: as bearer, password or ``X-Dubarr-Token``.

    Names of headers are in lower case. Every comparison takes the same time.
    """
    shown = dict(headers)
    scheme, _, credentials = shown.get(b"authorization", b"").partition(b" ")
    offered = [shown.get(b"x-dubarr-token", b"")]
    if scheme.lower() == b"bearer":
        offered.append(credentials.strip())
    elif scheme.lower() == b"basic":
        try:
            offered.append(base64.b64decode(credentials, validate=True).partition(b":")[2])
        except binascii.Error:
            return False
    return any(hmac.compare_digest(each, token.encode()) for each in offered)


async def _refuse(_scope: _Message, _receive: _Receive, send: _Send) -> None:
    kind = [(b"content-type", b"application/json"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 401, "headers": kind})
    await send({"type": "http.response.body", "body": b'{"error": "wrong or missing token"}'})


def guarded(
    app: App, token: str, refuse: App = _refuse, open_paths: Collection[str] = frozenset()
) -> App:
    """Return the application behind its token; `refuse` answers calls that do not show it."""

    async def gate(scope: _Message, receive: _Receive, send: _Send) -> None:
        is_open = scope["type"] != "http" or scope["path"] in open_paths
        admitted = is_open or shows_token(scope.get("headers") or (), token)
        await (app if admitted else refuse)(scope, receive, send)

    return gate


def main() -> None:
    """Run `transformers` with every server that it opens behind the token check."""
    sys.path.pop(0)  # this script's folder: its modules would shadow those of others
    if find_spec("dubarr_pipeline"):
        from dubarr_pipeline.compute.devices import prepare_torchaudio

        prepare_torchaudio()
    import uvicorn
    from transformers.cli.transformers import main as transformers

    token = os.environ.pop(TOKEN)
    plain = uvicorn.Config

    def config(app: Any, *arguments: Any, **options: Any) -> uvicorn.Config:
        return plain(guarded(app, token), *arguments, **options)

    uvicorn.Config = config  # pyright: ignore[reportAttributeAccessIssue]
    sys.argv[0] = "transformers"
    transformers()


if __name__ == "__main__":
    main()
