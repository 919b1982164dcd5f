"""Parts of a subtitle's text: speakers' names, words spoken, songs, and descriptions.

Subtitles for the hard of hearing (SDH) carry names and sounds; dialogues share one cue behind
dashes; songs are between notes. The conventions of the trade separate all of these (BBC
subtitle guidelines, for ``~``, ``#`` and sounds in capitals; FCC/CEA-608 practice for ``>>``), and
nothing is lost unseen: what is not a part is counted, and what may be spoken is only doubted.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

from dubarr_pipeline.script.cues.vocabulary import (
    FOREIGN,
    NOT_NAMES,
    ROLES,
    SENTENCE_ENDS,
    has_words,
    is_advertisement,
    is_credit,
    is_described_sound,
    is_shown_sound,
    is_sound,
    is_sound_beside_speech,
    is_starred_sound,
)
from dubarr_pipeline.script.model import Kind

DropReason = Literal["credits", "sign", "empty", "duplicate", "before the start", "after the end"]
Doubt = Literal["credits", "caption"]
"""What a cue that reads like a spoken line may be: a subtitler's credit or an advertisement; a
sound or a writing in the picture, in capitals or in brackets."""

_NOTES = "♪♫♬♩¶🎵🎶"
_NOTE = re.compile(f"[{_NOTES}]+")
_DASH = re.compile(r"^\s*[-–—‐‑−•~\u223c\uff5e](?:\s+(?![-–—‐‑−~])(?=\S)|(?=[^-–—‐‑−~\d\s]))")
_INLINE_DASH = re.compile(r"(?<=[.!?…\]\)\"”♪])\s+[-–—~]\s*(?=[^\W\d_a-z]|[¿¡\"“\[(♪])")
_CHEVRON = re.compile(r"^\s*>{2,3}\s*")
_INLINE_CHEVRON = re.compile(r"(?<=\S)\s+(?=>{2,3}\s*[^\s>])")
_MARKS = r"(?P<lead>^(?:[-–—~]\s*|>{2,3}\s*)?(?:[^\W\d_][\w .'’-]{0,30}:\s+)?)"
_SONG_START = re.compile(
    _MARKS + r"(?:[#*]{1,2}\s+(?=\S)|#(?=[^\d#][^#]*#$)"
    # Without a blank only before a sentence: "#MeToo" and "*Really* good" are none.
    r"|[#*](?=[^\W\d_a-z][a-zß-ÿ'’]*,?\s[^\s#*]+\s[^#*]*$))"
)
_SONG_END = re.compile(r"(?<=\S)\s+[#*]{1,2}$")
_BRACKETS = str.maketrans("\uff08\uff09\uff3b\uff3d【】", "[][][]")
_LABEL = re.compile(
    r"^(?P<label>(?:\d(?:st|nd|rd|th)\s)?[^\W\d_][\w .,'’&#/-]{0,40}?)"
    r"(?:\s*[\[(][^\])]{1,40}[\])])?\s*:(?=\s|$)\s*",
    re.I,
)
_COUNT = re.compile(r"\s*#?\d+$")
_LEADING_BRACKET = re.compile(r"^(?:\[(?P<square>[^\[\]]{1,60})\]|\((?P<round>[^()]{1,60})\)):?\s*")
_SQUARE = re.compile(r"\[[^\[\]]*\]")
_ROUND = re.compile(r"\(([^()]*)\)")
_STAR = re.compile(r"\*+([^*]+)\*+")
_MANNER = re.compile(r"\s*,.*$|\s+(?:on|over|in|through|via|from|to|as)\s.*$|\s+\w+ing\b.*$", re.I)
_LEFTOVER = re.compile(
    r"\{\\[^}]*\}|</?[a-zA-Z][^<>]{0,40}>|[\u200b\u200e\u200f\u202a-\u202e\ufeff]"
)
_LONGEST_NAME_WORDS, _LONGEST_LOUD_NAME_WORDS = 4, 6
_CAPITALS_SHARE = 0.7
_LABELS_SHARE = 0.02
"""Share of lines with a label from which a script names its speakers."""


@dataclass(frozen=True, slots=True)
class CuePart:
    """Words or song of one person, or a described sound, within one cue.

    Attributes:
        name: as the subtitle writes it, or None.
        new_speaker: True if a dash, a chevron or a name marks a change of speaker.
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
        dropped: reason why nothing of it is kept.
        removed_sounds: descriptions and manners taken out from between spoken words.
        doubt: what it may be instead of a spoken line; the speech under it decides.
    """

    parts: tuple[CuePart, ...]
    dropped: DropReason | None = None
    removed_sounds: int = 0
    doubt: Doubt | None = None


@dataclass(frozen=True, slots=True)
class Conventions:
    """The habits of a script, by which its single cues are judged.

    Attributes:
        names: keys of the speakers' names that stand before colons.
        capitals: True if the spoken words are all in capitals, as in broadcast captions.
    """

    names: frozenset[str] = frozenset()
    capitals: bool = False


@dataclass(frozen=True, slots=True)
class _Draft:
    lines: tuple[str, ...]
    song: bool
    name: str | None = None
    new_speaker: bool = False


def name_key(name: str) -> str:
    """Return one spelling for all ways in which a name is written: ``JOHN``, ``John``."""
    return " ".join(name.casefold().replace("’", "'").split())


def conventions_of(texts: Iterable[str]) -> Conventions:
    """Find out how a script names its speakers, and whether it is all in capitals.

    A label in capitals names a speaker at once. One in mixed case ("Roger:"), or before words in
    capitals, does so where it comes twice, where a mark shows that somebody begins to speak, and
    where the script names its speakers likewise, because "Listen: we must go" is a sentence.
    """
    lines = [line for text in texts for line in _clean(text).split("\n")]
    letters = [letter for line in lines for letter in line if letter.isalpha()]
    capitals = sum(map(str.isupper, letters)) > _CAPITALS_SHARE * len(letters)
    common = {word for line in lines for word in re.findall(r"\w+", line) if word.islower()}
    certain: set[str] = set()
    likely: Counter[str] = Counter()
    established: set[str] = set()
    likewise: dict[str, set[str]] = {"capitals": set(), "mixed": set()}
    rejected = {*NOT_NAMES, *common}
    for line in lines:
        bare = _bare(line)
        label, loud = _label_of(bare)
        if not label:
            continue
        key, written = name_key(label), "capitals" if label.isupper() else "mixed"
        likely[key] += 1
        rest = bare.partition(":")[2].lstrip(" \"“‘'¿¡([♪")
        begins = bool(rest) and not rest[0].islower() and not rejected & {key, key.split()[0]}
        if loud or (label.isupper() and capitals) or (begins and bare != line):
            certain.add(key)
        elif begins:
            likewise[written].add(key)
        if key in certain or likely[key] > 1:
            certain.add(key)
            established.add(written)
    for written, keys in likewise.items():
        if written in established or likely.total() >= _LABELS_SHARE * len(lines):
            certain |= keys
    return Conventions(frozenset(certain), capitals)


def read_cue(text: str, script: Conventions = Conventions(), name: str = "") -> CueText:
    """Take one cue, with its line breaks and without markup, apart into what each speaker says.

    `name` is that of the speaker, where the file has a field for it.
    """
    cleaned = _clean(text)
    if not cleaned:
        return CueText((), "empty")
    if is_advertisement(cleaned):
        return CueText((), "credits")
    if not script.capitals:
        following = [*cleaned.split("\n"), ""]
        cleaned = "\n".join(
            _in_brackets(line, cleaned.isupper() or after[:1].islower())
            for line, after in pairwise(following)
        )
    drafts = _drafts(cleaned, script.names)
    if name and not drafts[0].new_speaker:
        drafts[0] = replace(drafts[0], name=name, new_speaker=True)
    parts: list[CuePart] = []
    sounds: list[str] = []
    removed = 0
    for draft in drafts:
        part, descriptions = _finish(draft)
        removed += len(descriptions)
        if has_words(part.text):
            parts.append(part)
        else:
            sounds += descriptions or [part.text]
    if not parts:
        return CueText((CuePart(" ".join(s for s in sounds if s) or cleaned, "nonverbal"),))
    return CueText(tuple(parts), None, removed, _doubt(cleaned, parts, script))


def _doubt(cleaned: str, parts: Sequence[CuePart], script: Conventions) -> Doubt | None:
    if is_credit(cleaned):
        return "credits"
    if len(parts) > 1 or parts[0].kind != "speech" or parts[0].new_speaker:
        return None
    shown = cleaned.isupper() and not script.capitals and cleaned[-1] not in SENTENCE_ENDS
    return "caption" if shown or _ROUND.fullmatch(cleaned) else None


def _clean(text: str) -> str:
    plain = _LEFTOVER.sub("", text.replace("\\N", "\n").replace("\u00a0", " "))
    # A bracket may go on over line breaks.
    whole = re.sub(
        r"\[[^\[\]]{1,160}\]|\([^()]{1,160}\)",
        lambda bracket: " ".join(bracket[0].split()),
        plain.translate(_BRACKETS),
    )
    lines = (" ".join(line.split()) for line in whole.splitlines())
    noted: list[str] = []
    for line in filter(None, lines):
        # Hashes and asterisks mark songs, at either end, where notes cannot be written.
        sung, count = _SONG_START.subn(r"\g<lead>♪ ", line)
        noted.append(re.sub(r"\s*[#*]+$", " ♪", sung) if count else _SONG_END.sub(" ♪", line))
    return "\n".join(noted)


def _in_brackets(line: str, strict: bool) -> str:
    """Put brackets around a sound in capitals at either end of a line: "PHONE RINGS Hello?".

    Lines that are whole cues, or go on in the next line, are sounds only if they are certain to be.
    """
    bare = _bare(line)
    lead, words = line[: len(line) - len(bare)], bare.split()
    loud = [word.isupper() for word in words]
    first = [*loud, False].index(False)
    while 0 < first < len(words) and words[first - 1] in ("I", "A"):
        first -= 1
    head, rest = " ".join(words[:first]), words[first:]
    shown = is_shown_sound(head) if strict else is_sound_beside_speech(head)
    if shown and not (rest and rest[0][0].islower()):
        return lead + " ".join([f"[{head}]", *rest])
    last = len(words) - [*loud[::-1], False].index(False)
    tail, rest = " ".join(words[last:]), words[:last]
    if rest and rest[-1][-1] in SENTENCE_ENDS and is_sound_beside_speech(tail):
        return lead + " ".join([*rest, f"[{tail}]"])
    return line


def _bare(line: str) -> str:
    return _DASH.sub("", _CHEVRON.sub("", line))


def _drafts(cleaned: str, names: frozenset[str]) -> list[_Draft]:
    drafts: list[_Draft] = []
    singing = False
    lines: list[str] = []
    if len(_NOTE.findall(cleaned)) == 1 and cleaned[-1] in _NOTES and cleaned == _bare(cleaned):
        cleaned = f"♪ {cleaned}"
    for line in _INLINE_CHEVRON.sub("\n", cleaned).split("\n"):
        first, *others = _INLINE_DASH.split(line) if _DASH.match(line) else [line]
        lines += [first, *(f"- {other}" for other in others)]
    for line in lines:
        marked = bool(_DASH.match(line) or _CHEVRON.match(line))
        bare = _bare(line)
        _, sung = _split_name(bare, frozenset())
        noted = (sung[:1] in _NOTES and bool(sung)) or bare[-1:] in _NOTES
        song = noted or (singing and not marked)
        singing = song and (singing and not marked) ^ (len(_NOTE.findall(line)) % 2 == 1)
        name, rest = _split_name(bare, names)
        draft = _Draft((_NOTE.sub(" ", rest),), song, name, marked or name is not None)
        if drafts and not draft.new_speaker and drafts[-1].song == song:
            drafts[-1] = replace(drafts[-1], lines=(*drafts[-1].lines, *draft.lines))
        else:
            drafts.append(draft)
    return drafts


def _split_name(line: str, names: frozenset[str]) -> tuple[str | None, str]:
    """Return the name that a line begins with, and the text that follows it."""
    label, loud = _label_of(line)
    if label and (loud or name_key(label) in names):
        match = _LABEL.match(line)
        # "HE SIGHS: Well, then." tells how it is said.
        return None if is_shown_sound(label) else label, line[match.end() :] if match else line
    bracket = _LEADING_BRACKET.match(line)
    if not bracket or not has_words(line[bracket.end() :]):
        return None, line
    name = _bracket_name(bracket["square"] or bracket["round"] or "", names)
    return (name, line[bracket.end() :]) if name else (None, line)


def _label_of(line: str) -> tuple[str | None, bool]:
    """Return the label before a colon, and whether it can be nothing but a name."""
    match = _LABEL.match(line)
    if not match:
        return None, False
    label = _MANNER.sub("", match["label"]).strip()
    words = label.split()
    longest = _LONGEST_LOUD_NAME_WORDS if label.isupper() else _LONGEST_NAME_WORDS
    if not label or len(words) > longest or name_key(label) in NOT_NAMES:
        return None, False
    rest = line[match.end() :]
    role = _COUNT.sub("", name_key(label)) in ROLES
    if label.isupper() and len(label) > 1:
        # In a script of capitals a label in capitals proves nothing.
        shouted = rest.isupper() and sum(len(word) > 1 for word in rest.split()) > 1
        return label, not shouted or role
    titled = all(word[0].isupper() or word in ("of", "the", "de", "van", "von") for word in words)
    if role and not rest[:1].islower():
        return label, True
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
    """Return the part without its descriptions, and these."""
    text = " ".join(" ".join(draft.lines).split())
    sounds: list[str] = []
    text = _SQUARE.sub(lambda m: _take(m[0][1:-1], sounds), text)
    # Round brackets may also hold an aside that is spoken.
    text = _ROUND.sub(
        lambda m: (
            _take(m[1], sounds)
            if is_described_sound(m[1]) or m[1].isupper() or FOREIGN.match(m[1])
            else m[0]
        ),
        text,
    )
    text = _STAR.sub(lambda m: _take(m[1], sounds) if is_starred_sound(m[1]) else m[1], text)
    text = re.sub(r"\s+(?=[,.!?;:…])", "", " ".join(text.split()))
    kind: Kind = "song" if draft.song else "speech"
    # "[in French]" says that the words are not in the film's own language.
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
