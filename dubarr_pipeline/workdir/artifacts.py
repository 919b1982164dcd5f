"""JSON artifacts: values in the program, seconds with six decimals in the files.

Reading checks every field, so that a damaged or edited file is refused by name instead of failing
somewhere downstream.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.files import read_json, write_json
from dubarr_pipeline.media.container.extract import ExtractedAudio
from dubarr_pipeline.media.subtitles.parse import Cue
from dubarr_pipeline.script.fit.placing import ScriptPlacement
from dubarr_pipeline.script.model import Context, Diarization, SpeakerProfile, Transcript
from dubarr_pipeline.spans import Span, to_samples, to_seconds

_Value = TypeVar("_Value")

_TIMED = frozenset(
    "turns segments words edits cues placement left_out unheard speech separated".split()
)
"""Names of the lists of what lies on the clock, and of the table that holds some of them."""
_ON_FILE_CLOCK = ("cues", "left_out")
"""Lists whose clock may begin before the sound does."""


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


class _ClockNumbers(BaseModel):
    """Numbers of a file that a type alone does not bound."""

    rate: int = Field(gt=0)
    samples: int = Field(default=0, ge=0)
    channels: int = Field(default=1, gt=0)


_CONTEXT = TypeAdapter(Context)
_CUES = TypeAdapter(SourceCues)
_DIARIZATION = TypeAdapter(Diarization)
_SOUND = TypeAdapter(SourceSound)
_SPEAKERS = TypeAdapter(dict[str, SpeakerProfile])
_TRANSCRIPT = TypeAdapter(Transcript)


def span_seconds(span: Span, rate: int) -> dict[str, float]:
    """Return the ``start`` and ``end`` of a span as files carry them."""
    return {"start": to_seconds(span.start, rate), "end": to_seconds(span.end, rate)}


def timed_document(value: Any, rate: int) -> Any:
    """Return a value as files carry it: spans in seconds, shares beside them to four decimals."""
    if isinstance(value, Span):
        return span_seconds(value, rate)
    if isinstance(value, Mapping):
        return {name: timed_document(each, rate) for name, each in value.items()}
    if isinstance(value, tuple):
        return [timed_document(each, rate) for each in value]
    if not is_dataclass(value):
        return value
    found: dict[str, Any] = {}
    for name in (each.name for each in fields(value)):
        part = getattr(value, name)
        if name == "span":
            found |= span_seconds(part, rate)
        elif isinstance(part, float) and hasattr(value, "span"):
            found[name] = round(part, 4)
        else:
            found[name] = timed_document(part, rate)
    return found


def _write(path: Path, value: Any, rate: int, details: Mapping[str, Any]) -> None:
    """Write what `timed_document` returns, made line by line, and `details` beside it."""
    found = {each.name: getattr(value, each.name) for each in fields(value)}
    write_json(path, {**found, **details}, encode=lambda part: timed_document(part, rate))


def _set_spans(
    found: Any, rate: int, names: frozenset[str] = _TIMED, earliest: float = 0.0
) -> None:
    """Set the spans in samples, all through a table with ``start`` and ``end`` in seconds.

    The table itself is changed: a copy of a long film's words would be as large as all its values.
    """
    if not isinstance(found, dict):
        return
    table = cast("dict[str, Any]", found)
    for name in names & table.keys():
        # No list is within one of its own name, however deep a damaged file goes.
        inner = names - {name}, -math.inf if name in _ON_FILE_CLOCK else 0.0
        part = table[name]
        for each in part if isinstance(part, list) else [part]:
            _set_spans(each, rate, *inner)
    if "start" in table:
        # What is no time on the clock is refused as what it becomes here: nothing.
        start, end = (
            to_samples(time, rate)
            if isinstance(time, int | float) and earliest <= time * rate < math.inf
            else None
            for time in (table["start"], table.get("end"))
        )
        # One that cannot be is refused with its place in the file.
        if start is None or end is None or end < start:
            span = {"start": start, "end": end}
        else:
            span = Span(start, end)
        table |= {"start": start, "end": end, "span": span}


def _read(kind: TypeAdapter[_Value], path: Path, found: dict[str, Any]) -> _Value:
    """Return the value that a file holds on its clock; changes `found`. Raises `ArtifactError`."""
    rate = checked(_ClockNumbers.model_validate, found, path).rate
    _set_spans(found, rate)
    return checked(kind.validate_python, found, path)


def write_diarization(path: Path, diarization: Diarization, **details: Any) -> None:
    """Write ``diarization.json``; `details` (engine, options) are added to it."""
    _write(path, diarization, diarization.rate, details)


def read_diarization(path: Path) -> Diarization:
    """Read ``diarization.json``. Raises `ArtifactError`."""
    return _read(_DIARIZATION, path, read_json(path))


def write_transcript(path: Path, transcript: Transcript, **details: Any) -> None:
    """Write ``transcription.json``."""
    _write(path, transcript, transcript.rate, details)


def read_transcript(path: Path) -> Transcript:
    """Read ``transcription.json``. Raises `ArtifactError`."""
    return _read(_TRANSCRIPT, path, read_json(path))


def write_context(path: Path, context: Context, **details: Any) -> None:
    """Write ``context.json``."""
    write_json(path, {**_CONTEXT.dump_python(context, mode="json"), **details})


def read_context(path: Path) -> Context:
    """Read ``context.json``. Raises `ArtifactError`."""
    return checked(_CONTEXT.validate_python, read_json(path), path)


def write_speakers(path: Path, speakers: tuple[SpeakerProfile, ...]) -> None:
    """Write ``speakers.json``: the profile of every speaker by id."""
    by_id = {profile.speaker: profile for profile in speakers}
    write_json(path, {"speakers": _SPEAKERS.dump_python(by_id, mode="json")})


def read_speakers(path: Path) -> dict[str, SpeakerProfile]:
    """Read ``speakers.json``. Raises `ArtifactError`."""
    return checked(_SPEAKERS.validate_python, read_json(path).get("speakers"), path)


def write_sound(path: Path, sound: SourceSound) -> None:
    """Write ``speech.json``; digital silence has no true peak (null)."""
    found = timed_document(sound, sound.audio.rate)
    audio = found.pop("audio")
    if audio["true_peak_dbtp"] == -math.inf:
        audio["true_peak_dbtp"] = None
    write_json(path, {**found, **audio})


def read_sound(path: Path) -> SourceSound:
    """Read ``speech.json``. Raises `ArtifactError`."""
    found = read_json(path)
    if found.get("true_peak_dbtp", 0) is None:
        found = {**found, "true_peak_dbtp": -math.inf}
    return _read(_SOUND, path, {**found, "audio": found})


def write_cues(path: Path, cues: SourceCues) -> None:
    """Write ``cues.json``."""
    _write(path, cues, cues.rate, {})


def read_cues_document(path: Path) -> SourceCues:
    """Read ``cues.json``. Raises `ArtifactError`."""
    found = read_json(path)
    return _read(_CUES, path, {**found, "placement": found.get("placement") or {}})


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
