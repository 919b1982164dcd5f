"""The report as one JSON object, for machines."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import asdict
from typing import Any

from dubarr_pipeline.engines.memory_note import note_as_json
from dubarr_pipeline.reports.contents import Failure, Report, SpeakerSummary, StageTime
from dubarr_pipeline.reports.evidence import TrackNote
from dubarr_pipeline.reports.measure import Measure
from dubarr_pipeline.reports.quality import LanguageQuality


def document(report: Report) -> dict[str, Any]:
    """Return the content of ``report.json``."""
    video, mux, sound = report.video, report.evidence.mux, report.evidence.sound.audio
    return {
        "key": video.key,
        "source": str(video.source),
        "profile": video.profile,
        "languages": list(video.target_langs),
        "summary": list(report.summary),
        "durations": {
            "total_s": report.total_s,
            "stages": [_stage(stage) for stage in report.stages],
        },
        "memory": {s.stage: note_as_json(s.memory) for s in report.stages if s.memory},
        "llm": _llm(report),
        "script_reading": asdict(report.evidence.reading),
        "film": {
            "duration_s": round(sound.samples / sound.rate, 3),
            "rate": sound.rate,
            "channels": sound.channels,
            "layout": sound.layout,
            "loudness_lufs": _finite(sound.loudness_lufs),
            "true_peak_dbtp": _finite(sound.true_peak_dbtp),
        },
        "kinds": dict(report.kinds),
        "lines": {found.language: _counts(report, found) for found in report.languages},
        "quality": [_measure(row) for row in report.measures],
        "loudness": {name: _loudness(mix) for name, mix in report.evidence.mixes.items()},
        "failures": [_failure(failed) for failed in report.failures],
        "speakers": [_speaker(found) for found in report.speakers],
        "streams": [asdict(row) for row in mux.streams],
        "converted": [asdict(row) for row in mux.converted],
        "flags": [{**asdict(row), "flags": sorted(row.flags)} for row in mux.flags],
        "checks": asdict(mux.checks),
        "tools": list(mux.tools),
    }


def _stage(stage: StageTime) -> dict[str, Any]:
    return {"stage": stage.stage, "seconds": stage.seconds, "reused": stage.reused}


def _llm(report: Report) -> dict[str, float] | None:
    stats = report.evidence.production.stats
    if not stats.tokens:
        return None
    return {"tokens": stats.tokens, "tokens_per_s": round(stats.tokens_per_s, 3)}


def _counts(report: Report, found: LanguageQuality) -> dict[str, Any]:
    names = Counter(f.name for f in report.failures if f.language == found.language)
    return {
        "lines": found.lines,
        "placed": found.placed,
        "kept_original": found.kept,
        "failed": found.failed,
        "nameless": found.nameless,
        "failures": dict(sorted(names.items())),
    }


def _measure(row: Measure) -> dict[str, Any]:
    return {
        "language": row.language,
        "name": row.name,
        "value": _finite(row.value),
        "unit": row.unit,
        "must": _finite(row.must),
        "target": _finite(row.target),
        "better": row.better,
        "met": row.met,
        "basis": row.basis,
    }


def _loudness(mix: TrackNote) -> dict[str, Any]:
    names = "loudness_lufs source_lufs target_lufs miss_lu true_peak_dbtp lra_lu dialogue_lufs"
    figures = {name: _finite(getattr(mix, name)) for name in names.split()}
    return {**figures, "measured_on": mix.measured_on, "codec": mix.codec, "notes": list(mix.notes)}


def _failure(failed: Failure) -> dict[str, Any]:
    return {**asdict(failed), "outcome": f"failed:{failed.name}"}


def _speaker(found: SpeakerSummary) -> dict[str, Any]:
    profile = found.profile
    return {
        "speaker": profile.speaker,
        "name": profile.name,
        "gender": profile.gender,
        "pitch_hz": profile.pitch_hz,
        "lines": found.lines,
        "speech_s": found.speech_s,
        "ref": asdict(found.ref),
    }


def _finite(value: float | None) -> float | None:
    """JSON has no infinity: digital silence has no true peak."""
    return value if value is None or math.isfinite(value) else None
