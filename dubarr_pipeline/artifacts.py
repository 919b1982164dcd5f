"""The JSON artifacts: values in the program, seconds with six decimals in the files.

Reading checks every field, so that a damaged or edited
file is refused by name instead of failing somewhere downstream.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.media.extract import ExtractedAudio
from dubarr_pipeline.timeline.script import (
    Context,
    Cue,
    Diarization,
    Kind,
    Segment,
    SpeakerProfile,
    Transcript,
    Turn,
    Word,
    WordEdit,
    WordSource,
)
from dubarr_pipeline.timeline.spans import Span, to_samples, to_seconds
from dubarr_pipeline.workdir import read_json, write_json


class _Document(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


_Model = TypeVar("_Model", bound=_Document)


class _Timed(_Document):
    start: float = Field(ge=0)
    end: float

    @model_validator(mode="after")
    def _ends_after_its_start(self) -> Self:
        if not self.start <= self.end < math.inf:
            raise ValueError(f"it ends at {self.end} s, before its start at {self.start} s")
        return self

    def span(self, rate: int) -> Span:
        return Span(to_samples(self.start, rate), to_samples(self.end, rate))


class _Turn(_Timed):
    speaker: str
    confidence: float = 1.0


class _Diarization(_Document):
    rate: int = Field(gt=0)
    turns: list[_Turn]
    names: dict[str, str] = {}
    embeddings: dict[str, tuple[float, ...]] = {}


class _Word(_Timed):
    text: str
    probability: float = 1.0


class _Segment(_Timed):
    index: int
    speaker: str
    text: str
    kind: Kind = "speech"
    words: list[_Word] = []
    confidence: float = 1.0
    source: WordSource = "subtitles"


class _WordEdit(_Timed):
    heard: str
    written: str
    source: WordSource = "subtitles"


class _Transcript(_Document):
    rate: int = Field(gt=0)
    samples: int = Field(ge=0)
    language: str
    segments: list[_Segment]
    edits: list[_WordEdit] = []
    dropped: dict[str, int] = {}


def span_seconds(span: Span, rate: int) -> dict[str, float]:
    """The ``start`` and ``end`` of a span as files carry them."""
    return {"start": to_seconds(span.start, rate), "end": to_seconds(span.end, rate)}


def write_diarization(path: Path, diarization: Diarization, **details: Any) -> None:
    """Write ``diarization.json``; `details` (engine, options) go beside the turns."""
    rate = diarization.rate
    turns = [
        {**span_seconds(t.span, rate), "speaker": t.speaker, "confidence": round(t.confidence, 4)}
        for t in diarization.turns
    ]
    document = {"rate": rate, "names": dict(diarization.names), "turns": turns}
    prints = {who: list(print_) for who, print_ in diarization.embeddings.items()}
    write_json(path, {**document, "embeddings": prints, **details})


def read_diarization(path: Path) -> Diarization:
    """Read ``diarization.json``. Raises `ArtifactError`."""
    found = _read(path, _Diarization)
    turns = (Turn(t.span(found.rate), t.speaker, t.confidence) for t in found.turns)
    return Diarization(found.rate, tuple(turns), found.names, found.embeddings)


def write_transcript(path: Path, transcript: Transcript, **details: Any) -> None:
    """Write ``transcription.json``."""
    rate = transcript.rate
    document = {
        "language": transcript.language,
        "rate": rate,
        "samples": transcript.samples,
        "segments": [_segment_document(s, rate) for s in transcript.segments],
        "edits": [_edit_document(edit, rate) for edit in transcript.edits],
        "dropped": dict(transcript.dropped),
    }
    write_json(path, {**document, **details})


def _segment_document(segment: Segment, rate: int) -> dict[str, Any]:
    return {
        "index": segment.index,
        **span_seconds(segment.span, rate),
        "speaker": segment.speaker,
        "text": segment.text,
        "kind": segment.kind,
        "confidence": round(segment.confidence, 4),
        "source": segment.source,
        "words": [
            {**span_seconds(w.span, rate), "text": w.text, "probability": round(w.probability, 4)}
            for w in segment.words
        ],
    }


def _edit_document(edit: WordEdit, rate: int) -> dict[str, Any]:
    texts = {"heard": edit.heard, "written": edit.written, "source": edit.source}
    return {**span_seconds(edit.span, rate), **texts}


def read_transcript(path: Path) -> Transcript:
    """Read ``transcription.json``. Raises `ArtifactError`."""
    found = _read(path, _Transcript)
    segments = tuple(_segment(s, found.rate) for s in found.segments)
    edits = tuple(WordEdit(e.span(found.rate), e.heard, e.written, e.source) for e in found.edits)
    return Transcript(found.rate, found.samples, found.language, segments, edits, found.dropped)


def _segment(found: _Segment, rate: int) -> Segment:
    words = tuple(Word(w.span(rate), w.text, w.probability) for w in found.words)
    return Segment(
        found.index,
        found.span(rate),
        found.speaker,
        found.text,
        found.kind,
        words,
        found.confidence,
        found.source,
    )


_CONTEXT = TypeAdapter(Context)
_SPEAKERS = TypeAdapter(dict[str, SpeakerProfile])


def write_context(path: Path, context: Context, **details: Any) -> None:
    """Write ``context.json``."""
    write_json(path, {**_CONTEXT.dump_python(context, mode="json"), **details})


def read_context(path: Path) -> Context:
    """Read ``context.json``. Raises `ArtifactError`."""
    document = read_json(path)
    try:
        return _CONTEXT.validate_python(document)
    except ValidationError as error:
        raise _damaged(path, error) from error


def write_speakers(path: Path, speakers: tuple[SpeakerProfile, ...]) -> None:
    """Write ``speakers.json``: the profile of every speaker by id."""
    write_json(
        path, {"speakers": _SPEAKERS.dump_python({s.speaker: s for s in speakers}, mode="json")}
    )


def read_speakers(path: Path) -> dict[str, SpeakerProfile]:
    """Read ``speakers.json``. Raises `ArtifactError`."""
    document = read_json(path)
    try:
        return _SPEAKERS.validate_python(document.get("speakers"))
    except ValidationError as error:
        raise _damaged(path, error) from error


def _read(path: Path, model: type[_Model]) -> _Model:
    document = read_json(path)
    try:
        return model.model_validate(document)
    except ValidationError as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: ValidationError) -> ArtifactError:
    first = error.errors()[0]
    where = ".".join(str(part) for part in first["loc"])
    return ArtifactError(
        f"{path} is damaged at {where!r}: {first['msg']}; delete it, and its stage makes it anew"
    )


@dataclass(frozen=True, slots=True)
class SourceSound:
    """The sound that is dubbed: its clock, its measures, and where somebody speaks.

    Attributes:
        stream: ffmpeg's number of the audio stream.
        audio: rate, layout, length, place on the player's clock, loudness.
        speech: where the detector hears somebody, in samples of the sound.
        separated: where voices were taken out: there, and at lines that the detector misses.
    """

    stream: int
    audio: ExtractedAudio
    speech: tuple[Span, ...]
    separated: tuple[Span, ...]


class _Sound(_Document):
    stream: int
    rate: int = Field(gt=0)
    channels: int = Field(gt=0)
    layout: str | None
    samples: int
    offset_s: float
    loudness_lufs: float
    true_peak_dbtp: float | None
    lra_lu: float
    speech: list[_Timed]
    separated: list[_Timed]


def write_sound(path: Path, sound: SourceSound) -> None:
    """Write ``speech.json``; digital silence has no true peak (null)."""
    audio = asdict(sound.audio)
    if audio["true_peak_dbtp"] == -math.inf:
        audio["true_peak_dbtp"] = None
    rate = sound.audio.rate
    spans = {
        "speech": [span_seconds(span, rate) for span in sound.speech],
        "separated": [span_seconds(span, rate) for span in sound.separated],
    }
    write_json(path, {"stream": sound.stream, **audio, **spans})


def read_sound(path: Path) -> SourceSound:
    """Read ``speech.json``. Raises `ArtifactError`."""
    found = _read(path, _Sound)
    values = found.model_dump(exclude={"stream", "speech", "separated"})
    if values["true_peak_dbtp"] is None:
        values["true_peak_dbtp"] = -math.inf
    speech = tuple(timed.span(found.rate) for timed in found.speech)
    separated = tuple(timed.span(found.rate) for timed in found.separated)
    return SourceSound(found.stream, ExtractedAudio(**values), speech, separated)


class _Cue(_Timed):
    text: str


class _Cues(_Document):
    rate: int = Field(gt=0)
    origin: str | None
    language: str | None
    cues: list[_Cue]


@dataclass(frozen=True, slots=True)
class SourceCues:
    """The subtitles that the script was taken from, on the clock of the sound.

    Attributes:
        origin: the file or stream that they come from, or None where there are none.
        language: BCP-47 of what is spoken, where it is known.
    """

    rate: int
    origin: str | None
    language: str | None
    cues: tuple[Cue, ...]


def write_cues(path: Path, cues: SourceCues) -> None:
    """Write ``cues.json``."""
    listed = [{**span_seconds(c.span, cues.rate), "text": c.text} for c in cues.cues]
    head = {"rate": cues.rate, "origin": cues.origin, "language": cues.language}
    write_json(path, {**head, "cues": listed})


def read_cues_document(path: Path) -> SourceCues:
    """Read ``cues.json``. Raises `ArtifactError`."""
    found = _read(path, _Cues)
    cues = tuple(Cue(c.span(found.rate), c.text) for c in found.cues)
    return SourceCues(found.rate, found.origin, found.language, cues)
