"""A language model behind ``POST /v1/chat/completions`` that must answer in a given JSON form."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from dubarr_pipeline.errors import BadReply, ContextTooLong
from dubarr_pipeline.services.reply_json import first_fault, read_reply
from dubarr_pipeline.services.server import Host, Server, ServerOptions
from dubarr_pipeline.services.wire import (
    ChatMessage,
    ChatReply,
    ChatRequest,
    JsonSchema,
    ResponseFormat,
    ServedModel,
)

_Form = TypeVar("_Form", bound=BaseModel)
_TOO_LONG = re.compile(
    r"context.?(?:length|window|size)|maximum.{0,20}(?:tokens|length)|"
    r"(?:prompt|input).{0,20}too long",
    re.IGNORECASE,
)
"""How vLLM, llama.cpp, Ollama and the clouds say that a question is longer than the window."""


@dataclass(frozen=True, slots=True)
class LLMOptions:
    """Which model answers, and how.

    Attributes:
        server_priority: send each call's priority along (vLLM: ``--scheduling-policy priority``);
            off by default, because some servers refuse unknown fields.
        context_tokens: the model's window; question and answer must fit it together.
        schema: ask the server to hold its reply to the schema; the reply is checked in any case.
    """

    server: ServerOptions
    model: str
    temperature: float = 0.3
    seed: int | None = None
    max_tokens: int = 4096
    context_tokens: int = 8192
    server_priority: bool = False
    schema: bool = True


class LLMService:
    """Asks a language model for JSON, and counts its tokens. For many threads."""

    def __init__(self, options: LLMOptions, host: Host | None = None) -> None:
        self.options = options
        self._server, self._host = Server(options.server, host), host
        self._lock = threading.Lock()
        self.tokens = 0
        self.busy_s = 0.0

    def close(self) -> None:
        """Drop all connections."""
        self._server.close()

    def reachable(self) -> bool:
        """Whether the server answers at all."""
        return self._server.reachable()

    @property
    def hosted(self) -> bool:
        """Whether it runs in a process of ours."""
        return self._host is not None

    def served(self) -> tuple[ServedModel, ...]:
        """The models that the server says it serves. Raises `ServiceUnavailable`."""
        return self._server.models()

    def ask(self, messages: list[ChatMessage], form: type[_Form], priority: int) -> _Form:
        """Return the reply in its form; lower priorities are answered first where the server can.

        Raises:
            ServiceTimeout, ServiceUnavailable: if no answer can be had.
            ContextTooLong: if the messages and the longest answer do not fit the model's window.
            BadReply: if the answer is not of the form; the message names the fault.
        """
        if self._host is not None:
            with self._host.serving():
                pass  # its start is no work of the model
        started = time.monotonic()
        try:
            response = self._server.post("chat/completions", self._body(messages, form, priority))
        except BadReply as error:
            raise self._named(error) from error
        try:
            reply = ChatReply.model_validate_json(response.content)
        except ValidationError as error:
            raise BadReply(f"the answer is no chat completion: {first_fault(error)}") from error
        self._count(reply, time.monotonic() - started)
        choice = reply.choices[0]
        try:
            return read_reply(choice.message.content, form)
        except BadReply as error:
            if choice.finish_reason != "length":
                raise
            raise BadReply(f"the reply was cut off after {_length(reply)}: {error}") from error

    def _body(
        self, messages: list[ChatMessage], form: type[BaseModel], priority: int
    ) -> dict[str, object]:
        schema = JsonSchema(name=form.__name__, schema=form.model_json_schema())  # pyright: ignore[reportCallIssue]
        request = ChatRequest(
            model=self.options.model,
            messages=messages,
            temperature=self.options.temperature,
            seed=self.options.seed,
            max_tokens=self.options.max_tokens,
            response_format=ResponseFormat(json_schema=schema) if self.options.schema else None,
            priority=priority if self.options.server_priority else None,
        )
        return request.model_dump(mode="json", by_alias=True, exclude_none=True)

    def _named(self, error: BadReply) -> BadReply:
        """A refused question by its reason, where the server's words tell it."""
        if not _TOO_LONG.search(str(error)):
            return error
        window = f"{self.options.context_tokens} tokens, {self.options.max_tokens} for the answer"
        return ContextTooLong(
            f"{error}; llm.context_tokens and llm.max_tokens say {window}: set them to the "
            "window that the server was started with"
        )

    def _count(self, reply: ChatReply, seconds: float) -> None:
        with self._lock:
            self.busy_s += seconds
            self.tokens += reply.usage.completion_tokens if reply.usage else 0


def _length(reply: ChatReply) -> str:
    return f"{reply.usage.completion_tokens} tokens" if reply.usage else "llm.max_tokens"
