"""A small server that Radarr, Sonarr and scripts tell of new files: ``dubarr serve webhooks``.

It believes nobody without the token, reads no more than it must, looks only at paths inside a
library, and answers 200 only when what it was told lies on the disk.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import logging
import os
import secrets
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from dubarr_pipeline.errors import DubbingError, SettingsError, WorkspaceError
from dubarr_pipeline.library.inbox import Inbox
from dubarr_pipeline.library.libraries import Library
from dubarr_pipeline.library.webhook_events import SENDERS, FileEvent, file_events
from dubarr_pipeline.settings import Settings
from dubarr_pipeline.workdir import named_disk_errors

_log = logging.getLogger(__name__)

TOKEN_VARIABLE = "DUBARR_WEBHOOK_TOKEN"
_SHORTEST_TOKEN = 16
_MOST_AT_ONCE = 16
_LONGEST_NAME, _LONGEST_PATH = 255, 4096
"""In bytes: Linux has no files beyond them, and asking for one is an error."""
_QUOTED = 300
_LONGEST_NUMBER = 12


@dataclass(frozen=True, slots=True)
class WebhookOptions:
    """Where webhooks are received.

    Attributes:
        host: address to listen on; anything but loopback is your own decision.
        port: 0 takes a free one.
        most_body_kb: longer requests are refused (413).
        timeout_s: a sender that is slower is hung up on.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    most_body_kb: int = 1024
    timeout_s: float = 10.0

    def __post_init__(self) -> None:
        if not 0 <= self.port <= 65_535:
            raise ValueError("port must be within 0 and 65535")
        if self.most_body_kb < 1 or self.timeout_s <= 0:
            raise ValueError("most_body_kb and timeout_s must be above 0")


class Refusal(Exception):
    """A request that is not taken: the HTTP status, and why."""

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(reason)
        self.status = status


class WebhookServer:
    """Receives webhooks until it is closed. A context manager; `serve` blocks."""

    def __init__(self, settings: Settings, options: WebhookOptions, token: str) -> None:
        if len(token) < _SHORTEST_TOKEN:
            raise SettingsError(
                f"the webhook token has under {_SHORTEST_TOKEN} characters: make one by "
                "`openssl rand -hex 32`"
            )
        self.settings = settings
        self.options = options
        self.inbox = Inbox(settings.work_dir)
        self.room = threading.BoundedSemaphore(_MOST_AT_ONCE)
        self._token = token.encode()
        try:
            self._http = _Http((options.host, options.port), _Handler)
        except OSError as error:
            raise SettingsError(
                f"cannot listen on {options.host}:{options.port}: {error.strerror}; "
                "choose another webhooks.port"
            ) from error
        self._http.owner = self

    @property
    def url(self) -> str:
        """Where it listens."""
        host, port = self._http.server_address[:2]
        return f"http://{host!s}:{port}"

    def serve(self) -> None:
        """Answer until `stop`, or an interruption."""
        self._http.serve_forever()

    def stop(self) -> None:
        """Have `serve` return; for another thread."""
        self._http.shutdown()

    def close(self) -> None:
        """Give the port back."""
        self._http.server_close()

    def knows(self, authorization: str, header: str) -> bool:
        """Whether a request carries the token: as bearer, password or ``X-Dubarr-Token``."""
        return any(
            hmac.compare_digest(offered.encode("utf-8", "surrogateescape"), self._token)
            for offered in (_offered(authorization), header)
        )

    def take(self, sender: str, body: bytes) -> int:
        """Write down what a webhook tells; returns how many files it tells of.

        Raises:
            Refusal: with the status that the sender gets.
        """
        try:
            told = file_events(sender, json.loads(body))
        except (ValueError, RecursionError) as error:
            raise Refusal(400, f"not understood: {error}") from None
        placed = [self._place(event) for event in told]
        try:
            for library, event in placed:
                self.inbox.put(library, event)
        except WorkspaceError as error:
            raise Refusal(507, str(error)) from error
        return len(placed)

    def _place(self, event: FileEvent) -> tuple[str, FileEvent]:
        """The library that a file belongs to, and the event with our own paths."""
        for name in self.settings.libraries:
            library: Library = self.settings.library(name)
            path = _ours(library, event.path)
            if path:
                previous = _ours(library, event.previous) if event.previous else None
                return name, FileEvent(event.kind, path, previous)
        named = event.path[:_QUOTED]
        raise Refusal(422, f"{named!r} lies in none of the libraries (see path_mappings)")


def _ours(library: Library, theirs: str) -> str | None:
    """Our path of a file that a sender names, if it lies in the library and can be a path."""
    path = Path(os.path.normpath(library.mapped(theirs)))
    if not path.is_absolute() or not library.holds(path):
        return None
    longest = max(len(os.fsencode(part)) for part in path.parts)
    fits = longest <= _LONGEST_NAME and len(os.fsencode(path)) < _LONGEST_PATH
    return str(path) if fits else None


class _Http(ThreadingHTTPServer):
    daemon_threads = True
    owner: WebhookServer


class _Handler(BaseHTTPRequestHandler):
    """One request. The sender's words are never logged as they are, nor is the token."""

    server: _Http  # pyright: ignore[reportIncompatibleVariableOverride]
    protocol_version = "HTTP/1.1"
    server_version = "dubarr"
    sys_version = ""

    def setup(self) -> None:
        super().setup()
        self.connection.settimeout(self.server.owner.options.timeout_s)

    def do_GET(self) -> None:
        if self.path == "/health":
            self._answer(200, {"status": "ok"})
        else:
            self._answer(404, {"error": "not here"})

    def do_POST(self) -> None:
        owner = self.server.owner
        if not owner.room.acquire(blocking=False):
            self._answer(503, {"error": "too many at once"})
            return
        try:
            taken = self._take()
            self._answer(200, {"accepted": taken})
        except Refusal as refusal:
            _log.warning("a webhook was refused (%d): %s", refusal.status, refusal)
            self._answer(refusal.status, {"error": str(refusal)})
        except TimeoutError:
            self.close_connection = True
        finally:
            owner.room.release()

    def _take(self) -> int:
        owner, sender = self.server.owner, self.path.strip("/")
        authorization = self.headers.get("Authorization", "")
        if not owner.knows(authorization, self.headers.get("X-Dubarr-Token", "")):
            raise Refusal(401, "the token is missing or wrong")
        if sender not in SENDERS:
            raise Refusal(404, f"post to one of: {', '.join('/' + each for each in SENDERS)}")
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal():
            raise Refusal(411, "the length of the body is not told")
        if len(length) > _LONGEST_NUMBER or int(length) > owner.options.most_body_kb * 1024:
            raise Refusal(413, f"more than {owner.options.most_body_kb} KiB")
        body = self.rfile.read(int(length))
        if len(body) < int(length):
            raise Refusal(400, "the body broke off")
        try:
            return owner.take(sender, body)
        except DubbingError as error:
            raise Refusal(500, str(error)) from error

    def _answer(self, status: int, document: dict[str, Any]) -> None:
        body = json.dumps(document).encode()
        # What was not read of a refused body must not be taken for the next request.
        self.close_connection = self.close_connection or status != 200
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - as inherited
        """Nothing: the base class would print what strangers ask for."""


def webhook_token(work_dir: Path) -> tuple[str, Path | None]:
    """Return the token, and the file that holds it: ``$DUBARR_WEBHOOK_TOKEN``, else one made here.

    Raises:
        DiskFull, NotWritable: if a new one cannot be kept.
    """
    named = os.environ.get(TOKEN_VARIABLE, "")
    if named:
        return named, None
    path = work_dir / ".webhook-token"
    if not path.is_file():
        _write_secret(path, secrets.token_hex(32))
    return path.read_text(encoding="ascii").strip(), path


def _write_secret(path: Path, secret: str) -> None:
    """Write a file that only its owner may read, whole."""
    part = path.with_name(f"{path.name}.part")
    with named_disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(part, "w", encoding="ascii", opener=_for_owner) as file:
            file.write(secret)
        part.rename(path)


def _for_owner(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _offered(authorization: str) -> str:
    """The secret of an ``Authorization`` header: a bearer token, or a password."""
    scheme, _, rest = authorization.partition(" ")
    if scheme.lower() == "bearer":
        return rest.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(rest, validate=True).decode("utf-8", "replace").partition(":")[2]
    except (binascii.Error, ValueError):
        return ""
