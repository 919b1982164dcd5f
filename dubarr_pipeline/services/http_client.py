"""HTTP client of a service: OpenAI's schemas, time-outs, retries, and failures by name.

Any server of the ecosystem fits: ``POST /v1/chat/completions`` with a JSON schema for the reply,
and ``POST /v1/audio/speech`` with our optional fields `language`, `ref_audio` (a data URL),
`ref_text` and `duration_s`.
"""

import json
import logging
import os
import re
import threading
import time
from collections.abc import Collection, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import httpx
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from dubarr_pipeline.compute.backoff import TRANSIENT_STATUSES, Backoff, retry_after_s
from dubarr_pipeline.errors import (
    BadReply,
    ServiceError,
    ServiceTimeout,
    ServiceUnavailable,
    SettingsError,
)
from dubarr_pipeline.text.printable import one_line

_log = logging.getLogger(__name__)

_MAX_RETRY_AFTER_S = 120.0
"""Limit for the pause that a server requests: one that needs longer is tried again all the same."""
_OUR_FAULT = frozenset({400, 406, 411, 413, 414, 415, 422, 431})
"""Statuses by which a server rejects a single request. After any other no request is answered: a
wrong key, an account without credit, a page that moved, a proxy without its server."""
_LONGEST_ANSWER = 64 * 1024 * 1024
"""Bytes, unpacked: half an hour of speech."""


_MOST_TOKENS = 10_000_000


class Schema(BaseModel):
    """A document from a server or a model, in which unknown fields are ignored."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class ChatMessage(Schema):
    """One turn of a conversation with a language model."""

    role: Literal["system", "user", "assistant"]
    content: str


def question(system: str, facts: Mapping[str, object]) -> list[ChatMessage]:
    """Return the messages of a question: instructions, and the facts as JSON."""
    document = json.dumps(facts, ensure_ascii=False)
    return [ChatMessage(role="system", content=system), ChatMessage(role="user", content=document)]


class ChatRequest(Schema):
    """The body of ``POST /v1/chat/completions``; `priority` only for servers that know it."""

    model: str
    messages: list[ChatMessage]
    temperature: float = 0.3
    seed: int | None = None
    max_tokens: int | None = None
    response_format: dict[str, Any] | None = None
    priority: int | None = None


class ChatChoice(Schema):
    """One completion."""

    message: ChatMessage
    finish_reason: str | None = None


class ChatReply(Schema):
    """The answer of ``POST /v1/chat/completions``."""

    choices: list[ChatChoice] = Field(min_length=1)
    usage: Any = None

    @property
    def tokens(self) -> int:
        """Tokens of the answer; 0 if the server does not tell."""
        usage = self.usage if isinstance(self.usage, Mapping) else {}
        count = usage.get("completion_tokens")
        return count if type(count) is int and 0 <= count <= _MOST_TOKENS else 0


class ServedModel(Schema):
    """One row of ``GET /v1/models``; vLLM also gives its window in tokens."""

    id: str
    max_model_len: int | None = None


class ServedModels(Schema):
    """The answer of ``GET /v1/models``."""

    data: list[ServedModel] = Field(default_factory=list[ServedModel])


class SpeechOrder(Schema):
    """The body of ``POST /v1/audio/speech``.

    `speed` is OpenAI's own, 0.25 to 4; the last four fields are our extensions.
    """

    model: str
    input: str
    voice: str
    response_format: Literal["wav", "flac", "pcm", "mp3"] = "wav"
    speed: float | None = None
    language: str | None = None
    ref_audio: str | None = None
    ref_text: str | None = None
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class ServerOptions:
    """Address, time-outs and retries of a server.

    Attributes:
        url: base address with its version part, e.g. ``"http://127.0.0.1:8000/v1"``.
        key: bearer token, or empty.
        timeout_s: longest time for one answer, from the call to its last byte.
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

    @property
    def address(self) -> str:
        """The address for people: without a name and password in it."""
        return masked(self.url)


def masked(url: str) -> str:
    """Return an address without the name and the password in it."""
    return re.sub(r"(?<=//)[^/@]*@", "", url)


def check_url(url: str) -> None:
    """Raise ValueError unless it is the address of an HTTP server."""
    try:
        parsed = httpx.URL(url)
        labels = parsed.raw_host.split(b".")
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise ValueError("it must begin with http:// or https:// and name a host")
        if max(map(len, labels)) > 63:
            raise ValueError("a part of its host is longer than 63 letters")
    except (httpx.InvalidURL, ValueError, UnicodeError) as error:
        raise ValueError(f"url {masked(url)[:80]!r} is no address of a server: {error}") from None


def key_of(variable: str) -> str:
    """Return the key in a variable, or empty; raise `SettingsError` if it cannot be sent."""
    key = os.environ.get(variable, "").strip()
    if not key.isascii() or not key.isprintable():
        raise SettingsError(
            f"${variable} holds a key with letters that no server takes: copy it again"
        )
    return key


class Host(Protocol):
    """Process or GPU slot of a server of our own, which must run while a call is made."""

    @property
    def url(self) -> str: ...
    @property
    def token(self) -> str: ...
    def serving(self) -> AbstractContextManager[None]:
        """Keep the server running and usable for the time of one call."""
        ...

    def suspect(self) -> None:
        """Check the server's health after a call without an answer."""
        ...


class ServiceClient:
    """One HTTP server, for many threads. Open from construction until `close`."""

    def __init__(self, options: ServerOptions, host: Host | None = None) -> None:
        self.options = options
        self._host = host
        self._backoff = Backoff(options.backoff_s, options.backoff_limit_s, jitter=0.25)
        self._closed = threading.Event()
        self._is_plain = self._takes_extras = False
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
        """Close all connections; calls that wait for a retry fail at once."""
        self._closed.set()
        self._client.close()

    def post(self, path: str, document: Mapping[str, Any]) -> httpx.Response:
        """Send a JSON document and return the successful answer, its body read.

        Raises:
            ServiceTimeout: if the last attempt got no answer in time.
            ServiceUnavailable: if the server cannot be reached, or keeps failing.
            BadReply: if it rejects the request itself.
        """
        for attempt in range(1, self.options.attempts + 1):
            failure, pause_s = self._attempt(path, document)
            if isinstance(failure, httpx.Response):
                return failure
            if attempt == self.options.attempts or self._closed.is_set():
                raise failure
            _log.warning("attempt %d of %d: %s", attempt, self.options.attempts, failure)
            self._closed.wait(max(pause_s, self._backoff.pause_s(attempt)))
        raise ServiceUnavailable(f"{self.options.address}: no attempt was allowed")

    def post_or_plain(
        self, path: str, document: Mapping[str, Any], extras: Collection[str]
    ) -> httpx.Response:
        """Send a document whose `extras` are fields that not every server knows.

        A server that refuses them (400, 422) is asked once more without them, and is never sent
        them again. Raises as `post`.
        """
        plain = {name: value for name, value in document.items() if name not in extras}
        if self._is_plain or plain == document:
            return self.post(path, plain)
        try:
            answer = self.post(path, document)
        except BadReply as error:
            if self._takes_extras or not re.search(r"answered (400|422)\b", str(error)):
                raise
            try:
                answer = self.post(path, plain)
            except BadReply:
                # It is not for the extras that this one is refused.
                raise error from None
            # Calls of other threads may have been under way.
            if not self._is_plain:
                self._is_plain = True
                without = ", ".join(sorted(document.keys() - plain.keys()))
                _log.warning("asked without %s from now on: %s", without, error)
            return answer
        self._takes_extras = True
        return answer

    def reachable(self) -> bool:
        """Return whether anything answers at the address, with any HTTP status. Cheap."""
        try:
            self._client.get(f"{self.options.url}/models", timeout=self.options.connect_timeout_s)
        except httpx.HTTPError:
            return False
        return True

    def models(self) -> tuple[ServedModel, ...]:
        """Return the models that the server lists; none where it lists none.

        Raises:
            ServiceUnavailable: if it cannot be reached, or refuses our key.
        """
        url = f"{self.options.url.rstrip('/')}/models"
        try:
            answer = self._client.get(url, timeout=self.options.connect_timeout_s)
        except httpx.HTTPError as error:
            raise ServiceUnavailable(f"{masked(url)} cannot be reached: {error!r}") from error
        if answer.status_code in (401, 403):
            _judge_status(masked(url), answer)
        try:
            return tuple(ServedModels.model_validate_json(answer.content).data)
        except ValidationError:
            return ()

    def _attempt(
        self, path: str, document: Mapping[str, Any]
    ) -> tuple[httpx.Response | ServiceError, float]:
        """Return the answer, or the failure and the pause in seconds that the server requests."""
        url = f"{self.options.url.rstrip('/')}/{path.lstrip('/')}"
        started, shown = time.monotonic(), masked(url)
        try:
            with self._host.serving() if self._host else nullcontext():
                started = time.monotonic()
                response = self._whole_answer(url, document, started + self.options.timeout_s)
        except httpx.TimeoutException as error:
            waited_s = time.monotonic() - started
            self._suspect()
            return ServiceTimeout(f"{shown} gave no answer in {waited_s:.1f} s ({error!r})"), 0.0
        except httpx.HTTPError as error:
            self._suspect()
            return ServiceUnavailable(f"{shown} cannot be reached: {error!r}; is it running?"), 0.0
        except RuntimeError as error:  # httpx: "client has been closed"
            return ServiceUnavailable(f"{shown}: {error}"), 0.0
        is_page = response.headers.get("content-type", "").startswith("text/html")
        if response.is_success and not is_page:
            return response, 0.0
        return _judge_status(shown, response), retry_after_s(
            response.headers.get("retry-after"), _MAX_RETRY_AFTER_S
        )

    def _whole_answer(self, url: str, document: Mapping[str, Any], end_s: float) -> httpx.Response:
        """Return the answer with its body, which ends in time and within its limit."""
        with self._client.stream("POST", url, json=document) as response:
            body = bytearray()
            for part in response.iter_bytes():
                body += part
                if time.monotonic() > end_s:
                    raise httpx.ReadTimeout("the answer did not end in time")
                if len(body) > _LONGEST_ANSWER:
                    raise BadReply(f"{masked(url)} sent more than {_LONGEST_ANSWER >> 20} MiB")
        headers = {"content-type": "", **response.headers}
        headers.pop("content-encoding", None)
        return httpx.Response(response.status_code, headers=headers, content=bytes(body))

    def _suspect(self) -> None:
        if self._host and not self._closed.is_set():
            self._host.suspect()


def _judge_status(url: str, response: httpx.Response) -> ServiceError:
    words = one_line(response.text)
    if response.status_code in TRANSIENT_STATUSES:
        return ServiceUnavailable(f"{url} answered {response.status_code}: {words}")
    if response.status_code in _OUR_FAULT:
        raise BadReply(f"{url} answered {response.status_code}: {words}")
    raise ServiceUnavailable(
        f"{url} refuses ({response.status_code}): {words}; check the address, key and account"
    )


def service_cure(where: str, setting: str, error: ServiceError) -> str:
    """Return what to do about a service that does not answer, or refuses our key."""
    if re.search(r"refuses \((401|403)\)", str(error)):
        return (
            f"{where} refuses our key: {error}: set the variable that {setting}.key_variable names"
        )
    return f"{where} does not answer: {error}; start it, or set {setting}.url"
