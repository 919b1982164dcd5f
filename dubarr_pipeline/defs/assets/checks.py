"""Asset checks: faults that a listener would notice, red in the UI with their figures.

They read the artifacts, so that a reused result shows them like a new one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from dubarr_pipeline.compute.memory import MemoryNote
from dubarr_pipeline.defs.runtime.records import rounded
from dubarr_pipeline.files import read_json
from dubarr_pipeline.reports.heard import is_unheard, loudness_miss_lu
from dubarr_pipeline.reports.quality import failure_name
from dubarr_pipeline.script.fit.fitting import times
from dubarr_pipeline.script.fit.values import coverage
from dubarr_pipeline.segments.results import LineResult, read_segments
from dubarr_pipeline.workdir.artifacts import read_cues_document, read_sound, read_transcript

if TYPE_CHECKING:
    from dubarr_pipeline.defs.runtime.stage_run import StageContext

MEMORY = "memory_returned"
TEMPO_LOWEST, TEMPO_HIGHEST = 0.85, 1.20
LOUDNESS_WITHIN_LU = 1.0
"""The "must" of the targets, against the preset or the source."""
STEP_MS = 1.0
BED_NULL_DB = {"flac": -90.0}
"""24-bit FLAC differs from the float samples by less than -100 dB. Lossy codecs leave -5 to -20 dB
of noise; another sound, or one that is a few samples off, leaves 0 dB and more."""
_LOSSY_NULL_DB, _BED_LEVEL_DB = -3.0, 1.0
_NO_PLACE = "not compared: no place without speech has an audible bed"
PEAK_WITHIN_DB = {"source": 1.0}
"""Lossy codecs raise peaks; a delivery standard is met, to the meter's tenth, by another pass."""
_PEAK_WITHIN_DB = 0.1


def results_of(context: StageContext) -> list[dg.AssetCheckResult]:
    """Run the checks of a stage's product; none where the table of stages names none."""
    checks = {"transcript": of_transcript, "segments": of_segments, "mix": of_mix, "mux": of_mux}
    run = checks.get(context.stage.name)
    return [*run(context)] if run else []


def of_memory(note: MemoryNote | None) -> dg.AssetCheckResult:
    """Check that a stage gave its memory back; a result without figures passes."""
    if note is None:
        return dg.AssetCheckResult(check_name=MEMORY, passed=True, metadata={"measured": False})
    return _result(
        MEMORY,
        not note.faults,
        grown_mb=note.kept.rss_bytes / 1e6,
        processes_mb=note.kept.child_bytes / 1e6,
        vram_mb=note.kept.vram_bytes / 1e6,
        faults="; ".join(note.faults) or "none",
    )


def of_transcript(context: StageContext) -> Sequence[dg.AssetCheckResult]:
    """Check the script against the detected speech."""
    work, options = context.work, context.settings.script
    script, placement = read_transcript(work.transcription), read_cues_document(work.cues).placement
    rate = script.rate
    covered = coverage(script.segments, read_sound(work.speech).speech, rate)
    left_out = Counter(cue.reason for cue in placement.left_out)
    fitting = _result(
        "script_fits_the_film",
        placement.verdict in (None, "fits", "mapped"),
        verdict=placement.verdict or "not compared",
        how=placement.words,
        confidence=placement.confidence,
        left_out="; ".join(f"{count} {reason}" for reason, count in left_out.items()) or "none",
        nobody_heard=times(placement.unheard, rate) or "none",
    )
    if placement.verdict == "unsure":
        fitting = fitting._replace(severity=dg.AssetCheckSeverity.WARN)
    unwritten, silent = covered.uncovered_share, covered.unspoken_share
    where = {"share": round(unwritten, 3), "uncovered": times(covered.uncovered, rate) or "none"}
    who = {"share": round(silent, 3), "nobody_speaks": times(covered.unspoken, rate) or "none"}
    certain = _result(
        "language_is_certain",
        not script.language_doubt,
        language=script.language,
        doubt=script.language_doubt or "none",
    )
    return [
        fitting,
        certain._replace(severity=dg.AssetCheckSeverity.WARN),
        _result("speech_is_written_down", unwritten <= options.uncovered_share, **where),
        _result("lines_are_spoken", silent <= options.unspoken_share, **who),
    ]


def of_segments(context: StageContext) -> Sequence[dg.AssetCheckResult]:
    """Check the lines."""
    lines = [line for made in read_segments(context.work).languages.values() for line in made]
    known = [x for x in lines if x.outcome in ("placed", "kept_original") or failure_name(x)]
    failed = [
        f"{x.language} {x.index}: {failure_name(x)} {x.message}" for x in lines if failure_name(x)
    ]
    flagged = [f"{x.language} {x.index}: {', '.join(x.flags)}" for x in lines if x.flags]
    placed = [line for line in lines if line.placed]
    named = {"which": "; ".join(failed[:20]), "flagged": "; ".join(flagged[:20])}
    odd = [x for x in placed if not TEMPO_LOWEST <= x.tempo <= TEMPO_HIGHEST]
    return [
        _result("every_line_has_an_outcome", len(known) == len(lines), lines=len(lines)),
        _result("no_line_failed", not failed, failed=len(failed), **named),
        _result("no_speaker_overlaps_themself", not _overlaps(placed), overlaps=_overlaps(placed)),
        _result("tempo_is_natural", not odd, outside=len(odd)),
    ]


def of_mix(context: StageContext) -> Sequence[dg.AssetCheckResult]:
    """Check the tracks by the mixer's report and by measures of the finished file."""
    tracks = read_json(context.work.mix_report)["tracks"]
    cut = sum(bool(n["lost_samples"]) for t in tracks.values() for n in t["report"]["lines"])
    clipped = sum(t["report"]["clipped_samples"] for t in tracks.values())
    silent = [
        f"{language} at {line['start'] / t['report']['rate']:.1f} s"
        for language, t in tracks.items()
        for line, gain in zip(t["report"]["lines"], t["proof"]["line_gains_db"], strict=True)
        if is_unheard(gain, line["dub_lufs"], t["report"].get("limited_db", 0.0))
    ]
    together = sum(t["proof"].get("heard_together", 0) for t in tracks.values())
    unheard = {"silent": "; ".join(silent[:20]), "told_only_with_others_at_once": together}
    options = context.settings.mix
    within = PEAK_WITHIN_DB.get(options.loudness, _PEAK_WITHIN_DB)
    peaks = {name: track["proof"]["true_peak_dbtp"] for name, track in tracks.items()}
    limits = {name: track["report"]["ceiling_dbtp"] for name, track in tracks.items()}
    passed = all(peak <= limits[name] + within for name, peak in peaks.items())
    figures = {f"dbtp_{name}": round(peak, 2) for name, peak in peaks.items()}
    return [
        _result("every_line_is_audible", not silent, **unheard),
        _result("no_line_is_cut", not cut, cut=cut),
        _loudness(tracks),
        _result("true_peak_in_bounds", passed, **figures, ceiling_dbtp=max(limits.values())),
        _result("nothing_clips", not clipped, clipped_samples=clipped),
        _bed(tracks),
        _in_step(tracks),
        *_as_heard(tracks, options.preset),
    ]


def _loudness(tracks: Mapping[str, Any]) -> dg.AssetCheckResult:
    """Check the decoded file's loudness; a dialogue-gated one only the mixer can measure."""
    off = {}
    for language, track in tracks.items():
        report, measured = track["report"], track["proof"]["loudness_lufs"]
        mixed = [report[name] for name in ("target_lufs", "loudness_lufs", "miss_lu")]
        off[f"miss_lu_{language}"] = round(loudness_miss_lu(measured, *mixed), 2)
    passed = all(abs(value) <= LOUDNESS_WITHIN_LU for value in off.values())
    return _result("loudness_on_target", passed, **off)


def _bed(tracks: Mapping[str, Any]) -> dg.AssetCheckResult:
    figures: dict[str, Any] = {}
    passed = True
    for language, track in tracks.items():
        null_db, report = track["proof"]["bed_null_db"], track["report"]
        if null_db is None:
            figures[f"not_compared_{language}"] = _NO_PLACE
            continue
        level_db = track["proof"]["bed_gain_db"] - report["gain_db"]
        passed &= null_db <= BED_NULL_DB.get(report["codec"], _LOSSY_NULL_DB)
        passed &= abs(level_db) <= _BED_LEVEL_DB
        figures[f"null_db_{language}"] = round(null_db, 1)
        figures[f"level_db_{language}"] = round(level_db, 2)
    return _result("bed_untouched", passed, **figures)


def heard_figures(tracks: Mapping[str, Any]) -> dict[str, float | None]:
    """Return what the proof heard, by language, for the UI."""
    figures: dict[str, float | None] = {}
    for language, track in tracks.items():
        muted_s = sum(end - start for start, end in track["proof"]["muted_s"])
        figures[f"muted_s_{language}"] = round(muted_s, 3)
        figures[f"original_left_db_{language}"] = track["proof"]["original_left_db"]
    return {name: value for name, value in figures.items() if value is not None}


def _as_heard(tracks: Mapping[str, Any], preset: str) -> list[dg.AssetCheckResult]:
    """Check that speech has a dub or its original voice, and not both."""
    muted: list[str] = []
    doubled: list[str] = []
    for language, track in tracks.items():
        muted += [f"{language} at {at:.1f} s" for at, _ in track["proof"]["muted_s"]]
        doubled += [f"{language} at {at:.1f} s" for at in track["proof"]["doubled_s"]]
    figures, single = heard_figures(tracks), preset == "voice-over" or not doubled
    return [
        _result("nothing_muted", not muted, muted="; ".join(muted[:20]), **figures),
        _result("one_voice_at_a_time", single, doubled="; ".join(doubled[:20]), **figures),
    ]


def _in_step(tracks: Mapping[str, Any]) -> dg.AssetCheckResult:
    offsets = {name: track["proof"]["offset_ms"] for name, track in tracks.items()}
    passed = all(offset is None or offset <= STEP_MS for offset in offsets.values())
    figures: dict[str, Any] = {
        f"offset_ms_{n}": round(ms, 3) for n, ms in offsets.items() if ms is not None
    }
    figures |= {f"not_compared_{n}": _NO_PLACE for n, ms in offsets.items() if ms is None}
    return _result("in_step", passed, **figures)


def dubbed_languages(context: StageContext) -> list[str]:
    """Return the target languages that are dubbed: without those that failed."""
    made = read_segments(context.work)
    failed = made.failed_languages(context.settings.segments.least_placed)
    return [language for language in context.video.target_langs if language not in failed]


def of_mux(context: StageContext) -> Sequence[dg.AssetCheckResult]:
    """Check the finished file by its proof."""
    report = read_json(context.work.mux_report)
    original = [row for row in report["streams"] if row["source_index"] is not None]
    ours = [flags for flags in report["flags"] if flags["new"] and flags["kind"] == "audio"]
    languages = [flags["language"] for flags in ours]
    defaults = [flags["language"] for flags in ours if "default" in flags["flags"]]
    options = context.settings.mux
    asked = {int(options.default_policy == "dub")}
    if options.original_audio == "replace":
        asked = {0, 1}
    # Files next to the film hold only new tracks, and the film is not touched.
    alone = options.container == "mka"
    may_lack = alone or options.original_audio == "replace"
    identical = (bool(original) or may_lack) and all(row["proof"] for row in original)
    offset = {"max_offset_ms": round(report["max_offset_ms"], 3)}
    step = {**offset, "shift_s": round(report["shift_s"], 6)}
    flagged = languages == dubbed_languages(context) and len(defaults) in asked
    marks = {"languages": ",".join(languages), "default": ",".join(defaults) or "none"}
    return [
        _result(
            "original_streams_identical",
            identical,
            streams=len(original),
            packets=sum(row["packets"] for row in original),
            converted="; ".join(row["outcome"] for row in report["converted"]) or "none",
            **offset,
        ),
        _result("in_step_with_picture", report["max_offset_ms"] <= STEP_MS, **step),
        _result("new_tracks_flagged", flagged, **marks),
    ]


def track_table(tracks: Mapping[str, Any]) -> dg.MarkdownMetadataValue:
    """Return a table of the finished tracks for the UI."""
    rows: list[Sequence[object]] = []
    for language, track in tracks.items():
        r = track["report"]
        figures = (f"{r[n]:.1f}" for n in ("loudness_lufs", "target_lufs", "true_peak_dbtp"))
        sound = f"{r['codec']} {r['track_layout']}"
        rows.append((language, sound, *figures, "; ".join(r["notes"]) or "-"))
    return table(("language", "track", "LUFS", "target", "dBTP", "notes"), rows)


def stream_table(path: Path) -> dg.MarkdownMetadataValue:
    """Return a table of the finished file's streams and their proofs for the UI."""
    streams = read_json(path)["streams"]
    names = [key for key, value in streams[0].items() if not isinstance(value, list | dict)]
    return table(names, [[row[name] for name in names] for row in streams])


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> dg.MarkdownMetadataValue:
    """Return a Markdown table for the UI."""
    lines = (" | ".join(map(str, line)) for line in (head, ["---"] * len(head), *rows))
    return dg.MetadataValue.md("\n".join(f"| {line} |" for line in lines))


def _overlaps(placed: Sequence[LineResult]) -> int:
    """Count the lines that begin before their speaker's previous one has ended."""
    ends: dict[tuple[str, str], int] = {}
    count = 0
    for line in sorted(placed, key=lambda found: found.start):
        who = (line.language, line.speaker)
        count += line.start < ends.get(who, 0)
        ends[who] = max(ends.get(who, 0), line.start + line.length)
    return count


def _result(name: str, passed: bool, **figures: Any) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        check_name=name,
        passed=passed,
        severity=dg.AssetCheckSeverity.ERROR,
        metadata={k: value for k, value in rounded(figures).items() if value is not None},
    )
