"""Reads the script by counting: no model, always the same answer, no more claimed than counted."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

from dubarr_pipeline.engines.interfaces import (
    AudioReader,
    Need,
    OnProgress,
    Progress,
    Reading,
    ScriptReader,
    ignore_progress,
)
from dubarr_pipeline.media.pitch import median_pitch
from dubarr_pipeline.media.voice_level import voice_level_lufs
from dubarr_pipeline.timeline.script import (
    Context,
    Diarization,
    Segment,
    SpeakerProfile,
    Term,
    Transcript,
)
from dubarr_pipeline.timeline.script_reading import (
    SpeakerCount,
    count_speakers,
    count_tone,
    describe_tone,
    find_exchanges,
    find_repeated,
    find_terms,
    names_called,
)
from dubarr_pipeline.timeline.spans import Span
from dubarr_pipeline.timeline.style_guides import GUIDED_LANGUAGES, style_guide

_log = logging.getLogger(__name__)
_VERSION = 1


@dataclass(frozen=True, slots=True)
class PlainOptions:
    """What is written down.

    Attributes:
        leading_lines: quoted in the synopsis.
        targets: languages that get a style guide.
        low_hz, high_hz: a median pitch under / over these is called a man's / a woman's, as a
            guess; between them registers overlap. Right for 8 of 12 test voices.
        longest_heard_s: of each speaker, for pitch and level.
    """

    leading_lines: int = 5
    targets: tuple[str, ...] = GUIDED_LANGUAGES
    low_hz: float = 145.0
    high_hz: float = 175.0
    longest_heard_s: float = 60.0


class PlainScriptReader(ScriptReader):
    """Counts lines, names and questions, and measures the voices."""

    name: ClassVar[str] = "plain"

    def __init__(self, options: PlainOptions | None = None) -> None:
        self._options = options or PlainOptions()

    def identity(self) -> str:
        """Name, version and options."""
        return f"{self.name}/{_VERSION}/{self._options}"

    def needs(self) -> tuple[Need, ...]:
        """Nothing beyond the package itself."""
        return ()

    def read(
        self,
        transcript: Transcript,
        diarization: Diarization,
        vocals: AudioReader,
        on_progress: OnProgress = ignore_progress,
        memory: Path | None = None,  # noqa: ARG002 - read anew sooner than looked up
    ) -> Reading:
        """Return the context, and a profile of every speaker of the turns and the transcript."""
        counts = count_speakers(transcript)
        speakers = sorted({*diarization.speakers, *counts})
        profiles = tuple(
            self._profile(speaker, counts.get(speaker), diarization, vocals) for speaker in speakers
        )
        context = self._context(transcript, diarization, counts)
        on_progress(Progress(1, 1))
        _log.info("%d glossary terms, %d speaker profiles", len(context.glossary), len(profiles))
        return Reading(context, profiles)

    def _context(
        self,
        transcript: Transcript,
        diarization: Diarization,
        counts: Mapping[str, SpeakerCount],
    ) -> Context:
        counted = count_tone(transcript)
        tone = describe_tone(counted) if transcript.lines else "nothing is said"
        guides = {t: style_guide(t, counted.register, tone) for t in self._options.targets}
        return Context(
            synopsis=_synopsis(transcript, diarization, counts, self._options.leading_lines),
            tone=tone,
            relationships=_relationships(transcript, diarization),
            glossary=_glossary(transcript, diarization),
            style_guides=guides,
        )

    def _profile(
        self,
        speaker: str,
        count: SpeakerCount | None,
        diarization: Diarization,
        vocals: AudioReader,
    ) -> SpeakerProfile:
        spans = _own_spans(diarization, speaker)
        pitch_hz = median_pitch(vocals, spans, self._options.longest_heard_s)
        gender, basis = self._gender(pitch_hz)
        return SpeakerProfile(
            speaker=speaker,
            name=diarization.names.get(speaker),
            gender=gender,
            gender_basis=basis,
            style=_style(count),
            pitch_hz=None if pitch_hz is None else round(pitch_hz, 1),
            level_lufs=voice_level_lufs(vocals, spans, self._options.longest_heard_s),
        )

    def _gender(self, pitch_hz: float | None) -> tuple[str | None, str | None]:
        """A guess with its basis; none where the registers overlap."""
        if pitch_hz is None:
            return None, None
        if self._options.low_hz <= pitch_hz <= self._options.high_hz:
            return None, f"pitch {pitch_hz:.0f} Hz fits men, women and children alike: not guessed"
        gender = "male" if pitch_hz < self._options.low_hz else "female"
        return gender, f"guess from pitch {pitch_hz:.0f} Hz"


def _own_spans(diarization: Diarization, speaker: str) -> list[Span]:
    """A speaker's turns without those during which others speak, if any are left."""
    own = [turn.span for turn in diarization.turns if turn.speaker == speaker]
    others = [turn.span for turn in diarization.turns if turn.speaker != speaker]
    alone = [span for span in own if not any(span.overlap(other) for other in others)]
    return alone or own


def _style(count: SpeakerCount | None) -> str | None:
    if count is None or not count.words:
        return None
    pace = count.words_per_s
    word = "fast" if pace >= 3.6 else "slow" if pace < 2.0 else "steady"
    return f"{word}, {pace:.1f} words a second, {count.words / count.lines:.0f} words a line"


def _label(speaker: str, diarization: Diarization) -> str:
    name = diarization.names.get(speaker)
    return f"{name} ({speaker})" if name else speaker


def _synopsis(
    transcript: Transcript,
    diarization: Diarization,
    counts: Mapping[str, SpeakerCount],
    leading: int,
) -> str:
    if not counts:
        return "Nobody speaks."
    who = "; ".join(
        f"{_label(c.speaker, diarization)}: {c.lines} lines, {c.seconds:.0f} s"
        for c in counts.values()
    )
    quoted = " / ".join(_leading_lines(transcript.lines, leading))
    return (
        f"{len(counts)} speakers in {len(transcript.lines)} lines. {who}. Leading lines: {quoted}"
    )


def _leading_lines(lines: Sequence[Segment], most: int) -> list[str]:
    """The fullest line of each equal stretch of the script, in order."""
    count = min(most, len(lines))
    edges = [len(lines) * i // count for i in range(count + 1)] if count else [0]
    stretches = (lines[a:b] for a, b in pairwise(edges))
    return [
        max(stretch, key=lambda s: (len(s.text.split()), -s.index)).text for stretch in stretches
    ]


def _relationships(transcript: Transcript, diarization: Diarization) -> tuple[str, ...]:
    exchanges = find_exchanges(transcript).most_common(40)
    talks = [
        f"{_label(a, diarization)} and {_label(b, diarization)} answer each other {n} times"
        for (a, b), n in sorted(exchanges, key=lambda item: (-item[1], item[0]))
    ]
    calls = names_called(transcript.lines, diarization.names)
    called = [
        f"{_label(a, diarization)} calls {_label(b, diarization)} by name {n} times"
        for (a, b), n in sorted(calls.items(), key=lambda item: (-item[1], item[0]))
    ]
    return (*talks, *called[:40])


def _glossary(transcript: Transcript, diarization: Diarization) -> tuple[Term, ...]:
    named = (Term(name, "name") for name in diarization.names.values())
    found = (*named, *find_terms(transcript), *find_repeated(transcript))
    return tuple({term.source: term for term in found}.values())
