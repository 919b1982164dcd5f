"""Which languages the installed Apertium translates between, read from its mode files.

A mode file holds the pipeline of programs of one direction, as a shell line:
``/usr/share/apertium/modes/eng-cat_valencia.mode``.
"""

from __future__ import annotations

import os
import shlex
from dataclasses import dataclass
from pathlib import Path

import langcodes
from langcodes.tag_parser import LanguageTagError

from dubarr_pipeline.errors import EngineError

VARIANTS = {"valencia": "valencia", "aran": "aranes"}
"""What a mode calls a variety -> the BCP-47 variant."""
HOMES = {"pt": None, "en": "GB"}
"""Where the language's general mode is not that of the most speakers."""
PACKAGED = (
    "afr-nld arg-cat bel-rus br-fr cat-ita cat-srd dan-nor en-gl eng-cat eng-spa eo-ca eo-en eo-es "
    "eo-fr es-gl es-pt es-ro eu-en eu-es fra-cat fr-es hbs-eng hbs-mkd hbs-slv ind-zlm isl-eng "
    "isl-swe mkd-bul mkd-eng nno-nob oc-ca oc-es oci-fra pol-szl por-cat pt-gl rus-ukr spa-arg "
    "spa-ast spa-cat spa-ita srd-ita swe-dan swe-nor urd-hin"
).split()
"""The pairs that Debian 12 packages, as ``apertium-NAME``; most translate both ways."""


@dataclass(frozen=True, slots=True)
class Mode:
    """One direction that can be translated: BCP-47 languages, and the file with its programs."""

    source: str
    target: str
    path: Path


def modes_folder() -> Path:
    """Where Apertium keeps its mode files; ``APERTIUM_DATADIR`` moves it, as for Apertium."""
    return Path(os.environ.get("APERTIUM_DATADIR", "/usr/share/apertium")) / "modes"


def installed_modes(folder: Path) -> dict[tuple[str, str], Mode]:
    """Return every direction that is installed. Spelling norms within a language are left out."""
    modes: dict[tuple[str, str], Mode] = {}
    for path in sorted(folder.glob("*.mode")):
        source, _, target = path.stem.partition("-")
        tags = (_bcp47(source), _bcp47(target))
        if all(tags):
            modes.setdefault(tags, Mode(*tags, path))
    return modes


def find_mode(modes: dict[tuple[str, str], Mode], source: str, target: str) -> Mode | None:
    """Return the direction between two BCP-47 languages, or None where it is not installed.

    Any region's speech is understood as a source; as a target, a region is served only by a mode of
    its own, or by the language's where it is the language's home (``es-ES``; Portuguese has two).
    """
    try:
        source_language = langcodes.Language.get(source).language
        wanted = langcodes.Language.get(target)
    except LanguageTagError:
        return None
    for tag in (wanted.to_tag(), _without_home(wanted)):
        found = modes.get((source_language or "", tag))
        if found:
            return found
    return None


def targets_of(modes: dict[tuple[str, str], Mode], source: str) -> tuple[str, ...]:
    """The languages that can be reached from a source language."""
    try:
        language = langcodes.Language.get(source).language
    except LanguageTagError:
        return ()
    return tuple(sorted(to for origin, to in modes if origin == language))


def package_for(source: str, target: str) -> str | None:
    """Return Debian's package for a pair of BCP-47 languages, or None where it has none."""
    wanted = {_language_of(source), _language_of(target)}
    for pair in PACKAGED:
        if {_language_of(name) for name in pair.split("-")} == wanted:
            return f"apertium-{pair}"
    return None


def read_programs(mode: Mode) -> list[list[str]]:
    """Return the commands of a mode, each told to flush after every NUL, unknown words marked.

    Raises:
        EngineError: if the file is not the pipeline that Apertium writes.
    """
    programs: list[list[str]] = [[]]
    for word in shlex.split(mode.path.read_text("utf-8"), comments=True):
        if word == "|":
            programs.append([])
        elif word != "$2":
            programs[-1].append("-g" if word == "$1" else word)
    if not all(programs):
        raise EngineError(f"{mode.path} is not a pipeline of programs; reinstall the language pair")
    return [[program, "-z", *arguments] for program, *arguments in programs]


def _bcp47(name: str) -> str:
    """``cat_valencia`` -> ``ca-valencia``; empty for what has no tag of its own."""
    code, *qualifiers = name.split("_")
    tag = _language_of(code)
    for qualifier in qualifiers:
        if qualifier in VARIANTS:
            tag += f"-{VARIANTS[qualifier]}"
        elif len(qualifier) == 2 and qualifier.isupper():
            tag += f"-{qualifier}"
        else:
            return ""
    return tag


def _language_of(tag: str) -> str:
    try:
        return langcodes.Language.get(tag).language or ""
    except LanguageTagError:
        return ""


def _without_home(language: langcodes.Language) -> str:
    base = language.language or "und"
    home = HOMES.get(base, langcodes.Language.get(base).maximize().territory)
    return "" if language.variants or language.territory != home else base
