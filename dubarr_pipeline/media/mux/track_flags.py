"""Presentation of each track in players: language, title, flags and maker.

Matroska (RFC 9559) holds a language twice: as ISO 639-2/B for old players and as BCP-47 for new
ones. Its FlagDefault is 1 unless 0 is written, so every flag of a new track is written out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import langcodes
from langcodes.tag_parser import LanguageTagError

from dubarr_pipeline.errors import LanguageError, SettingsError
from dubarr_pipeline.media.container.facts import StreamFacts
from dubarr_pipeline.media.mux.options import DubSubtitle, DubTrack, MuxOptions
from dubarr_pipeline.media.mux.stream_plan import MARK
from dubarr_pipeline.text.languages import own_name

KEPT_FLAGS = {
    "default": "flag-default",
    "forced": "flag-forced",
    "hearing_impaired": "flag-hearing-impaired",
    "visual_impaired": "flag-visual-impaired",
    "descriptions": "flag-text-descriptions",
    "original": "flag-original",
    "comment": "flag-commentary",
}
"""The dispositions that Matroska has a flag for: ffmpeg's name, and mkvpropedit's."""

_NOT_THE_FILM = frozenset({"comment", "visual_impaired", "descriptions", "dub", "karaoke"})


@dataclass(frozen=True, slots=True)
class TrackFlags:
    """One track of the result as a player shall see it; `new` if this run adds it.

    Attributes:
        language: BCP-47; None leaves what the source's container says, as without a title.
        flags: the names of `KEPT_FLAGS` that are set; all others are 0.
    """

    kind: str
    language: str | None
    title: str | None
    flags: frozenset[str]
    new: bool = False

    def edits(self) -> list[str]:
        """Return what mkvpropedit must set in the track's header."""
        settings = [f"{name}={int(flag in self.flags)}" for flag, name in KEPT_FLAGS.items()]
        if not self.new:
            # A flag that is 0 by absence stays absent; only the default flag is 1 by absence.
            settings = [s for s in settings if s.endswith("=1") or s.startswith("flag-default=")]
        if self.language is not None:
            # mkvpropedit fills both language elements from a BCP-47 tag.
            settings.append(f"language={self.language}")
        if self.title is not None:
            settings.append(f"name={self.title}")
        return [part for setting in settings for part in ("--set", setting)]


def track_flags(
    originals: Sequence[StreamFacts],
    dubs: Sequence[DubTrack],
    subtitles: Sequence[DubSubtitle],
    options: MuxOptions,
) -> tuple[TrackFlags, ...]:
    """Decide the flags of every track of the result, originals first.

    Raises:
        LanguageError: if a new track's language is no BCP-47 tag.
        SettingsError: if the stream named as the original is no sound of the source.
    """
    kept = [
        TrackFlags(s.kind, s.first_language, s.unseen_title, s.flags & KEPT_FLAGS.keys())
        for s in originals
    ]
    prefers_dub = options.default_policy == "dub"
    if options.original_audio == "keep":
        kept = _with_original(kept, originals, options.original_stream)
    elif not any(t.kind == "audio" and "default" in t.flags for t in kept):
        prefers_dub = True
    wishes = [t.default or (prefers_dub and not i) for i, t in enumerate(dubs)]
    if any(wishes):
        kept = [t if t.kind != "audio" else replace(t, flags=t.flags - {"default"}) for t in kept]
    first = wishes.index(True) if any(wishes) else -1
    for number, new in enumerate([*dubs, *subtitles]):
        kind = "audio" if isinstance(new, DubTrack) else "subtitle"
        tag = language_tag(new.language)
        title = new.title or dub_title(new.language)
        flags = frozenset({"default"} if number == first else ())
        kept.append(TrackFlags(kind, tag, title, flags, True))
    return tuple(kept)


def _with_original(
    kept: list[TrackFlags], originals: Sequence[StreamFacts], named: int | None
) -> list[TrackFlags]:
    """Mark the original language, unless the source already says which it is."""
    sounds = [n for n, s in enumerate(originals) if s.kind == "audio"]
    if named is not None:
        chosen = [n for n in sounds if originals[n].index == named]
        if not chosen:
            choices = ", ".join(originals[n].describe() for n in sounds) or "none"
            raise SettingsError(f"stream {named} is no sound of the source; there are: {choices}")
    elif any("original" in originals[n].flags for n in sounds):
        return kept
    else:
        films = [
            n
            for n in sounds
            if not originals[n].flags & _NOT_THE_FILM and MARK not in originals[n].tags
        ]
        chosen = [n for n in films if "default" in originals[n].flags] or films
    return [
        replace(t, flags=t.flags | {"original"}) if n in chosen[:1] else t
        for n, t in enumerate(kept)
    ]


def language_tag(language: str) -> str:
    """Return a BCP-47 tag in its standard form (``pt-BR``), or raise `LanguageError`."""
    try:
        return langcodes.standardize_tag(language)
    except LanguageTagError as error:
        raise LanguageError(
            f"{language!r} is no language tag ({error}): write it like es, pt-BR or zh-Hans"
        ) from error


@lru_cache(maxsize=256)
def legacy_language(tag: str) -> str | None:
    """Return the ISO 639-2/B code by which old players know a language: ``fre`` for French.

    None for languages without a code of two letters, of which mkvtoolnix has the table.
    """
    language = langcodes.Language.get(tag)
    return language.to_alpha3(variant="B") if len(language.language or "") == 2 else None


@lru_cache(maxsize=256)
def dub_title(tag: str) -> str:
    """Return the title that players show: the language in its own words, and what it is."""
    name = tag if tag.startswith("x-") else own_name(tag)
    return f"{name[:1].upper()}{name[1:]} · dub"
