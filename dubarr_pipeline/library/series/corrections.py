"""People's corrections of a series' cast: facts that are only added to, the last one counting.

A correction counts in the episodes that are entered after it. In an earlier one it counts once a
person asks for that (`Episode.asked`), so that no finished film grows stale by itself.
"""

from __future__ import annotations

import datetime
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from dubarr_pipeline.errors import SettingsError
from dubarr_pipeline.library.series.memory import (
    CastFact,
    CastField,
    CastMemory,
    Character,
)

NEW = "new"
"""Value of the field `character`: nobody who is known, a character of their own."""
_PER_LANGUAGE: tuple[CastField, ...] = ("voice", "rendering", "pronunciation")
_LONGEST = 200


@dataclass(frozen=True, slots=True)
class CastCorrection:
    """A correction before it is stored; the fields are those of `CastFact`."""

    target: str
    field: CastField
    value: str | None
    language: str = ""
    engine: str = ""


@dataclass(frozen=True, slots=True)
class PeoplesWord:
    """All that people said, as of one correction.

    Attributes:
        characters: ``{episode}/{speaker}`` -> whose they are.
        names: character -> name.
        voices: character -> engine -> target language -> voice.
        renderings, pronunciations: term -> target language -> words.
    """

    characters: Mapping[str, str]
    names: Mapping[str, str]
    voices: Mapping[str, Mapping[str, Mapping[str, str]]]
    renderings: Mapping[str, Mapping[str, str]]
    pronunciations: Mapping[str, Mapping[str, str]]


def peoples_word(memory: CastMemory, revision: int | None = None) -> PeoplesWord:
    """Return what people said, up to a correction or all of it."""
    plain: dict[str, dict[str, str]] = {"character": {}, "name": {}}
    words = {
        each: defaultdict[str, dict[str, str]](dict) for each in ("rendering", "pronunciation")
    }
    voices = defaultdict[str, dict[str, dict[str, str]]](dict)
    for fact in _last(memory.facts if revision is None else _until(memory, revision)):
        if fact.value is None:
            continue
        if fact.field == "voice":
            voices[fact.target].setdefault(fact.engine, {})[fact.language] = fact.value
        elif fact.field in words:
            words[fact.field][fact.target][fact.language] = fact.value
        else:
            plain[fact.field][fact.target] = fact.value
    return PeoplesWord(plain["character"], plain["name"], voices, *words.values())


def owner_of(memory: CastMemory, episode: str, speaker: str, word: PeoplesWord) -> str | None:
    """Return whose a speaker is: as people said, else as the machine is sure; None: unsure."""
    said = word.characters.get(f"{episode}/{speaker}")
    return said or memory.episodes[episode].speakers[speaker].character


def cast_of(memory: CastMemory, episode: str, word: PeoplesWord) -> dict[str, str]:
    """Return speaker -> character of an episode, of those who are somebody's."""
    speakers = memory.episodes[episode].speakers
    found = {who: owner_of(memory, episode, who, word) for who in speakers}
    return {who: character for who, character in found.items() if character}


def asked_facts(memory: CastMemory, episode: str) -> list[CastFact]:
    """Return the corrections that a person asked for in an episode after it was entered.

    Only those that change what is heard in it: of its own speakers and characters, and of terms.
    """
    entered = memory.episodes[episode]
    characters = {
        *cast_of(memory, episode, peoples_word(memory, entered.asked)).values(),
        *cast_of(memory, episode, peoples_word(memory, entered.since)).values(),
    }
    asked = [fact for fact in _until(memory, entered.asked) if fact.revision > entered.since]
    return [
        fact
        for fact in _last(asked)
        if (fact.field == "character" and fact.target.startswith(f"{episode}/"))
        or (fact.field == "voice" and fact.target in characters)
        or fact.field in ("rendering", "pronunciation")
    ]


def affected_episodes(memory: CastMemory) -> list[str]:
    """Return the episodes that corrections would change which nobody asked for there yet."""
    return [
        key
        for key in memory.episodes
        if asked_facts(ask_for(memory, [key]), key) != asked_facts(memory, key)
    ]


def ask_for(memory: CastMemory, episodes: Sequence[str]) -> CastMemory:
    """Return the memory with all corrections asked for in some episodes."""
    known = {key: replace(memory.episodes[key], asked=memory.revision) for key in episodes}
    return replace(memory, episodes={**memory.episodes, **known})


def add_corrections(
    memory: CastMemory, corrections: Sequence[CastCorrection], by: str
) -> CastMemory:
    """Return the memory with corrections added, all or none.

    Raises:
        SettingsError: if one names what is not there; it lists the choices.
    """
    for correction in corrections:
        memory, value = _checked(memory, correction)
        at = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
        fact = CastFact(
            memory.revision + 1,
            at,
            by[:_LONGEST],
            correction.target,
            correction.field,
            value,
            correction.language,
            correction.engine,
        )
        memory = replace(memory, facts=(*memory.facts, fact))
    return memory


def new_character(memory: CastMemory, character: Character) -> tuple[CastMemory, str]:
    """Return the memory with one more character, and their id."""
    number = max((int(known[1:]) for known in memory.characters), default=0) + 1
    name = f"C{number:02d}"
    return replace(memory, characters={**memory.characters, name: character}), name


def _checked(memory: CastMemory, correction: CastCorrection) -> tuple[CastMemory, str | None]:
    """Return the memory, with a new character if one is asked for, and the value to store."""
    target, value, name = correction.target, correction.value, correction.field
    if value is not None and not 0 < len(value.strip()) <= _LONGEST:
        raise SettingsError(f"a {name} has 1 to {_LONGEST} letters")
    if (name in _PER_LANGUAGE) != bool(correction.language):
        needs = "is of a language" if name in _PER_LANGUAGE else "is of no language"
        raise SettingsError(f"a correction of {name} {needs}: {correction}")
    if (name == "voice") != bool(correction.engine):
        raise SettingsError(f"a voice, and nothing else, is an engine's: {correction}")
    if name in ("name", "voice"):
        _check_known("character", target, memory.characters)
    if name != "character":
        return memory, value
    episode, _, speaker = target.rpartition("/")
    _check_known("episode", episode, memory.episodes)
    _check_known("speaker", speaker, memory.episodes[episode].speakers)
    if value == NEW:
        seen = memory.episodes[episode].speakers[speaker]
        return new_character(memory, Character(seen.name, seen.gender))
    if value is not None:
        _check_known("character", value, (*memory.characters, NEW))
    return memory, value


def _check_known(what: str, name: str, choices: Collection[str]) -> None:
    if name not in choices:
        known = ", ".join(choices) or "none"
        raise SettingsError(f"no {what} {name!r}: choose one of {known}")


def _until(memory: CastMemory, revision: int) -> list[CastFact]:
    return [fact for fact in memory.facts if fact.revision <= revision]


def _last(facts: Sequence[CastFact]) -> list[CastFact]:
    """Return the last fact of each field of each target, in the order of those."""
    last = {(each.target, each.field, each.language, each.engine): each for each in facts}
    return [last[name] for name in sorted(last)]
