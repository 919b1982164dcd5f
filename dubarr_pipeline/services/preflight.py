"""One small real question to a service before hours of work: whether it does what will be asked."""

from __future__ import annotations

import re

from pydantic import BaseModel

from dubarr_pipeline.errors import BadReply, ContextTooLong, MissingRequirement, ServiceError
from dubarr_pipeline.services.llm import LLMOptions, LLMService
from dubarr_pipeline.services.tts import TTSService
from dubarr_pipeline.services.wire import ChatMessage, ServedModel, SpeechOrder

_QUESTION = (
    ChatMessage(role="system", content='Answer with JSON only: {"answer": NUMBER}'),
    ChatMessage(role="user", content="How many days has a week?"),
)
_WORDS = {
    "ar": "مرحبا",
    "el": "γεια",
    "he": "שלום",
    "hi": "नमस्ते",
    "ja": "はい",
    "ko": "네",
    "ru": "да",
    "th": "ใช่",
    "uk": "так",
    "zh": "好",
}
"""One short word in languages that are not written in Latin letters."""
_LATIN_WORD = "no"


class _Answer(BaseModel):
    answer: int


def try_llm(service: LLMService, setting: str = "llm") -> None:
    """Ask a language model a small question in JSON.

    Args:
        service: opened; one of ours starts now.
        setting: the section that it stands in, for the cure.

    Raises:
        MissingRequirement: what is wrong, where, and the cure: wrong address, key refused, model
            not served (with those that are), window smaller than set, schema not honoured.
    """
    options = service.options
    where = f"the LLM at {options.server.url}"
    try:
        if not service.hosted:
            _check_served(service.served(), options, where, setting)
        service.ask(list(_QUESTION), _Answer, 0)
    except ContextTooLong as error:
        raise MissingRequirement(f"{where}: {error}") from error
    except BadReply as error:
        raise MissingRequirement(_llm_cure(where, options, setting, str(error))) from error
    except ServiceError as error:
        raise MissingRequirement(_cure(where, setting, error)) from error


def try_tts(service: TTSService, order: SpeechOrder, setting: str = "synthesis") -> None:
    """Have one short word spoken.

    Args:
        service: opened; one of ours starts now.
        order: model, voice and language to ask for; the text is replaced.
        setting: the section that it stands in, for the cure.

    Raises:
        MissingRequirement: what is wrong, and the cure.
    """
    where = f"the TTS at {service.options.server.url}"
    language = order.language or ""
    word = _WORDS.get(language.partition("-")[0], _LATIN_WORD)
    try:
        samples, _ = service.speak(order.model_copy(update={"input": word}))
    except BadReply as error:
        raise MissingRequirement(
            f"{where} does not speak {language}: {error}; choose another target language, or "
            f"another {setting}.engine or {setting}.model"
        ) from error
    except ServiceError as error:
        raise MissingRequirement(_cure(where, setting, error)) from error
    if not samples.size:
        raise MissingRequirement(
            f"{where} sent only silence for {word!r} in {language}: choose another {setting}.voice"
        )


def _check_served(
    served: tuple[ServedModel, ...], options: LLMOptions, where: str, setting: str
) -> None:
    """See that the model is among those that are listed, with the window that is set."""
    names = [model.id for model in served]
    if options.model not in names:
        if names:
            raise MissingRequirement(
                f"{where} does not serve {options.model!r}; it serves: {', '.join(names[:20])}: "
                f"set {setting}.model"
            )
        return
    window = served[names.index(options.model)].max_model_len
    if window is not None and window < options.context_tokens:
        raise MissingRequirement(
            f"{where} has a window of {window} tokens, {setting}.context_tokens says "
            f"{options.context_tokens}: set it to {window} or start the server with a longer one"
        )


def _llm_cure(where: str, options: LLMOptions, setting: str, words: str) -> str:
    if "priority" in words and options.server_priority:
        return f"{where} refuses priorities: set {setting}.server_priority = false ({words})"
    if "answered 4" not in words:
        return (
            f"{where} does not hold to the JSON that is asked for: {words}; set {setting}.model to "
            "one that follows instructions, or a server that enforces schemas (vLLM, llama.cpp)"
        )
    return f"{where} refuses the question: {words}; correct {setting}.model or {setting}.url"


def _cure(where: str, setting: str, error: ServiceError) -> str:
    if re.search(r"refuses \((401|403)\)", str(error)):
        return (
            f"{where} refuses our key: {error}: set the variable that {setting}.key_variable names"
        )
    return f"{where} does not answer: {error}; start it, or set {setting}.url"
