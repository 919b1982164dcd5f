"""JSON artifacts: values in the program, seconds with six decimals in the files.

Reading checks every field, so that a damaged or edited file is refused by name instead of failing
somewhere downstream.
"""

import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, model_validator

from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.files import read_json, write_json
from dubarr_pipeline.media.container.extract import ExtractedAudio
from dubarr_pipeline.media.subtitles.parse import Cue
from dubarr_pipeline.script.fit.placing import ScriptPlacement
from dubarr_pipeline.script.fit.values import Verdict
from dubarr_pipeline.script.model import (
    Context,
    Diarization,
    DroppedCue,
    Kind,
    Segment,
    SpeakerProfile,
    Transcript,
    Turn,
    Word,
    WordEdit,
    WordSource,
)
from dubarr_pipeline.spans import Span, to_samples, to_seconds


class _Document(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


_Value = TypeVar("_Value")


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


class _DroppedCue(_Timed):
    start: float = Field(ge=-math.inf)
    text: str
    reason: str


class _Transcript(_Document):
    rate: int = Field(gt=0)
    samples: int = Field(ge=0)
    language: str
    segments: list[_Segment]
    edits: list[_WordEdit] = []
    dropped: dict[str, int] = {}
    left_out: list[_DroppedCue] = []


def span_seconds(span: Span, rate: int) -> dict[str, float]:
    """Return the ``start`` and ``end`` of a span as files carry them."""
    return {"start": to_seconds(span.start, rate), "end": to_seconds(span.end, rate)}


def write_diarization(path: Path, diarization: Diarization, **details: Any) -> None:
    """Write ``diarization.json``; `details` (engine, options) are added to it."""
    rate = diarization.rate
    turns = [
        {**span_seconds(t.span, rate), "speaker": t.speaker, "confidence": round(t.confidence, 4)}
        for t in diarization.turns
    ]
    document = {"rate": rate, "names": dict(diarization.names), "turns": turns}
    embeddings = {who: list(values) for who, values in diarization.embeddings.items()}
    write_json(path, {**document, "embeddings": embeddings, **details})


def read_diarization(path: Path) -> Diarization:
    """Read ``diarization.json``. Raises `ArtifactError`."""
    found = checked(_Diarization.model_validate, read_json(path), path)
    turns = (Turn(t.span(found.rate), t.speaker, t.confidence) for t in found.turns)
    return Diarization(found.rate, tuple(turns), found.names, found.embeddings)


def write_transcript(path: Path, transcript: Transcript, **details: Any) -> None:
    """Write ``transcription.json``."""
    rate = transcript.rate
    document = {
        "language": transcript.language,
        "rate": rate,
        "samples": transcript.samples,
        "segments": [
            {
                "index": s.index,
                **span_seconds(s.span, rate),
                "speaker": s.speaker,
                "text": s.text,
                "kind": s.kind,
                "confidence": round(s.confidence, 4),
                "source": s.source,
                "words": [
                    {
                        **span_seconds(w.span, rate),
                        "text": w.text,
                        "probability": round(w.probability, 4),
                    }
                    for w in s.words
                ],
            }
            for s in transcript.segments
        ],
        "edits": [
            {
                **span_seconds(e.span, rate),
                "heard": e.heard,
                "written": e.written,
                "source": e.source,
            }
            for e in transcript.edits
        ],
        "dropped": dict(transcript.dropped),
        "left_out": [
            {**span_seconds(cue.span, rate), "text": cue.text, "reason": cue.reason}
            for cue in transcript.left_out
        ],
    }
    write_json(path, {**document, **details})


def read_transcript(path: Path) -> Transcript:
    """Read ``transcription.json``. Raises `ArtifactError`."""
    found = checked(_Transcript.model_validate, read_json(path), path)
    rate, segments = found.rate, list[Segment]()
    for s in found.segments:
        words = tuple(Word(w.span(rate), w.text, w.probability) for w in s.words)
        of_it = (s.index, s.span(rate), s.speaker, s.text, s.kind, words, s.confidence, s.source)
        segments.append(Segment(*of_it))
    edits = tuple(WordEdit(e.span(rate), e.heard, e.written, e.source) for e in found.edits)
    left_out = tuple(DroppedCue(c.span(rate), c.text, c.reason) for c in found.left_out)
    head = (rate, found.samples, found.language)
    return Transcript(*head, tuple(segments), edits, found.dropped, left_out)


_CONTEXT = TypeAdapter(Context)
_SPEAKERS = TypeAdapter(dict[str, SpeakerProfile])


def write_context(path: Path, context: Context, **details: Any) -> None:
    """Write ``context.json``."""
    write_json(path, {**_CONTEXT.dump_python(context, mode="json"), **details})


def read_context(path: Path) -> Context:
    """Read ``context.json``. Raises `ArtifactError`."""
    return checked(_CONTEXT.validate_python, read_json(path), path)


def write_speakers(path: Path, speakers: tuple[SpeakerProfile, ...]) -> None:
    """Write ``speakers.json``: the profile of every speaker by id."""
    write_json(
        path, {"speakers": _SPEAKERS.dump_python({s.speaker: s for s in speakers}, mode="json")}
    )


def read_speakers(path: Path) -> dict[str, SpeakerProfile]:
    """Read ``speakers.json``. Raises `ArtifactError`."""
    return checked(_SPEAKERS.validate_python, read_json(path).get("speakers"), path)


def checked(validate: Callable[[Any], _Value], found: Any, path: Path) -> _Value:
    """Return what a file holds, validated. Raises `ArtifactError` with the place of a fault."""
    try:
        return validate(found)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ArtifactError(
            f"{path} is damaged at {where!r}: {first['msg']}; "
            "delete it, and its stage makes it again"
        ) from error


@dataclass(frozen=True, slots=True)
class SourceSound:
    """Sound of the source that is dubbed: its clock, its measures, its speech.

    Attributes:
        stream: ffmpeg's number of the audio stream.
        audio: rate, layout, length, place on the player's clock, loudness.
        speech: spans of detected speech, in samples of the sound.
        separated: spans of separated voices: the speech, and lines that the detector misses.
        language_per_channel: both channels speak at once, each in its own words (dual mono).
    """

    stream: int
    audio: ExtractedAudio
    speech: tuple[Span, ...]
    separated: tuple[Span, ...]
    language_per_channel: bool = False


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
    notes: tuple[str, ...] = ()
    speech: list[_Timed]
    separated: list[_Timed]
    language_per_channel: bool = False


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
    noted = {"stream": sound.stream, "language_per_channel": sound.language_per_channel}
    write_json(path, {**noted, **audio, **spans})


def read_sound(path: Path) -> SourceSound:
    """Read ``speech.json``. Raises `ArtifactError`."""
    found = checked(_Sound.model_validate, read_json(path), path)
    values = found.model_dump(exclude={"stream", "speech", "separated", "language_per_channel"})
    if values["true_peak_dbtp"] is None:
        values["true_peak_dbtp"] = -math.inf
    speech = tuple(timed.span(found.rate) for timed in found.speech)
    separated = tuple(timed.span(found.rate) for timed in found.separated)
    return SourceSound(
        found.stream, ExtractedAudio(**values), speech, separated, found.language_per_channel
    )


class _Cue(_Timed):
    start: float = Field(ge=-math.inf)  # a file's clock may begin before the sound
    text: str
    name: str = ""
    style: str = ""
    sign: bool = False


class _Placement(_Document):
    verdict: Verdict | None
    words: str
    confidence: float
    left_out: list[_DroppedCue]
    unheard: list[_Timed]


class _Cues(_Document):
    rate: int = Field(gt=0)
    origin: str | None
    language: str | None
    cues: list[_Cue]
    placement: _Placement | None = None


@dataclass(frozen=True, slots=True)
class SourceCues:
    """Subtitles that the script was taken from, on the clock of the sound.

    Attributes:
        origin: the file or stream that they come from, or None if there are none.
        language: BCP-47 of the spoken language, where it is known.
        cues: where the film says them, in order of their starts.
        placement: how they were put there.
    """

    rate: int
    origin: str | None
    language: str | None
    cues: tuple[Cue, ...]
    placement: ScriptPlacement = field(default_factory=ScriptPlacement)


def write_cues(path: Path, cues: SourceCues) -> None:
    """Write ``cues.json``."""
    listed = [
        {**span_seconds(c.span, cues.rate), **{k: v for k, v in asdict(c).items() if k != "span"}}
        for c in cues.cues
    ]
    head = {"rate": cues.rate, "origin": cues.origin, "language": cues.language}
    placement = placement_document(cues.placement, cues.rate)
    write_json(path, {**head, "cues": listed, "placement": placement})


def placement_document(placement: ScriptPlacement, rate: int) -> dict[str, Any]:
    """Return a placement as ``cues.json`` and ``report.json`` carry it."""
    return {
        "verdict": placement.verdict,
        "words": placement.words,
        "confidence": placement.confidence,
        "left_out": [
            {**span_seconds(cue.span, rate), "text": cue.text, "reason": cue.reason}
            for cue in placement.left_out
        ],
        "unheard": [span_seconds(span, rate) for span in placement.unheard],
    }


def read_cues_document(path: Path) -> SourceCues:
    """Read ``cues.json``. Raises `ArtifactError`."""
    found = checked(_Cues.model_validate, read_json(path), path)
    cues = tuple(Cue(c.span(found.rate), c.text, c.name, c.style, c.sign) for c in found.cues)
    placement = _placement(found.placement, found.rate) if found.placement else ScriptPlacement()
    return SourceCues(found.rate, found.origin, found.language, cues, placement)


def _placement(found: _Placement, rate: int) -> ScriptPlacement:
    left_out = tuple(DroppedCue(c.span(rate), c.text, c.reason) for c in found.left_out)
    unheard = tuple(timed.span(rate) for timed in found.unheard)
    return ScriptPlacement(found.verdict, found.words, found.confidence, left_out, unheard)
