"""How good a dub is: every figure of the project's targets that its artifacts can tell.

Figures are taken from spans, from the sample counts of the files and from what the mixer and the
muxer found in what they wrote; not from what a stage said that it had planned. The bounds are those
of ``targets.md``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from statistics import fmean

from dubarr_pipeline.media.mix_options import TARGETS
from dubarr_pipeline.production.results import FAILED, KEPT_ORIGINAL, ProducedLine
from dubarr_pipeline.reports.evidence import Evidence, TrackNote
from dubarr_pipeline.reports.measure import Measure
from dubarr_pipeline.timeline.isochrony import DubbedLine, Isochrony, measure, percentile
from dubarr_pipeline.timeline.spans import Span

FITTING_DRAFT = (Fraction("0.90"), Fraction("1.05"))
"""Share of its budget that a draft should fill by prediction, both ends included."""
_LEARNED_AFTER = 10


@dataclass(frozen=True, slots=True)
class LanguageQuality:
    """The quality of one track.

    Attributes:
        placed, kept, failed: of all `lines`; the rest is in `nameless`.
        nameless: lines without a take, a reason to keep the original, or a failure's name.
    """

    language: str
    lines: int
    placed: int
    kept: int
    failed: int
    nameless: int
    isochrony: Isochrony
    measures: tuple[Measure, ...]


def language_quality(found: Evidence, language: str) -> LanguageQuality:
    """Measure one track."""
    lines, rate = found.lines(language), found.production.rate
    dubbed = [_dubbed(line, found) for line in lines if line.placed]
    sync = measure(dubbed, rate, [line.span for line in found.script.lines])
    nameless = _nameless(found, lines)
    measures = [
        *_sync_measures(sync),
        *_loss_measures(found, language, nameless),
        *_draft_measures(found, lines),
        *_loudness_measures(found, found.mixes.get(language)),
    ]
    return LanguageQuality(
        language=language,
        lines=len(lines),
        placed=len(dubbed),
        kept=sum(line.outcome == KEPT_ORIGINAL for line in lines),
        failed=sum(bool(failure_name(line)) for line in lines),
        nameless=nameless,
        isochrony=sync,
        measures=tuple(replace(row, language=language) for row in measures),
    )


def film_measures(found: Evidence) -> tuple[Measure, ...]:
    """Measure what belongs to the finished file, not to one track."""
    proven = sum(row.source_index is not None for row in found.mux.streams)
    shown = [row for row in found.mux.streams if row.source_index is not None and not row.proof]
    return (
        Measure("original streams changed", len(shown), "", 0, 0, basis=f"{proven} proven"),
        Measure(
            "streams that Matroska cannot hold as they are",
            len(found.mux.converted),
            "",
            None,
            0,
            basis="each is named, with what was done",
        ),
        Measure(
            "offset against the picture", found.mux.max_offset_ms, "ms", 5, 1, basis="mux.json"
        ),
    )


def failure_name(line: ProducedLine) -> str:
    """The name of a line's failure; empty if it did not fail."""
    return line.outcome.removeprefix(FAILED) if line.outcome.startswith(FAILED) else ""


def _dubbed(line: ProducedLine, found: Evidence) -> DubbedLine:
    """A placed line, as long as its sound really is."""
    samples = found.sound_samples.get((line.language, line.index)) or 0
    heard = Span(line.start, line.start + samples)
    return DubbedLine(line.speaker, line.source, heard, line.window, line.tempo)


def _sync_measures(sync: Isochrony) -> list[Measure]:
    within_5, within_10 = 100 * sync.tempo_within_5, 100 * sync.tempo_within_10
    starts, tempos = f"starts of {sync.lines} placed takes", f"{sync.lines} placed takes"
    sounds = "sample counts of the files"
    return [
        Measure("onset against the original, p95", sync.onset_p95_ms, "ms", None, 40, basis=starts),
        Measure("onset against the original, p99", sync.onset_p99_ms, "ms", basis=starts),
        Measure("duration match (IWSLT)", sync.overlap_score, "", 0.75, 0.90, "higher", sounds),
        Measure("speech time with a dub", 100 * sync.voiced_share, "%", 85, 93, "higher", sounds),
        Measure("same-speaker overlaps", sync.same_speaker_overlaps, "", 0, 0, basis=sounds),
        Measure("lines that leave their window", sync.overruns, "", 0, 0, basis=sounds),
        Measure("tempo outside 0.85-1.20", sync.tempo_outside, "", 0, 0, basis=tempos),
        Measure("tempo within ±5 %", within_5, "%", None, 80, "higher", tempos),
        Measure("tempo within ±10 %", within_10, "%", None, 99, "higher", tempos),
    ]


def _loss_measures(found: Evidence, language: str, nameless: int) -> list[Measure]:
    lines = [line for line in found.lines(language) if line.placed]
    mix = found.mixes.get(language)
    return [
        Measure(
            "lines lost without a name", nameless, "", 0, 0, basis="script, segments and files"
        ),
        Measure("takes cut short", _cut(found, lines, mix), "", 0, 0, basis="files and mix"),
        Measure(
            "takes not at their planned sample",
            _misplaced(lines, mix),
            "",
            0,
            0,
            basis="starts in the mix",
        ),
    ]


def _nameless(found: Evidence, lines: Sequence[ProducedLine]) -> int:
    """Lines of the script that ended neither in a sound that is there, nor by name."""
    ended = {line.index for line in lines if _has_ended(line, found)}
    return sum(segment.index not in ended for segment in found.script.lines)


def _has_ended(line: ProducedLine, found: Evidence) -> bool:
    if line.placed:
        return bool(found.sound_samples.get((line.language, line.index)))
    return line.outcome == KEPT_ORIGINAL or bool(failure_name(line))


def _cut(found: Evidence, lines: Iterable[ProducedLine], mix: TrackNote | None) -> int:
    """Takes whose sound is not as long as planned, or reaches over the film's ends."""
    short = sum(
        found.sound_samples.get((line.language, line.index)) != line.length for line in lines
    )
    return short + (mix.cut_lines if mix else 0)


def _misplaced(lines: Sequence[ProducedLine], mix: TrackNote | None) -> int:
    """Placed lines that the mix does not have with this speaker at this very sample."""
    heard = Counter((line.start, line.speaker) for line in mix.lines) if mix else Counter()
    planned = Counter((line.start, line.speaker) for line in lines)
    return (planned - heard).total()


def _draft_measures(found: Evidence, lines: Sequence[ProducedLine]) -> list[Measure]:
    spoken = [line for line in lines if line.takes]
    counts = [len(line.takes) for line in spoken]
    fits = [_draft_fits(line) for line in spoken if line.budget_s]
    mean, basis = fmean(counts) if counts else 0.0, f"{len(spoken)} spoken lines"
    rows = [
        Measure("takes per line", mean, "", 1.5, 1.15, basis=basis),
        Measure("takes per line, p95", percentile(counts, 95), "", None, 2, basis=basis),
        Measure("most takes of a line", max(counts, default=0), "", 3, basis=basis),
    ]
    if fits:
        share = 100 * fmean(fits)
        basis = f"first drafts of {len(fits)} lines: 0.90-1.05 of the budget"
        rows.append(Measure("drafts predicted to fit", share, "%", 80, 92, "higher", basis))
    return [*rows, *_prediction_error(found, spoken)]


def _draft_fits(line: ProducedLine) -> bool:
    """Whether the first draft was predicted to fill its budget, without rounding at the limits.

    An engine that can be asked for a duration is predicted to take what it is asked for, which is
    never outside the rates at which it is understood.
    """
    low, high = (share * Fraction(str(line.budget_s)) for share in FITTING_DRAFT)
    first = line.takes[0]
    predicted_s = first.predicted_s if first.asked_s is None else first.asked_s
    return low <= Fraction(str(predicted_s)) <= high


def _prediction_error(found: Evidence, spoken: Sequence[ProducedLine]) -> list[Measure]:
    """How far predicted lengths lie from natural takes, after ten lines of a voice.

    A voice that was asked for a duration does not tell its natural one, and a short film has no ten
    lines of a voice; then the production's own figure, over all languages, is shown beside the
    target, which it need not reach.
    """
    name, natural = "length prediction error", [x for x in spoken if x.takes[0].asked_s is None]
    voices: Counter[str] = Counter()
    errors: list[float] = []
    for line in natural:
        voices[line.speaker] += 1
        take = line.takes[0]
        if voices[line.speaker] > _LEARNED_AFTER and take.duration_s:
            errors.append(abs(take.predicted_s / take.duration_s - 1))
    if errors:
        basis = f"{len(errors)} natural takes after {_LEARNED_AFTER} lines of a voice"
        return [Measure(name, 100 * fmean(errors), "%", 12, 8, basis=basis)]
    error = found.production.stats.prediction_error
    basis = "the production's own, all languages, first lines included"
    return [] if error is None else [Measure(name, 100 * error, "%", None, 8, basis=basis)]


def _loudness_measures(found: Evidence, mix: TrackNote | None) -> list[Measure]:
    if mix is None:
        return []
    basis = (
        f"{mix.loudness_lufs:.2f} LUFS, asked for {mix.target_lufs:.2f}; on the {mix.measured_on}"
    )
    ceiling = _ceiling_dbtp(found, mix)
    return [
        Measure("loudness off its target", abs(mix.miss_lu), "LU", 1.0, 0.2, basis=basis),
        Measure("true peak", mix.true_peak_dbtp, "dBTP", None, ceiling, basis=mix.measured_on),
        Measure("samples over full scale", mix.clipped_samples, "", 0, 0, basis="the mix"),
    ]


def _ceiling_dbtp(found: Evidence, mix: TrackNote) -> float:
    """The highest peak that the loudness preset allows; a film's own peaks may stay."""
    for preset in TARGETS.values():
        if mix.target_lufs == preset.programme_lufs:
            return preset.true_peak_dbtp
    return max(-1.0, found.sound.audio.true_peak_dbtp)
