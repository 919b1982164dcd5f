"""A language model behind ``POST /v1/chat/completions`` that must answer in a given JSON form."""

import json
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass
from typing import Any, Literal, NoReturn, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from dubarr_pipeline.errors import BadReply, ContextTooLong, MissingRequirement, ServiceError
from dubarr_pipeline.models.store import is_present, model_folder, model_identity
from dubarr_pipeline.services.http_client import (
    ChatMessage,
    ChatReply,
    ChatRequest,
    Host,
    ServerOptions,
    ServiceClient,
    check_url,
    key_of,
    service_cure,
)
from dubarr_pipeline.text.tables import read_table

_Form = TypeVar("_Form", bound=BaseModel)
_WARMER = 0.2
"""Temperature that each retry adds: the same question would get the same wrong answer."""
_TOO_LONG = re.compile(
    r"context.?(?:length|window|size)|maximum.{0,20}(?:tokens|length)|"
    r"(?:prompt|input).{0,20}too long",
    re.IGNORECASE,
)
"""Words of vLLM, llama.cpp, Ollama and the clouds for a question longer than the window."""


@dataclass(frozen=True, slots=True)
class LLMServerRow:
    """A way to a language model: a value of `serve`, under which licence, and what it needs."""

    name: str
    licence: str
    summary: str
    needs: str


def llm_servers() -> tuple[LLMServerRow, ...]:
    """Return the ways to a language model, one for each value of `serve`."""
    rows = read_table("dubarr_pipeline.services", "llm_servers")["servers"]
    return tuple(LLMServerRow(**row) for row in rows)


@dataclass(frozen=True, slots=True)
class LanguageModelOptions:
    """Language model for reading and translating: its server, sampling and retries.

    Attributes:
        serve: ``url``: a server that runs already (Ollama, llama.cpp, a cloud); ``vllm`` or
            ``transformers``: a process of dubarr's own while it is used.
        url: address of a server that runs already, with its version part.
        model: the server's name of the model; for a process of dubarr's own a name of `dubarr
            models`, or a folder.
        key_variable: environment variable that holds the key for `url`.
        executable: for "vllm" the program `vllm` of its own environment (empty: the one on the
            path); for "transformers" the Python of the environment that holds it (empty: ours).
        arguments: more arguments for `vllm serve` or `transformers serve`.
        device: device of a process of dubarr's own: auto, cpu, cuda or cuda:N.
        context_tokens: context window of the model in tokens, for question and answer together.
        memory_gb: GPU memory that it needs, in GB; 0: that of the model's row.
        memory_share: share (above 0, up to 1) of the GPU's memory that vLLM may take.
        sleep: let vLLM sleep instead of restarting it, where services take turns on one GPU.
        start_deadline_s: longest start of a process of dubarr's own, in seconds.
        concurrency: calls that it answers at once, at least 1.
        temperature: freedom of its wording; 0: always the likeliest.
        seed: seed of its answers, where the server honours it.
        max_tokens: longest answer, in tokens; less than context_tokens.
        timeout_s: longest wait for one answer, in seconds.
        attempts: calls for one answer, the first included; at least 1.
        backoff_s: pause before the second call, in seconds; doubled each time.
        server_priority: send each call's priority along; vLLM of dubarr's own always gets it.
        schema: ask the server to hold its answer to a JSON schema; it is checked in any case.
    """

    serve: Literal["url", "transformers", "vllm"] = "url"
    url: str = "http://127.0.0.1:8000/v1"
    model: str = "default"
    key_variable: str = "DUBARR_LLM_KEY"
    executable: str = ""
    arguments: tuple[str, ...] = ()
    device: str = "auto"
    context_tokens: int = 8192
    memory_gb: float = 0.0
    memory_share: float = 0.9
    sleep: bool = True
    start_deadline_s: float = 900.0
    concurrency: int = 4
    temperature: float = 0.3
    seed: int | None = 1
    max_tokens: int = 4096
    timeout_s: float = 120.0
    attempts: int = 4
    backoff_s: float = 0.5
    server_priority: bool = False
    schema: bool = True

    def __post_init__(self) -> None:
        check_url(self.url)
        if self.max_tokens >= self.context_tokens:
            raise ValueError(
                f"max_tokens ({self.max_tokens}) must be less than context_tokens "
                f"({self.context_tokens}), which hold question and answer together"
            )

    def identity(self) -> str:
        """Return the model and its sampling, without the address, which may change freely."""
        named = self.model if self.serve == "url" else model_identity(self.model)
        return f"{named} t={self.temperature} seed={self.seed}"

    @property
    def sends_priority(self) -> bool:
        """True if each call's priority is sent along."""
        return self.server_priority or self.serve == "vllm"


class LLMService(ServiceClient):
    """Client of a language model that answers in JSON; counts tokens. Thread-safe."""

    def __init__(self, model: LanguageModelOptions, host: Host | None = None) -> None:
        server = ServerOptions(
            url=host.url if host else model.url,
            key=host.token if host else key_of(model.key_variable),
            timeout_s=model.timeout_s,
            attempts=model.attempts,
            backoff_s=model.backoff_s,
            connections=2 * model.concurrency,
        )
        super().__init__(server, host)
        # `transformers serve` names a model by its folder.
        by_folder = model.serve == "transformers" and is_present(model.model)
        self.name = str(model_folder(model.model)) if by_folder else model.model
        self.model = model
        self._lock = threading.Lock()
        self.tokens = 0
        self.busy_s = 0.0

    @property
    def hosted(self) -> bool:
        """True if it runs in a process of ours."""
        return self._host is not None

    def ask(
        self,
        messages: list[ChatMessage],
        form: type[_Form],
        priority: int,
        schema: dict[str, Any] | None = None,
        retry: int = 0,
    ) -> _Form:
        """Return the reply in its form; lower priorities are answered first where the server can.

        Args:
            messages: the question.
            form: of the reply.
            priority: of the call.
            schema: asked of the server; not set: the form's own.
            retry: how often the same was asked before: each time warmer, by another seed.

        Raises:
            ServiceTimeout, ServiceUnavailable: if no answer can be had.
            ContextTooLong: if the messages and the longest answer do not fit the model's window.
            BadReply: if the answer is not of the form; the message names the fault.
        """
        if self._host is not None:
            with self._host.serving():
                pass  # Its start does not count as work of the model.
        started = time.monotonic()
        try:
            named = {"name": form_name(form), "schema": schema or reply_schema(form)}
            document = self._document(messages, named, priority, retry)
            extras = ("response_format", "priority", "seed")
            response = self.post_or_plain("chat/completions", document, extras)
        except BadReply as error:
            if not _TOO_LONG.search(str(error)):
                raise
            room = f"{self.model.context_tokens} tokens, {self.model.max_tokens} for the answer"
            raise ContextTooLong(
                f"{error}; llm.context_tokens and llm.max_tokens say {room}: set them to the "
                "window that the server was started with"
            ) from error
        try:
            reply = ChatReply.model_validate_json(response.content)
        except ValidationError as error:
            raise BadReply(f"the answer is not a chat completion: {first_fault(error)}") from error
        tokens = reply.tokens
        with self._lock:
            self.busy_s += time.monotonic() - started
            self.tokens += tokens
        choice = reply.choices[0]
        try:
            return read_reply(choice.message.content, form)
        except BadReply as error:
            if choice.finish_reason != "length":
                raise
            length = f"{tokens} tokens" if tokens else "llm.max_tokens"
            raise BadReply(f"the reply was cut off after {length}: {error}") from error

    def _document(
        self, messages: list[ChatMessage], named: dict[str, Any], priority: int, retry: int
    ) -> dict[str, Any]:
        """Return the request as it is sent; `named` holds the form's name and schema."""
        options = self.model
        form = {"type": "json_schema", "json_schema": {**named, "strict": True}}
        request = ChatRequest(
            model=self.name,
            messages=messages,
            temperature=min(max(1.0, options.temperature), options.temperature + _WARMER * retry),
            seed=(options.seed or 0) + retry if retry else options.seed,
            max_tokens=options.max_tokens,
            response_format=form if options.schema else None,
            priority=priority if options.sends_priority else None,
        )
        return request.model_dump(mode="json", exclude_none=True)


LONGEST_REPLY = 4_000_000
"""Characters; no window holds so long an answer: the server runs on."""
_FENCE = re.compile(r"```(?:json)?[ \t\r\n]*", re.IGNORECASE)


def read_reply(content: str, form: type[_Form]) -> _Form:
    """Return the JSON object of a model's reply in its form.

    Thoughts, a Markdown fence and words around the object are skipped. Nothing is repaired.

    Raises:
        BadReply: naming the first fault: too long, no JSON, cut off, a key twice, a wrong type.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        twice = next((name for name, n in Counter(n for n, _ in pairs).items() if n > 1), None)
        if twice is not None:
            raise ValueError(f"the key {twice[:80]!r} occurs twice")
        return dict(pairs)

    def refuse(name: str) -> NoReturn:
        raise ValueError(f"{name} is not a JSON number")

    if len(content) > LONGEST_REPLY:
        raise BadReply(f"the reply is {len(content)} characters long; at most {LONGEST_REPLY}")
    document = bare_json(content)
    try:
        reply = form.model_validate_json(document)
        # Parsers silently accept keys that occur twice, and numbers such as NaN.
        json.loads(document, object_pairs_hook=unique, parse_constant=refuse)
    except ValidationError as error:
        raise BadReply(f"the reply is not the requested JSON: {first_fault(error)}") from error
    except (ValueError, RecursionError) as error:
        raise BadReply(f"the reply is not the requested JSON: {error}") from error
    return reply


def form_name(form: type[BaseModel]) -> str:
    """Return the name that a form goes by on the wire and on disk: its explicit title.

    The class may be renamed; answers that were kept under the title are still found.
    """
    title = form.model_config.get("title")
    if not title:
        raise TypeError(f"form {form.__name__} has no title: give it one in its model_config")
    return title


def reply_schema(form: type[BaseModel]) -> dict[str, Any]:
    """Return the JSON schema of a form, as a server is asked to hold its reply to it.

    It says nothing about our classes, whose names and docstrings may change: nested forms stand in
    their places, without titles and descriptions.
    """
    schema = form.model_json_schema()  # pyright: ignore[reportCallIssue]
    return _bare_schema(schema, schema.get("$defs", {}))


def _bare_schema(schema: Any, nested: dict[str, Any]) -> Any:
    if isinstance(schema, list):
        return [_bare_schema(each, nested) for each in schema]
    if not isinstance(schema, dict):
        return schema
    if "$ref" in schema:
        return _bare_schema(nested[schema["$ref"].rpartition("/")[2]], nested)
    return {
        # Below `properties` the keys are names of fields, which may be called like a keyword.
        name: {field: _bare_schema(each, nested) for field, each in value.items()}
        if name == "properties"
        else _bare_schema(value, nested)
        for name, value in schema.items()
        if name not in ("$defs", "description", "title")
    }


def bare_json(content: str) -> str:
    """Return the JSON object in a model's reply, without its thoughts and Markdown fence."""
    content = content.strip()
    if not content.startswith("{"):
        content = content.rpartition("</think>")[2]
        fence = _FENCE.search(content)
        content = content[fence.end() :].partition("```")[0] if fence else content
    first, last = content.find("{"), content.rfind("}")
    return content[first : last + 1] if 0 <= first < last else content.strip()


def first_fault(error: ValidationError) -> str:
    """Return the first fault of a document, with its place."""
    fault = error.errors()[0]
    where = ".".join(str(part) for part in fault["loc"])[:200]
    return f"{where}: {fault['msg']}" if where else fault["msg"]


_QUESTION = (
    ChatMessage(role="system", content='Answer with JSON only: {"answer": NUMBER}'),
    ChatMessage(role="user", content="How many days has a week?"),
)


class _Answer(BaseModel):
    model_config = ConfigDict(title="_Answer")
    answer: int


def try_llm(service: LLMService) -> None:
    """Ask a language model one small question in JSON, before hours of work depend on it.

    Raises:
        MissingRequirement: the fault, its place and the cure: wrong address, key refused, model
            not served (with those that are), window smaller than set, schema not honoured.
    """
    where = f"the LLM at {service.options.address}"
    try:
        if not service.hosted:
            _check_served(service, where)
        service.ask(list(_QUESTION), _Answer, 0)
    except ContextTooLong as error:
        raise MissingRequirement(f"{where}: {error}") from error
    except BadReply as error:
        words = str(error)
        if "priority" in words and service.model.sends_priority:
            cure = f"refuses priorities: set llm.server_priority = false ({words})"
        elif "answered 4" in words:
            cure = f"refuses the question: {words}; correct llm.model or llm.url"
        else:
            cure = (
                f"does not return the requested JSON: {words}; set llm.model to one that "
                "follows instructions, or a server that enforces schemas (vLLM, llama.cpp)"
            )
        raise MissingRequirement(f"{where} {cure}") from error
    except ServiceError as error:
        raise MissingRequirement(service_cure(where, "llm", error)) from error


def _check_served(service: LLMService, where: str) -> None:
    """Check that the server lists the model, with the window that is set."""
    served, tokens = service.models(), service.model.context_tokens
    names = [model.id for model in served]
    if service.name not in names:
        if names:
            raise MissingRequirement(
                f"{where} does not serve {service.name!r}; it serves: {', '.join(names[:20])}: "
                "set llm.model"
            )
        return
    window = served[names.index(service.name)].max_model_len
    if window is not None and window < tokens:
        raise MissingRequirement(
            f"{where} has a window of {window} tokens, but llm.context_tokens is "
            f"{tokens}: set it to {window} or start the server with a longer one"
        )
