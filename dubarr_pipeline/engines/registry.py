"""Every engine there is, as data: one row feeds construction, the choices, and `dubarr engines`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Literal

from dubarr_pipeline.engines.interfaces import Engine
from dubarr_pipeline.errors import SettingsError

Kind = Literal[
    "voice_activity",
    "separation",
    "diarization",
    "transcription",
    "context",
    "translation",
    "synthesis",
]
KINDS: tuple[Kind, ...] = (
    "voice_activity",
    "separation",
    "diarization",
    "transcription",
    "context",
    "translation",
    "synthesis",
)


@dataclass(frozen=True, slots=True)
class EngineRow:
    """One engine: where its class lies, under which licence it works, and what it is good for."""

    kind: Kind
    name: str
    where: str
    """``module:class`` below ``dubarr_pipeline.engines``."""
    licence: str
    summary: str
    options: str | None = None
    """The dataclass of its options, as ``module:class`` below ``dubarr_pipeline``."""
    extra: str | None = None
    """The extra of this package that brings its libraries: ``pip install 'dubarr-pipeline[X]'``."""
    models: tuple[str, ...] = ()
    """The models that it loads by default, by their names in the manifest."""
    commercial: bool = True
    """Whether its licence allows commercial use; else it must be accepted in the settings."""
    takes: tuple[str, ...] = ()
    """What it is constructed with beside its options: ``llm`` (section ``[llm]``), ``logs`` (the
    folder for the logs of services that it starts)."""


ENGINES: tuple[EngineRow, ...] = (
    EngineRow(
        "voice_activity",
        "silero",
        "voice_activity.silero:SileroVoiceActivity",
        "MIT",
        "finds speech with the Silero network; CPU, ships with faster-whisper",
        "engines.voice_activity.silero:SpeechOptions",
    ),
    EngineRow(
        "separation",
        "lite",
        "separation.lite:LiteSeparator",
        "Apache-2.0",
        "centre mask or Wiener filter inside speech; CPU, no model",
        "engines.separation.lite:SeparationOptions",
    ),
    EngineRow(
        "separation",
        "demucs",
        "separation.demucs:DemucsSeparator",
        "MIT, weights MIT",
        "the Demucs network, window by window in a process of its own; GPU, or slowly the CPU",
        "engines.separation.demucs:DemucsOptions",
        extra="studio",
        models=("htdemucs_ft",),
    ),
    EngineRow(
        "diarization",
        "cue-clusters",
        "diarization.cue_clusters:CueClusters",
        "Apache-2.0",
        "names in the subtitles, else clusters of subtitle cues by timbre and pitch",
        "engines.diarization.cue_clusters:CueClusterOptions",
    ),
    EngineRow(
        "diarization",
        "pyannote",
        "diarization.pyannote:PyannoteDiarizer",
        "MIT; weights CC-BY-4.0",
        "tells voices apart, also where they talk at once; gated: accept its page's conditions",
        "engines.diarization.pyannote:PyannoteOptions",
        extra="studio",
        models=("pyannote/speaker-diarization-community-1",),
    ),
    EngineRow(
        "transcription",
        "faster-whisper",
        "transcription.faster_whisper:FasterWhisperTranscriber",
        "MIT",
        "hears the words, 99 languages; the subtitles' spelling where they agree",
        "engines.transcription.faster_whisper:FasterWhisperOptions",
        models=("Systran/faster-whisper-large-v3",),
    ),
    EngineRow(
        "transcription",
        "subtitles",
        "transcription.subtitles:SubtitleTranscriber",
        "Apache-2.0",
        "takes the words from the subtitles, the times from the sound",
        "engines.transcription.subtitles:SubtitleOptions",
    ),
    EngineRow(
        "context",
        "plain",
        "context.plain:PlainScriptReader",
        "Apache-2.0",
        "reads names, forms of address and tone from the text by plain means",
        "engines.context.plain:PlainOptions",
    ),
    EngineRow(
        "context",
        "llm",
        "context.llm:LLMScriptReader",
        "the model's",
        "a language model reads the whole script; answers by section [llm]",
        "engines.context.llm:LLMReaderOptions",
        takes=("logs",),
    ),
    EngineRow(
        "translation",
        "lite",
        "translation.lite:LiteTranslator",
        "GPL-2.0 programs",
        "existing target-language subtitles, else Apertium's rules",
        "engines.translation.apertium:ApertiumOptions",
    ),
    EngineRow(
        "translation",
        "m2m100",
        "translation.m2m100:M2M100Translator",
        "MIT",
        "an open model for 100 languages, line by line; CPU, 0.5 GB",
        "engines.translation.m2m100:M2M100Options",
        extra="laptop",
        models=("jncraton/m2m100_418M-ct2-int8",),
    ),
    EngineRow(
        "translation",
        "openai",
        "translation.openai:OpenAITranslator",
        "the server's",
        "any LLM behind an OpenAI-compatible server",
        "engines.translation.openai:OpenAIOptions",
        takes=("logs",),
    ),
    EngineRow(
        "synthesis",
        "espeak",
        "synthesis.espeak:EspeakSynthesizer",
        "GPL-3.0 library",
        "robot voice, pitched to the speaker, fitted to the second; CPU",
    ),
    EngineRow(
        "synthesis",
        "openai",
        "synthesis.openai:OpenAISynthesizer",
        "the server's",
        "any voice behind an OpenAI-compatible speech server",
        "engines.synthesis.openai:OpenAISpeechOptions",
    ),
    EngineRow(
        "synthesis",
        "xtts",
        "synthesis.xtts:XttsSynthesizer",
        "CPML",
        "17 languages in each speaker's own voice; a server of ours, GPU or patience",
        "engines.synthesis.xtts:XttsOptions",
        extra="studio",
        models=("coqui/XTTS-v2",),
        commercial=False,
        takes=("logs",),
    ),
    EngineRow(
        "synthesis",
        "tone",
        "synthesis.tone:ToneSynthesizer",
        "Apache-2.0",
        "hums the line: for dry runs and tests",
    ),
)

PROFILES: Mapping[str, Mapping[Kind, str]] = {
    "lite": {
        "voice_activity": "silero",
        "separation": "lite",
        "diarization": "cue-clusters",
        "transcription": "subtitles",
        "context": "plain",
        "translation": "lite",
        "synthesis": "espeak",
    },
    "laptop": {
        "voice_activity": "silero",
        "separation": "lite",
        "diarization": "cue-clusters",
        "transcription": "faster-whisper",
        "context": "plain",
        "translation": "m2m100",
        "synthesis": "espeak",
    },
    "studio": {
        "voice_activity": "silero",
        "separation": "demucs",
        "diarization": "pyannote",
        "transcription": "faster-whisper",
        "context": "llm",
        "translation": "openai",
        "synthesis": "xtts",
    },
}
"""Profile -> the engine of every kind. `lite` runs on any computer, without downloads or accounts;
`laptop` wants 1 GB of models, but no GPU and no account; `studio` is the neural engines, and wants
a GPU."""

PROFILE_OPTIONS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "laptop": {"transcript": {"model": "Systran/faster-whisper-small"}},
    "studio": {"llm": {"serve": "transformers", "model": "Qwen/Qwen2.5-7B-Instruct"}},
}
"""Profile -> section of the settings -> what the profile sets there; the settings go before."""


def profile_engines(profile: str, chosen: Mapping[Kind, str] | None = None) -> dict[Kind, str]:
    """Return the engine of every kind: the profile's, or the one that was chosen instead.

    Raises:
        SettingsError: if the profile or an engine is unknown; it lists the choices.
    """
    if profile not in PROFILES:
        raise SettingsError(f"unknown profile {profile!r}; choose one of: {', '.join(PROFILES)}")
    engines: dict[Kind, str] = {**PROFILES[profile], **(chosen or {})}
    for kind, name in engines.items():
        row(kind, name)
    return engines


def row(kind: Kind, name: str) -> EngineRow:
    """Find an engine's row. Raises `SettingsError` with the choices."""
    for found in ENGINES:
        if (found.kind, found.name) == (kind, name):
            return found
    names = ", ".join(r.name for r in ENGINES if r.kind == kind)
    raise SettingsError(f"unknown {kind} engine {name!r}; choose one of: {names}")


def build(kind: Kind, name: str, **options: Any) -> Engine:
    """Construct an engine; cheap, loads nothing.

    Args:
        kind: the kind of work.
        name: the engine's name.
        options: what its constructor takes.
    """
    module, _, cls = row(kind, name).where.partition(":")
    return getattr(import_module(f"dubarr_pipeline.engines.{module}"), cls)(**options)
