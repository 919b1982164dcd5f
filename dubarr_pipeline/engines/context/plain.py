"""Script analysis by counting: no model, deterministic, and no claim beyond the counts."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import ClassVar, Literal

from dubarr_pipeline.engines.context import counting
from dubarr_pipeline.engines.interfaces import AudioReader, ScriptAnalysis, ScriptAnalyzer
from dubarr_pipeline.media.audio.pitch import median_pitch
from dubarr_pipeline.progress import OnProgress, Progress, ignore_progress
from dubarr_pipeline.script.cues.lines import SpeakerLookup
from dubarr_pipeline.script.model import Context, Diarization, SpeakerProfile, Term, Transcript
from dubarr_pipeline.script.speakers.features import voice_level_lufs
from dubarr_pipeline.script.speakers.sex import sounds_like, tract_octaves
from dubarr_pipeline.spans import Span
from dubarr_pipeline.workdir.canonical import canonical_json

_log = logging.getLogger(__name__)
_VERSION = 1


@dataclass(frozen=True, slots=True)
class PlainOptions:
    """Options of the counted analysis.

    Attributes:
        leading_lines: opening lines that are quoted in the synopsis.
        targets: languages that get a style guide.
        low_hz: median pitch under which a voice is taken for a man's, as a guess, in Hz.
        high_hz: median pitch over which a voice is taken for a woman's, as a guess, in Hz;
            registers overlap between both (right for 8 of 12 test voices).
        longest_heard_s: longest stretch of each speaker that is measured for pitch and level, in
            seconds.
        sex_by: what a voice's sex is guessed from: its pitch alone, or pitch and formants, which
            tell the length of the vocal tract also where registers overlap.
    """

    leading_lines: int = 5
    targets: tuple[str, ...] = field(default_factory=counting.guided_languages)
    low_hz: float = 145.0
    high_hz: float = 175.0
    longest_heard_s: float = 60.0
    sex_by: Literal["pitch", "voice"] = "pitch"


class PlainScriptAnalyzer(ScriptAnalyzer):
    """Counts lines, names and questions, and measures the voices."""

    name: ClassVar[str] = "plain"

    def __init__(self, options: PlainOptions | None = None) -> None:
        self._options = options or PlainOptions()

    def identity(self) -> str:
        return f"{self.name}/{_VERSION}/{canonical_json(self._options)}"

    def read(
        self,
        transcript: Transcript,
        diarization: Diarization,
        vocals: AudioReader,
        on_progress: OnProgress = ignore_progress,
        memory: Path | None = None,  # noqa: ARG002 - counting is faster than looking up
    ) -> ScriptAnalysis:
        counts = counting.count_speakers(transcript)
        speakers = sorted({*diarization.speakers, *counts})
        lookup, turns = SpeakerLookup(diarization), diarization.spans()
        # Turns during which nobody else speaks, if there are any.
        alone = {
            who: [span for span in own if not any(map(span.overlap, lookup.others(who, span)))]
            for who, own in turns.items()
        }
        profiles = tuple(
            self._profile(
                SpeakerProfile(speaker, diarization.names.get(speaker)),
                counts.get(speaker),
                alone.get(speaker) or turns.get(speaker, []),
                vocals,
            )
            for speaker in speakers
        )
        context = self._context(transcript, diarization, counts)
        on_progress(Progress(1, 1))
        _log.info("%d glossary terms, %d speaker profiles", len(context.glossary), len(profiles))
        return ScriptAnalysis(context, profiles)

    def _context(
        self,
        transcript: Transcript,
        diarization: Diarization,
        counts: Mapping[str, counting.SpeakerTally],
    ) -> Context:
        counted = counting.count_tone(transcript)
        tone = counting.describe_tone(counted) if transcript.lines else "nothing is said"
        named = (Term(name, "name") for name in diarization.names.values())
        terms = (*named, *counting.find_terms(transcript), *counting.find_repeated(transcript))
        guides = {t: counting.style_guide(t, counted.register, tone) for t in self._options.targets}
        exchanges = counting.find_exchanges(transcript).most_common(40)
        talks = [
            f"{_label(a, diarization)} and {_label(b, diarization)} answer each other {n} times"
            for (a, b), n in sorted(exchanges, key=lambda item: (-item[1], item[0]))
        ]
        calls = counting.names_called(transcript.lines, diarization.names)
        called = [
            f"{_label(a, diarization)} calls {_label(b, diarization)} by name {n} times"
            for (a, b), n in sorted(calls.items(), key=lambda item: (-item[1], item[0]))
        ]
        return Context(
            synopsis=_synopsis(transcript, diarization, counts, self._options.leading_lines),
            tone=tone,
            relationships=(*talks, *called[:40]),
            glossary=tuple({term.source: term for term in terms}.values()),
            style_guides=guides,
        )

    def _profile(
        self,
        profile: SpeakerProfile,
        count: counting.SpeakerTally | None,
        spans: Sequence[Span],
        vocals: AudioReader,
    ) -> SpeakerProfile:
        """Add to a profile what their lines say, and what is heard in the spans."""
        pitch_hz = median_pitch(vocals, spans, self._options.longest_heard_s)
        gender, basis = self._gender(vocals, spans, pitch_hz)
        style = None
        if count and count.words:
            pace = count.words_per_s
            word = "fast" if pace >= 3.6 else "slow" if pace < 2.0 else "steady"
            per_line = count.words / count.lines
            style = f"{word}, {pace:.1f} words a second, {per_line:.0f} words a line"
        return replace(
            profile,
            gender=gender,
            gender_basis=basis,
            style=style,
            pitch_hz=None if pitch_hz is None else round(pitch_hz, 1),
            level_lufs=voice_level_lufs(vocals, spans, self._options.longest_heard_s),
        )

    def _gender(
        self, vocals: AudioReader, spans: Sequence[Span], pitch_hz: float | None
    ) -> tuple[str | None, str | None]:
        """Guess a gender and give the basis; no guess where the registers overlap."""
        if pitch_hz is None:
            return None, None
        options, by_voice = self._options, None
        if options.sex_by == "voice":
            by_voice = tract_octaves(vocals, spans, options.longest_heard_s)
        if by_voice is not None:
            gender, basis = sounds_like(pitch_hz, by_voice), f"pitch {pitch_hz:.0f} Hz and formants"
        else:
            is_between = options.low_hz <= pitch_hz <= options.high_hz
            gender = None if is_between else "male" if pitch_hz < options.low_hz else "female"
            basis = f"pitch {pitch_hz:.0f} Hz"
        if gender is None:
            verb = "fits" if by_voice is None else "fit"
            return None, f"{basis} {verb} men, women and children alike: not guessed"
        return gender, f"guess from {basis}"


def _label(speaker: str, diarization: Diarization) -> str:
    name = diarization.names.get(speaker)
    return f"{name} ({speaker})" if name else speaker


def _synopsis(
    transcript: Transcript,
    diarization: Diarization,
    counts: Mapping[str, counting.SpeakerTally],
    leading: int,
) -> str:
    if not counts:
        return "Nobody speaks."
    who = "; ".join(
        f"{_label(c.speaker, diarization)}: {c.lines} lines, {c.seconds:.0f} s"
        for c in counts.values()
    )
    # Quotes from the whole film: the longest line of each equal stretch of the script.
    count = min(leading, len(transcript.lines))
    edges = [len(transcript.lines) * i // count for i in range(count + 1)] if count else [0]
    stretches = (transcript.lines[a:b] for a, b in pairwise(edges))
    quoted = " / ".join(
        [max(stretch, key=lambda s: (len(s.text.split()), -s.index)).text for stretch in stretches]
    )
    return (
        f"{len(counts)} speakers in {len(transcript.lines)} lines. {who}. Leading lines: {quoted}"
    )
