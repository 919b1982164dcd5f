"""Tells speakers apart by the subtitles' cues: one cue, one voice; written names win."""

import importlib.util
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import ClassVar

import numpy as np

from dubarr_pipeline.engines.interfaces import AudioReader, Diarizer, Need
from dubarr_pipeline.media.audio.reader import read_mono
from dubarr_pipeline.media.subtitles.parse import Cue
from dubarr_pipeline.progress import OnProgress, Progress, ignore_progress
from dubarr_pipeline.script.cues.alignment import SpeechMap
from dubarr_pipeline.script.cues.layout import SoundClock, lay_out
from dubarr_pipeline.script.model import Diarization, ScriptLine, Turn
from dubarr_pipeline.script.speakers.channels import louder_channel, speaker_per_channel
from dubarr_pipeline.script.speakers.features import (
    VoiceFeatures,
    voice_features,
    voice_space,
)
from dubarr_pipeline.script.speakers.grouping import (
    ClusterOptions,
    VoicedPieces,
    group_pieces,
    pairs_apart,
    speaker_name,
)
from dubarr_pipeline.spans import Span, merge, to_samples
from dubarr_pipeline.workdir.canonical import canonical_json

_log = logging.getLogger(__name__)
_VERSION = 1


@dataclass(frozen=True, slots=True)
class CueClusterOptions:
    """Options of the clustering of speakers.

    Attributes:
        clusters: how many groups are looked for, and when they are believed.
        longest_heard_s: longest stretch of each line to analyse, in seconds.
        bridged_pause_s: longest pause that does not end a turn, in seconds.
        window_s: length of the windows into which speech without subtitles is cut, in seconds.
        at_once_s: overlap from which two lines are two people's, in seconds.
    """

    clusters: ClusterOptions = field(default_factory=ClusterOptions)
    longest_heard_s: float = 8.0
    bridged_pause_s: float = 0.3
    window_s: float = 3.0
    at_once_s: float = 0.5


@dataclass(frozen=True, slots=True)
class _Voice:
    """Speaker of a piece: a key that is the same for all pieces of one person."""

    piece: ScriptLine
    key: str
    confidence: float


class CueClusters(Diarizer):
    """Groups the lines of the subtitles by voice: MFCC statistics and pitch, no model."""

    name: ClassVar[str] = "cue-clusters"

    def __init__(self, options: CueClusterOptions | None = None) -> None:
        self._options = options or CueClusterOptions()

    def identity(self) -> str:
        return f"{self.name}/{_VERSION}/{canonical_json(self._options)}"

    def needs(self) -> tuple[Need, ...]:
        present = importlib.util.find_spec("scipy") is not None
        return (Need("package", "scipy", present, "pip install dubarr-pipeline"),)

    def diarize(
        self,
        vocals: AudioReader,
        speech: Sequence[Span],
        cues: Sequence[Cue],
        on_progress: OnProgress = ignore_progress,
    ) -> Diarization:
        pieces = self._pieces(vocals, speech, cues)
        speech_map = SpeechMap(speech)
        if speaker_per_channel(vocals, speech_map.spans):
            _log.info("each channel carries a speaker of its own")
            voices: list[_Voice] = []
            for piece in pieces:
                channel, confidence = louder_channel(vocals, piece.span)
                name = speaker_name(piece)
                key = f"name {name}" if name else f"channel {channel}"
                voices.append(_Voice(piece, key, confidence))
        else:
            voices = self._by_voice(vocals, speech_map, pieces, on_progress)
        diarization = self._turns(voices, speech_map, vocals.rate)
        counts = (len(diarization.speakers), len(diarization.turns), len(diarization.names))
        _log.info("%d speakers in %d turns (%d named) from %d cues", *counts, len(cues))
        return diarization

    def _pieces(
        self, vocals: AudioReader, speech: Sequence[Span], cues: Sequence[Cue]
    ) -> list[ScriptLine]:
        clock = SoundClock(vocals.rate, vocals.samples)
        if cues:
            layout = lay_out(cues, speech, clock)
            return [p for p in layout.pieces if p.kind in ("speech", "foreign")]
        longest = to_samples(self._options.window_s, vocals.rate)
        windows: list[Span] = []
        for span in merge(speech):
            count = max(1, -(-span.length // longest))
            edges = [span.start + span.length * i // count for i in range(count + 1)]
            windows += [Span(a, b) for a, b in pairwise(edges)]
        return [ScriptLine(i, window, "") for i, window in enumerate(windows)]

    def _by_voice(
        self,
        vocals: AudioReader,
        speech: SpeechMap,
        pieces: Sequence[ScriptLine],
        on_progress: OnProgress,
    ) -> list[_Voice]:
        heard: list[tuple[ScriptLine, VoiceFeatures]] = []
        for done, piece in enumerate(pieces):
            spans = speech.within(piece.span) or [piece.span]
            left = to_samples(self._options.longest_heard_s, vocals.rate)
            sounds: list[np.ndarray] = []
            for span in spans:
                part = Span(span.start, span.start + min(span.length, left))
                sounds.append(read_mono(vocals, part))
                left -= sounds[-1].size
                if left <= 0:
                    break
            found = voice_features(np.concatenate(sounds), vocals.rate)
            if found:
                heard.append((piece, found))
            on_progress(Progress(done + 1, len(pieces), "listening to the voices"))
        return _fill_unheard(pieces, self._grouped(heard, vocals.rate))

    def _grouped(
        self, heard: Sequence[tuple[ScriptLine, VoiceFeatures]], rate: int
    ) -> list[_Voice]:
        if not heard:
            return []
        pieces = tuple(piece for piece, _ in heard)
        space = voice_space([found for _, found in heard])
        voiced = VoicedPieces(
            pieces,
            space.points,
            space.frames,
            space.pitch_octaves,
            space.spread,
            pairs_apart(pieces, to_samples(self._options.at_once_s, rate)),
        )
        groups, confidence = group_pieces(voiced, self._options.clusters)
        return [
            _Voice(piece, f"group {group}", float(sure))
            for piece, group, sure in zip(pieces, groups, confidence, strict=True)
        ]

    def _turns(self, voices: Sequence[_Voice], speech: SpeechMap, rate: int) -> Diarization:
        ids: dict[str, str] = {}
        names: dict[str, str] = {}
        turns: list[Turn] = []
        bridge = to_samples(self._options.bridged_pause_s, rate)
        for voice in voices:
            speaker = ids.setdefault(voice.key, f"SPEAKER_{len(ids):02d}")
            if speaker_name(voice.piece) and voice.piece.name:
                names.setdefault(speaker, display_name(voice.piece.name))
            spans = merge(speech.within(voice.piece.span), bridge) if voice.piece.supported else []
            sure = voice.confidence if spans else voice.confidence / 2
            turns += [Turn(span, speaker, sure) for span in spans or [voice.piece.span]]
        ordered = sorted(turns, key=lambda turn: (turn.span, turn.speaker))
        return Diarization(rate, tuple(t for t in ordered if t.span.length), names)


def display_name(name: str) -> str:
    """Return a name as people read it: subtitles shout it."""
    return name.title().replace("'S ", "'s ") if name.isupper() and len(name) > 3 else name


def _fill_unheard(pieces: Sequence[ScriptLine], voices: Sequence[_Voice]) -> list[_Voice]:
    """Give pieces without any sound to whoever is named, or to whom they most likely belong."""
    known = {id(voice.piece): voice for voice in voices}
    of_name = {name: v.key for v in voices if (name := speaker_name(v.piece))}
    filled: list[_Voice] = []
    for piece in pieces:
        voice = known.get(id(piece))
        if voice is None:
            name = speaker_name(piece)
            # Else it is the last speaker's, or in a dialogue that of the one before.
            keys = [v.key for v in reversed(filled)] or ["group 0"]
            other = next((k for k in keys if piece.new_speaker and k != keys[0]), keys[0])
            key = of_name.setdefault(name, f"name {name}") if name else other
            voice = _Voice(piece, key, 0.6 if name else 0.2)
        filled.append(voice)
    return filled
