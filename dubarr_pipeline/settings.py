"""`dubarr.toml`: names and values to option types, read once at the edge.

The options themselves live beside the algorithms that they steer. An unknown name is an error that
lists the choices; `dubarr.example.toml` shows every setting with its unit and range.
"""

from __future__ import annotations

import difflib
import os
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from decimal import Decimal
from functools import cache
from importlib import import_module
from math import isfinite
from pathlib import Path
from typing import Any, get_type_hints

from pydantic import TypeAdapter, ValidationError

from dubarr_pipeline.engines.registry import PROFILE_OPTIONS, PROFILES, Kind, profile_engines, row
from dubarr_pipeline.errors import LanguageError, SettingsError
from dubarr_pipeline.models.store import announce

ENGINE_SECTIONS: Mapping[str, Kind] = {
    "voice_activity": "voice_activity",
    "separation": "separation",
    "diarization": "diarization",
    "transcript": "transcription",
    "context": "context",
    "translation": "translation",
    "synthesis": "synthesis",
}
"""Section -> the kind of engine that its ``engine`` key chooses."""

OPTION_TYPES: Mapping[str, str] = {
    "models": "models.store:ModelOptions",
    "audio": "library.intake:AudioOptions",
    "llm": "services.llm_process:LanguageModelOptions",
    "refs": "media.voice_samples:RefOptions",
    "production": "production.tasks:ProductionOptions",
    "mix": "media.mix_options:MixOptions",
    "mux": "media.mux_options:MuxOptions",
    "webhooks": "library.webhooks:WebhookOptions",
    "failures": "library.failures:FailureOptions",
    "disk": "library.disk_budget:DiskOptions",
    "housekeeping": "library.housekeeping:HousekeepingOptions",
}
"""Section -> the dataclass of its options, as ``module:class`` below ``dubarr_pipeline``. Those of
an engine stand in the engine's row of the registry."""

_LARGEST_BYTES, _MOST_DOTS = 4 << 20, 1_000
"""The parser takes the square of a dotted name's parts, in time and in memory."""
_SECRETS = frozenset(("notify", "token_variable", "key_variable", "url"))
"""Settings that hold secrets, or may by mistake: a message never repeats their values."""
TOP_KEYS: Mapping[str, type] = {"work_dir": str, "profile": str, "debug_mode": bool}
SECTIONS = tuple(dict.fromkeys([*ENGINE_SECTIONS, *OPTION_TYPES]))
LIBRARIES = "libraries"
"""One table per watched folder, ``[libraries.NAME]``."""
RESCANS = "rescans"
"""One table per server that is told of published films, ``[rescans.NAME]``."""
LANGUAGE_PROFILES = "language_profiles"
"""One table per named choice of languages, ``[language_profiles.NAME]``."""


@dataclass(frozen=True, slots=True)
class Settings:
    """All that can be set, checked.

    Attributes:
        work_dir: folder of the work folders, one per video.
        profile: the engine profile.
        debug_mode: keep temporary files.
        tables: section -> its keys, as they were written.
        libraries: name -> the keys of a watched folder, as they were written.
        language_profiles: name -> the keys of a named choice of languages, as they were written.
        rescans: name -> the keys of a server that is told of published films.
    """

    work_dir: Path
    profile: str = "lite"
    debug_mode: bool = False
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    libraries: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    language_profiles: Mapping[str, Mapping[str, Any]] = field(
        default_factory=dict[str, Mapping[str, Any]]
    )
    rescans: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])

    def engines(self) -> dict[Kind, str]:
        """The engine of every kind: the profile's, or the one that a section chose."""
        chosen: dict[Kind, str] = {
            kind: self.tables[section]["engine"]
            for section, kind in ENGINE_SECTIONS.items()
            if "engine" in self.tables.get(section, {})
        }
        return profile_engines(self.profile, chosen)

    def options(self, section: str) -> Any:
        """The options of a section, as their dataclass.

        Raises:
            SettingsError: if a value is of the wrong type or out of range.
        """
        option_type = self.option_type(section)
        if option_type is None:
            return None
        shared = getattr(option_type, "inherits", None)
        sections = [shared, section] if shared else [section]
        values = {
            name: value
            for each in sections
            for name, value in {**self._usual(each), **self.tables.get(each, {})}.items()
            if name != "engine"
        }
        return _read(option_type, values, section)

    def _usual(self, section: str) -> Mapping[str, Any]:
        """What the profile sets in a section, as long as its own engine is used there."""
        kind = ENGINE_SECTIONS.get(section)
        if kind and self.engines()[kind] != PROFILES[self.profile][kind]:
            return {}
        return PROFILE_OPTIONS.get(self.profile, {}).get(section, {})

    def library(self, name: str) -> Any:
        """A watched folder and its wishes, as `library.libraries.Library`, its languages filled in.

        Raises:
            SettingsError: if a value is missing, of the wrong type or not to be had.
        """
        where = f"{LIBRARIES}.{name}"
        if name not in self.libraries:
            listed = ", ".join(self.libraries) or "none"
            raise SettingsError(f"unknown library {name!r} (choices: {listed})")
        found = _read(_import("library.libraries:Library"), self.libraries[name], where)
        if found.languages:
            found = found.with_languages(self.language_profile(found.languages, where))
        self.for_video(found.profile or self.profile, found.overrides)
        return found

    def language_profile(self, name: str, asked_by: str = "") -> Any:
        """A named choice of languages, as `library.libraries.LanguageProfile`.

        Raises:
            SettingsError: if there is none of that name, or a value is wrong.
        """
        if name not in self.language_profiles:
            listed = ", ".join(self.language_profiles) or "none"
            raise SettingsError(
                f"[{asked_by}]: unknown language profile {name!r} (choices: {listed})"
            )
        profile_type = _import("library.libraries:LanguageProfile")
        return _read(profile_type, self.language_profiles[name], f"{LANGUAGE_PROFILES}.{name}")

    def rescan(self, name: str) -> Any:
        """A server that is told of published films, as `library.rescans.RescanOptions`."""
        return _read(
            _import("library.rescans:RescanOptions"), self.rescans[name], f"{RESCANS}.{name}"
        )

    def option_type(self, section: str) -> type | None:
        """The dataclass of a section's options; None where the chosen engine has none."""
        kind = ENGINE_SECTIONS.get(section)
        where = row(kind, self.engines()[kind]).options if kind else OPTION_TYPES[section]
        return _import(where) if where else None

    def check(self) -> None:
        """Read every section once, so that a mistake is told before any work starts.

        Raises:
            SettingsError: at the first mistake.
        """
        self.check_sections()
        for name in self.language_profiles:
            self.language_profile(name)
        for name in self.libraries:
            self.library(name)
        for name in self.rescans:
            self.rescan(name)

    def check_sections(self) -> None:
        """Read every section of engines and options once. Raises `SettingsError`."""
        self.engines()
        for section, table in self.tables.items():
            if self.option_type(section) is None:
                _check_names(table, ("engine",), f"[{section}]")
            self.options(section)

    def for_video(self, profile: str, overrides: Mapping[str, Any]) -> Settings:
        """These settings with a video's own profile and overrides (dotted names) on top."""
        tables = {name: dict(table) for name, table in self.tables.items()}
        for dotted, value in overrides.items():
            section, _, key = dotted.partition(".")
            tables.setdefault(section, {})[key] = value
        _check_tables(tables, f"overrides of a video ({', '.join(overrides)})")
        settings = replace(self, profile=profile, tables=tables)
        if overrides:
            settings.check_sections()
        return settings


def load_settings(config: Path | None = None, work_dir: Path | None = None) -> Settings:
    """Read the settings.

    Args:
        config: the file; default: ``$DUBARR_CONFIG``, else ``dubarr.toml`` here if it is there.
        work_dir: overrides the file's and ``$DUBARR_WORK_DIR``.

    Raises:
        SettingsError: if the file cannot be read, or holds what it should not.
    """
    path = config or _named_by_environment() or Path("dubarr.toml")
    if not path.exists() and (config or _named_by_environment()):
        raise SettingsError(f"settings file {str(path)!r} is not there")
    document = _read_toml(path) if path.exists() else {}
    _check_names(document, (*TOP_KEYS, *SECTIONS, LIBRARIES, LANGUAGE_PROFILES, RESCANS), str(path))
    for name, kind in TOP_KEYS.items():
        if not isinstance(document.get(name, kind()), kind):
            words = "true or false" if kind is bool else "a text in quotes"
            raise SettingsError(f"{path}: {name} must be {words} (got {document[name]!r})")
    tables = {name: document[name] for name in SECTIONS if name in document}
    _check_tables(tables, str(path))
    settings = Settings(
        work_dir=_work_dir(work_dir, document.get("work_dir")),
        profile=document.get("profile", "lite"),
        debug_mode=document.get("debug_mode", False),
        tables=tables,
        libraries=_named_tables(document, LIBRARIES, str(path)),
        language_profiles=_named_tables(document, LANGUAGE_PROFILES, str(path)),
        rescans=_named_tables(document, RESCANS, str(path)),
    )
    settings.check()
    announce(settings.options("models"))
    return settings


def _import(where: str) -> type:
    module, _, name = where.partition(":")
    return getattr(import_module(f"dubarr_pipeline.{module}"), name)


@cache
def _reader(option_type: type) -> TypeAdapter[Any]:
    """What checks a section's options; made once, because making it costs more than checking."""
    return TypeAdapter(option_type)


def _read(option_type: type, values: Mapping[str, Any], section: str) -> Any:
    """The options of a section, as their dataclass. Raises `SettingsError`."""
    _check_fields(values, option_type, f"[{section}]")
    try:
        return _reader(option_type).validate_python(_exact(values))
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join([section, *(str(part) for part in first["loc"])])
        table = first["input"] if isinstance(first["input"], Mapping) else ()
        hidden = _SECRETS & {*map(str, first["loc"]), *(values if not first["loc"] else table)}
        got = "" if hidden else f" (got {_quoted(first['input'])})"
        raise SettingsError(f"setting {name}: {first['msg']}{got}") from None
    except (ValueError, RuntimeError, LanguageError) as error:
        raise _named(error)(f"settings of [{section}]: {error}") from None


def _quoted(value: object) -> str:
    """A value for a message, cut where it is long."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _named(error: Exception) -> type[SettingsError]:
    return LanguageError if isinstance(error, LanguageError) else SettingsError


def _exact(value: Any) -> Any:
    """Numbers as they are written: 0.9 is nine tenths, not the nearest binary fraction."""
    if isinstance(value, Mapping):
        return {name: _exact(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [_exact(inner) for inner in value]
    return Decimal(str(value)) if isinstance(value, float) and isfinite(value) else value


def _check_fields(values: Mapping[str, Any], option_type: type, where: str) -> None:
    """Refuse names that an options dataclass does not have, at any depth."""
    types = get_type_hints(option_type)
    _check_names(values, [f.name for f in fields(option_type)], where)
    for name, value in values.items():
        if isinstance(value, Mapping) and is_dataclass(types[name]):
            _check_fields(value, types[name], f"{where[:-1]}.{name}]")


def _named_by_environment() -> Path | None:
    name = os.environ.get("DUBARR_CONFIG")
    return Path(name) if name else None


def _work_dir(asked: Path | None, written: str | None) -> Path:
    named = asked or os.environ.get("DUBARR_WORK_DIR") or written
    if named:
        return Path(named).expanduser().absolute()
    data = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return Path(data).expanduser() / "dubarr"


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        if path.stat().st_size > _LARGEST_BYTES:
            raise SettingsError(f"settings file {str(path)!r} has more than {_LARGEST_BYTES} bytes")
        text = path.read_text(encoding="utf-8")
        if any(line.count(".") > _MOST_DOTS for line in text.splitlines()):
            raise SettingsError(f"settings file {str(path)!r} has a line of over {_MOST_DOTS} dots")
        return tomllib.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"settings file {str(path)!r} cannot be read: {error}") from error
    except (ValueError, RecursionError) as error:
        raise SettingsError(f"settings file {str(path)!r} is not TOML: {error}") from error


def _named_tables(document: Mapping[str, Any], kind: str, where: str) -> Mapping[str, Any]:
    """The tables ``[kind.NAME]`` by name. Raises `SettingsError`."""
    tables = document.get(kind, {})
    if not isinstance(tables, Mapping):
        raise SettingsError(f"{where}: {kind} must be tables, [{kind}.NAME]")
    for name, table in tables.items():
        _check_is_table(table, f"{kind}.{name}", where)
    return tables


def _check_tables(tables: Mapping[str, Any], where: str) -> None:
    _check_names(tables, SECTIONS, where)
    for section, table in tables.items():
        _check_is_table(table, section, where)


def _check_is_table(table: Any, section: str, where: str) -> None:
    if not isinstance(table, Mapping):
        raise SettingsError(f"{where}: {section} must be a table, [{section}]")


def _check_names(found: Iterable[str], known: Iterable[str], where: str) -> None:
    choices = sorted(known)
    for name in found:
        if name not in choices:
            near = difflib.get_close_matches(name, choices, n=1)
            guess = f"; did you mean {near[0]!r}?" if near else ""
            listed = ", ".join(choices) or "none"
            raise SettingsError(f"{where}: unknown setting {name!r}{guess} (choices: {listed})")
