"""Fetching over HTTP from hosts that cut, stall, refuse and are busy.

What fails in passing is tried again, with growing pauses or as long as the host asks; a download
goes on at the byte where it stopped. What will not change by waiting is an error at once.
"""

from __future__ import annotations

import contextlib
import email.utils
import ipaddress
import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import urlsplit

import httpx

from dubarr_pipeline.errors import (
    BadReply,
    ModelRefused,
    ServiceError,
    ServiceTimeout,
    ServiceUnavailable,
)

_log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")
OnBytes = Callable[[int], None]
"""Told how many bytes of the file are here now."""

_PASSING = frozenset({408, 425, 429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class Patience:
    """How long we bear with a host.

    Attributes:
        attempts: tries in a row that bring nothing, before we give up; a byte gained starts anew.
        backoff_s: pause before the second try; doubled each time, at most `backoff_limit_s`.
        stall_s: longest wait for the next byte.
        connect_s: longest wait for a connection.
        retry_after_limit_s: longest pause that a host may ask for.
    """

    attempts: int = 6
    backoff_s: float = 1.0
    backoff_limit_s: float = 30.0
    stall_s: float = 30.0
    connect_s: float = 10.0
    retry_after_limit_s: float = 300.0


class _Passing(Exception):
    """A failure that may be gone in a moment, and how long the host asks us to wait."""

    def __init__(self, error: ServiceError, wait_s: float = 0.0) -> None:
        super().__init__(str(error))
        self.error = error
        self.wait_s = wait_s


class Wire:
    """One conversation with hosts; a context manager.

    Args:
        hub: address of the hub, the only host that is told the token.
        token: the person's token, or empty.
        patience: how long we bear with a host.
    """

    def __init__(self, hub: str, token: str = "", patience: Patience | None = None) -> None:
        self.patience = patience or Patience()
        self._hub = _origin(hub)
        self._token = token
        self._client = httpx.Client(
            follow_redirects=False,
            timeout=httpx.Timeout(self.patience.stall_s, connect=self.patience.connect_s),
            trust_env=not _is_loopback(hub),
            headers={"Accept-Encoding": "identity", "User-Agent": "dubarr"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        self._client.close()

    def ask(self, url: str) -> Any:
        """The JSON document at an address. Raises `ModelRefused` or `ServiceError`."""
        return self._persist(lambda: self._document(url)[0])

    def ask_pages(self, url: str) -> Iterator[dict[str, Any]]:
        """The entries of a list that the host may give page by page."""
        following: str | None = url
        while following:
            page = following
            entries, following = self._persist(lambda page=page: self._document(page))
            yield from entries

    def measure(self, url: str) -> tuple[int, str]:
        """A file's size in bytes, and what the host calls this very content (ETag, or empty)."""
        return self._persist(lambda: self._measure(url))

    def fetch(self, url: str, size: int, to: Path, on_bytes: OnBytes) -> None:
        """Bring a file, from where `to` ends until it has `size` bytes.

        Raises:
            ModelRefused: if it is not there, or not given to us.
            ServiceError: if the host goes on failing.
        """
        failed = 0
        while (before := _length(to)) < size:
            try:
                self._receive(url, size, to, on_bytes)
            except _Passing as problem:
                failed = 1 if _length(to) > before else failed + 1
                self._pause(failed, problem)

    def _persist(self, call: Callable[[], _Answer]) -> _Answer:
        failed = 0
        while True:
            try:
                return call()
            except _Passing as problem:
                failed += 1
                self._pause(failed, problem)

    def _pause(self, failed: int, problem: _Passing) -> None:
        """Wait before the next try, or give up."""
        if failed >= self.patience.attempts:
            raise problem.error
        own_s = min(self.patience.backoff_s * 2.0 ** (failed - 1), self.patience.backoff_limit_s)
        wait_s = min(max(own_s, problem.wait_s), self.patience.retry_after_limit_s)
        _log.warning("%s; trying again in %.1f s", problem, wait_s)
        time.sleep(wait_s)

    def _document(self, url: str) -> tuple[Any, str | None]:
        with _named_failures(url):
            response = self._open("GET", url)
            try:
                response.read()
            finally:
                response.close()
        try:
            document = response.json()
        except ValueError as error:
            raise BadReply(f"{_shown(url)} answered no JSON: {error}") from error
        following = response.links.get("next", {}).get("url")
        return document, str(response.url.join(following)) if following else None

    def _measure(self, url: str) -> tuple[int, str]:
        with _named_failures(url):
            response = self._open("HEAD", url)
            response.close()
        size = response.headers.get("content-length")
        if size is None:
            raise BadReply(f"{_shown(url)} does not tell its size: cannot be fetched safely")
        return int(size), response.headers.get("etag", "")

    def _receive(self, url: str, size: int, to: Path, on_bytes: OnBytes) -> None:
        start = _length(to)
        with _named_failures(url):
            response = self._open("GET", url, {"Range": f"bytes={start}-"} if start else {})
            try:
                start = _checked_start(response, start)
                self._write(response, start, size, to, on_bytes)
            finally:
                response.close()
        if _length(to) < size:
            raise _Passing(ServiceUnavailable(f"{_shown(url)} was cut at byte {_length(to)}"))

    def _write(
        self, response: httpx.Response, start: int, size: int, to: Path, on_bytes: OnBytes
    ) -> None:
        with to.open("r+b" if to.exists() else "wb") as file:
            file.truncate(start)
            file.seek(start)
            for block in response.iter_raw():  # As it comes: what is here stays, if we are killed.
                file.write(block[: size - start])
                file.flush()
                start = min(size, start + len(block))
                on_bytes(start)
                if start == size:
                    return

    def _open(self, method: str, url: str, headers: dict[str, str] | None = None) -> httpx.Response:
        """The successful answer, its body unread; redirects are followed without the token."""
        at = url
        for _ in range(8):
            told = {**(headers or {}), **self._identity(at)}
            request = self._client.build_request(method, at, headers=told)
            response = self._client.send(request, stream=True)
            if response.next_request is None:
                _judge(response, url)
                return response
            at = str(response.next_request.url)
            response.close()
        raise ServiceUnavailable(f"{_shown(url)} leads in circles")

    def _identity(self, url: str) -> dict[str, str]:
        known = bool(self._token) and _origin(url) == self._hub
        return {"Authorization": f"Bearer {self._token}"} if known else {}


@contextlib.contextmanager
def _named_failures(url: str) -> Iterator[None]:
    """Turn the library's errors into ours, as failures in passing."""
    try:
        yield
    except httpx.TimeoutException as error:
        raise _Passing(ServiceTimeout(f"{_shown(url)} stalled ({error!r})")) from error
    except httpx.HTTPError as error:
        raise _Passing(ServiceUnavailable(f"{_shown(url)} cannot be reached: {error!r}")) from error


def _judge(response: httpx.Response, url: str) -> None:
    """Pass a success; name a failure."""
    status = response.status_code
    if response.is_success or status == 416:
        return
    response.read()
    words = response.headers.get("x-error-message") or response.text[:200]
    said = f"{_shown(url)} answered {status}: {words}"
    response.close()
    if status in _PASSING:
        raise _Passing(ServiceUnavailable(said), _retry_after_s(response))
    if status in (401, 403):
        raise ModelRefused(said, forbidden=True)
    if status in (404, 410):
        raise ModelRefused(f"{said}: check its name and revision")
    raise BadReply(said)


def _checked_start(response: httpx.Response, start: int) -> int:
    """Where the answer's bytes belong: where we asked, or at 0 if the host sends all again."""
    if response.status_code == 200:
        return 0
    told = response.headers.get("content-range", "")
    if response.status_code == 206 and told.startswith(f"bytes {start}-"):
        return start
    raise BadReply(
        f"{_shown(str(response.url))} answered {response.status_code} with the range {told!r} "
        f"where byte {start} and all after it was asked for"
    )


def _retry_after_s(response: httpx.Response) -> float:
    """The pause that the host asks for: seconds, or a date (RFC 9110, 10.2.3)."""
    asked = response.headers.get("retry-after", "")
    if asked.isdigit():
        return float(asked)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(asked).timestamp() - time.time())
    except ValueError:
        return 0.0


def _length(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    return parts.scheme, parts.hostname, parts.port or {"http": 80, "https": 443}.get(parts.scheme)


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _shown(url: str) -> str:
    """An address for messages: what follows `?` may be a secret."""
    return url.partition("?")[0]
