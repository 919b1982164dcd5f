"""Scripts to be read, and readers on pretended servers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dubarr_pipeline.engines.context.llm import LLMReaderOptions, LLMScriptReader
from dubarr_pipeline.services.simulated import SimulatedServer
from dubarr_pipeline.services.wire import ChatMessage
from dubarr_pipeline.timeline.script import Diarization, Segment, Transcript, Turn
from dubarr_pipeline.timeline.spans import Span
from dubarr_pipeline_tests.voices import SoundInMemory

RATE = 16000


def script(texts: Sequence[str], speakers: int = 2, heard: bool = True) -> Transcript:
    """Lines of two seconds each, spoken in turn."""
    segments = tuple(
        Segment(
            i,
            Span(i * RATE // 4, i * RATE // 4 + RATE // 8),
            f"SPEAKER_{i % speakers:02}",
            text,
            source="asr" if heard else "subtitles",
        )
        for i, text in enumerate(texts)
    )
    return Transcript(RATE, (len(texts) + 1) * RATE // 4, "en", segments)


def turns(transcript: Transcript, names: dict[str, str] | None = None) -> Diarization:
    found = tuple(Turn(s.span, s.speaker) for s in transcript.segments)
    return Diarization(RATE, found, names or {})


def silence(transcript: Transcript) -> SoundInMemory:
    return SoundInMemory(np.zeros(max(1, transcript.samples), np.float32), RATE)


def reader(server: SimulatedServer | None = None, **options: Any) -> LLMScriptReader:
    facts = {
        "url": server.url if server else "http://127.0.0.1:9/v1",
        "timeout_s": 2.0,
        "attempts": 2,
        "backoff_s": 0.001,
        "context_tokens": 2048,
        "max_tokens": 512,
        **options,
    }
    return LLMScriptReader(LLMReaderOptions(**facts))


class ScriptedService:
    """In place of an LLM service: answers with what a function makes of the question."""

    tokens, busy_s = 7, 0.5

    def __init__(self, answer: Callable[[list[ChatMessage], type], str]) -> None:
        self.answer = answer
        self.asked: list[list[ChatMessage]] = []

    def ask(self, messages: list[ChatMessage], form: type[Any], priority: int) -> Any:  # noqa: ARG002
        from dubarr_pipeline.services.reply_json import read_reply

        self.asked.append(messages)
        return read_reply(self.answer(messages, form), form)

    def close(self) -> None:
        pass


def scripted(answer: Callable[[list[ChatMessage], type], str], **options: Any) -> LLMScriptReader:
    """A reader whose model says what a function makes of the question."""
    engine = reader(**options)
    engine._service = ScriptedService(answer)  # type: ignore[assignment]
    return engine
