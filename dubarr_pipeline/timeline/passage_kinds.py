"""What of the heard words is dubbed, and what stays as it is: songs, other tongues, mere sounds."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from dubarr_pipeline.timeline.cue_alignment import SpeechMap
from dubarr_pipeline.timeline.cue_words import (
    has_words,
    is_described_sound,
    is_sound,
    is_starred_sound,
)
from dubarr_pipeline.timeline.passages import Passage, voiced_share
from dubarr_pipeline.timeline.phantom_words import plain
from dubarr_pipeline.timeline.script import Kind, Segment, Word
from dubarr_pipeline.timeline.spans import Span

_NOTE = re.compile("[♪♫♬♩]")
_BRACKETS = {"[": "]", "(": ")", "*": "*", "（": ")"}  # noqa: RUF001 - a full-width bracket
_MUSIC = re.compile(r"\b(?:music|música|musik|musique|musica|instrumental)\b", re.I)
_SOUNDS = frozenset(
    (
        "mhm mm mmm mmhm mmhmm hm hmm hmmm uhhuh uhuh huh um umm uhm uh uhh er erm eh ah ahh aah "
        "aaah argh ugh ow ouch ooh oof phew psst shh shhh tsk grr brr ha haha hahaha hahahaha heh "
        "hehe hee hihi jaja jajaja achoo whew pff pfft"
    ).split()
)
"""Sounds that are the same in every dub; a line of nothing else stays the actor's own."""


@dataclass(frozen=True, slots=True)
class KindOptions:
    """When heard words are sung rather than said.

    Attributes:
        song_no_speech: a passage in which the recogniser suspects at least this much (0 to 1) that
            nobody speaks is a song,
        song_voiced: if the speech detector confirms less than this share (0 to 1) of it.
    """

    song_no_speech: float = 0.5
    song_voiced: float = 0.5


DEFAULT = KindOptions()


@dataclass(frozen=True, slots=True)
class WrittenKind:
    """A stretch that the subtitles mark as a song, or as another language."""

    span: Span
    kind: Kind


def kinds_of(
    passage: Passage,
    main_language: str,
    written: Sequence[WrittenKind] = (),
    sung: bool = False,
) -> list[Kind]:
    """Return the kind of every word of a passage.

    Descriptions in brackets are no speech; notes, the subtitles and `sung` tell songs; what was
    heard in another language than the film's is foreign.
    """
    texts = [word.text.strip() for word in passage.words]
    notes, sounds = _between_notes(texts), _in_brackets(texts)
    whole: Kind = "song" if sung else passage.kind
    if whole == "speech" and _base(passage.language) != _base(main_language):
        whole = "foreign"
    kinds: list[Kind] = []
    for word, note, sound in zip(passage.words, notes, sounds, strict=True):
        mark = _mark(word, written)
        kinds.append("nonverbal" if sound else "song" if note else mark or whole)
    return kinds


def is_sung(passage: Passage, speech: SpeechMap, options: KindOptions = DEFAULT) -> bool:
    """Whether a passage sounds like a song: words in which neither ear hears much speech."""
    return (
        passage.no_speech >= options.song_no_speech
        and voiced_share(passage.words, speech) < options.song_voiced
    )


def mark_sounds(segment: Segment) -> Segment:
    """A spoken line that is nothing but "mhm" or a laugh is no speech; all others as they are."""
    if segment.kind != "speech":
        return segment
    words = [plain(word) for word in segment.text.replace("-", "").split()]
    verbal = has_words(segment.text) and any(word not in _SOUNDS for word in words if word)
    return segment if verbal else replace(segment, kind="nonverbal")


def _base(language: str) -> str:
    return language.partition("-")[0].casefold()


def _mark(word: Word, written: Sequence[WrittenKind]) -> Kind | None:
    middle = (word.span.start + word.span.end) // 2
    return next((mark.kind for mark in written if mark.span.contains(middle)), None)


def _between_notes(texts: Sequence[str]) -> list[bool]:
    """Whether each text stands between two notes, or after one that none closes."""
    singing = False
    found: list[bool] = []
    for text in texts:
        notes = len(_NOTE.findall(text))
        found.append(singing or notes > 0)
        singing = singing != (notes % 2 == 1)
    return found


def _in_brackets(texts: Sequence[str]) -> list[bool]:
    """Whether each text is part of a description of a sound."""
    found = [False] * len(texts)
    at = 0
    while at < len(texts):
        last = _closing(texts, at)
        if last is not None and _describes(" ".join(texts[at : last + 1])):
            found[at : last + 1] = [True] * (last + 1 - at)
            at = last
        at += 1
    return found


_LONGEST_DESCRIPTION = 8


def _closing(texts: Sequence[str], at: int) -> int | None:
    """The text with which the bracket closes that opens at the beginning of `texts[at]`."""
    end = _BRACKETS.get(texts[at][:1])
    if end is None:
        return None
    for last in range(at, min(len(texts), at + _LONGEST_DESCRIPTION)):
        inside = texts[last][1:] if last == at else texts[last]
        if end in inside:
            return last
    return None


def _describes(text: str) -> bool:
    inside = text.strip("[]()*.,!? ")
    if text.startswith("[") or _MUSIC.search(inside):
        return True
    if text.startswith("*"):
        return is_starred_sound(inside)
    return is_described_sound(inside) or (is_sound(inside) and len(inside.split()) == 1)
