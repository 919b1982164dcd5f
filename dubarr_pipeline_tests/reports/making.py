"""A small finished work folder with known answers, written by the project's own writers.

Rate 8000. Six segments, of which five are spoken lines::

    0 A 0-1 s       placed 10 ms late, as long as the original
    1 A 1.5-2.5 s   placed in time, 0.75 s long, tempo 11/10, two takes
    2 B 3-4 s       failed: too_long, three takes
    3 B 4.5-5.5 s   placed 50 ms late, 1.25 s long, tempo 21/20, leaves its window
    4 A 5.6-6.1 s   placed in time, as long as the original
    5 A 6.5-7.5 s   a song, kept
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from dubarr_pipeline.artifacts import (
    SourceSound,
    write_context,
    write_sound,
    write_speakers,
    write_transcript,
)
from dubarr_pipeline.library.videos import Video
from dubarr_pipeline.media.extract import ExtractedAudio
from dubarr_pipeline.media.identity import FileIdentity
from dubarr_pipeline.media.voice_samples import RefCandidate, SpeakerRef, write_refs_report
from dubarr_pipeline.media.waveform import write_wave
from dubarr_pipeline.production.results import ProducedLine, Production, ProductionStats, Take
from dubarr_pipeline.production.segments_file import write_segments
from dubarr_pipeline.timeline.script import Context, Segment, SpeakerProfile, Transcript
from dubarr_pipeline.timeline.spans import Span
from dubarr_pipeline.workdir import WorkDir, write_json

RATE = 8000
SAMPLES = 8 * RATE
A, B = "SPEAKER_00", "SPEAKER_01"
STATS = ProductionStats(6, 4, 1, {"too_long": 1}, 8, 0, 1.6, 0, 0.0, 0.1, 1.0)
TRACK: dict[str, Any] = {
    "codec": "ac3",
    "track_layout": "stereo",
    "bitrate_kbps": 256,
    "measured_on": "track",
    "loudness_lufs": -22.7,
    "true_peak_dbtp": -3.0,
    "lra_lu": 5.0,
    "dialogue_lufs": -21.0,
    "source_lufs": -23.0,
    "target_lufs": -23.5,
    "miss_lu": 0.8,
    "clipped_samples": 0,
    "notes": [],
    "a_field_of_a_later_version": 1,
}


def segment(index: int, start_s: float, end_s: float, speaker: str, text: str = "") -> Segment:
    span = Span(round(start_s * RATE), round(end_s * RATE))
    return Segment(index, span, speaker, text or f"source line {index}")


SEGMENTS = (
    segment(0, 0, 1, A),
    segment(1, 1.5, 2.5, A),
    segment(2, 3, 4, B),
    segment(3, 4.5, 5.5, B),
    segment(4, 5.6, 6.1, A),
    replace(segment(5, 6.5, 7.5, A), kind="song"),
)


def take(attempt: int = 1, predicted_s: float = 1.0, asked_s: float | None = None) -> Take:
    text, score = f"wording {attempt}", (0.0, 0.0, 0.0)
    return Take(attempt, text, text, 1.0, predicted_s, asked_s, "keep", score, (), "x.wav", "d1")


def line(found: Segment, work: WorkDir, **changes: Any) -> ProducedLine:
    """A line as it is when nothing is wrong with it."""
    return replace(
        ProducedLine(
            language="es",
            index=found.index,
            speaker=found.speaker,
            source=found.span,
            window=found.span.pad(800, 800),
            outcome="placed",
            text=f"línea {found.index}",
            budget_s=found.span.seconds(RATE),
            predicted_s=found.span.seconds(RATE),
            takes=(take(predicted_s=found.span.seconds(RATE)),),
            chosen=0,
            path=work.take("es", found.index),
            start=found.span.start,
            length=found.span.length,
        ),
        **changes,
    )


def lines(work: WorkDir) -> tuple[ProducedLine, ...]:
    """The six lines; drafts 0 (0.95), 2 (1.05) and 3 (0.90) are predicted to fit, 1 and 4 not."""
    s = SEGMENTS
    unplaced: dict[str, Any] = {"path": None, "chosen": None, "start": 0, "length": 0}
    return (
        line(s[0], work, start=80, takes=(take(predicted_s=0.95),)),
        line(
            s[1],
            work,
            length=6000,
            tempo=Fraction(11, 10),
            takes=(take(predicted_s=1.2), take(2)),
            chosen=1,
        ),
        line(
            s[2],
            work,
            outcome="failed:too_long",
            message="no wording fits",
            takes=(take(predicted_s=1.05), take(2), take(3)),
            **unplaced,
        ),
        line(
            s[3],
            work,
            start=36400,
            length=10000,
            tempo=Fraction(21, 20),
            takes=(take(predicted_s=0.9),),
        ),
        line(s[4], work, takes=(take(predicted_s=0.4499),)),
        line(s[5], work, outcome="kept_original", text="", takes=(), **unplaced),
    )


def make_work(root: Path, made: Iterable[ProducedLine] | None = None, **track: Any) -> WorkDir:
    """Write the work folder of a finished video, sounds included."""
    work = WorkDir(root)
    every = tuple(lines(work) if made is None else made)
    write_script(work, SEGMENTS)
    write_production(work, every)
    write_mix(work, every, **track)
    write_mux(work)
    return work


def write_script(work: WorkDir, segments: tuple[Segment, ...]) -> None:
    audio = ExtractedAudio(RATE, 2, "stereo", SAMPLES, 0.0, -23.0, -4.0, 6.0)
    spans = tuple(s.span for s in segments)
    write_sound(work.speech, SourceSound(1, audio, spans, spans))
    write_transcript(work.transcription, Transcript(RATE, SAMPLES, "en", segments))
    people = (SpeakerProfile(A, name="Ann", pitch_hz=210.0), SpeakerProfile(B))
    write_context(work.context, Context("", ""))
    write_speakers(work.speakers, people)
    chosen = RefCandidate(Span(0, 3 * RATE), 3.0, 14.0, 0.1, 2.0)
    refs = [
        SpeakerRef(A, chosen, None, None, (chosen,)),
        SpeakerRef(B, None, None, "too_short", ()),
    ]
    write_refs_report(work.refs_report, refs, RATE)


def write_production(
    work: WorkDir, made: tuple[ProducedLine, ...], stats: ProductionStats = STATS
) -> None:
    for found in made:
        if found.path:
            found.path.parent.mkdir(parents=True, exist_ok=True)
            write_wave(found.path, np.zeros(found.length, np.float32), RATE)
    write_segments(work, Production(RATE, {"es": made}, stats))


def write_mix(work: WorkDir, made: tuple[ProducedLine, ...], **track: Any) -> None:
    heard = [
        {"start": x.start, "samples": x.length, "speaker": x.speaker, "lost_samples": 0}
        for x in made
        if x.placed
    ]
    report = {**TRACK, "lines": heard, **track}
    write_json(work.mix_report, {"tracks": {"es": {"fingerprint": "f", "report": report}}})


def write_mux(work: WorkDir, **changes: Any) -> None:
    video = {
        "name": "stream 0 (video, h264)",
        "source_index": 0,
        "result_index": 0,
        "kind": "video",
        "codec": "h264",
        "proof": "packets",
        "packets": 100,
        "shift_us": [0, 0],
        "offset_us": 0,
    }
    dub = {**video, "name": "new track final_es.ac3 (es)", "source_index": None}
    dub |= {"result_index": 1, "kind": "audio", "codec": "ac3"}
    plain = {"kind": "video", "language": None, "title": None, "flags": [], "new": False}
    new = {"kind": "audio", "language": "es", "title": "Español · dub", "flags": [], "new": True}
    document = {
        "streams": [video, dub],
        "converted": [],
        "flags": [plain, new],
        "checks": {"chapters": 3, "attachments": 1, "tags": 7, "flags": 14},
        "shift_s": 0.0,
        "max_offset_ms": 0.4,
        "tools": ["ffmpeg 5.1", "mkvpropedit 74"],
    }
    write_json(work.mux_report, {**document, **changes})


def video(work: WorkDir, name: str = "Film.mkv") -> Video:
    identity = FileIdentity(
        **dict.fromkeys(("size", "mtime_ns", "ctime_ns", "inode"), 1), digest="d"
    )
    return Video(work.root.name, Path("/films") / name, identity, ("es",), "lite")


def stats(**changes: Any) -> ProductionStats:
    return ProductionStats(**{**asdict(STATS), **changes})
