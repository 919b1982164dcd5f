"""What a subtitle's text says: who speaks, what is spoken, sung, or only described.

Subtitles for the hard of hearing (SDH) carry names and sounds; dialogues share one cue behind
dashes; songs stand between notes. All of it is told apart by the conventions of the trade (BBC
subtitle guidelines; FCC/CEA-608 practice for ``>>``), and nothing is lost unseen: what is not a
part is counted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from dubarr_pipeline.timeline.cue_words import (
    FOREIGN,
    NOT_NAMES,
    ROLES,
    has_words,
    is_credit,
    is_described_sound,
    is_sound,
    is_starred_sound,
)
from dubarr_pipeline.timeline.script import Kind

DropReason = Literal["credits", "empty", "duplicate", "after_end"]

_NOTES = "♪♫♬♩"
_NOTE = re.compile(f"[{_NOTES}]+")
_DASH = re.compile(r"^\s*(?:[-–—‐‑−•]\s*)(?![-–—‐‑−\d])(?=\S)")
_INLINE_DASH = re.compile(r"(?<=[.!?…\]\)\"”♪])\s+[-–—]\s*(?=[^\W\d_a-z]|[¿¡\"“\[(♪])")
_CHEVRON = re.compile(r"^\s*>{2,3}\s*")
_LABEL = re.compile(
    r"^(?P<label>[^\W\d_][\w .,'’&#/-]{0,30}?)(?:\s*[\[(][^\])]{1,40}[\])])?\s*:(?=\s|$)\s*"
)
_LEADING_BRACKET = re.compile(r"^(?:\[(?P<square>[^\[\]]{1,60})\]|\((?P<round>[^()]{1,60})\)):?\s*")
_SQUARE = re.compile(r"\[[^\[\]]*\]")
_ROUND = re.compile(r"\(([^()]*)\)")
_STAR = re.compile(r"\*+([^*]+)\*+")
_MANNER = re.compile(r"\s*,.*$|\s+(?:on|over|in|through|via|from|to|as)\s.*$|\s+\w+ing\b.*$", re.I)
_LEFTOVER = re.compile(
    r"\{\\[^}]*\}|</?[a-zA-Z][^<>]{0,40}>|[\u200b\u200e\u200f\u202a-\u202e\ufeff]"
)
_LONGEST_NAME_WORDS = 4


@dataclass(frozen=True, slots=True)
class CuePart:
    """What one person says, sings, or what is heard, within one cue.

    Attributes:
        name: as the subtitle writes it, or None where it names nobody.
        new_speaker: a dash, a chevron or a name says that somebody else speaks than before.
    """

    text: str
    kind: Kind = "speech"
    name: str | None = None
    new_speaker: bool = False


@dataclass(frozen=True, slots=True)
class CueText:
    """A cue taken apart.

    Attributes:
        parts: in order; empty if and only if the cue was dropped.
        dropped: why nothing of it is kept.
        removed_sounds: descriptions and manners taken out from between spoken words.
    """

    parts: tuple[CuePart, ...]
    dropped: DropReason | None = None
    removed_sounds: int = 0


@dataclass(frozen=True, slots=True)
class _Draft:
    lines: tuple[str, ...]
    song: bool
    name: str | None = None
    new_speaker: bool = False


def name_key(name: str) -> str:
    """One spelling for all ways in which a name is written: ``JOHN``, ``John``."""
    return " ".join(name.casefold().replace("’", "'").split())


def collect_names(texts: Iterable[str]) -> frozenset[str]:
    """Find who is named as a speaker anywhere in the script; single cues are judged by it.

    A label in capitals names a speaker at once; one in mixed case ("Roger:") only when it comes
    twice, because "Listen: we must go" is a sentence.
    """
    certain: set[str] = set()
    likely: Counter[str] = Counter()
    for text in texts:
        for line in _clean(text).split("\n"):
            label, loud = _label_of(_bare(line))
            if label and loud:
                certain.add(name_key(label))
            elif label:
                likely[name_key(label)] += 1
    return frozenset(certain | {key for key, count in likely.items() if count >= 2})


def read_cue(text: str, names: frozenset[str] = frozenset()) -> CueText:
    """Take one cue apart into what each speaker says.

    Args:
        text: with its line breaks, without markup.
        names: of `collect_names` over the whole script.
    """
    cleaned = _clean(text)
    if not cleaned:
        return CueText((), "empty")
    if is_credit(cleaned):
        return CueText((), "credits")
    parts: list[CuePart] = []
    sounds: list[str] = []
    removed = 0
    for draft in _drafts(cleaned, names):
        part, found = _finish(draft)
        removed += len(found)
        if has_words(part.text):
            parts.append(part)
        else:
            sounds += found or [part.text]
    if parts:
        return CueText(tuple(parts), None, removed)
    return CueText((CuePart(" ".join(s for s in sounds if s) or cleaned, "nonverbal"),))


def _clean(text: str) -> str:
    plain = _LEFTOVER.sub("", text.replace("\\N", "\n").replace("\u00a0", " "))
    lines = (" ".join(line.split()) for line in _joined_brackets(plain).splitlines())
    return "\n".join(line for line in lines if line)


def _joined_brackets(text: str) -> str:
    return re.sub(
        r"\[[^\[\]]{1,160}\]|\([^()]{1,160}\)", lambda found: " ".join(found[0].split()), text
    )


def _bare(line: str) -> str:
    return _DASH.sub("", _CHEVRON.sub("", line))


def _lines(cleaned: str) -> Iterator[str]:
    for line in cleaned.split("\n"):
        pieces = _INLINE_DASH.split(line) if _DASH.match(line) else [line]
        yield pieces[0]
        yield from (f"- {piece}" for piece in pieces[1:])


def _drafts(cleaned: str, names: frozenset[str]) -> list[_Draft]:
    drafts: list[_Draft] = []
    hashed = cleaned.startswith("# ") and cleaned.endswith("#") and len(cleaned) > 3
    singing = False
    for line in _lines(cleaned.strip("#") if hashed else cleaned):
        marked = bool(_DASH.match(line) or _CHEVRON.match(line))
        song = hashed or (singing and not marked) or _is_sung(line)
        if not hashed and song:
            singing = (singing and not marked) ^ (len(_NOTE.findall(line)) % 2 == 1)
        else:
            singing = False
        name, rest = _split_name(_bare(line), names)
        draft = _Draft((_NOTE.sub(" ", rest),), song, name, marked or name is not None)
        if drafts and not draft.new_speaker and drafts[-1].song == song:
            drafts[-1] = replace(drafts[-1], lines=(*drafts[-1].lines, *draft.lines))
        else:
            drafts.append(draft)
    return drafts


def _is_sung(line: str) -> bool:
    bare = _bare(line)
    _, rest = _split_name(bare, frozenset())
    return (rest[:1] in _NOTES and bool(rest)) or bare[-1:] in _NOTES


def _split_name(line: str, names: frozenset[str]) -> tuple[str | None, str]:
    """The name that a line begins with, and what follows it."""
    label, loud = _label_of(line)
    if label and (loud or name_key(label) in names or label in ROLES):
        match = _LABEL.match(line)
        return label, line[match.end() :] if match else line
    bracket = _LEADING_BRACKET.match(line)
    if not bracket or not has_words(line[bracket.end() :]):
        return None, line
    name = _bracket_name(bracket["square"] or bracket["round"] or "", names)
    return (name, line[bracket.end() :]) if name else (None, line)


def _label_of(line: str) -> tuple[str | None, bool]:
    """The label before a colon, and whether it can be nothing but a name."""
    match = _LABEL.match(line)
    if not match:
        return None, False
    label = _MANNER.sub("", match["label"]).strip()
    words = label.split()
    if not label or len(words) > _LONGEST_NAME_WORDS or name_key(label) in NOT_NAMES:
        return None, False
    if label.isupper() and len(label) > 1:
        rest = line[match.end() :]
        shouted = rest.isupper() and sum(len(word) > 1 for word in rest.split()) > 1
        return label, not shouted or name_key(label) in ROLES
    if label in ROLES:
        return label, True
    titled = all(word[0].isupper() or word in ("of", "the", "de", "van", "von") for word in words)
    return (label, False) if titled else (None, False)


def _bracket_name(inside: str, names: frozenset[str]) -> str | None:
    name = _MANNER.sub("", inside).strip()
    if not name or len(name.split()) > _LONGEST_NAME_WORDS or FOREIGN.match(inside):
        return None
    if name_key(name) in names or name_key(name) in ROLES:
        return name
    titled = all(word[0].isupper() for word in name.split())
    return name if titled and not is_sound(name) and not name[0].isdigit() else None


def _finish(draft: _Draft) -> tuple[CuePart, list[str]]:
    """Take the descriptions out of a draft; they come back beside it."""
    text = " ".join(" ".join(draft.lines).split())
    sounds: list[str] = []
    text = _SQUARE.sub(lambda m: _take(m[0][1:-1], sounds), text)
    text = _ROUND.sub(lambda m: _take(m[1], sounds) if _describes(m[1]) else m[0], text)
    text = _STAR.sub(lambda m: _take(m[1], sounds) if is_starred_sound(m[1]) else m[1], text)
    text = re.sub(r"\s+(?=[,.!?;:…])", "", " ".join(text.split()))
    kind: Kind = "song" if draft.song else "speech"
    foreign = [s for s in sounds if FOREIGN.match(s)]
    if foreign and kind == "speech":
        kind = "foreign"
        if not has_words(text):
            text = foreign[0]
            sounds.remove(text)
    return CuePart(text, kind, draft.name, draft.new_speaker), sounds


def _take(inside: str, sounds: list[str]) -> str:
    sounds.append(inside.strip())
    return " "


def _describes(inside: str) -> bool:
    """Whether round brackets hold a description rather than an aside that is spoken."""
    return is_described_sound(inside) or inside.isupper() or bool(FOREIGN.match(inside))
