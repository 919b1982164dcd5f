"""Quality of a dub: every figure of the project's targets that its artifacts can give.

Figures come from spans, from the sample counts of the files, and from the mixer's and the muxer's
measurements of their own output, not from a stage's plans.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from statistics import fmean
from typing import Literal

from dubarr_pipeline.media.mix.options import TARGETS
from dubarr_pipeline.reports.evidence import Evidence, HearingNote, TrackNote
from dubarr_pipeline.script.cues.layout import DETECTOR_PAD_S
from dubarr_pipeline.script.fit.fitting import times
from dubarr_pipeline.segments.results import FAILED, KEPT_ORIGINAL, LineResult
from dubarr_pipeline.spans import Span, complement, intersect, to_samples
from dubarr_pipeline.text.tables import read_table
from dubarr_pipeline.timing import isochrony
from dubarr_pipeline.timing.isochrony import DubbedLine, Isochrony, percentile

FITTING_DRAFT = (Fraction("0.90"), Fraction("1.05"))
"""Share of its budget that a draft should fill by prediction, both ends included."""
_LEARNED_AFTER = 10
_NAMED_TIMES = 8


@dataclass(frozen=True, slots=True)
class LanguageQuality:
    """Quality of one track.

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
    dubbed: list[DubbedLine] = []
    for line in (line for line in lines if line.placed):
        # As long as its sound really is, by its file.
        samples = found.sound_samples.get((line.language, line.index)) or 0
        heard = Span(line.start, line.start + samples)
        dubbed.append(DubbedLine(line.speaker, line.source, heard, line.window, line.tempo))
    # Measured on the detected speech, not on the script; songs and sounds stay as they are.
    kept = [each.span for each in found.script.segments if each.kind != "speech"]
    pad = to_samples(DETECTOR_PAD_S, found.sound.audio.rate)
    speech = [s.pad(-pad, -pad) if s.length > 4 * pad else s for s in found.sound.speech]
    end = max((span.end for span in speech), default=0)
    sync = isochrony.measure(dubbed, rate, intersect(speech, complement(kept, Span(0, end))))
    # Lines of the script that ended neither in an existing sound nor by name.
    named = {x.index for x in lines if x.outcome == KEPT_ORIGINAL or failure_name(x)}
    sounding = {x.index for x in lines if found.sound_samples.get((x.language, x.index))}
    ended = named | (sounding & {x.index for x in lines if x.placed})
    nameless = sum(segment.index not in ended for segment in found.script.lines)
    measures = [
        *_sync_measures(sync),
        *_loss_measures(found, language, nameless),
        *_draft_measures(found, lines),
        *_loudness_measures(found, found.mixes.get(language)),
        *_hearing_measures(found.heard.get(language)),
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
    covered, rate, mux = found.coverage, found.script.rate, found.mux
    proven = sum(row.source_index is not None for row in mux.streams)
    shown = [row for row in mux.streams if row.source_index is not None and not row.proof]
    uncovered = times(covered.uncovered, rate) or "the detected speech"
    unspoken = times(covered.unspoken, rate) or f"{covered.lines} lines"
    converted = "streams that Matroska cannot hold as they are"
    return (
        measure("speech that nobody wrote down", 100 * covered.uncovered_share, uncovered),
        measure("lines under which nobody speaks", 100 * covered.unspoken_share, unspoken),
        measure("original streams changed", len(shown), f"{proven} proven"),
        measure(converted, len(mux.converted), "each is named, with what was done"),
        measure("offset against the picture", mux.max_offset_ms, "mux.json"),
    )


def failure_name(line: LineResult) -> str:
    """Return the name of a line's failure; empty if it did not fail."""
    return line.outcome.removeprefix(FAILED) if line.outcome.startswith(FAILED) else ""


def _sync_measures(sync: Isochrony) -> list[Measure]:
    starts, tempos = f"starts of {sync.lines} placed takes", f"{sync.lines} placed takes"
    sounds = "sample counts of the files"
    return [
        measure("onset against the original, p95", sync.onset_p95_ms, starts),
        measure("onset against the original, p99", sync.onset_p99_ms, starts),
        measure("duration match (IWSLT)", sync.overlap_score, sounds),
        measure("speech time with a dub", 100 * sync.voiced_share, sounds),
        measure("same-speaker overlaps", sync.same_speaker_overlaps, sounds),
        measure("lines that leave their window", sync.overruns, sounds),
        measure("tempo outside 0.85-1.20", sync.tempo_outside, tempos),
        measure("tempo within ±5 %", 100 * sync.tempo_within_5, tempos),
        measure("tempo within ±10 %", 100 * sync.tempo_within_10, tempos),
    ]


def _loss_measures(found: Evidence, language: str, nameless: int) -> list[Measure]:
    lines = [line for line in found.lines(language) if line.placed]
    mix = found.mixes.get(language)
    short = sum(
        found.sound_samples.get((line.language, line.index)) != line.length for line in lines
    )
    # Those that reach over the film's ends have lost samples.
    cut = short + sum(bool(line.lost_samples) for line in (mix.lines if mix else ()))
    heard = Counter((line.start, line.speaker) for line in mix.lines) if mix else Counter()
    misplaced = (Counter((line.start, line.speaker) for line in lines) - heard).total()
    return [
        measure("lines lost without a name", nameless, "script, segments and files"),
        measure("takes cut short", cut, "files and mix"),
        measure("takes not at their planned sample", misplaced, "starts in the mix"),
    ]


def _draft_measures(found: Evidence, lines: Sequence[LineResult]) -> list[Measure]:
    spoken = [line for line in lines if line.takes]
    counts = [len(line.takes) for line in spoken]
    fits: list[bool] = []
    for line in spoken:
        if line.budget_s:
            low, high = (share * Fraction(str(line.budget_s)) for share in FITTING_DRAFT)
            # An engine that takes a requested duration is predicted to take just that, which is
            # never outside the rates at which it is intelligible. Nothing is rounded.
            first = line.takes[0]
            predicted_s = first.predicted_s if first.asked_s is None else first.asked_s
            fits.append(low <= Fraction(str(predicted_s)) <= high)
    mean, basis = fmean(counts) if counts else 0.0, f"{len(spoken)} spoken lines"
    rows = [
        measure("takes per line", mean, basis),
        measure("takes per line, p95", percentile(counts, 95), basis),
        measure("most takes of a line", max(counts, default=0), basis),
    ]
    if fits:
        share = 100 * fmean(fits)
        basis = f"first drafts of {len(fits)} lines: 0.90-1.05 of the budget"
        rows.append(measure("drafts predicted to fit", share, basis))
    return [*rows, *_prediction_error(found, spoken)]


def _prediction_error(found: Evidence, spoken: Sequence[LineResult]) -> list[Measure]:
    """Measure how far predicted lengths are from natural takes, after ten lines of a voice.

    A voice with a requested duration does not show its natural one, and a short film has no ten
    lines of a voice; then the stage's own figure, over all languages, is shown next to the target,
    which it need not reach.
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
        return [measure(name, 100 * fmean(errors), basis, must=12)]
    error = found.production.stats.prediction_error
    basis = "the production's own, all languages, first lines included"
    return [] if error is None else [measure(name, 100 * error, basis)]


def _loudness_measures(found: Evidence, mix: TrackNote | None) -> list[Measure]:
    if mix is None:
        return []
    basis = (
        f"{mix.loudness_lufs:.2f} LUFS, requested {mix.target_lufs:.2f}; on the {mix.measured_on}"
    )
    # Without a preset, a film's own peaks may stay.
    presets = [p for p in TARGETS.values() if mix.target_lufs == p.programme_lufs]
    own_dbtp = max(-1.0, found.sound.audio.true_peak_dbtp)
    ceiling = presets[0].true_peak_dbtp if presets else own_dbtp
    return [
        measure("loudness off its target", abs(mix.miss_lu), basis),
        measure("true peak", mix.true_peak_dbtp, mix.measured_on, target=ceiling),
        measure("samples over full scale", mix.clipped_samples, "the mix"),
    ]


def _hearing_measures(heard: HearingNote | None) -> list[Measure]:
    if heard is None:
        return []
    basis = f"the decoded track, {heard.speech_s:.1f} s of detected speech"
    muted_s = sum(end - start for start, end in heard.muted_s)
    original_s = max(0.0, heard.speech_s - heard.dubbed_s - muted_s)
    mute, both = (
        f"{basis}; {_times(starts)}" if starts else basis
        for starts in ([start for start, _ in heard.muted_s], heard.doubled_s)
    )
    rows = [
        measure("speech with neither dub nor original voice", muted_s, mute),
        measure("speech in its original voice", original_s, basis),
        measure("takes with the original voice under them", len(heard.doubled_s), both),
    ]
    if heard.original_left_db is not None:
        rows.append(measure("original voice left under the dub", heard.original_left_db, basis))
    return rows


def _times(starts: Sequence[float]) -> str:
    more = ", …" if len(starts) > _NAMED_TIMES else ""
    return "at " + ", ".join(f"{start:.1f} s" for start in starts[:_NAMED_TIMES]) + more


Better = Literal["lower", "higher"]
Grade = Literal["target", "must", "missed", "shown"]
"""Target met; only the must met; not even the must met; no bounds to meet."""


@dataclass(frozen=True, slots=True)
class Measure:
    """Quality figure and its bounds.

    Attributes:
        language: of the track, or None if it is about the whole file.
        must, target: the bounds of the project's targets; None where there is none.
        basis: the data it was measured on.
    """

    name: str
    value: float
    unit: str
    must: float | None = None
    target: float | None = None
    better: Better = "lower"
    basis: str = ""
    language: str | None = None

    @property
    def met(self) -> Grade:
        """Grade of the figure against its bounds."""
        if self.must is None and self.target is None:
            return "shown"
        if self.must is not None and not self._meets(self.must):
            return "missed"
        return "target" if self.target is None or self._meets(self.target) else "must"

    def _meets(self, bound: float) -> bool:
        return self.value <= bound if self.better == "lower" else self.value >= bound

    def words(self) -> str:
        """Return the figure with its unit: ``12 ms``, ``94.1 %``."""
        return f"{figure(self.value)} {self.unit}".rstrip()


def measure(name: str, value: float, basis: str, **bounds: float) -> Measure:
    """Return a figure with the unit and the bounds that ``targets.toml`` gives it, or its own."""
    known = read_table(__package__ or "", "targets")[name]
    return Measure(name, value, basis=basis, **{**known, **bounds})


def figure(value: float | None) -> str:
    """Return a number with decimals that suit its size; a dash for none."""
    if value is None or not math.isfinite(value):
        return "-"
    if value == round(value):
        return f"{value:.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
