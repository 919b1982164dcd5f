"""Every engine as data (`engines.toml`): one row feeds construction, choices, `dubarr engines`.

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
from dubarr_pipeline.text.tables import read_table

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
            the logs of services that it starts), ``subtitled`` (languages that have subtitles),
            ``pairs`` (the languages to translate between, if its models depend on them).
        caution: a limit that a person should know before they choose it; empty for none.
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
    caution: str = ""


ENTRY_POINTS = "dubarr.engines"
_registered: list[EngineRow] = []

PROFILES: Mapping[str, Mapping[Kind, str]] = {
    profile: dict(zip(KINDS, engines.split(), strict=True))
    for profile, engines in (
        ("lite", "silero lite cue-clusters subtitles plain lite espeak"),
        ("laptop", "silero lite cue-clusters faster-whisper plain bergamot kokoro"),
        ("studio", "silero demucs pyannote faster-whisper llm openai xtts"),
    )
}
"""Profile -> the engine of every kind, in the order of `KINDS`. `lite` runs on any computer,
without downloads or accounts; `laptop` wants 0.7 GB of models, but no GPU and no account; `studio`
is the neural engines, and wants a GPU."""

PROFILE_OPTIONS: Mapping[str, Mapping[str, Mapping[str, Any]]] = {
    "laptop": {
        "context": {"sex_by": "voice"},
        "diarization": {"cues_by": "sound"},
        "transcript": {"model": "Systran/faster-whisper-small"},
    },
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
    return (*own_engines(), *_installed(), *_registered)


@cache
def own_engines() -> tuple[EngineRow, ...]:
    """Return the rows of the engines that this package ships."""
    from pydantic import TypeAdapter

    rows = read_table("dubarr_pipeline.engines", "engines")["engines"]
    return TypeAdapter(tuple[EngineRow, ...]).validate_python(rows)


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
