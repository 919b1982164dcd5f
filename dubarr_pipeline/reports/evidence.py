"""All that a report looks at: the artifacts of a video, read and checked, and what lies on disk."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from pydantic import TypeAdapter, ValidationError

from dubarr_pipeline.artifacts import (
    SourceSound,
    read_context,
    read_sound,
    read_speakers,
    read_transcript,
)
from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.media.mux import MuxReport
from dubarr_pipeline.media.waveform import WaveFile
from dubarr_pipeline.production.results import ProducedLine, Production
from dubarr_pipeline.production.segments_file import read_segments
from dubarr_pipeline.timeline.script import ScriptEdit, SpeakerProfile, Transcript
from dubarr_pipeline.workdir import WorkDir, read_json


@dataclass(frozen=True, slots=True)
class RefNote:
    """What ``refs.json`` says of a speaker's voice reference, or why there is none.

    Attributes:
        length_s: None where nothing could be chosen.
        candidates: how many stretches were looked at.
        note: what is wrong with the reference, or why there is none; empty if it is clean.
    """

    length_s: float | None = None
    snr_db: float | None = None
    zcr: float | None = None
    candidates: int = 0
    note: str = ""


@dataclass(frozen=True, slots=True)
class HeardLine:
    """A take as the mixer has it in the track: its first sample, and what could not be heard."""

    start: int
    samples: int
    speaker: str
    lost_samples: int = 0


@dataclass(frozen=True, slots=True)
class TrackNote:
    """What of ``mix.json`` a report shows; `media.mix_report.MixReport` says what each field is."""

    codec: str
    track_layout: str
    bitrate_kbps: int | None
    measured_on: str
    loudness_lufs: float
    true_peak_dbtp: float
    lra_lu: float
    dialogue_lufs: float
    source_lufs: float
    target_lufs: float
    miss_lu: float
    clipped_samples: int
    lines: tuple[HeardLine, ...]
    notes: tuple[str, ...] = ()

    @property
    def cut_lines(self) -> int:
        """Takes that reach over the film's ends."""
        return sum(bool(line.lost_samples) for line in self.lines)


@dataclass(frozen=True, slots=True)
class ScriptNote:
    """What the reader of the script left undone, and what it would put right.

    Attributes:
        gaps: what was not read, or not had for a language, in words.
        edits: mishearings, applied or not.
        tokens, busy_s: what the language model wrote, and the seconds that it took.
    """

    gaps: tuple[str, ...] = ()
    edits: tuple[ScriptEdit, ...] = ()
    tokens: int = 0
    busy_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Evidence:
    """The artifacts of one video.

    Attributes:
        mixes: what the mixer said, by language.
        sound_samples: (language, index) -> samples in the final sound's file, as read from it;
            None where the file is missing or damaged.
    """

    sound: SourceSound
    script: Transcript
    production: Production
    mixes: Mapping[str, TrackNote]
    mux: MuxReport
    speakers: Mapping[str, SpeakerProfile]
    refs: Mapping[str, RefNote]
    sound_samples: Mapping[tuple[str, int], int | None]
    reading: ScriptNote = ScriptNote()

    def lines(self, language: str) -> tuple[ProducedLine, ...]:
        """The lines of a language; none where it was not produced."""
        return tuple(self.production.languages.get(language, ()))


_MIX = TypeAdapter(TrackNote)
_MUX = TypeAdapter(MuxReport)
_SCRIPT = TypeAdapter(ScriptNote)
_T = TypeVar("_T")


def gather(work: WorkDir) -> Evidence:
    """Read the artifacts of a finished video.

    Raises:
        ArtifactError: if one of them is missing or damaged.
    """
    production = read_segments(work)
    tracks = read_json(work.mix_report).get("tracks", {})
    placed = [line for lines in production.languages.values() for line in lines if line.placed]
    return Evidence(
        sound=read_sound(work.speech),
        script=read_transcript(work.transcription),
        production=production,
        mixes={
            language: _checked(_MIX, track.get("report"), work.mix_report)
            for language, track in tracks.items()
        },
        mux=_checked(_MUX, read_json(work.mux_report), work.mux_report),
        speakers=read_speakers(work.speakers),
        refs={who: _ref(found) for who, found in _speakers(work).items()},
        sound_samples={(line.language, line.index): _samples(line) for line in placed},
        reading=_reading(work, tuple(production.languages)),
    )


def _reading(work: WorkDir, languages: tuple[str, ...]) -> ScriptNote:
    """The context's gaps and edits, and the gaps of each language's brief, where there is one."""
    context, usage = read_context(work.context), read_json(work.context).get("usage", {})
    briefs = {lang: work.brief(lang) for lang in languages if work.brief(lang).is_file()}
    gaps = [
        f"{lang}: {gap}" for lang, path in briefs.items() for gap in read_json(path).get("gaps", ())
    ]
    return _checked(
        _SCRIPT,
        {"gaps": (*context.gaps, *gaps), "edits": context.edits, **usage},
        work.context,
    )


def _checked(adapter: TypeAdapter[_T], found: Any, path: object) -> _T:
    try:
        return adapter.validate_python(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ArtifactError(
            f"{path} is damaged at {where!r}: {first['msg']}; "
            "delete it, and its stage makes it anew"
        ) from error


def _speakers(work: WorkDir) -> Mapping[str, Any]:
    return read_json(work.refs_report).get("speakers", {})


def _ref(found: Mapping[str, Any]) -> RefNote:
    chosen = found.get("chosen")
    note = found.get("failure") or found.get("fallback") or ""
    count = len(found.get("candidates", ()))
    if not chosen:
        return RefNote(candidates=count, note=note)
    length_s = round(chosen["end"] - chosen["start"], 3)
    return RefNote(length_s, chosen["snr_db"], chosen["zcr"], count, note)


def _samples(line: ProducedLine) -> int | None:
    """The length of a line's final sound, from its file's header."""
    if line.path is None:
        return None
    try:
        with WaveFile(line.path) as sound:
            return sound.samples
    except ArtifactError:
        return None
