"""Figures of a finished track that its gate bounds, measured on what is heard where that is known.

One more bound is a field of `GateOptions`, and a function here, in `_MEASURES`, that yields the
figure of its name.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from statistics import fmean

from dubarr_pipeline.library.gate import GateFigure
from dubarr_pipeline.reports.evidence import Evidence
from dubarr_pipeline.reports.heard import is_unheard, loudness_miss_lu
from dubarr_pipeline.reports.quality import LanguageQuality, failure_name
from dubarr_pipeline.script.fit.fitting import times
from dubarr_pipeline.script.recognition.word_alignment import word_error
from dubarr_pipeline.segments.results import KEPT_ORIGINAL, LineResult
from dubarr_pipeline.spans import to_seconds, total
from dubarr_pipeline.text.language_guess import (
    common_words,
    foreign_language,
    guess_language,
    is_copy,
)
from dubarr_pipeline.text.normalize import speakable

_EVEN_TEMPO = Fraction(1, 10)


@dataclass(frozen=True, slots=True)
class _JudgedTrack:
    """A finished track: what was found, its lines, and the originals' texts by index."""

    found: Evidence
    quality: LanguageQuality
    lines: Sequence[LineResult]
    sources: Mapping[int, str]

    @property
    def language(self) -> str:
        return self.quality.language

    @property
    def placed(self) -> list[LineResult]:
        return [line for line in self.lines if line.placed]

    def marks(self, lines: Sequence[LineResult]) -> dict[int, str]:
        """Return the lines at fault, by index, each with a digest of its texts."""
        texts = {line.index: f"{self.sources.get(line.index, '')}\0{line.text}" for line in lines}
        return {
            index: hashlib.blake2b(text.encode("utf-8", "replace"), digest_size=6).hexdigest()
            for index, text in sorted(texts.items())
        }


def gate_figures(found: Evidence, quality: LanguageQuality) -> tuple[GateFigure, ...]:
    """Measure one track for its gate; a figure that cannot be measured is left out."""
    sources = {segment.index: segment.text for segment in found.script.segments}
    track = _JudgedTrack(found, quality, found.lines(quality.language), sources)
    figures = (figure for measure in _MEASURES for figure in measure(track))
    return tuple(figure for figure in figures if math.isfinite(figure.value))


def _failed(track: _JudgedTrack) -> Iterator[GateFigure]:
    due = [line for line in track.lines if line.outcome != KEPT_ORIGINAL]
    unheard = _unheard(track)
    lost = [x for x in due if failure_name(x) or (x.placed and x.index in unheard)]
    silent = sum(line.placed for line in lost)
    count, whole = len(lost) + track.quality.nameless, len(due) or track.quality.nameless
    if whole:
        named = f"{count} of {whole} lines failed"
        words = f"{named}, {silent} of them not heard in the track" if silent else named
        yield GateFigure("failed_share", min(1.0, count / whole), words, track.marks(lost))


def _unheard(track: _JudgedTrack) -> set[int]:
    """Return the placed lines that the decoded track lets nobody hear, by index."""
    mix, heard = track.found.mixes.get(track.language), track.found.heard.get(track.language)
    if mix is None or heard is None:
        return set()
    silent = {
        (line.start, line.speaker)
        for line, gain_db in zip(mix.lines, heard.line_gains_db, strict=False)
        if is_unheard(gain_db, line.dub_lufs, mix.limited_db)
    }
    return {line.index for line in track.placed if (line.start, line.speaker) in silent}


def _undubbed(track: _JudgedTrack) -> Iterator[GateFigure]:
    covered, rate = track.found.coverage, track.found.script.rate
    seconds = to_seconds(total(covered.uncovered), rate)
    share, where = covered.uncovered_share, times(covered.uncovered, rate, 4)
    words = f"no line covers {100 * share:.1f} % of the speech, {where or '0 s'}"
    yield GateFigure("undubbed_share", share, words)
    yield GateFigure("undubbed_s", seconds, words)


def _muted(track: _JudgedTrack) -> Iterator[GateFigure]:
    if heard := track.found.heard.get(track.language):
        seconds = sum(end - start for start, end in heard.muted_s)
        places = ", ".join(f"{start:.1f} s" for start, _ in heard.muted_s[:4])
        words = f"{seconds:.1f} s of speech with neither dub nor original voice"
        yield GateFigure("muted_s", seconds, f"{words}, at {places}" if places else words)


def _misheard(track: _JudgedTrack) -> Iterator[GateFigure]:
    errors = [
        min(1.0, error)
        for line in track.placed
        if line.take and line.take.heard is not None
        for error in [
            word_error(speakable(line.take.heard, track.language), line.take.spoken),
        ]
        if error is not None
    ]
    if errors:
        mean = fmean(errors)
        words = f"the recogniser heard {100 * mean:.0f} % of {len(errors)} takes otherwise"
        yield GateFigure("word_error", mean, words)


def _overlaps(track: _JudgedTrack) -> Iterator[GateFigure]:
    count = track.quality.isochrony.same_speaker_overlaps
    yield GateFigure("overlaps", count, f"{count} times a speaker talks over themselves")


def _tempos(track: _JudgedTrack) -> Iterator[GateFigure]:
    if placed := track.placed:
        far = sum(abs(line.tempo - 1) > _EVEN_TEMPO for line in placed)
        words = f"{far} of {len(placed)} lines play more than 10 % faster or slower"
        yield GateFigure("tempo_share", far / len(placed), words, count=far)


def _loudness(track: _JudgedTrack) -> Iterator[GateFigure]:
    mix, heard = track.found.mixes.get(track.language), track.found.heard.get(track.language)
    if mix:
        measured = mix.loudness_lufs
        if heard and heard.loudness_lufs is not None:
            measured = heard.loudness_lufs
        miss = loudness_miss_lu(measured, mix.target_lufs, mix.loudness_lufs, mix.miss_lu)
        words = f"the track measures {abs(miss):.2f} LU off its target"
        yield GateFigure("loudness_miss_lu", abs(miss), words)


def _untranslated(track: _JudgedTrack) -> Iterator[GateFigure]:
    if not (placed := track.placed):
        return
    source = track.found.script.language
    wrong = [
        x
        for x in placed
        if foreign_language(x.text, track.language, source)
        or is_copy(x.text, track.sources.get(x.index, ""), track.language)
    ]
    # Short lines tell nothing alone, and a voice may say other words than are written.
    if _is_foreign((line.text for line in placed), track.language):
        wrong = placed
    heard = [line for line in placed if line.take and line.take.heard]
    if _is_foreign((x.take.heard or "" for x in heard if x.take), track.language):
        wrong = list({line.index: line for line in (*wrong, *heard)}.values())
    words = f"{len(wrong)} of {len(placed)} lines are not in the track's language"
    yield GateFigure("untranslated_share", len(wrong) / len(placed), words, track.marks(wrong))


def _is_foreign(texts: Iterable[str], language: str) -> bool:
    """Return whether lines together are surely in another language, with and without names."""
    lines = list(texts)
    common = [" ".join(common_words(line)) for line in lines]
    return all(guess_language(each).contradicts(language) for each in (lines, common))


_MEASURES: tuple[Callable[[_JudgedTrack], Iterator[GateFigure]], ...] = (
    _failed,
    _undubbed,
    _muted,
    _misheard,
    _overlaps,
    _tempos,
    _loudness,
    _untranslated,
)
