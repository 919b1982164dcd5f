"""Answers of engines on which results depend: who they are, and with which options they work."""

from typing import Any

from dubarr_pipeline.config.profile_engines import (
    Pairs,
    engine,
    engine_facts,
    synthesizer,
    take_verifier,
    translator,
)
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.engines.interfaces import (
    Diarizer,
    ScriptAnalyzer,
    Separator,
    Transcriber,
    VoiceActivityDetector,
)
from dubarr_pipeline.workdir.canonical import canonical

Question = str | tuple[str, tuple[str, ...], Pairs]
"""A kind of engine; of the translator also the languages that have subtitles, and the pairs to
translate between. ``voices`` are who speaks, and who listens to it."""


def engine_answer(settings: Settings, question: Question) -> Any:
    """Return the canonical facts with which the chosen engine answers; nothing is loaded.

    Raises:
        KeyError: if it is no question.
        LicenceError: if the engine's licence allows no commercial use, and was not accepted.
    """
    return canonical(_answer(settings, question))


def _answer(settings: Settings, question: Question) -> Any:
    match question:
        case "voice_activity":
            return engine(settings, VoiceActivityDetector).identity()
        case "separation":
            return engine(settings, Separator).identity()
        case "diarization":
            unscripted = engine(settings, Diarizer).unscripted_identity()
            return engine_facts(settings, Diarizer), unscripted
        case "transcription":
            return engine_facts(settings, Transcriber)
        case "context":
            return engine_facts(settings, ScriptAnalyzer)
        case "voices":
            listener = take_verifier(settings)
            speaker = synthesizer(settings).identity()
            return listener.identity() if listener else None, speaker
        case ("translation", known, pairs):
            return translator(settings, known, pairs=pairs).identity()
        case _:
            raise KeyError(question)
