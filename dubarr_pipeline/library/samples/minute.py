"""Choice of the minute of a film that its sample is made of: the one in which most people speak."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dubarr_pipeline.errors import MediaToolError, NoAudio, SettingsError
from dubarr_pipeline.media.audio.pitch import track_pitch
from dubarr_pipeline.media.audio.wav import Samples
from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.media.container import ffmpeg_graph as graph
from dubarr_pipeline.media.container.streams import MediaInfo, Stream
from dubarr_pipeline.media.subtitles.parse import Cue
from dubarr_pipeline.script.cues.text import conventions_of, name_key, read_cue

CUES_RATE = 1000
"""Clock of the cues here: milliseconds of the player's clock."""
SHORTEST_S = 5.0
_LEAD_S = 0.5
_STRETCHES, _EDGE = 12, 0.05
"""Stretches of a film without subtitles that are listened to, and what is left out at its ends, of
the titles. They bound the work, however long the film is."""
_HEARD = 3
"""Candidates by subtitles that are listened to where no names tell who speaks."""
_HOP_S = 0.02
_JOINED_S, _SHORTEST_VOICED_S, _APART = 0.25, 0.3, 3.0
"""Stretches of voiced sound closer than this are one; shorter ones say nothing; voices whose
pitches are within so many semitones are taken for one."""
_NAME, _TURN, _LINE, _VOICE = 3.0, 0.5, 0.1, 1.5
_MOST_TURNS, _MOST_LINES, _MOST_VOICES = 12, 30, 6
_LEAST_SPEECH = 0.05
_RATE = 8000


@dataclass(frozen=True, slots=True)
class Minute:
    """A stretch of a film, in seconds of the player's clock, and why it was chosen, in words."""

    start_s: float
    length_s: float
    reason: str

    @property
    def end_s(self) -> float:
        return self.start_s + self.length_s


@dataclass(frozen=True, slots=True)
class _Spoken:
    """A spoken cue: its times in seconds, the names in it, and how often the speaker changes."""

    start_s: float
    end_s: float
    names: frozenset[str]
    turns: int


@dataclass(frozen=True, slots=True)
class _Candidate:
    start_s: float
    names: tuple[str, ...] = ()
    turns: int = 0
    lines: int = 0
    voices: int | None = None
    speech: float = 1.0

    @property
    def score(self) -> float:
        heard = min(self.voices or 0, _MOST_VOICES) * (self.speech >= _LEAST_SPEECH)
        return (
            _NAME * len(self.names)
            + _TURN * min(self.turns, _MOST_TURNS)
            + _LINE * min(self.lines, _MOST_LINES)
            + _VOICE * heard
            + min(self.speech, 0.5)
        )


def minute_at(info: MediaInfo, at_s: float, length_s: float) -> Minute:
    """Return the stretch that a person asked for, cut at the film's end.

    Raises:
        SettingsError: if it does not lie within the film.
    """
    end_s = info.duration_s or at_s + length_s
    if not 0 <= at_s <= end_s - min(SHORTEST_S, end_s):
        raise SettingsError(
            f"{info.path} lasts {clock(end_s)}: nothing can be cut at {clock(at_s)}; "
            "choose an earlier time with --at"
        )
    return Minute(at_s, min(length_s, end_s - at_s), "as asked")


def choose_minute(info: MediaInfo, stream: Stream, cues: Sequence[Cue], length_s: float) -> Minute:
    """Return the stretch of a film in which most people speak.

    `cues` are those of its script, at `CUES_RATE`; without any the film itself is listened to, at a
    few places.

    Raises:
        NoAudio: if nobody is heard at any of them.
    """
    if info.duration_s and info.duration_s <= length_s:
        return Minute(0.0, info.duration_s, "the film is no longer than that")
    spoken = _spoken(cues)
    end_s = info.duration_s or max((each.end_s for each in spoken), default=0.0)
    latest_s = max(0.0, end_s - length_s)
    found = _of_subtitles(spoken, length_s, latest_s)
    if not found:
        return _by_ear(info, stream, length_s, latest_s)
    best = found[0]
    if len(best.names) < 2:
        heard = [_listened(info, stream, each, length_s) for each in found[:_HEARD]]
        best = max(heard, key=lambda each: each.score)
    return Minute(best.start_s, min(length_s, end_s - best.start_s), _words(best))


def _spoken(cues: Iterable[Cue]) -> list[_Spoken]:
    listed = [cue for cue in cues if not cue.sign]
    script = conventions_of(cue.text for cue in listed)
    found: list[_Spoken] = []
    for cue in listed:
        parts = [p for p in read_cue(cue.text, script, cue.name).parts if p.kind == "speech"]
        if parts:
            names = frozenset(name_key(part.name) for part in parts if part.name)
            turns = sum(part.new_speaker for part in parts)
            times = (cue.span.start / CUES_RATE, cue.span.end / CUES_RATE)
            found.append(_Spoken(*times, names, turns))
    return found


def _of_subtitles(spoken: Sequence[_Spoken], length_s: float, latest_s: float) -> list[_Candidate]:
    """Return a stretch for each cue that may begin one, the best first, none within another."""
    names, first = Counter[str](), 0
    turns = last = 0
    found: list[_Candidate] = []
    for number, cue in enumerate(spoken):
        start_s = min(max(0.0, cue.start_s - _LEAD_S), latest_s)
        while last < len(spoken) and spoken[last].end_s <= start_s + length_s:
            names.update(spoken[last].names)
            turns, last = turns + spoken[last].turns, last + 1
        while first < number:
            names.subtract(spoken[first].names)
            turns, first = turns - spoken[first].turns, first + 1
        named = tuple(sorted(name for name, count in names.items() if count > 0))
        found.append(_Candidate(start_s, named, turns, max(0, last - first)))
    apart: list[_Candidate] = []
    for each in sorted(found, key=lambda one: (-one.score, one.start_s)):
        if len(apart) < _HEARD and all(abs(each.start_s - a.start_s) >= length_s for a in apart):
            apart.append(each)
    return [each for each in apart if each.lines]


def _by_ear(info: MediaInfo, stream: Stream, length_s: float, latest_s: float) -> Minute:
    count = max(1, min(_STRETCHES, int(latest_s // length_s)))
    places = np.linspace(_EDGE * latest_s, (1 - _EDGE) * latest_s, count)
    heard = [_listened(info, stream, _Candidate(float(at)), length_s) for at in places]
    best = max(heard, key=lambda each: each.score)
    if best.speech < _LEAST_SPEECH:
        raise NoAudio(
            f"{info.path}: nobody was heard to speak at {count} places of {stream.describe()}: "
            "choose a time with --at, or another sound with audio.stream"
        )
    words = f"no subtitles tell who speaks; of {count} stretches listened to, {_words(best)}"
    return Minute(best.start_s, length_s, words)


def _words(best: _Candidate) -> str:
    said: list[str] = []
    if best.names:
        said.append(f"{len(best.names)} speakers are named ({', '.join(best.names)})")
    if best.lines:
        said.append(f"{best.lines} lines")
    if best.turns:
        said.append(f"{best.turns} changes of speaker are marked")
    if best.voices is not None:
        pitches = "pitch" if best.voices == 1 else "different pitches"
        said.append(f"voices of {best.voices} {pitches} for {100 * best.speech:.0f} % of the time")
    return f"most people speak there: {', '.join(said)}"


def _listened(
    info: MediaInfo, stream: Stream, candidate: _Candidate, length_s: float
) -> _Candidate:
    """Return a candidate with what is heard in its stretch."""
    source = graph.open_source(info.path, {"ss": f"{candidate.start_s:.3f}", "t": f"{length_s:g}"})
    sound = source.stream((stream.parts or (stream.index,))[0])
    asked = {**graph.FLOATS, "ac": 1, "ar": _RATE}
    command = graph.command(graph.output([sound], "pipe:1", asked))
    try:
        raw = ffmpeg.run(command).stdout
    except MediaToolError:
        # A place that cannot be decoded is none to choose.
        return replace(candidate, voices=0, speech=0.0)
    voices, speech = voices_in(np.frombuffer(raw[: len(raw) // 4 * 4], "<f4"), _RATE)
    return replace(candidate, voices=voices, speech=speech)


def voices_in(mono: Samples, rate: int) -> tuple[int, float]:
    """Return how many voices of clearly different pitch speak, and the share of voiced time.

    A steady note is no voice: its pitch does not move.
    """
    f0_hz = track_pitch(mono, rate, _HOP_S)
    voiced = np.flatnonzero(f0_hz)
    pitches: list[float] = []
    frames = 0
    breaks = np.flatnonzero(np.diff(voiced) > _JOINED_S / _HOP_S) + 1
    for stretch in np.split(voiced, breaks):
        if len(stretch) * _HOP_S < _SHORTEST_VOICED_S:
            continue
        semitones = 12 * np.log2(f0_hz[stretch])
        if float(np.std(semitones)) > 0.1:
            pitches.append(float(np.median(semitones)))
            frames += len(stretch)
    found = 0
    lowest = -np.inf
    for pitch in sorted(pitches):
        if pitch - lowest > _APART:
            found, lowest = found + 1, pitch
    return found, frames / max(1, len(f0_hz))


def clock(seconds: float) -> str:
    """Return a time as people write it, ``1:02:03``."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
