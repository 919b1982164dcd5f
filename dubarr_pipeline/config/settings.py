"""`dubarr.toml` as typed settings, validated once.

Option dataclasses live beside the algorithm that they steer; those of sections without an algorithm
are in `config.options`. An unknown name is an error that lists the choices; docs/settings.md lists
every setting with its unit and range.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from dubarr_pipeline.config import ranges
from dubarr_pipeline.config.document import merged, nested, read_toml, with_current_names
from dubarr_pipeline.config.libraries import LanguageProfile, Library, RescanOptions
from dubarr_pipeline.config.options import (
    AudioOptions,
    DiskOptions,
    FailureOptions,
    GateOptions,
    HousekeepingOptions,
    LoggingOptions,
    ReviewOptions,
    ScriptOptions,
    SegmentsOptions,
    WebhookOptions,
    WorkerOptions,
)
from dubarr_pipeline.engines.registry import (
    KINDS,
    PROFILE_OPTIONS,
    PROFILES,
    Kind,
    option_type_of,
    profile_engines,
)
from dubarr_pipeline.errors import LanguageError, SettingsError
from dubarr_pipeline.media.mix.options import MixOptions
from dubarr_pipeline.media.mux.options import MuxOptions
from dubarr_pipeline.models.store import ModelOptions, use_models
from dubarr_pipeline.script.speakers.references import RefOptions
from dubarr_pipeline.services.llm_client import LanguageModelOptions

_T = TypeVar("_T")

ENGINE_SECTIONS: Mapping[str, Kind] = {
    "transcript" if kind == "transcription" else kind: kind for kind in KINDS
}
"""Section -> the kind of engine that its ``engine`` key chooses."""

_GREATEST = 2**63
_SECRETS = frozenset(("notify", "token_variable", "key_variable", "url", "work_store"))
"""Settings that hold secrets, or may by mistake: a message never repeats their values."""
TOP_KEYS: Mapping[str, type] = {"work_dir": str, "profile": str, "debug_mode": bool}
_OF_A_LEKTOR: Mapping[str, Any] = {
    "preset": "voice-over",
    "levels": {"quieter_db": 0, "louder_db": 0},
}
"""What ``segments.casting = "lektor"`` sets in the section ``mix``; the settings go before."""
_NAMED_TABLES = ("libraries", "language_profiles", "rescans")
"""Each holds any number of tables under names of the user's choice, ``[libraries.NAME]``."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings, validated; one attribute per section.

    Attributes:
        work_dir: folder of the work folders, one per video.
        config_file: the file that was read, or None.
        profile: the engine profile.
        debug_mode: keep temporary files.
        engines: the engine of every kind: the profile's, or the one that its section chose.
        engine_options: the options of those engines; None for an engine without any.
        libraries: the watched folders by name, their language profiles filled in.
        language_profiles: named target languages, which tags choose.
        rescans: the servers that are told of published films, by name.
        document: the file's tables as they were written; `for_video` builds on them.
    """

    work_dir: Path
    config_file: Path | None
    profile: str
    debug_mode: bool
    engines: Mapping[Kind, str]
    engine_options: Mapping[Kind, Any]
    models: ModelOptions
    audio: AudioOptions
    script: ScriptOptions
    llm: LanguageModelOptions
    refs: RefOptions
    segments: SegmentsOptions
    mix: MixOptions
    mux: MuxOptions
    webhooks: WebhookOptions
    review: ReviewOptions
    logging: LoggingOptions
    failures: FailureOptions
    gate: GateOptions
    disk: DiskOptions
    housekeeping: HousekeepingOptions
    workers: WorkerOptions
    libraries: Mapping[str, Library]
    language_profiles: Mapping[str, LanguageProfile]
    rescans: Mapping[str, RescanOptions]
    document: Mapping[str, Any]
    _of_videos: dict[str, Settings] = field(
        default_factory=dict[str, "Settings"], init=False, repr=False, compare=False
    )

    def library(self, name: str) -> Library:
        """Return a watched folder by its name. Raises `SettingsError` with the choices."""
        if name not in self.libraries:
            listed = ", ".join(self.libraries) or "none"
            raise SettingsError(f"unknown library {name!r} (choices: {listed})")
        return self.libraries[name]

    def for_tags(self, library: Library, tags: Iterable[str]) -> Library:
        """Return a library with the languages that a film's tags choose; of several, all."""
        known = {tag.casefold() for tag in tags}
        chosen = [
            self.language_profiles[profile]
            for tag, profile in library.tag_languages.items()
            if tag.casefold() in known
        ]
        if not chosen:
            return library
        targets = dict.fromkeys(target for each in chosen for target in each.target_langs)
        overrides = dict(library.overrides)
        for each in chosen:
            overrides = {**each.overrides, **overrides}
        return replace(library, target_langs=tuple(targets), overrides=overrides)

    def inner_libraries(self, name: str) -> dict[Path, str]:
        """Return the folders and names of the libraries that lie within another one."""
        outer = self.library(name).path
        others = ((each.path, other) for other, each in self.libraries.items() if other != name)
        return {path: other for path, other in others if _is_within(path, outer)}

    def owner_of(self, path: Path) -> str | None:
        """Return the name of the library that a path belongs to: the deepest that holds it."""
        holding = [
            (len(library.path.resolve().parts), name)
            for name, library in self.libraries.items()
            if path.is_relative_to(library.path) or library.holds(path)
        ]
        # Of equal ones the first.
        return max(holding, key=lambda each: each[0])[1] if holding else None

    def for_video(self, profile: str, overrides: Mapping[str, Any]) -> Settings:
        """Return these settings with a video's own profile and overrides (dotted names) on top.

        Raises:
            SettingsError: if the profile or a setting is unknown, or a value is not valid.
        """
        if profile == self.profile and not overrides:
            return self
        key = repr((profile, sorted(overrides.items())))
        if key not in self._of_videos:
            where = f"overrides of a video ({', '.join(overrides)})"
            asked: dict[str, Any] = {}
            for dotted, value in overrides.items():
                asked = merged(asked, nested(dotted, value))
            document = merged(self.document, with_current_names(asked, where))
            sections = _read_sections(document, profile, where)
            self._of_videos[key] = replace(self, profile=profile, **sections)
        return self._of_videos[key]

    def for_library(self, library: Library) -> Settings:
        """Return these settings with a library's profile and overrides on top."""
        return self.for_video(library.profile or self.profile, library.overrides)


def _is_within(path: Path, outer: Path) -> bool:
    inner, above = path.resolve(), outer.resolve()
    return inner != above and inner.is_relative_to(above)


_HINTS: Mapping[str, Any] = get_type_hints(Settings)
OPTION_TYPES: Mapping[str, Any] = {n: kind for n, kind in _HINTS.items() if is_dataclass(kind)}
"""Section -> the dataclass of its options; the sections of engines have those of their engine."""
SECTIONS = (*ENGINE_SECTIONS, *OPTION_TYPES)


def user_settings(config: Path | None = None, work_dir: Path | None = None) -> Settings:
    """Read the settings, with the user's defaults for what is not given.

    Args:
        config: the file; default: ``$DUBARR_CONFIG``, else ``dubarr.toml`` here if it exists.
        work_dir: default: ``$DUBARR_WORK_DIR``, else the file's, else dubarr's data folder.

    Raises:
        SettingsError: if the file cannot be read, or holds what it should not.
    """
    config_default, work_dir_default = (
        Path(value) if (value := os.environ.get(name)) else None
        for name in ("DUBARR_CONFIG", "DUBARR_WORK_DIR")
    )
    return load_settings(config or config_default, work_dir or work_dir_default)


def load_settings(config: Path | None = None, work_dir: Path | None = None) -> Settings:
    """Read the file, else ``dubarr.toml`` here if it exists; the environment plays no part.

    Raises:
        SettingsError: if the file cannot be read, or holds what it should not.
    """
    if config and not config.exists():
        raise SettingsError(f"settings file {str(config)!r} is not there")
    path = config or Path("dubarr.toml")
    document = read_toml(path) if path.exists() else {}
    settings = parse_settings(document, work_dir, str(path))
    use_models(settings.models)
    return replace(settings, config_file=path.absolute() if path.exists() else None)


def parse_settings(
    document: Mapping[str, Any], work_dir: Path | None = None, where: str = "settings"
) -> Settings:
    """Validate a ``dubarr.toml``, called `where`. Raises `SettingsError` at the first mistake."""
    document = with_current_names(document, where)
    _check_names(document, (*TOP_KEYS, *SECTIONS, *_NAMED_TABLES), where)
    for name, kind in TOP_KEYS.items():
        if not isinstance(document.get(name, kind()), kind):
            words = "true or false" if kind is bool else "a text in quotes"
            raise SettingsError(f"{where}: {name} must be {words} (got {document[name]!r})")
    profile = document.get("profile", "lite")
    data = Path(os.environ.get("XDG_DATA_HOME") or "~/.local/share")
    folder = Path(work_dir or document.get("work_dir") or data / "dubarr").expanduser()
    named = {kind: _named_tables(document, kind, where) for kind in _NAMED_TABLES}
    languages = {
        name: _read(LanguageProfile, table, f"language_profiles.{name}")
        for name, table in named["language_profiles"].items()
    }
    settings = Settings(
        work_dir=folder.absolute(),
        config_file=None,
        profile=profile,
        debug_mode=document.get("debug_mode", False),
        libraries={
            name: _read_library(name, _with_gate(table, document), languages)
            for name, table in named["libraries"].items()
        },
        language_profiles=languages,
        rescans={n: _read(RescanOptions, t, f"rescans.{n}") for n, t in named["rescans"].items()},
        document=document,
        **_read_sections(document, profile, where),
    )
    for library in settings.libraries.values():
        settings.for_library(library)
        settings.for_library(settings.for_tags(library, library.tag_languages))
    for name, server in settings.rescans.items():
        _check_names(server.libraries, settings.libraries, f"[rescans.{name}] libraries")
    return settings


def _read_sections(document: Mapping[str, Any], profile: str, where: str) -> dict[str, Any]:
    """Validate every section of a document, as the attributes of `Settings`."""
    sections = {n: t for n, t in document.items() if n not in (*TOP_KEYS, *_NAMED_TABLES)}
    _check_names(sections, SECTIONS, where)
    for section, table in sections.items():
        _check_is_table(table, section, where)
    chosen: dict[Kind, str] = {
        kind: sections[section]["engine"]
        for section, kind in ENGINE_SECTIONS.items()
        if "engine" in sections.get(section, {})
    }
    engines = profile_engines(profile, chosen)
    for section, preset in PROFILE_OPTIONS.get(profile, {}).items():
        kind = ENGINE_SECTIONS.get(section)
        # A preset is meant for the profile's own engine, not for one chosen in its place.
        if kind is None or engines[kind] == PROFILES[profile][kind]:
            sections[section] = {**preset, **sections.get(section, {})}
    if sections.get("segments", {}).get("casting") == "lektor":
        sections["mix"] = merged(_OF_A_LEKTOR, sections.get("mix", {}))
    options = {
        name: _read(kind, sections.get(name, {}), name) for name, kind in OPTION_TYPES.items()
    }
    engine_options: dict[Kind, Any] = {}
    for section, kind in ENGINE_SECTIONS.items():
        table = {n: value for n, value in sections.get(section, {}).items() if n != "engine"}
        option_type = option_type_of(kind, engines[kind])
        if option_type is None:
            _check_names(table, (), f"[{section}]")
        else:
            table = {**sections.get(getattr(option_type, "inherits", ""), {}), **table}
        engine_options[kind] = option_type and _read(option_type, table, section)
    return {"engines": engines, "engine_options": engine_options, **options}


def _with_gate(table: Mapping[str, Any], document: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return a library's table with the bounds of ``[gate]`` where it has none of its own."""
    common, own = document.get("gate", {}), table.get("gate", {})
    both = isinstance(common, Mapping) and isinstance(own, Mapping)
    return {**table, "gate": {**common, **own}} if both and common else table


def _read_library(
    name: str, table: Mapping[str, Any], languages: Mapping[str, LanguageProfile]
) -> Library:
    library = _read(Library, table, f"libraries.{name}")
    for chosen in filter(None, (library.languages, *library.tag_languages.values())):
        if chosen not in languages:
            raise SettingsError(
                f"[libraries.{name}]: unknown language profile {chosen!r} "
                f"(choices: {', '.join(languages) or 'none'})"
            )
    if not library.languages:
        return library
    chosen = languages[library.languages]
    # Its own overrides go before those of the language profile.
    overrides = {**chosen.overrides, **library.overrides}
    return replace(library, languages="", target_langs=chosen.target_langs, overrides=overrides)


# Made once for each dataclass, because making it costs more than its use.
_reader = cache(TypeAdapter)


def _read(option_type: type[_T], values: Mapping[str, Any], section: str) -> _T:
    """Validate the values of a section. Raises `SettingsError`."""
    _check_fields(values, option_type, f"[{section}]")
    try:
        exact = _exact(values, section)
        options: _T = _reader(option_type).validate_python(exact) if exact else option_type()
        for fault in ranges.faults_of(options, section):
            raise SettingsError(fault)
        return options
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join([section, *(str(part) for part in first["loc"])])
        table = first["input"] if isinstance(first["input"], Mapping) else ()
        hidden = _SECRETS & {*map(str, first["loc"]), *(values if not first["loc"] else table)}
        shown = repr(first["input"])
        shown = shown if len(shown) <= 200 else f"{shown[:200]}..."
        got = "" if hidden else f" (got {shown})"
        said = first["msg"].removeprefix("Value error, ")
        raise SettingsError(f"setting {name}: {said}{got}") from None
    except RecursionError:
        raise SettingsError(f"settings of [{section}] are nested too deeply") from None
    except (ValueError, RuntimeError, LanguageError) as error:
        named = LanguageError if isinstance(error, LanguageError) else SettingsError
        raise named(f"settings of [{section}]: {error}") from None


def _exact(value: Any, where: str) -> Any:
    """Keep numbers as they are written: 0.9 is nine tenths, not the nearest binary fraction.

    Refuse what no number of a setting can be, at any depth, before anything computes with it.
    """
    if isinstance(value, Mapping):
        return {name: _exact(inner, f"{where}.{name}") for name, inner in value.items()}
    if isinstance(value, list):
        return [_exact(inner, where) for inner in value]
    if isinstance(value, int | float) and not abs(value) <= _GREATEST:
        raise SettingsError(f"setting {where}: must be a finite number")
    return Decimal(str(value)) if isinstance(value, float) else value


def _check_fields(values: Mapping[str, Any], option_type: type, where: str) -> None:
    """Refuse names that an options dataclass does not have, at any depth."""
    types = get_type_hints(option_type)
    _check_names(values, [f.name for f in fields(option_type)], where)
    for name, value in values.items():
        if isinstance(value, Mapping) and is_dataclass(types[name]):
            _check_fields(value, types[name], f"{where[:-1]}.{name}]")


def _named_tables(document: Mapping[str, Any], kind: str, where: str) -> Mapping[str, Any]:
    """Return the tables ``[kind.NAME]`` by name. Raises `SettingsError`."""
    tables = document.get(kind, {})
    if not isinstance(tables, Mapping):
        raise SettingsError(f"{where}: {kind} must be tables, [{kind}.NAME]")
    for name, table in tables.items():
        _check_is_table(table, f"{kind}.{name}", where)
    return tables


def _check_is_table(table: Any, name: str, where: str) -> None:
    if not isinstance(table, Mapping):
        raise SettingsError(f"{where}: {name} must be a table, [{name}]")


def _check_names(names: Iterable[str], known: Iterable[str], where: str) -> None:
    choices = sorted(known)
    for name in names:
        if name not in choices:
            near = difflib.get_close_matches(name, choices, n=1)
            guess = f"; did you mean {near[0]!r}?" if near else ""
            listed = ", ".join(choices) or "none"
            raise SettingsError(f"{where}: unknown setting {name!r}{guess} (choices: {listed})")
