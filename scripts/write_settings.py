"""Write dubarr.example.toml (the settings for users) and docs/settings.md (all of them)."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from fractions import Fraction
from pathlib import Path
from textwrap import wrap
from typing import Any, get_args, get_type_hints

from dubarr_pipeline.config.libraries import LanguageProfile, Library, RescanOptions
from dubarr_pipeline.config.ranges import NUMBERS, range_of
from dubarr_pipeline.config.settings import (
    ENGINE_SECTIONS,
    OPTION_TYPES,
    SECTIONS,
    Settings,
    parse_settings,
)
from dubarr_pipeline.engines.registry import PROFILES, Kind, option_type_of, own_engines

ROOT = Path(__file__).resolve().parents[1]

USER: Mapping[str, str] = {
    "voice_activity": "threshold",
    "separation": "method",
    "transcript.lines": "longest_s",
    "models": "dir download offline accept_licences",
    "audio": "language stream",
    "script": "fit uncovered_share unspoken_share",
    "llm": "serve url model key_variable device context_tokens concurrency temperature timeout_s",
    "refs": "shortest_s longest_s",
    "segments": "max_takes batch_lines word_error",
    "segments.window": "before_s after_s",
    "segments.tempo": "slowest fastest",
    "mix": "preset loudness true_peak_dbtp codec bitrate_kbps room_match",
    "mix.ducking": "depth_db attack_ms release_ms",
    "mux": "default_policy subtitles container",
    "webhooks": "host port",
    "review": "host port address",
    "failures": "retries notify",
    "gate": "failed_share undubbed_share word_error tempo_share untranslated_share "
    "approve_after_days",
    "disk": "least_free_gb most_gb",
    "housekeeping": "keep_runs_days keep_temporary_days keep_logs_days forget_deleted_after_days",
}
"""Table -> the settings in it that the example shows; the others are in docs/settings.md alone."""

HEAD = f"""\
# dubarr: the settings that users need, with their defaults. Copy what you change into dubarr.toml.
# docs/settings.md lists all settings. An unknown name is an error that lists the choices. Units are
# in the names: _s seconds, _ms milliseconds, _db decibels. `dubarr` reads ./dubarr.toml, or
# $DUBARR_CONFIG.

# Folder of the work folders, one per video ($DUBARR_WORK_DIR and --work-dir have precedence).
# work_dir = "~/.local/share/dubarr"
# Engine profile: {", ".join(PROFILES)}.
# profile = "lite"
# Keep temporary files.
# debug_mode = false
"""

TAIL = """
# Target languages under a name of their own, for several libraries.
#   [language_profiles.iberian]
#   target_langs = ["es", "ca"]
#   overrides = { "mix.preset" = "duck" }    (settings for these videos alone)

# Watched folders, if the sensor `media_folder` is switched on in the UI: any number, each with a
# name of its own. A new video is dubbed once two scans have seen it unchanged.
# `dubarr library explain VIDEO` says why a video is dubbed, or is not.
#   [libraries.films]
#   path = "/media/films"
#   target_langs = ["es", "ca"]    (or: languages = "iberian")
{library}
#   [libraries.films.gate]         (bounds of [gate] for these films alone)

# Servers to notify of published films: kind is radarr, sonarr, jellyfin, emby, plex or kodi; their
# key is in an environment variable.
#   [rescans.jellyfin]
#   kind = "jellyfin"
#   url = "http://127.0.0.1:8096"
#   token_variable = "JELLYFIN_KEY"
#   path_mappings = { "/mnt/media/tv" = "/tv" }    (our path, and the server's)
"""


def example() -> str:
    """Return the text of ``dubarr.example.toml``."""
    settings = parse_settings({})
    parts = [HEAD]
    for section in SECTIONS:
        lines: list[str] = []
        if kind := ENGINE_SECTIONS.get(section):
            names = ", ".join(row.name for row in own_engines() if row.kind == kind)
            lines += [f"# Engine: {names}.", f'# engine = "{settings.engines[kind]}"']
        lines += _user_lines(_options_of(section, settings), section)
        parts.append("\n".join([f"\n[{section}]", *lines]) + "\n")
    library = Library(Path("/media/films"), ("es", "ca"))
    shown = _library_lines(library, "libraries.films", skip=("path", "target_langs", "gate"))
    return "".join([*parts, TAIL.replace("{library}", "\n".join(shown))])


def _options_of(section: str, settings: Settings) -> Any:
    kind = ENGINE_SECTIONS.get(section)
    return settings.engine_options[kind] if kind else getattr(settings, section)


def _user_lines(options: Any, table: str) -> Iterator[str]:
    """Yield the example's lines of a table, then the tables within it."""
    if options is None:
        return
    sentences = sentences_of(type(options))
    for name in USER.get(table, "").split():
        yield from (f"# {line}" for line in wrap(sentences[name], 94))
        value = getattr(options, name)
        yield f"# {name} = {'(not set)' if value is None else toml(value)}"
    for each in fields(options):
        inner = f"{table}.{each.name}"
        if inner in USER:
            yield f"\n[{inner}]"
            yield from _user_lines(getattr(options, each.name), inner)


def _library_lines(options: Any, table: str, skip: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the settings of a library as lines that no switch turns on."""
    sentences = sentences_of(type(options))
    for each in fields(options):
        value = getattr(options, each.name)
        if each.name in skip:
            continue
        if is_dataclass(value):
            yield f"#   [{table}.{each.name}]"
            yield from _library_lines(value, f"{table}.{each.name}")
        else:
            yield from (f"#   {line}" for line in wrap(sentences[each.name], 92))
            yield f"#   {each.name} = {toml(value)}"


def reference() -> str:
    """Return the text of ``docs/settings.md``."""
    parts = [
        "# Settings\n\nWritten by `make settings` from the code. `dubarr.example.toml` shows the "
        "ones that most users need.\nEach table lists its settings with their defaults; sections "
        "in brackets are those of `dubarr.toml`.\n\n| setting | default | meaning |\n"
        "|---|---|---|\n"
        '| `work_dir` | `"~/.local/share/dubarr"` | Folder of the work folders, one per video; '
        "`$DUBARR_WORK_DIR` and `--work-dir` have precedence. |\n"
        f'| `profile` | `"lite"` | Engine profile: {", ".join(PROFILES)}. |\n'
        "| `debug_mode` | `false` | Keep temporary files. |\n"
    ]
    for section in SECTIONS:
        kind = ENGINE_SECTIONS.get(section)
        parts += _engine_tables(section, kind) if kind else _tables(OPTION_TYPES[section], section)
    parts += _tables(LanguageProfile, "language_profiles.NAME")
    parts += _tables(Library, "libraries.NAME")
    parts += _tables(RescanOptions, "rescans.NAME")
    return "\n".join(parts).rstrip("\n") + "\n"


def _engine_tables(section: str, kind: Kind) -> Iterator[str]:
    rows = [row for row in own_engines() if row.kind == kind]
    yield f"## [{section}]\n\n`engine`: {', '.join(f'`{row.name}`' for row in rows)}.\n"
    for row in rows:
        if option_type := option_type_of(kind, row.name):
            yield from _tables(option_type, section, f' with `engine = "{row.name}"`', "###")


def _tables(option_type: type, table: str, note: str = "", level: str = "##") -> Iterator[str]:
    """Yield the table of a dataclass, then those of the dataclasses within it."""
    types, sentences = get_type_hints(option_type), sentences_of(option_type)
    own = [each for each in fields(option_type) if not is_dataclass(types[each.name])]
    shared = getattr(option_type, "inherits", "")
    inherited = {each.name for each in fields(OPTION_TYPES[shared])} if shared else set[str]()
    yield f"{level} [{table}]{note}\n"
    if shared:
        yield f"All settings of [{shared}], for this engine alone, and:\n"
    yield "| setting | default | range | meaning |\n|---|---|---|---|"
    for each in own:
        if each.name not in inherited:
            allowed = _range(types[each.name], f"{table}.{each.name}")
            meaning = sentences[each.name].replace("|", "/")
            yield f"| `{each.name}` | {_default(each)} | {allowed} | {meaning} |"
    yield ""
    for each in fields(option_type):
        if is_dataclass(types[each.name]):
            yield from _tables(types[each.name], f"{table}.{each.name}", note, level)


def _range(kind: Any, dotted: str) -> str:
    numeric = NUMBERS & {kind, *get_args(kind)}
    found = range_of(dotted) if numeric else None
    return f"{found[0]:,g} to {found[1]:,g}" if found else ""


def _default(field: Any) -> str:
    factory = field.default_factory
    value = factory() if callable(factory) else field.default
    if value is None:
        return "not set"
    return "required" if type(value).__name__ == "_MISSING_TYPE" else f"`{toml(value)}`"


def sentences_of(option_type: type) -> dict[str, str]:
    """Return the sentence of each attribute, those of base classes included."""
    found: dict[str, str] = {}
    for each in reversed(option_type.__mro__[:-1]):
        text = inspect.cleandoc(each.__doc__ or "")
        entries = text.partition("Attributes:\n")[2].partition("\n\n")[0]
        for entry in re.split(r"\n(?= {4}\S)", "\n" + entries):
            name, _, meaning = entry.strip().partition(": ")
            words = " ".join(meaning.split()).replace("``", "`")
            found[name] = words[:1].upper() + words[1:]
    return found


def toml(value: Any) -> str:
    """Return a value as TOML."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Fraction):
        return str(float(value))
    if isinstance(value, tuple):
        return "[" + ", ".join(toml(item) for item in value) + "]"
    return f'"{value}"' if isinstance(value, str | Path) else str(value)


if __name__ == "__main__":
    (ROOT / "dubarr.example.toml").write_text(example(), encoding="utf-8")
    (ROOT / "docs" / "settings.md").write_text(reference(), encoding="utf-8")
