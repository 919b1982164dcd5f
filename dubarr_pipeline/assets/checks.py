"""Asset checks: what a listener would complain of, red in the UI with the figures.

They are told from the artifacts, so that a stage that is kept shows them as a stage that was made.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dagster as dg

from dubarr_pipeline.production.results import ProducedLine
from dubarr_pipeline.production.segments_file import read_segments
from dubarr_pipeline.records import stage_key
from dubarr_pipeline.workdir import read_json

if TYPE_CHECKING:
    from dubarr_pipeline.assets.stage import Bench
    from dubarr_pipeline.media.mix_options import MixOptions

TEMPO_LOWEST, TEMPO_HIGHEST = 0.85, 1.20
LOUDNESS_WITHIN_LU = 1.0
"""The "must" of the targets, against the preset or the source."""
AUDIBLE_DB = -10.0
"""A take this far under the gain that the mixer gave it, and the limiter left it, is not what was
mixed."""
STEP_MS = 1.0
BED_NULL_DB = {"flac": -90.0}
"""24 bits of FLAC leave less than -100 dB of float samples; lossy codecs leave -5 to -20 dB of
noise, and another sound, or one a few samples off, 0 dB and more."""
_LOSSY_NULL_DB, _BED_LEVEL_DB = -3.0, 1.0
_NO_PLACE = "not compared: no place without speech where the bed is heard"
PEAK_WITHIN_DB = {"source": 1.0}
"""Lossy codecs raise peaks; a delivery standard is met by another pass, to the meter's tenth."""
_PEAK_WITHIN_DB = 0.1


def _specs(stage: str, **described: str) -> list[dg.AssetCheckSpec]:
    return [
        dg.AssetCheckSpec(name, asset=stage_key(stage), description=text)
        for name, text in described.items()
    ]


SEGMENT_SPECS = _specs(
    "segments",
    every_line_has_an_outcome="Every line is a chosen take, kept by kind, or a named failure.",
    no_line_failed="No line failed: each failure is listed by name.",
    no_speaker_overlaps_themself="Nobody talks over themselves.",
    tempo_is_natural="Every placed take plays at 0.85 to 1.20 of its own tempo.",
)
MIX_SPECS = _specs(
    "mix",
    every_line_is_audible="Each placed line is heard in its window.",
    no_line_is_cut="No placed line is cut off at the film's ends.",
    loudness_on_target="Each track measures within 1 LU of its target.",
    true_peak_in_bounds="On the decoded file: no peak above the ceiling or the source's.",
    nothing_clips="No sample of the mix is over full scale.",
    bed_untouched="Where nobody speaks, the decoded track is the source's sound.",
    in_step="The decoded track lies within 1 ms of the source's sound.",
)
MUX_SPECS = _specs(
    "mux",
    original_streams_identical="Every original stream came through as it was.",
    in_step_with_picture="No stream moved against the picture by more than 1 ms.",
    new_tracks_flagged="Language, title and flags of the new tracks are right.",
)


def of_segments(bench: Bench) -> Sequence[dg.AssetCheckResult]:
    """Check the lines."""
    lines = [line for made in read_segments(bench.work).languages.values() for line in made]
    known = [x for x in lines if x.outcome in ("placed", "kept_original") or _failure(x)]
    failed = [f"{x.language} {x.index}: {_failure(x)} {x.message}" for x in lines if _failure(x)]
    placed = [line for line in lines if line.placed]
    odd = [x for x in placed if not TEMPO_LOWEST <= x.tempo <= TEMPO_HIGHEST]
    return [
        _result("every_line_has_an_outcome", len(known) == len(lines), lines=len(lines)),
        _result("no_line_failed", not failed, failed=len(failed), which="; ".join(failed[:20])),
        _result("no_speaker_overlaps_themself", not _overlaps(placed), overlaps=_overlaps(placed)),
        _result("tempo_is_natural", not odd, outside=len(odd)),
    ]


def of_mix(bench: Bench) -> Sequence[dg.AssetCheckResult]:
    """Check the tracks: by the mixer's report, and by what was heard of the finished file."""
    tracks = read_json(bench.work.mix_report)["tracks"]
    cut = sum(bool(n["lost_samples"]) for t in tracks.values() for n in t["report"]["lines"])
    clipped = sum(t["report"]["clipped_samples"] for t in tracks.values())
    silent = [place for language, t in tracks.items() for place in _unheard(language, t)]
    together = sum(t["proof"].get("heard_together", 0) for t in tracks.values())
    return [
        _result(
            "every_line_is_audible",
            not silent,
            silent="; ".join(silent[:20]),
            told_only_with_others_at_once=together,
        ),
        _result("no_line_is_cut", not cut, cut=cut),
        _loudness(tracks),
        _true_peak(tracks, bench.options("mix")),
        _result("nothing_clips", not clipped, clipped_samples=clipped),
        _bed(tracks),
        _step(tracks),
    ]


def _unheard(language: str, track: Mapping[str, Any]) -> list[str]:
    report = track["report"]
    return [
        f"{language} at {line['start'] / report['rate']:.1f} s"
        for line, gain_db in zip(report["lines"], track["proof"]["line_gains_db"], strict=True)
        if line["dub_lufs"] <= -70.0 or gain_db < AUDIBLE_DB + report.get("limited_db", 0.0)
    ]


def _loudness(tracks: Mapping[str, Any]) -> dg.AssetCheckResult:
    """On the decoded file; what is gated by dialogue only the mixer can measure."""
    off = {}
    for language, track in tracks.items():
        report, measured = track["report"], track["proof"]["loudness_lufs"]
        gated = abs(report["miss_lu"] + report["target_lufs"] - report["loudness_lufs"]) > 0.01
        missed = report["miss_lu"] if gated else measured - report["target_lufs"]
        off[f"miss_lu_{language}"] = round(missed, 2)
    passed = all(abs(value) <= LOUDNESS_WITHIN_LU for value in off.values())
    return _result("loudness_on_target", passed, **off)


def _true_peak(tracks: Mapping[str, Any], options: MixOptions) -> dg.AssetCheckResult:
    within = PEAK_WITHIN_DB.get(options.loudness, _PEAK_WITHIN_DB)
    peaks = {name: track["proof"]["true_peak_dbtp"] for name, track in tracks.items()}
    limits = {name: track["report"]["ceiling_dbtp"] for name, track in tracks.items()}
    passed = all(peak <= limits[name] + within for name, peak in peaks.items())
    figures = {f"dbtp_{name}": round(peak, 2) for name, peak in peaks.items()}
    return _result("true_peak_in_bounds", passed, **figures, ceiling_dbtp=max(limits.values()))


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


def _step(tracks: Mapping[str, Any]) -> dg.AssetCheckResult:
    found = {name: track["proof"]["offset_ms"] for name, track in tracks.items()}
    passed = all(offset is None or offset <= STEP_MS for offset in found.values())
    figures: dict[str, Any] = {
        f"offset_ms_{n}": round(ms, 3) for n, ms in found.items() if ms is not None
    }
    figures |= {f"not_compared_{n}": _NO_PLACE for n, ms in found.items() if ms is None}
    return _result("in_step", passed, **figures)


def of_mux(bench: Bench) -> Sequence[dg.AssetCheckResult]:
    """Check the finished file by what its proof found."""
    report = read_json(bench.work.mux_report)
    original = [row for row in report["streams"] if row["source_index"] is not None]
    ours = [flags for flags in report["flags"] if flags["new"] and flags["kind"] == "audio"]
    languages = [flags["language"] for flags in ours]
    defaults = [flags["language"] for flags in ours if "default" in flags["flags"]]
    asked = bench.options("mux").default_policy == "dub"
    # Files beside the film hold new tracks alone, and the film is not touched.
    alone = bench.options("mux").container == "mka"
    return [
        _result(
            "original_streams_identical",
            (bool(original) or alone) and all(row["proof"] for row in original),
            streams=len(original),
            packets=sum(row["packets"] for row in original),
            converted="; ".join(row["outcome"] for row in report["converted"]) or "none",
            max_offset_ms=round(report["max_offset_ms"], 3),
        ),
        _result(
            "in_step_with_picture",
            report["max_offset_ms"] <= STEP_MS,
            max_offset_ms=round(report["max_offset_ms"], 3),
            shift_s=round(report["shift_s"], 6),
        ),
        _result(
            "new_tracks_flagged",
            languages == list(bench.video.target_langs) and len(defaults) == (1 if asked else 0),
            languages=",".join(languages),
            default=",".join(defaults) or "none",
        ),
    ]


def track_table(tracks: Mapping[str, Any]) -> dg.MarkdownMetadataValue:
    """The finished tracks, for the UI."""
    rows = [
        f"| {lang} | {r['codec']} {r['track_layout']} | {r['loudness_lufs']:.1f} |"
        f" {r['target_lufs']:.1f} | {r['true_peak_dbtp']:.1f} | {'; '.join(r['notes']) or '-'} |"
        for lang, r in ((lang, track["report"]) for lang, track in tracks.items())
    ]
    head = "| language | track | LUFS | target | dBTP | notes |\n|---|---|---|---|---|---|\n"
    return dg.MetadataValue.md(head + "\n".join(rows))


def stream_table(path: Path) -> dg.MarkdownMetadataValue:
    """The streams of the finished file and how each was proven, for the UI."""
    report = read_json(path)
    names = [
        key for key, value in report["streams"][0].items() if not isinstance(value, list | dict)
    ]
    head = "| " + " | ".join(names) + " |\n|" + "---|" * len(names) + "\n"
    rows = ["| " + " | ".join(str(row[name]) for name in names) + " |" for row in report["streams"]]
    return dg.MetadataValue.md(head + "\n".join(rows))


def _failure(line: ProducedLine) -> str | None:
    name = line.outcome.removeprefix("failed:")
    return name if name != line.outcome and name else None


def _overlaps(placed: Sequence[ProducedLine]) -> int:
    """How often a speaker's line begins before their last one has ended."""
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
        metadata={key: value for key, value in figures.items() if value is not None},
    )
