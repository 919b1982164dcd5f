"""The Hugging Face hub, and fetching over HTTP from hosts that cut, stall, refuse and are busy.

What fails in passing is tried again, with growing pauses or as long as the host asks; a download
goes on at the byte where it stopped. What will not change by waiting is an error at once.

Only the hub itself is ever told the token: neither the hosts that it sends us on to, nor those of
other addresses. ``HF_ENDPOINT`` and ``HF_TOKEN`` mean what they mean to all programs of the hub;
``DUBARR_MIRROR`` is a server that holds copies of plain addresses, as ``{mirror}/{host}/{path}``.
"""

import contextlib
import fnmatch
import ipaddress
import logging
import math
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlsplit

import httpx

from dubarr_pipeline.compute.backoff import TRANSIENT_STATUSES, Backoff, retry_after_s
from dubarr_pipeline.errors import (
    BadReply,
    ModelRefused,
    ServiceError,
    ServiceTimeout,
    ServiceUnavailable,
)
from dubarr_pipeline.models.manifest import ModelRow

_log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")
OnBytes = Callable[[int], None]
"""Told how many bytes of the file are here now."""


@dataclass(frozen=True, slots=True)
class Patience:
    """Time-outs and attempts of a download.

    Attributes:
        attempts: tries in a row without progress before the download fails; one byte is progress.
        backoff: pauses between tries.
        stall_s: longest wait for the next byte.
        connect_s: longest wait for a connection.
        retry_after_limit_s: longest pause that a host may request.
    """

    attempts: int = 6
    backoff: Backoff = field(default_factory=Backoff)
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
    """One conversation with hosts; a context manager. Only the hub is told the token."""

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

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(self, url: str) -> Any:
        """Return the JSON document at an address. Raises `ModelRefused` or `ServiceError`."""
        return self._persist(lambda: self._document(url)[0])

    def ask_pages(self, url: str) -> Iterator[dict[str, Any]]:
        """Return the entries of a list that the host may send page by page."""
        following: str | None = url
        while following:
            page = following
            entries, following = self._persist(lambda page=page: self._document(page))
            yield from entries

    def measure(self, url: str) -> tuple[int, str]:
        """Return a file's size in bytes and the host's name for this content (ETag, or empty)."""

        def ask() -> tuple[int, str]:
            with _named_failures(url):
                response = self._open("HEAD", url)
                response.close()
            size = response.headers.get("content-length")
            if size is None:
                raise BadReply(f"{_shown(url)} does not tell its size: cannot be fetched safely")
            return int(size), response.headers.get("etag", "")

        return self._persist(ask)

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
        own_s = self.patience.backoff.pause_s(failed)
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

    def _receive(self, url: str, size: int, to: Path, on_bytes: OnBytes) -> None:
        start = _length(to)
        with _named_failures(url):
            response = self._open("GET", url, {"Range": f"bytes={start}-"} if start else {})
            try:
                start = _checked_start(response, start)
                with to.open("r+b" if to.exists() else "wb") as file:
                    file.truncate(start)
                    file.seek(start)
                    # As it comes: what is here stays, if we are killed.
                    for block in response.iter_raw():
                        file.write(block[: size - start])
                        file.flush()
                        start = min(size, start + len(block))
                        on_bytes(start)
                        if start == size:
                            break
            finally:
                response.close()
        if _length(to) < size:
            raise _Passing(ServiceUnavailable(f"{_shown(url)} was cut at byte {_length(to)}"))

    def _open(self, method: str, url: str, headers: dict[str, str] | None = None) -> httpx.Response:
        """Yield the successful answer, its body unread; follow redirects without the token."""
        at = url
        for _ in range(8):
            told = dict(headers or {})
            if self._token and _origin(at) == self._hub:
                told["Authorization"] = f"Bearer {self._token}"
            request = self._client.build_request(method, at, headers=told)
            response = self._client.send(request, stream=True)
            if response.next_request is None:
                _judge(response, url)
                return response
            at = str(response.next_request.url)
            response.close()
        raise ServiceUnavailable(f"{_shown(url)} leads in circles")


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
    if status in TRANSIENT_STATUSES:
        raise _Passing(
            ServiceUnavailable(said), retry_after_s(response.headers.get("retry-after"), math.inf)
        )
    if status in (401, 403):
        raise ModelRefused(said, forbidden=True)
    if status in (404, 410):
        raise ModelRefused(f"{said}: check its name and revision")
    raise BadReply(said)


def _checked_start(response: httpx.Response, start: int) -> int:
    """Return the answer's offset: the requested one, or 0 if the host sends everything again."""
    if response.status_code == 200:
        return 0
    told = response.headers.get("content-range", "")
    if response.status_code == 206 and told.startswith(f"bytes {start}-"):
        return start
    raise BadReply(
        f"{_shown(str(response.url))} answered {response.status_code} with the range {told!r} "
        f"where byte {start} and all after it was asked for"
    )


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
    """Return an address for messages, without what follows `?`: it may be a secret."""
    return url.partition("?")[0]


@dataclass(frozen=True, slots=True)
class RemoteFile:
    """A file that can be fetched, and what it must be.

    Attributes:
        path: its name within the model's folder.
        sha256: hex, whole or its first digits; empty where the host does not tell.
        git_sha1: git's own checksum, which the hub tells of small files instead; or empty.
        version: what the host calls this very content (ETag), where it tells no checksum.
    """

    path: str
    url: str
    size: int
    sha256: str = ""
    git_sha1: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """Files of a model at one commit; the revision is empty for plain addresses."""

    revision: str
    files: tuple[RemoteFile, ...]


def endpoint() -> str:
    """Return the hub's address."""
    return (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")


def hub_token() -> str:
    """Return the user's token, from ``HF_TOKEN`` or the usual token file; empty if none."""
    given = os.environ.get("HF_TOKEN") or os.environ.get("HUGGING_FACE_HUB_TOKEN")
    if given:
        return given.strip()
    # The places in which the hub's own library looks for it.
    cache = Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    home = Path(os.environ.get("HF_HOME") or cache)
    file = Path(os.environ.get("HF_TOKEN_PATH") or home / "token").expanduser()
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return ""


def file_url(repo: str, revision: str, path: str) -> str:
    """Return the hub's address of a file at a commit."""
    return f"{endpoint()}/{repo}/resolve/{quote(revision, safe='')}/{quote(path)}"


def mirrored(url: str) -> str:
    """Return a plain address, or its copy on the mirror."""
    mirror = os.environ.get("DUBARR_MIRROR", "").rstrip("/")
    parts = urlsplit(url)
    return f"{mirror}/{parts.netloc}{parts.path}" if mirror else url


def list_files(row: ModelRow, wire: Wire) -> Listing:
    """Ask what a model consists of now.

    Raises:
        ModelRefused: if there is no such model, or access is denied.
        ServiceError: if the host does not answer, or not as it should.
    """
    if row.repo:
        return _list_repository(row, wire)
    files: list[RemoteFile] = []
    for url in row.urls:
        path = PurePosixPath(urlsplit(url).path).name
        size, version = wire.measure(mirrored(url))
        files.append(RemoteFile(path, mirrored(url), size, row.checksum(path), version=version))
    return Listing("", tuple(files))


def _list_repository(row: ModelRow, wire: Wire) -> Listing:
    def is_wanted(path: str) -> bool:
        hidden = path.startswith(".") or path == "README.md"
        return not hidden and any(fnmatch.fnmatchcase(path, pattern) for pattern in row.files)

    base = f"{endpoint()}/api/models/{row.repo}"
    about = wire.ask(f"{base}/revision/{quote(row.revision, safe='')}")
    commit = str(about.get("sha") or row.revision)
    files = tuple(
        _remote(entry, row, commit)
        for entry in wire.ask_pages(f"{base}/tree/{commit}?recursive=true")
        if entry.get("type") == "file" and is_wanted(str(entry["path"]))
    )
    # Without a file of the manifest it is not the model that we know.
    found = {file.path for file in files}
    lacking = [name for name in row.files if "*" not in name and name not in found]
    if lacking or not files:
        what = ", ".join(lacking) or "any of the files " + ", ".join(row.files)
        raise ModelRefused(
            f"{row.repo} at {row.revision} lacks {what}: name another model, or write its files "
            "in models.toml"
        )
    return Listing(commit, files)


def _remote(entry: dict[str, object], row: ModelRow, commit: str) -> RemoteFile:
    path = str(entry["path"])
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        raise ModelRefused(f"{row.repo} holds a file outside its folder: {path!r}; not fetched")
    large = entry.get("lfs")
    stated = str(large.get("oid", "")) if isinstance(large, dict) else ""
    size = large.get("size", 0) if isinstance(large, dict) else entry.get("size", 0)
    return RemoteFile(
        path,
        file_url(row.repo, commit, path),
        int(str(size)),
        row.checksum(path) or stated,
        "" if stated else str(entry.get("oid", "")),
    )
