"""Episodes enter the memory of their series: their speakers are matched, and remembered.

An episode is entered once; it is matched anew only where its speakers were told apart anew, and
then who was somebody's in its earlier hearing stays theirs, corrections included.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from dubarr_pipeline.library.series.corrections import (
    PeoplesWord,
    cast_of,
    new_character,
    owner_of,
    peoples_word,
)
from dubarr_pipeline.library.series.memory import (
    Appearance,
    CastMemory,
    Character,
    Episode,
)
from dubarr_pipeline.script.model import SpeakerProfile, Term
from dubarr_pipeline.script.speakers.characters import (
    CharacterMatch,
    KnownVoice,
    match_characters,
)
from dubarr_pipeline.script.speakers.series_prints import Prints, pooled


@dataclass(frozen=True, slots=True)
class EpisodeSpeakers:
    """A film's speakers, as it enters the memory of its series.

    Attributes:
        key, title: of the film.
        heard: digest of the diarization.
        sample_scores: speaker -> score of their sample, of those who have one.
        replaces: keys of earlier releases of the same episode.
        is_finished: it has voices from before: no correction counts in it until it is asked for.
    """

    key: str
    title: str
    heard: str
    prints: Mapping[str, Prints]
    profiles: Mapping[str, SpeakerProfile]
    sample_scores: Mapping[str, float]
    replaces: tuple[str, ...] = ()
    is_finished: bool = False


def is_entered(memory: CastMemory, film: EpisodeSpeakers) -> bool:
    """Return whether a film's speakers, as they were heard last, are in the memory."""
    known = memory.episodes.get(film.key)
    return known is not None and known.heard == film.heard


def enter_episode(
    memory: CastMemory, film: EpisodeSpeakers, terms: Iterable[Term] = ()
) -> CastMemory:
    """Return the memory with a film; `terms` are those of its glossary that the film takes."""
    if is_entered(memory, film):
        return memory
    before = next((key for key in (film.key, *film.replaces) if key in memory.episodes), None)
    moved = _earlier_selves(memory, film, before) if before else {}
    matches = _matches(memory, film, before, moved)
    speakers: dict[str, Appearance] = {}
    for who in film.prints:
        memory, speakers[who] = _appearance(memory, film, matches[who])
    if before:
        entered = replace(
            memory.episodes[before], title=film.title, heard=film.heard, speakers=speakers
        )
    else:
        revision = 0 if film.is_finished else memory.revision
        entered = Episode(
            film.title,
            film.heard,
            revision,
            revision,
            speakers,
            tuple(terms),
            film.is_finished,
        )
    memory = replace(memory, episodes={**memory.episodes, film.key: entered})
    return _carried(memory, before, film.key, moved) if before else memory


def _matches(
    memory: CastMemory, film: EpisodeSpeakers, before: str | None, moved: Mapping[str, str]
) -> dict[str, CharacterMatch]:
    """Return every speaker's match: as they were matched `before`, or with who is left."""
    word = peoples_word(memory)
    found: dict[str, CharacterMatch] = {}
    taken: set[str | None] = set()
    for who, earlier in moved.items():
        assert before
        seen = memory.episodes[before].speakers[earlier]
        figures = (seen.character or seen.proposed, seen.distance, seen.next_distance, seen.why)
        found[who] = CharacterMatch(who, seen.outcome, *figures)
        taken.add(owner_of(memory, before, earlier, word))
    known = known_characters(memory, word, without=(film.key, *film.replaces))
    left = [each for each in _voices(film) if each.id not in moved]
    return found | match_characters(left, [each for each in known if each.id not in taken])


def known_characters(
    memory: CastMemory, word: PeoplesWord, without: Iterable[str] = ()
) -> list[KnownVoice]:
    """Return the voices of all characters: each the mean of the speakers that are theirs.

    Speakers of the episodes `without` do not count.
    """
    prints: dict[str, list[Prints]] = {name: [] for name in memory.characters}
    for key in memory.episodes.keys() - {*without}:
        for who, character in cast_of(memory, key, word).items():
            prints[character].append(memory.episodes[key].speakers[who].prints)
    return [
        KnownVoice(name, pooled(prints[name]), word.names.get(name) or each.name, each.gender)
        for name, each in memory.characters.items()
    ]


def _voices(film: EpisodeSpeakers) -> list[KnownVoice]:
    profiles = {who: film.profiles.get(who) or SpeakerProfile(who) for who in film.prints}
    return [
        KnownVoice(who, prints, profiles[who].name, profiles[who].gender)
        for who, prints in film.prints.items()
    ]


def _earlier_selves(memory: CastMemory, film: EpisodeSpeakers, before: str) -> dict[str, str]:
    """Return speaker -> the speaker that they were in the earlier hearing of the same episode."""
    earlier = memory.episodes[before].speakers
    voices = [KnownVoice(who, seen.prints, seen.name, seen.gender) for who, seen in earlier.items()]
    found = match_characters(_voices(film), voices)
    return {
        w: each.character for w, each in found.items() if each.outcome == "same" and each.character
    }


def _appearance(
    memory: CastMemory, film: EpisodeSpeakers, match: CharacterMatch
) -> tuple[CastMemory, Appearance]:
    """Return a speaker as the memory keeps them, and the memory, with their new character."""
    who = match.speaker
    profile = film.profiles.get(who) or SpeakerProfile(who)
    character = match.character if match.outcome in ("same", "new") else None
    if match.outcome == "new" and character is None:
        found = Character(profile.name, profile.gender, profile.age_group, profile.pitch_hz)
        memory, character = new_character(memory, found)
    return memory, Appearance(
        match.outcome,
        character,
        match.character if match.outcome == "proposed" else None,
        match.distance,
        match.next_distance,
        match.why,
        profile.name,
        profile.gender,
        film.prints[who],
        film.sample_scores.get(who),
    )


def _carried(memory: CastMemory, before: str, key: str, moved: Mapping[str, str]) -> CastMemory:
    """Return the memory with the corrections of an earlier hearing on the speakers of now."""
    now = {earlier: who for who, earlier in moved.items()}
    facts = list(memory.facts)
    for at, fact in enumerate(facts):
        episode, _, speaker = fact.target.rpartition("/")
        if fact.field == "character" and episode == before:
            facts[at] = replace(fact, target=f"{key}/{now.get(speaker, f'{speaker} of before')}")
    episodes = dict(memory.episodes)
    if before != key:
        del episodes[before]
    return replace(memory, facts=tuple(facts), episodes=episodes)
