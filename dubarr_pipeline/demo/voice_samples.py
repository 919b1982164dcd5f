"""All voices of a synthesizer, each heard with one sentence, on a page that opens from the disk."""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import soundfile
from jinja2 import Environment, StrictUndefined

from dubarr_pipeline.engines.interfaces import SpeechRequest, Synthesizer, Voice
from dubarr_pipeline.errors import EngineError, LanguageError, ServiceError, WorkspaceError
from dubarr_pipeline.files import named_disk_errors, write_text
from dubarr_pipeline.progress import OnProgress, Progress, ignore_progress
from dubarr_pipeline.script.model import SpeakerProfile, StockVoice
from dubarr_pipeline.text.languages import base_language, display_name, own_name
from dubarr_pipeline.text.normalize import speakable
from dubarr_pipeline.text.tables import read_table

_log = logging.getLogger(__name__)

_PAGE = "index.html"
_GENERATOR = "dubarr engines --play"
_BUILT = (
    StockVoice("a man's", "male", "adult", 120.0),
    StockVoice("a woman's", "female", "adult", 205.0),
    StockVoice("a child's", None, "child", 260.0),
)
"""Examples of the voices of an engine that makes them after the speakers."""


@dataclass(frozen=True, slots=True)
class VoiceSample:
    """A voice, and the name of the file with its sentence, or why there is none."""

    voice: StockVoice
    file: str = ""
    fault: str = ""


def sample_sentence(language: str) -> str:
    """Return the sentence in which voices of a BCP-47 language are tried."""
    known = read_table("dubarr_pipeline.demo", "voice_samples")
    for tag in (language, base_language(language) or ""):
        if tag in known:
            return str(known[tag])
    return f"{own_name(language)}."


def write_voice_samples(
    synthesizer: Synthesizer,
    language: str,
    folder: Path,
    licence: str,
    on_progress: OnProgress = ignore_progress,
) -> tuple[VoiceSample, ...]:
    """Speak a sentence in every voice into a folder with a page; the synthesizer is loaded.

    What an earlier call left there is replaced. A voice that fails is named on the page.

    Raises:
        LanguageError: if the synthesizer does not speak the language.
        WorkspaceError: if the folder holds anything else.
        EngineError, ServiceError: if no voice could be heard.
    """
    if not synthesizer.serves(language):
        raise LanguageError(f"{synthesizer.name} does not speak {display_name(language)}")
    _clear(folder)
    sentence = sample_sentence(language)
    stock = synthesizer.voices(language)
    voices = stock or _BUILT
    samples: list[VoiceSample] = []
    text, last = speakable(sentence, language), None
    for number, voice in enumerate(voices):
        on_progress(Progress(number, len(voices), voice.name))
        who = SpeakerProfile(
            voice.name, gender=voice.sex, age_group=voice.age, pitch_hz=voice.pitch_hz
        )
        speaker = Voice(voice.name, who, name=voice.name if stock else None)
        try:
            speech = synthesizer.speak(SpeechRequest(text, language, speaker))
        except (EngineError, ServiceError) as error:
            last = error
            samples.append(VoiceSample(voice, fault=str(error)))
            continue
        safe = re.sub(r"[^\w.-]+", "_", voice.name)[:60]
        name = f"{number + 1:02d}_{safe}.wav"
        with named_disk_errors(folder / name):
            # 16 bit: not every browser plays floating point.
            soundfile.write(folder / name, speech.samples, speech.rate, subtype="PCM_16")
        samples.append(VoiceSample(voice, name))
    if last is not None and not any(sample.file for sample in samples):
        raise last
    facts = {"engine": synthesizer.name, "language": display_name(language), "tag": language}
    _write_page(folder, {**facts, "licence": licence, "sentence": sentence, "samples": samples})
    return tuple(samples)


def _write_page(folder: Path, facts: Mapping[str, Any]) -> None:
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    source = files("dubarr_pipeline.demo").joinpath("voice_samples.html").read_text("utf-8")
    page = environment.from_string(source).render(generator=_GENERATOR, **facts)
    write_text(folder / _PAGE, page)


def _clear(folder: Path) -> None:
    """Make the folder, or empty it of what an earlier call left there."""
    page = folder / _PAGE
    with named_disk_errors(folder):
        if folder.exists():
            found = list(folder.iterdir()) if folder.is_dir() else [folder]
            ours = page.is_file() and _GENERATOR in page.read_text("utf-8", "replace")[:1000]
            strange = [path for path in found if path != page and path.suffix != ".wav"]
            if strange or (found and not ours):
                raise WorkspaceError(
                    f"{folder} holds files that are not ours: move them, or work in another folder"
                )
            for path in found:
                path.unlink()
        folder.mkdir(parents=True, exist_ok=True)
