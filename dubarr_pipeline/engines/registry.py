"""Every engine as data: one row feeds construction, the choices, and `dubarr engines`.

An engine of another package is known by an entry point of the group ``dubarr.engines`` that names
its `EngineRow`, or to one process by `register`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, Literal, get_args

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
KINDS: tuple[Kind, ...] = get_args(Kind)


@dataclass(frozen=True, slots=True)
class EngineRow:
    """One engine: its class, its licence, and what it is good for.

    Attributes:
        kind: the kind of work.
        name: the value of ``engine`` in the settings.
        where: its class, as ``package.module:Class``.
        licence: under which it and its weights may be used.
        summary: one line for `dubarr engines`.
        options: the dataclass of its options, as ``package.module:Class``.
        extra: the extra of this package that brings its libraries.
        models: the models that it loads by default, by their names in the manifest.
        commercial: True if its licence allows commercial use; else the settings must accept it.
        takes: further arguments of its class: ``llm`` (section ``[llm]``), ``logs`` (the folder for
            the logs of services that it starts).
    """

    kind: Kind
    name: str
    where: str
    licence: str
    summary: str
    options: str | None = None
    extra: str | None = None
    models: tuple[str, ...] = ()
    commercial: bool = True
    takes: tuple[str, ...] = ()


ENTRY_POINTS = "dubarr.engines"
_registered: list[EngineRow] = []
ENGINES: tuple[EngineRow, ...] = (
    EngineRow(
        "voice_activity",
        "silero",
        "dubarr_pipeline.engines.voice_activity.silero:SileroVoiceActivity",
        "MIT",
        "finds speech with the Silero network; CPU, ships with faster-whisper",
        "dubarr_pipeline.engines.voice_activity.silero:SpeechOptions",
    ),
    EngineRow(
        "separation",
        "lite",
        "dubarr_pipeline.engines.separation.lite:LiteSeparator",
        "Apache-2.0",
        "centre mask or Wiener filter inside speech; CPU, no model",
        "dubarr_pipeline.engines.separation.lite:SeparationOptions",
    ),
    EngineRow(
        "separation",
        "demucs",
        "dubarr_pipeline.engines.separation.demucs:DemucsSeparator",
        "MIT, weights MIT",
        "the Demucs network, window by window in a process of its own; GPU, or slowly the CPU",
        "dubarr_pipeline.engines.separation.demucs:DemucsOptions",
        extra="studio",
        models=("htdemucs_ft",),
    ),
    EngineRow(
        "diarization",
        "cue-clusters",
        "dubarr_pipeline.engines.diarization.cue_clusters:CueClusters",
        "Apache-2.0",
        "names in the subtitles, else clusters of subtitle cues by timbre and pitch",
        "dubarr_pipeline.engines.diarization.cue_clusters:CueClusterOptions",
    ),
    EngineRow(
        "diarization",
        "pyannote",
        "dubarr_pipeline.engines.diarization.pyannote:PyannoteDiarizer",
        "MIT; weights CC-BY-4.0",
        "tells voices apart, also where they talk at once; gated: accept its page's conditions",
        "dubarr_pipeline.engines.diarization.pyannote:PyannoteOptions",
        extra="studio",
        models=("pyannote/speaker-diarization-community-1",),
    ),
    EngineRow(
        "transcription",
        "faster-whisper",
        "dubarr_pipeline.engines.transcription.faster_whisper:FasterWhisperTranscriber",
        "MIT",
        "hears the words, 99 languages; the subtitles' spelling where they agree",
        "dubarr_pipeline.engines.transcription.faster_whisper:FasterWhisperOptions",
        models=("Systran/faster-whisper-large-v3",),
    ),
    EngineRow(
        "transcription",
        "subtitles",
        "dubarr_pipeline.engines.transcription.subtitles:SubtitleTranscriber",
        "Apache-2.0",
        "takes the words from the subtitles, the times from the sound",
        "dubarr_pipeline.engines.transcription.subtitles:SubtitleOptions",
    ),
    EngineRow(
        "context",
        "plain",
        "dubarr_pipeline.engines.context.plain:PlainScriptAnalyzer",
        "Apache-2.0",
        "reads names, forms of address and tone from the text by plain means",
        "dubarr_pipeline.engines.context.plain:PlainOptions",
    ),
    EngineRow(
        "context",
        "llm",
        "dubarr_pipeline.engines.context.llm:LLMScriptAnalyzer",
        "the model's",
        "a language model reads the whole script; answers by section [llm]",
        "dubarr_pipeline.engines.context.llm:LLMAnalyzerOptions",
        takes=("logs",),
    ),
    EngineRow(
        "translation",
        "lite",
        "dubarr_pipeline.engines.translation.lite:LiteTranslator",
        "GPL-2.0 programs",
        "existing target-language subtitles, else Apertium's rules",
        "dubarr_pipeline.engines.translation.apertium:ApertiumOptions",
    ),
    EngineRow(
        "translation",
        "m2m100",
        "dubarr_pipeline.engines.translation.m2m100:M2M100Translator",
        "MIT",
        "an open model for 100 languages, line by line; CPU, 0.5 GB",
        "dubarr_pipeline.engines.translation.m2m100:M2M100Options",
        extra="laptop",
        models=("jncraton/m2m100_418M-ct2-int8",),
    ),
    EngineRow(
        "translation",
        "openai",
        "dubarr_pipeline.engines.translation.openai:OpenAITranslator",
        "the server's",
        "any LLM behind an OpenAI-compatible server",
        "dubarr_pipeline.engines.translation.openai:OpenAIOptions",
        takes=("logs",),
    ),
    EngineRow(
        "synthesis",
        "espeak",
        "dubarr_pipeline.engines.synthesis.espeak:EspeakSynthesizer",
        "GPL-3.0 library",
        "robot voice, pitched to the speaker, fitted to the second; CPU",
    ),
    EngineRow(
        "synthesis",
        "openai",
        "dubarr_pipeline.engines.synthesis.openai:OpenAISynthesizer",
        "the server's",
        "any voice behind an OpenAI-compatible speech server",
        "dubarr_pipeline.engines.synthesis.openai:OpenAISpeechOptions",
    ),
    EngineRow(
        "synthesis",
        "xtts",
        "dubarr_pipeline.engines.synthesis.xtts:XttsSynthesizer",
        "CPML",
        "17 languages in each speaker's own voice; a server of ours, GPU or patience",
        "dubarr_pipeline.engines.synthesis.xtts:XttsOptions",
        extra="studio",
        models=("coqui/XTTS-v2",),
        commercial=False,
        takes=("logs",),
    ),
    EngineRow(
        "synthesis",
        "tone",
        "dubarr_pipeline.engines.synthesis.tone:ToneSynthesizer",
        "Apache-2.0",
        "hums the line: for dry runs and tests",
    ),
)

PROFILES: Mapping[str, Mapping[Kind, str]] = {
    profile: dict(zip(KINDS, engines.split(), strict=True))
    for profile, engines in (
        ("lite", "silero lite cue-clusters subtitles plain lite espeak"),
        ("laptop", "silero lite cue-clusters faster-whisper plain m2m100 espeak"),
        ("studio", "silero demucs pyannote faster-whisper llm openai xtts"),
    )
}
"""Profile -> the engine of every kind, in the order of `KINDS`. `lite` runs on any computer,
without downloads or accounts; `laptop` wants 1 GB of models, but no GPU and no account; `studio` is
the neural engines, and wants a GPU."""

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


def register(added: EngineRow) -> None:
    """Make an engine of another package known to this process, so that settings can choose it.

    Raises:
        SettingsError: if there is an engine of this kind and name already.
    """
    if any((each.kind, each.name) == (added.kind, added.name) for each in engine_rows()):
        raise SettingsError(f"{added.kind} engine {added.name!r} is known already: rename yours")
    _registered.append(added)


def engine_rows() -> tuple[EngineRow, ...]:
    """Return the rows of all engines: ours, those of installed packages, the registered ones."""
    return (*ENGINES, *_installed(), *_registered)


@cache
def _installed() -> tuple[EngineRow, ...]:
    rows: list[EngineRow] = []
    for point in entry_points(group=ENTRY_POINTS):
        where = f"entry point {point.name!r} ({point.value}) of group {ENTRY_POINTS}"
        try:
            loaded = point.load()
        except (ImportError, AttributeError) as error:
            raise SettingsError(
                f"{where} cannot be loaded: {error}: repair or remove it"
            ) from error
        if not isinstance(loaded, EngineRow):
            raise SettingsError(f"{where} is not an EngineRow: let it name one")
        rows.append(loaded)
    return tuple(rows)


def row(kind: Kind, name: str) -> EngineRow:
    """Return an engine's row. Raises `SettingsError` with the choices."""
    for each in engine_rows():
        if (each.kind, each.name) == (kind, name):
            return each
    names = ", ".join(each.name for each in engine_rows() if each.kind == kind)
    raise SettingsError(f"unknown {kind} engine {name!r}; choose one of: {names}")


def option_type_of(kind: Kind, name: str) -> type | None:
    """Return the dataclass of an engine's options; None for an engine without any."""
    where = row(kind, name).options
    return _imported(where) if where else None


def build(kind: Kind, name: str, **arguments: Any) -> Engine:
    """Construct an engine with the arguments of its class; cheap, loads nothing."""
    return _imported(row(kind, name).where)(**arguments)


def _imported(where: str) -> Any:
    module, _, name = where.partition(":")
    return getattr(import_module(module), name)
