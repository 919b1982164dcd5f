"""A film's part of the memory of its series: its people, their voices and their samples."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from dubarr_pipeline.engines.interfaces import Synthesizer
from dubarr_pipeline.files import read_json
from dubarr_pipeline.library.series.corrections import PeoplesWord, asked_facts
from dubarr_pipeline.library.series.glossary import with_series_terms
from dubarr_pipeline.library.series.memory import CastMemory, Episode, SeriesFolder
from dubarr_pipeline.script.model import Segment, SpeakerProfile, StockVoice
from dubarr_pipeline.script.speakers.casting import CastVoice, cast_speakers
from dubarr_pipeline.segments.cast import CastFilm, FilmToCast
from dubarr_pipeline.text.languages import base_language
from dubarr_pipeline.workdir.corrections import SAID_BY_A_PERSON

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class EpisodePart:
    """A film's part of its series' memory.

    Attributes:
        key: of the film.
        word: what people said, as far as it counts in this film.
        own: speaker -> character, of those who are somebody's.
        reheard: its speakers were told apart anew: earlier voices are of others.
    """

    key: str
    memory: CastMemory
    word: PeoplesWord
    own: Mapping[str, str]
    reheard: bool
    synthesizer: Synthesizer

    @property
    def entry(self) -> Episode:
        return self.memory.episodes[self.key]

    @property
    def corrected(self) -> frozenset[str]:
        """The speakers whom a correction concerns that a person asked for in this film."""
        facts = asked_facts(self.memory, self.key)
        targets = {fact.target for fact in facts if fact.field in ("character", "voice")}
        said = (who for who in self.entry.speakers if f"{self.key}/{who}" in targets)
        return frozenset((*said, *(who for who, name in self.own.items() if name in targets)))

    @property
    def proposed(self) -> tuple[str, ...]:
        """The speakers whom a person is asked about."""
        seen = self.entry.speakers.items()
        return tuple(who for who, each in seen if each.proposed and who not in self.own)

    def stays(self, who: str) -> bool:
        """Return whether a speaker of a film that was finished before stays as it was."""
        return self.entry.was_finished and not self.reheard and who not in self.corrected

    def known(self, film: FilmToCast) -> FilmToCast:
        """Return the film with what is known of its characters and its terms."""
        found = dict(film.speakers)
        for who, name in self.own.items():
            profile = found.get(who) or SpeakerProfile(who)
            called = self.word.names.get(name) or profile.name
            found[who] = replace(profile, name=called or self.memory.characters[name].name)
            if not self.stays(who) and (who in self.corrected or not self.is_first(who)):
                found[who] = self._as_before(found[who], name, film.targets)
        edits = film.work.edits / "context.json"
        written = read_json(edits).get("glossary", ()) if edits.is_file() else ()
        by_person = {term["source"] for term in written}
        context = with_series_terms(film.context, self.entry.terms, self.word, by_person)
        return replace(film, speakers=found, context=context)

    def is_first(self, who: str) -> bool:
        """Return whether a speaker is the one whom their character is remembered by."""
        return self.entry.speakers[who].outcome == "new"

    def _as_before(
        self, profile: SpeakerProfile, name: str, targets: Sequence[str]
    ) -> SpeakerProfile:
        """Return a profile with the facts that give a character the voice that they had."""
        known, said = self.memory.characters[name], profile.gender_basis == SAID_BY_A_PERSON
        voices = {
            language: voice
            for language in targets
            # Of an engine that deals no voices, the profile names them.
            if self.synthesizer.own_voice(profile, language)
            and (voice := self._voice(name, language))
        }
        return replace(
            profile,
            gender=profile.gender if said else known.gender or profile.gender,
            age_group=known.age_group or profile.age_group,
            pitch_hz=known.pitch_hz or profile.pitch_hz,
            voices={**voices, **profile.voices},
        )

    def deal(
        self,
        profiles: Sequence[SpeakerProfile],
        voices: Sequence[StockVoice],
        lines: Sequence[Segment],
        language: str,
        earlier: Mapping[str, str],
    ) -> dict[str, CastVoice]:
        """Deal the voices of a language; arguments as of `cast_speakers`."""
        known = {
            who: voice for who, name in self.own.items() if (voice := self._voice(name, language))
        }
        before = {**earlier, **known} if self.reheard else {**known, **earlier}
        before |= {who: known.get(who, "") for who in self.corrected}
        absent = self.memory.characters.keys() - {*self.own.values()}
        others = {voice for name in absent if (voice := self._voice(name, language))}
        asked = [self._with_choice(each, language, voices) for each in profiles]
        found = cast_speakers(asked, voices, lines, language, before, others)
        return {who: self._noted(each, known.get(who)) for who, each in found.items()}

    def with_voices(self, dealt: CastFilm, targets: Sequence[str]) -> CastMemory:
        """Return the memory with the voices that its characters speak with for the first time."""
        characters, engine = dict(self.memory.characters), self.synthesizer.name
        for who, name in self.own.items():
            voices = dict(characters[name].voices.get(engine, {}))
            for language in targets:
                stock = dealt.cast.get(language, {}).get(who)
                own = self.synthesizer.own_voice(dealt.speakers[who], language)
                voice = stock.voice if stock else own
                if voice and voice != self._choice(name, language):
                    voices.setdefault(language, voice)
            if voices:
                every = {**characters[name].voices, engine: voices}
                characters[name] = replace(characters[name], voices=every)
        return replace(self.memory, characters=characters)

    def with_samples(self) -> CastMemory:
        """Return the memory with the samples that this film is spoken with.

        A cloning engine follows the best one of the character, and then always the same.
        """
        speakers = dict(self.entry.speakers)
        for who, name in self.own.items() if self.synthesizer.clones else ():
            best, seen = self.memory.characters[name].reference, speakers[who]
            anew = self.reheard or who in self.corrected or not seen.spoken_with
            if best and anew and not self.stays(who):
                speakers[who] = replace(seen, spoken_with=best.file)
        entry = replace(self.entry, speakers=speakers)
        return replace(self.memory, episodes={**self.memory.episodes, self.key: entry})

    def refs(self, samples: Mapping[str, Path], folder: SeriesFolder) -> dict[str, Path]:
        """Return the samples to follow, the film's own where the series has none for it."""
        found = dict(samples)
        for who in self.own if self.synthesizer.clones else ():
            path = folder.references / self.entry.speakers[who].spoken_with
            if path.is_file():
                found[who] = path
        return found

    def matches(self) -> dict[str, str]:
        """Return speaker -> who they are in the series, in words."""
        return {who: self.words(who) for who in self.entry.speakers}

    def words(self, who: str) -> str:
        """Return who a speaker is in the series, in words."""
        seen = self.entry.speakers[who]
        if name := self.own.get(who):
            said = "" if name == seen.character else ", as a person said"
            return f"{self._named(name)}{said or (', new' if seen.outcome == 'new' else '')}"
        if seen.proposed:
            return f"may be {self._named(seen.proposed)}: {seen.why}"
        return f"nobody: {seen.why}"

    def _named(self, name: str) -> str:
        called = self.word.names.get(name) or self.memory.characters[name].name
        return f"{name} ({called})" if called else name

    def _voice(self, name: str, language: str) -> str | None:
        """Return a character's voice of this engine, by a person or as it was dealt."""
        dealt = self.memory.characters[name].voices.get(self.synthesizer.name, {})
        return self._choice(name, language) or dealt.get(language)

    def _choice(self, name: str, language: str) -> str | None:
        """Return the voice of this engine that a person chose for a character."""
        said = self.word.voices.get(name, {}).get(self.synthesizer.name, {})
        return said.get(language) or said.get(base_language(language) or language)

    def _with_choice(
        self, profile: SpeakerProfile, language: str, voices: Sequence[StockVoice]
    ) -> SpeakerProfile:
        """Return a profile with the voice that a person chose for the character."""
        choice = self._choice(self.own.get(profile.speaker, ""), language)
        if choice is None or self.stays(profile.speaker):
            return profile
        if choice not in {voice.name for voice in voices}:
            _log.warning("%s has no voice %r in %s", self.synthesizer.name, choice, language)
            return profile
        return replace(profile, voices={language: choice, **profile.voices})

    def _noted(self, voice: CastVoice, known: str | None) -> CastVoice:
        """Return a voice with the reason that the series is, and the doubt that it leaves."""
        if voice.speaker in self.proposed:
            doubt = f"{self.words(voice.speaker)}; kept apart"
            return replace(voice, warnings=(*voice.warnings, doubt))
        if voice.by == "dealt" and voice.voice == known:
            return replace(voice, why=f"as {self._named(self.own[voice.speaker])} in the series")
        return voice
