"""The report in a few lines, for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from dubarr_pipeline.reports.contents import Failure, Report, StageTime
from dubarr_pipeline.reports.measure import Measure, figure
from dubarr_pipeline.reports.quality import LanguageQuality

_NAMED_LINES = 8


def summary(report: Report) -> tuple[str, ...]:
    """Return the report as short lines: each track, its failures, the streams, what was missed."""
    lines = [_language_line(report, found) for found in report.languages]
    for language in report.languages:
        failed = [f for f in report.failures if f.language == language.language]
        if failed:
            lines.append(_failure_line(language.language, failed))
    mux = report.evidence.mux
    kept = sum(row.source_index is not None for row in mux.streams)
    offset = f"at most {mux.max_offset_ms:.2f} ms off"
    other = f"{len(mux.converted)} converted by name, " if mux.converted else ""
    lines.append(f"{kept} original streams identical, {other}{offset}")
    lines += [_missed_line(row) for row in report.measures if row.met == "missed"]
    stats = report.evidence.production.stats
    if stats.tokens:
        lines.append(f"language model: {stats.tokens} tokens, {stats.tokens_per_s:.1f} tokens/s")
    lines += [line for stage in report.stages for line in _memory_lines(stage)]
    kept_stages = sum(stage.reused for stage in report.stages)
    lines.append(
        f"{report.total_s:.1f} s of work; {kept_stages} of {len(report.stages)} stages kept"
    )
    return tuple(lines)


def _memory_lines(stage: StageTime) -> list[str]:
    """Where memory ran out and how it went on, and what was not given back."""
    if stage.memory is None:
        return []
    steps = [
        f"{stage.stage}: {step.engine} ran out of memory with {step.left}; "
        f"went on with {step.taken}"
        for step in stage.memory.steps_down
    ]
    return [*steps, *(f"{stage.stage}: {fault}" for fault in stage.memory.faults)]


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


def _failure_line(language: str, failed: Sequence[Failure]) -> str:
    names = ", ".join(f"{n} {name}" for name, n in Counter(f.name for f in failed).most_common())
    shown = ", ".join(str(f.index) for f in failed[:_NAMED_LINES])
    more = ", …" if len(failed) > _NAMED_LINES else ""
    return f"{language}: {len(failed)} failed ({names}): lines {shown}{more}"


def _missed_line(row: Measure) -> str:
    side = "at most" if row.better == "lower" else "at least"
    where = f"{row.language}: " if row.language else ""
    return f"{where}missed: {row.name} {row.words()}, must be {side} {figure(row.must)}"
