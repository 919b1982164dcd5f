"""`transformers serve`, which asks for no key, behind the token that it was given.

Loopback is open to everybody on a machine. Run as a script by the Python of the environment that
holds transformers; it takes the arguments of `transformers`. Needs nothing of this package, which
may not be there.
"""

from __future__ import annotations

import hmac
import os
import sys
from collections.abc import Awaitable, Callable, MutableMapping
from importlib.util import find_spec
from typing import Any

TOKEN = "DUBARR_SERVICE_TOKEN"
_Messages = MutableMapping[str, Any]
_App = Callable[[_Messages, Any, Callable[[_Messages], Awaitable[None]]], Awaitable[None]]


def guarded(app: _App, token: str) -> _App:
    """The same server, refusing (401) whatever comes without the token."""
    wanted = f"Bearer {token}".encode()

    async def gate(
        scope: _Messages, receive: Any, send: Callable[[_Messages], Awaitable[None]]
    ) -> None:
        told = dict(scope.get("headers") or ()).get(b"authorization", b"")
        if scope["type"] != "http" or hmac.compare_digest(told, wanted):
            await app(scope, receive, send)
            return
        kind = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": 401, "headers": kind})
        await send({"type": "http.response.body", "body": b'{"error": "wrong or missing token"}'})

    return gate


def main() -> None:
    """Run `transformers` with every server that it opens behind the gate."""
    sys.path.pop(0)  # the folder of this script, whose modules are not meant
    if find_spec("dubarr_pipeline"):
        from dubarr_pipeline.models.torchaudio_cpu import prepare_torchaudio

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
