"""What goes over the wire: OpenAI's formats, so that any server of the ecosystem fits.

``POST /v1/chat/completions`` with a JSON schema for the reply, and ``POST /v1/audio/speech`` with
our optional extension fields: `language`, `ref_audio` (a data URL), `ref_text` and `duration_s`.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class ChatMessage(_Wire):
    """One turn of a conversation with a language model."""

    role: Literal["system", "user", "assistant"]
    content: str


class JsonSchema(_Wire):
    """A schema by name; `schema_` goes over the wire as ``schema``."""

    model_config = ConfigDict(populate_by_name=True, frozen=True)
    name: str
    schema_: dict[str, Any] = Field(alias="schema")
    strict: bool = True


class ResponseFormat(_Wire):
    """Asks the server to hold its reply to a schema."""

    type: Literal["json_schema"] = "json_schema"
    json_schema: JsonSchema


class ChatRequest(_Wire):
    """The body of ``POST /v1/chat/completions``; `priority` only for servers that know it."""

    model: str
    messages: list[ChatMessage]
    temperature: float = 0.3
    seed: int | None = None
    max_tokens: int | None = None
    response_format: ResponseFormat | None = None
    priority: int | None = None


class ChatChoice(_Wire):
    """One completion."""

    message: ChatMessage
    finish_reason: str | None = None


class ChatUsage(_Wire):
    """Tokens as the server counts them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class ChatReply(_Wire):
    """The answer of ``POST /v1/chat/completions``."""

    choices: list[ChatChoice] = Field(min_length=1)
    usage: ChatUsage | None = None


class ServedModel(_Wire):
    """One row of ``GET /v1/models``; vLLM also tells the window in tokens."""

    id: str
    max_model_len: int | None = None


class ServedModels(_Wire):
    """The answer of ``GET /v1/models``."""

    data: list[ServedModel] = Field(default_factory=list[ServedModel])


class SpeechOrder(_Wire):
    """The body of ``POST /v1/audio/speech``; the last four fields are our extensions."""

    model: str
    input: str
    voice: str
    response_format: Literal["wav", "flac", "pcm", "mp3"] = "wav"
    language: str | None = None
    ref_audio: str | None = None
    ref_text: str | None = None
    duration_s: float | None = None


class DraftedLine(_Wire):
    """What the model must write for each line: three versions of different length."""

    id: int
    short: str
    normal: str
    long: str


class DraftedLines(_Wire):
    """The reply to a drafting call."""

    lines: list[DraftedLine]


class Rewording(_Wire):
    """The reply to a rewriting call."""

    text: str
