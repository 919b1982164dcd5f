"""Summary of the report in a few lines, for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dubarr_pipeline.compute.memory import MemoryNote
from dubarr_pipeline.library.gate import Figures, Gate
from dubarr_pipeline.library.videos import Video
from dubarr_pipeline.reports.evidence import Evidence, RefNote
from dubarr_pipeline.reports.quality import LanguageQuality, Measure, figure
from dubarr_pipeline.script.fit.fitting import times
from dubarr_pipeline.script.model import Segment, SpeakerProfile
from dubarr_pipeline.script.speakers.casting import CastVoice

_NAMED_LINES = 8


def summary(report: Report) -> tuple[str, ...]:
    """Return the report as short lines: tracks, failures, streams, missed figures."""
    lines = [_language_line(report, found) for found in report.languages]
    lines += _script_lines(report)
    for language in report.languages:
        name, made = language.language, report.evidence.lines(language.language)
        lost = [(f.index, f.name) for f in report.failures if f.language == name]
        doubted = [(line.index, flag) for line in made for flag in line.flags]
        lines += [
            f"{name}: {len({index for index, _ in found})} {kind} {_listed(found)}"
            for kind, found in (("failed", lost), ("flagged", doubted))
            if found
        ]
        lines += _cast_lines(report, name)
    lines += _edit_lines(report.evidence)
    if reasons := Counter(cue.reason for cue in report.evidence.script.left_out):
        counted = ", ".join(f"{n} {reason}" for reason, n in reasons.most_common())
        lines.append(f"subtitles that are not spoken: {counted}")
    lines += report.evidence.sound.audio.notes[:_NAMED_LINES]
    if report.evidence.sound.language_per_channel:
        spoken = report.evidence.script.channel_languages
        named = f"{' left, '.join(spoken)} right" if spoken else "a recogniser would name them"
        lines.append(f"left and right speak at once, a language each (dual mono): {named}")
    mux = report.evidence.mux
    kept = sum(row.source_index is not None for row in mux.streams)
    offset = f"at most {mux.max_offset_ms:.2f} ms off"
    other = f"{len(mux.converted)} converted by name, " if mux.converted else ""
    lines.append(f"{kept} original streams identical, {other}{offset}")
    for row in report.measures:
        if row.met == "missed":
            side = "at most" if row.better == "lower" else "at least"
            where = f"{row.language}: " if row.language else ""
            must = f"must be {side} {figure(row.must)}"
            lines.append(f"{where}missed: {row.name} {row.words()}, {must}")
    stats = report.evidence.production.stats
    if stats.tokens:
        lines.append(f"language model: {stats.tokens} tokens, {stats.tokens_per_s:.1f} tokens/s")
    lines += _memory_lines(report)
    lines.append(f"{report.total_s:.1f} s of work")
    return tuple(lines)


def _cast_lines(report: Report, language: str) -> Iterator[str]:
    """Yield who speaks for whom, and what a listener may notice of it."""
    cast = report.evidence.cast.get(language, {})
    names = {found.profile.speaker: found.profile.name for found in report.speakers}
    if cast:
        voices = [f"{names.get(who) or who} {each.voice}" for who, each in cast.items()]
        more = ", …" if len(voices) > _NAMED_LINES else ""
        yield f"{language}: voices: {', '.join(voices[:_NAMED_LINES])}{more}"
    doubts: dict[str, list[str]] = {}
    for who, each in cast.items():
        for warning in each.warnings:
            kind = warning.partition(":")[0].partition(" with ")[0]
            doubts.setdefault(kind, []).append(names.get(who) or who)
    for kind, found in doubts.items():
        more = ", …" if len(found) > _NAMED_LINES else ""
        yield f"{language}: voice, {kind}: {', '.join(found[:_NAMED_LINES])}{more}"


def _memory_lines(report: Report) -> Iterator[str]:
    """Yield lines on the stages' lack of memory, and on memory that they did not give back."""
    for stage, note in ((s.stage, s.memory) for s in report.stages if s.memory):
        for step in note.steps_down:
            left, taken = step.left, step.taken
            yield f"{stage}: {step.engine} ran out of memory with {left}; went on with {taken}"
        for fault in note.faults:
            yield f"{stage}: {fault}"


def _script_lines(report: Report) -> list[str]:
    """Return lines on the script and the speech, where they do not fit each other."""
    placement, rate = report.evidence.placement, report.evidence.script.rate
    lines: list[str] = []
    if doubt := report.evidence.script.language_doubt:
        lines.append(f"spoken language {doubt}")
    if placement.verdict not in (None, "fits"):
        lines.append(f"script {placement.verdict}: {placement.words}")
    if uncovered := times(report.evidence.coverage.uncovered, rate, _NAMED_LINES):
        lines.append(f"speech nobody wrote down, left as it is: {uncovered}")
    return lines


def _listed(found: Sequence[tuple[int, str]]) -> str:
    """Return names with their counts, and the numbers of the first lines."""
    names = ", ".join(f"{n} {name}" for name, n in Counter(name for _, name in found).most_common())
    indexes = list(dict.fromkeys(index for index, _ in found))
    more = ", …" if len(indexes) > _NAMED_LINES else ""
    return f"({names}): lines {', '.join(map(str, indexes[:_NAMED_LINES]))}{more}"


def _language_line(report: Report, found: LanguageQuality) -> str:
    sync, mix = found.isochrony, report.evidence.mixes.get(found.language)
    parts = [
        f"{found.placed} of {found.lines - found.kept} lines placed",
        f"onset p95 {sync.onset_p95_ms:.0f} ms",
        f"tempo {100 * sync.tempo_within_5:.0f} % within ±5 %",
    ]
    if found.kept:
        parts.insert(1, f"{found.kept} kept original")
    if mix:
        source = f"source {mix.source_lufs:.1f}"
        asked = "" if mix.target_lufs == mix.source_lufs else f", asked {mix.target_lufs:.1f}"
        parts.append(f"loudness {mix.loudness_lufs:.1f} LUFS ({source}{asked})")
    return f"{found.language}: {', '.join(parts)}"


@dataclass(frozen=True, slots=True)
class StageTime:
    """Duration and memory of a stage, and whether its result was reused this time.

    Attributes:
        seconds: of the run that made it; None where that is not known.
        memory: measured in that run; None where that is not known.
    """

    stage: str
    seconds: float | None
    reused: bool
    memory: MemoryNote | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """Line that could not be dubbed, by name; the original is audible there."""

    language: str
    index: int
    speaker: str
    start_s: float
    end_s: float
    name: str
    source_text: str
    text: str
    message: str


@dataclass(frozen=True, slots=True)
class SpeakerSummary:
    """Speaker with the amount of their speech, their voice reference and their stock voices."""

    profile: SpeakerProfile
    lines: int
    speech_s: float
    ref: RefNote
    voices: Mapping[str, CastVoice] = field(default_factory=dict[str, CastVoice])


@dataclass(frozen=True, slots=True)
class Report:
    """Report of a finished video.

    Attributes:
        evidence: the artifacts it was made from.
        kinds: number of the script's segments by kind.
        gate: the state of the film before its gate, and `figures`, by which it was judged.
        summary: a few short lines for a terminal.
    """

    video: Video
    stages: tuple[StageTime, ...]
    evidence: Evidence
    languages: tuple[LanguageQuality, ...]
    film: tuple[Measure, ...]
    failures: tuple[Failure, ...]
    speakers: tuple[SpeakerSummary, ...]
    kinds: Mapping[str, int]
    gate: Gate
    figures: Figures
    summary: tuple[str, ...]

    @property
    def measures(self) -> tuple[Measure, ...]:
        """Every quality figure, those of the tracks first."""
        return (*(row for found in self.languages for row in found.measures), *self.film)

    @property
    def total_s(self) -> float:
        """Seconds of all stages together, when they were made."""
        return round(sum(stage.seconds or 0.0 for stage in self.stages), 3)

    @property
    def segments(self) -> Mapping[int, Segment]:
        """Segments of the script by index."""
        return {segment.index: segment for segment in self.evidence.script.segments}


def _edit_lines(evidence: Evidence) -> Iterator[str]:
    if evidence.corrected:
        yield f"corrected by hand: {', '.join(evidence.corrected)}"
    if refused := evidence.production.refusals:
        more = f" (and {len(refused) - _NAMED_LINES} more)" if len(refused) > _NAMED_LINES else ""
        yield f"edits that could not be had: {'; '.join(refused[:_NAMED_LINES])}{more}"
