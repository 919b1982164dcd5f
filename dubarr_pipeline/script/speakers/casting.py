"""Casting: the stock voice that speaks for each person of a film in one language.

What counts, the first before all that follow: a person's choice; a voice of the right sex; a voice
of their own, in a series one that nobody else there has; one made for the language; the age; the
nearest pitch, in semitones; the order in which the engine lists its voices. So a speaker gets a
voice with an accent, or one further off in pitch, before two share one; and two share one before a
man speaks with a woman's voice. The sum over all speakers is the least that there is. Who was cast
before keeps their voice as long as it is allowed, so that a new speaker or an edited line recasts
nobody.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from dubarr_pipeline.errors import SettingsError
from dubarr_pipeline.script.model import Age, Segment, SpeakerProfile, StockVoice
from dubarr_pipeline.text.languages import base_language

NARRATOR = "NARRATOR"
"""Speaker of all lines where one voice reads them over the lowered original."""

_WRONG_SEX, _SHARED, _SPEAKS_MORE = 1e8, 1e5, 1e4
_UNLABELLED, _NEUTRAL, _ACCENT, _NOT_NEUTRAL, _WRONG_AGE = 200.0, 150.0, 100.0, 50.0, 40.0
_ANOTHERS = 1000.0
_UNMEASURED_ST, _FURTHEST_ST = 6.0, 24.0
"""Semitones that count where a pitch is unknown, and that two voices differ at most."""
_BY_RANK = 1e-3
_NEAR_LINES = 3
"""Lines as close as this are heard as one conversation."""
_AGES: Mapping[str, Age] = {"child": "child", "adult": "adult", "elderly": "old", "old": "old"}


@dataclass(frozen=True, slots=True)
class CastVoice:
    """A speaker's stock voice in one language.

    Attributes:
        voice: as the engine calls it.
        by: chosen by a person, or dealt by rule.
        why: the reason, in words.
        warnings: what a listener may notice, in words: shared, accent, sex unknown or wrong.
    """

    speaker: str
    voice: str
    by: Literal["person", "dealt"]
    why: str
    warnings: tuple[str, ...] = ()


def cast_speakers(
    profiles: Sequence[SpeakerProfile],
    voices: Sequence[StockVoice],
    lines: Sequence[Segment],
    language: str,
    earlier: Mapping[str, str] | None = None,
    reserved: Collection[str] = (),
) -> dict[str, CastVoice]:
    """Deal the voices of a language to the speakers; deterministic.

    Args:
        profiles: of the speakers to cast, in any order; a person's choices are in their `voices`,
            by the language or its base (``pt`` for ``pt-BR``).
        voices: what the engine has, the best first; with none, nobody is cast.
        lines: that are dubbed, in order: who talks much, and near whom, counts for sharing.
        language: BCP-47 of the dub.
        earlier: speaker -> the voice of an earlier casting.
        reserved: voices of people who are not in this film, the last to be dealt.

    Raises:
        SettingsError: if a person chose a voice that the engine lacks; it lists the choices.
    """
    if not voices:
        return {}
    deal = _Deal(
        {each.speaker: each for each in sorted(profiles, key=lambda each: each.speaker)},
        {each.name: each for each in voices},
        Counter[str](),
        _conversations(lines),
        frozenset(reserved),
    )
    for line in lines:
        deal.speech[line.speaker] += line.span.length
    base = base_language(language) or language
    chosen = {
        who: name
        for who, each in deal.profiles.items()
        if (name := each.voices.get(language) or each.voices.get(base))
    }
    for who, name in chosen.items():
        if name not in deal.voices:
            raise SettingsError(
                f"{who} has no voice {name!r} in {language}: choose one of {', '.join(deal.voices)}"
            )
    found = deal.complete(chosen, earlier or {})
    holders = _holders(found)
    cast: dict[str, CastVoice] = {}
    for who, name in found.items():
        with_whom = [other for other in holders[name] if other != who]
        warnings = _warnings(deal.profiles[who], deal.voices[name], language, who in chosen)
        if with_whom:
            warnings = (f"shared with {', '.join(with_whom)}", *warnings)
        why = "chosen by a person"
        if who not in chosen:
            why = _why(deal.profiles[who], deal.voices[name])
        cast[who] = CastVoice(who, name, "person" if who in chosen else "dealt", why, warnings)
    return cast


@dataclass(frozen=True, slots=True)
class _Deal:
    """Speakers by id and voices by name, in order; samples of speech; how often two talk near.

    `reserved` are voices of others who are not there.
    """

    profiles: Mapping[str, SpeakerProfile]
    voices: Mapping[str, StockVoice]
    speech: Counter[str]
    near: Counter[tuple[str, str]]
    reserved: frozenset[str]

    def complete(self, chosen: Mapping[str, str], earlier: Mapping[str, str]) -> dict[str, str]:
        """Return speaker -> voice: the chosen, the kept, the dealt, and the shared ones."""
        found, taken = dict(chosen), set(chosen.values())
        for who in self.profiles:
            name = earlier.get(who)
            if who in found or name is None or name not in self.voices or name in taken:
                continue
            if self._cost(who, name) < _WRONG_SEX:
                found[who] = name
                taken.add(name)
        left = [who for who in self.profiles if who not in found]
        found |= self._dealt(left, [name for name in self.voices if name not in taken])
        for who in sorted(left, key=lambda who: (-self.speech[who], who)):
            if who not in found:
                found[who] = self._shared(who, found, earlier.get(who))
        return {who: found[who] for who in self.profiles}

    def _dealt(self, speakers: Sequence[str], free: Sequence[str]) -> dict[str, str]:
        """Give each speaker a free voice at the least cost; who would rather share gets none."""
        if not speakers:
            return {}
        # Not at the top: a process that casts nobody need not pay for it.
        from scipy.optimize import linear_sum_assignment

        most = max(self.speech.values(), default=0) or 1
        costs = [
            [self._cost(who, name) for name in free]
            + [_SHARED + _SPEAKS_MORE * self.speech[who] / most] * len(speakers)
            for who in speakers
        ]
        rows, columns = linear_sum_assignment(costs)
        pairs = zip(map(int, rows), map(int, columns), strict=True)
        return {speakers[row]: free[at] for row, at in pairs if at < len(free)}

    def _shared(self, who: str, found: Mapping[str, str], earlier: str | None) -> str:
        """Return the voice that one more speaker shares with whom they hardly ever meet."""
        holders = _holders(found)

        def badness(name: str) -> tuple[bool, bool, int, int, float]:
            meetings = sum(self.near[who, other] for other in holders.get(name, ()))
            cost = self._cost(who, name)
            held = len(holders.get(name, ()))
            return cost >= _WRONG_SEX, name != earlier, meetings, held, cost

        return min(self.voices, key=badness)

    def _cost(self, who: str, name: str) -> float:
        profile, voice = self.profiles[who], self.voices[name]
        age = _AGES.get(profile.age_group or "")
        cost = _BY_RANK * list(self.voices).index(name) + _distance_st(profile, voice)
        if profile.gender not in ("male", "female"):
            # A child's voice passes for a boy's and for a girl's.
            is_either = voice.sex == "neutral" or age == voice.age == "child"
            cost += 0.0 if is_either else _NOT_NEUTRAL
        elif voice.sex is None:
            cost += _UNLABELLED
        elif voice.sex == "neutral":
            cost += _NEUTRAL
        elif voice.sex != profile.gender:
            cost += _WRONG_SEX
        if (age or "adult") != (voice.age or "adult"):
            cost += _WRONG_AGE
        cost += _ANOTHERS if name in self.reserved else 0.0
        return cost + (0.0 if voice.native else _ACCENT)


def _holders(found: Mapping[str, str]) -> dict[str, list[str]]:
    """Return voice -> who speaks with it, in their order."""
    holders: dict[str, list[str]] = {}
    for who, name in found.items():
        holders.setdefault(name, []).append(who)
    return holders


def _conversations(lines: Sequence[Segment]) -> Counter[tuple[str, str]]:
    """Count for each pair of speakers how often they speak within a few lines of each other."""
    near: Counter[tuple[str, str]] = Counter()
    for at, line in enumerate(lines):
        for other in lines[at + 1 : at + 1 + _NEAR_LINES]:
            near[line.speaker, other.speaker] += 1
            near[other.speaker, line.speaker] += 1
    return near


def _distance_st(profile: SpeakerProfile, voice: StockVoice) -> float:
    if not profile.pitch_hz or not voice.pitch_hz:
        return _UNMEASURED_ST
    return min(_FURTHEST_ST, abs(12 * math.log2(profile.pitch_hz / voice.pitch_hz)))


def _why(profile: SpeakerProfile, voice: StockVoice) -> str:
    kind = " ".join(filter(None, (voice.age if voice.age != "adult" else None, voice.sex)))
    words = f"{kind or 'unlabelled'} voice"
    if profile.pitch_hz and voice.pitch_hz:
        apart = _distance_st(profile, voice)
        return f"{words} of {voice.pitch_hz:.0f} Hz for {profile.pitch_hz:.0f} Hz ({apart:.1f} st)"
    return f"{words}; no pitch to go by"


def _warnings(
    profile: SpeakerProfile, voice: StockVoice, language: str, chosen: bool
) -> tuple[str, ...]:
    found: list[str] = []
    if profile.gender not in ("male", "female"):
        taken = "a neutral voice" if voice.sex == "neutral" else "the nearest voice by pitch"
        found += [] if chosen else [f"sex of the speaker unknown: {taken}"]
    elif voice.sex in ("male", "female") and voice.sex != profile.gender:
        found.append(f"a {voice.sex} voice for a {profile.gender} speaker")
    if not voice.native:
        found.append(f"accent: the voice was not made for {language}")
    return tuple(found)
