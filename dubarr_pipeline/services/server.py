"""A server on the wire: time-outs on every call, retries with back-off, and failures by name."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Any, Protocol

import httpx
from pydantic import ValidationError

from dubarr_pipeline.errors import BadReply, ServiceError, ServiceTimeout, ServiceUnavailable
from dubarr_pipeline.services.wire import ServedModel, ServedModels

_log = logging.getLogger(__name__)

_PASSING = frozenset({408, 409, 425, 429, 500, 502, 503, 504, 529})
"""HTTP statuses that may be gone in a moment."""
_LONGEST_WAIT_S = 120.0
"""A server that asks for more time than this is tried again all the same."""
_REFUSED = frozenset({401, 403, 404, 405})
"""Statuses that say that this server will not do, whatever is asked."""


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Where a server is, and how patient we are with it.

    Attributes:
        url: base address with its version part, e.g. ``"http://127.0.0.1:8000/v1"``.
        key: bearer token, or empty.
        timeout_s: longest wait for one answer; a server that hangs is left after it.
        attempts: calls in all for one answer, the first included.
        backoff_s: pause before the second call; doubled each time, at most `backoff_limit_s`.
    """

    url: str
    key: str = field(default="", repr=False)
    timeout_s: float = 120.0
    connect_timeout_s: float = 5.0
    attempts: int = 4
    backoff_s: float = 0.5
    backoff_limit_s: float = 10.0
    connections: int = 64


class Host(Protocol):
    """What a server runs on, where we run it ourselves: it is there while a call is made."""

    @property
    def url(self) -> str: ...
    @property
    def token(self) -> str: ...
    def serving(self) -> AbstractContextManager[None]:
        """For the time of one call: see that the server runs, and may be used."""
        ...

    def suspect(self) -> None:
        """A call got no answer: look whether the server is well."""
        ...


class Server:
    """One HTTP server, for many threads. Open from construction until `close`.

    Args:
        options: where it is.
        host: what it runs on, if it is one of ours; it is closed by whoever made it.
    """

    def __init__(self, options: ServerOptions, host: Host | None = None) -> None:
        self.options = options
        self._host = host
        self._closed = threading.Event()
        limits = httpx.Limits(
            max_connections=options.connections, max_keepalive_connections=options.connections
        )
        self._client = httpx.Client(
            headers={"Authorization": f"Bearer {options.key}"} if options.key else {},
            timeout=httpx.Timeout(options.timeout_s, connect=options.connect_timeout_s),
            limits=limits,
            trust_env=False,
        )

    def close(self) -> None:
        """Drop all connections; calls that wait for a retry give up at once."""
        self._closed.set()
        self._client.close()

    def post(self, path: str, document: Mapping[str, Any]) -> httpx.Response:
        """Send a JSON document and return the successful answer, its body read.

        Raises:
            ServiceTimeout: if the last attempt got no answer in time.
            ServiceUnavailable: if the server cannot be reached, or goes on failing.
            BadReply: if it says that the request itself is wrong.
        """
        for attempt in range(1, self.options.attempts + 1):
            failure, pause_s = self._attempt(path, document)
            if isinstance(failure, httpx.Response):
                return failure
            if attempt == self.options.attempts or self._closed.is_set():
                raise failure
            _log.warning("attempt %d of %d: %s", attempt, self.options.attempts, failure)
            self._closed.wait(max(pause_s, self._pause_s(attempt)))
        raise ServiceUnavailable(f"{self.options.url}: no attempt was allowed")

    def reachable(self) -> bool:
        """Whether anything answers at the address (any HTTP status will do). Cheap."""
        try:
            self._client.get(f"{self.options.url}/models", timeout=self.options.connect_timeout_s)
        except httpx.HTTPError:
            return False
        return True

    def models(self) -> tuple[ServedModel, ...]:
        """What the server says that it serves; nothing where it does not tell.

        Raises:
            ServiceUnavailable: if it cannot be reached, or refuses our key.
        """
        url = f"{self.options.url.rstrip('/')}/models"
        try:
            found = self._client.get(url, timeout=self.options.connect_timeout_s)
        except httpx.HTTPError as error:
            raise ServiceUnavailable(f"{url} cannot be reached: {error!r}") from error
        if found.status_code in (401, 403):
            _judge_status(url, found)
        try:
            return tuple(ServedModels.model_validate_json(found.content).data)
        except ValidationError:
            return ()

    def _attempt(
        self, path: str, document: Mapping[str, Any]
    ) -> tuple[httpx.Response | ServiceError, float]:
        """The answer, or why there is none and how long the server asks us to wait."""
        url = f"{self.options.url.rstrip('/')}/{path.lstrip('/')}"
        started = time.monotonic()
        try:
            with self._host.serving() if self._host else nullcontext():
                started = time.monotonic()
                response = self._client.post(url, json=document)
        except httpx.TimeoutException as error:
            waited_s = time.monotonic() - started
            self._suspect()
            return ServiceTimeout(f"{url} gave no answer in {waited_s:.1f} s ({error!r})"), 0.0
        except httpx.HTTPError as error:
            self._suspect()
            return ServiceUnavailable(f"{url} cannot be reached: {error!r}; is it running?"), 0.0
        except RuntimeError as error:  # httpx: "client has been closed"
            return ServiceUnavailable(f"{url}: {error}"), 0.0
        if response.is_success:
            return response, 0.0
        return _judge_status(url, response), _retry_after_s(response, _LONGEST_WAIT_S)

    def _suspect(self) -> None:
        if self._host and not self._closed.is_set():
            self._host.suspect()

    def _pause_s(self, attempt: int) -> float:
        pause_s = self.options.backoff_s * 2.0 ** (attempt - 1)
        return min(pause_s, self.options.backoff_limit_s) * random.uniform(0.75, 1.25)


def _judge_status(url: str, response: httpx.Response) -> ServiceError:
    words = response.text[:300]
    if response.status_code in _PASSING:
        return ServiceUnavailable(f"{url} answered {response.status_code}: {words}")
    if response.status_code in _REFUSED:
        raise ServiceUnavailable(
            f"{url} refuses ({response.status_code}): {words}; check the address and the key"
        )
    raise BadReply(f"{url} answered {response.status_code}: {words}")


def _retry_after_s(response: httpx.Response, limit_s: float) -> float:
    """How long the server asks us to wait: seconds, or a date (RFC 9110); within reason."""
    told = response.headers.get("retry-after", "0")
    try:
        seconds = float(told)
    except ValueError:
        try:
            seconds = parsedate_to_datetime(told).timestamp() - time.time()
        except ValueError:
            return 0.0
    return min(limit_s, max(0.0, seconds))
