"""`dubarr.example.toml`: every setting with its default and its meaning, written from the code."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from fractions import Fraction
from pathlib import Path
from textwrap import wrap
from typing import Any

from dubarr_pipeline.engines.registry import ENGINES, PROFILES
from dubarr_pipeline.library.libraries import Library
from dubarr_pipeline.settings import ENGINE_SECTIONS, SECTIONS, load_settings

_HEAD = """\
# dubarr: every setting, with its default. Copy what you change into dubarr.toml.
# An unknown name is an error that lists the choices. Units stand in the names: _s seconds,
# _ms milliseconds, _db decibels, _lufs loudness. `dubarr` reads ./dubarr.toml, or $DUBARR_CONFIG.

# Folder of the work folders, one per video ($DUBARR_WORK_DIR and --work-dir go before).
# work_dir = "~/.local/share/dubarr"
# Engine profile: {profiles}.
# profile = "lite"
# Keep temporary files.
# debug_mode = false
"""

_TAIL = """
# Target languages under a name of their own, for several libraries.
#   [language_profiles.iberian]
#   target_langs = ["es", "ca"]
#   overrides = { "mix.preset" = "duck" }    (settings for these videos alone)

# Folders that are watched, if the sensor `media_folder` is switched on in the UI: any number, each
# with a name of its own. A new video is dubbed when it has kept its size and date for two looks.
# `dubarr library explain VIDEO` says why a video is dubbed, or is not. With their defaults:
#   [libraries.films]
#   path = "/media/films"
#   target_langs = ["es", "ca"]    (or: languages = "iberian")
{library}

# Servers that are told of published films: kind is radarr, sonarr, jellyfin or plex; their key
# stands in an environment variable.
#   [rescans.jellyfin]
#   kind = "jellyfin"
#   url = "http://127.0.0.1:8096"
#   token_variable = "JELLYFIN_KEY"
#   path_mappings = { "/mnt/media/tv" = "/tv" }    (our path, and how it reads there)
"""


def example_settings() -> str:
    """Return the text of ``dubarr.example.toml``."""
    settings = load_settings(Path("/dev/null"))
    parts = [_HEAD.format(profiles=", ".join(PROFILES))]
    for section in SECTIONS:
        option_type = settings.option_type(section)
        lines = [f"\n[{section}]", *_engine_lines(section, settings.engines())]
        if option_type is not None:
            lines += _option_lines(option_type(), section)
        parts.append("\n".join(lines) + "\n")
    return "".join([*parts, _TAIL.replace("{library}", _library_lines())])


def _library_lines() -> str:
    """The other settings of a library, shown as lines that no switch turns on."""
    library = Library(Path("/media/films"), ("es", "ca"))
    shown = list(_option_lines(library, "libraries.films"))
    first = next(n for n, line in enumerate(shown) if line.startswith("# profile"))
    # The line before it says what it is.
    bare = (line.strip().removeprefix("# ") for line in shown[first - 1 :])
    return "\n".join(f"#   {line}" for line in bare)


def _engine_lines(section: str, chosen: Any) -> Iterator[str]:
    kind = ENGINE_SECTIONS.get(section)
    if kind:
        names = ", ".join(row.name for row in ENGINES if row.kind == kind)
        yield f"# one of: {names}"
        yield f'# engine = "{chosen[kind]}"'


def _option_lines(options: Any, section: str) -> Iterator[str]:
    """The options of one dataclass, then the tables within it."""
    told = _attributes(type(options))
    nested: list[tuple[str, Any]] = []
    for each in fields(options):
        value = getattr(options, each.name)
        if is_dataclass(value):
            nested.append((each.name, value))
            continue
        yield from (f"# {line}" for line in wrap(told.get(each.name, ""), 94))
        shown = "" if value is None else f"{each.name} = {_toml(value)}"
        yield f"# {shown or each.name + ' = (not set)'}"
    for name, value in nested:
        yield f"\n[{section}.{name}]"
        yield from _option_lines(value, f"{section}.{name}")


def _attributes(option_type: type) -> dict[str, str]:
    """What the docstring says of each attribute; several names may share one entry."""
    text = inspect.getdoc(option_type) or ""
    entries = text.partition("Attributes:\n")[2].partition("\n\n")[0]
    found: dict[str, str] = {}
    for entry in re.split(r"\n(?= {4}\S)", "\n" + entries):
        names, _, meaning = entry.strip().partition(": ")
        for name in names.split(", "):
            found[name] = " ".join(meaning.split())
    return found


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Fraction):
        return str(float(value))
    if isinstance(value, tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return f'"{value}"' if isinstance(value, str | Path) else str(value)
