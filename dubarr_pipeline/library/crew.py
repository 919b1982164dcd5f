"""Who works on a video: the chosen engines, constructed with their options."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from typing import Any, cast

from dubarr_pipeline.engines.interfaces import (
    Diarizer,
    Engine,
    Need,
    ScriptReader,
    Separator,
    Synthesizer,
    Transcriber,
    Translator,
    VoiceActivityDetector,
)
from dubarr_pipeline.engines.registry import KINDS, Kind, build
from dubarr_pipeline.errors import LanguageError, MissingRequirement
from dubarr_pipeline.settings import ENGINE_SECTIONS, Settings
from dubarr_pipeline.timeline.length_model import PhonemeCount

_SECTIONS: dict[Kind, str] = {kind: section for section, kind in ENGINE_SECTIONS.items()}


def engine(settings: Settings, kind: Kind, **facts: Any) -> Engine:
    """Construct the chosen engine of a kind, with its options; loads nothing."""
    options = settings.options(_SECTIONS[kind])
    chosen = {} if options is None else {"options": options}
    return build(kind, settings.engines()[kind], **chosen, **facts)


def voice_activity_detector(settings: Settings) -> VoiceActivityDetector:
    """Who finds where somebody speaks."""
    return cast("VoiceActivityDetector", engine(settings, "voice_activity"))


def separator(settings: Settings) -> Separator:
    """Who takes the voices out."""
    return cast("Separator", engine(settings, "separation"))


def diarizer(settings: Settings) -> Diarizer:
    """Who tells the speakers apart."""
    return cast("Diarizer", engine(settings, "diarization"))


def transcriber(settings: Settings) -> Transcriber:
    """Who writes down what is said."""
    return cast("Transcriber", engine(settings, "transcription"))


def script_reader(settings: Settings) -> ScriptReader:
    """Who reads the whole script."""
    return cast("ScriptReader", engine(settings, "context"))


def translator(settings: Settings, subtitled: tuple[str, ...] = ()) -> Translator:
    """Who translates; `subtitled` are the languages that the video has subtitles in."""
    facts = {"subtitled": subtitled} if settings.engines()["translation"] == "lite" else {}
    return cast("Translator", engine(settings, "translation", **facts))


def synthesizer(settings: Settings) -> Synthesizer:
    """Who speaks."""
    return cast("Synthesizer", engine(settings, "synthesis"))


def phoneme_counter() -> PhonemeCount:
    """Who counts the phonemes of a text, from which its spoken length is predicted."""
    from dubarr_pipeline.engines.synthesis.espeak import phoneme_count

    def count(text: str, language: str) -> int | None:
        try:
            return phoneme_count(text, language)
        except (LanguageError, MissingRequirement):
            return None

    return count


def needs(settings: Settings) -> list[tuple[str, Need]]:
    """All that the profile needs, as (who needs it, what), each thing once."""
    found = [("reading and writing media", need) for need in _programs()]
    for kind in KINDS:
        chosen = engine(settings, kind)
        found += [(f"{kind}: {chosen.name}", need) for need in chosen.needs()]
    return list({need.name: (who, need) for who, need in reversed(found)}.values())[::-1]


def check_needs(settings: Settings) -> None:
    """See that all is here before any work starts.

    Raises:
        MissingRequirement: one list of everything that is missing, each with its cure.
    """
    missing = [(who, need) for who, need in needs(settings) if not need.present]
    if missing:
        raise MissingRequirement(
            f"profile {settings.profile!r} lacks what it needs:\n" + missing_list(missing)
        )


def missing_list(missing: Iterable[tuple[str, Need]]) -> str:
    """One line for each missing thing: what, who needs it, how to get it."""
    return "\n".join(f"  {need.kind} {need.name} (for {who}): {need.cure}" for who, need in missing)


def _programs() -> tuple[Need, ...]:
    return tuple(
        Need("program", program, shutil.which(program) is not None, f"apt-get install {package}")
        for program, package in (
            ("ffmpeg", "ffmpeg"),
            ("ffprobe", "ffmpeg"),
            ("mkvmerge", "mkvtoolnix"),
            ("mkvpropedit", "mkvtoolnix"),
        )
    )
