"""Tells speakers apart by the subtitles' cues: one cue, one voice; written names win.

Without subtitles the pauses divide the speech, and the voices are grouped by what is heard alone.
"""

import importlib.util
import logging
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.engines.diarization.voiceprint_model import VoiceprintModel
from dubarr_pipeline.engines.interfaces import AudioReader, Diarizer, Need
from dubarr_pipeline.engines.requirements import model_in_store
from dubarr_pipeline.media.audio.reader import Samples, read_mono
from dubarr_pipeline.media.subtitles.parse import Cue
from dubarr_pipeline.models.store import is_present, model_folder, model_identity
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
from dubarr_pipeline.script.speakers.heard_groups import LOUD_DB, clear_groups, even_space
from dubarr_pipeline.script.speakers.stretches import StretchOptions, divide_speech
from dubarr_pipeline.script.speakers.voiceprints import group_prints
from dubarr_pipeline.spans import Span, merge, to_samples
from dubarr_pipeline.workdir.canonical import canonical_json

_log = logging.getLogger(__name__)
_VERSION = 1
_UNSCRIPTED_VERSION = 2
_MODEL = "campplus"


@dataclass(frozen=True, slots=True)
class CueClusterOptions:
    """Options of the clustering of speakers.

    Attributes:
        clusters: how many groups are looked for, and when they are believed.
        longest_heard_s: longest stretch of each line to analyse, in seconds.
        bridged_pause_s: longest pause that does not end a turn, in seconds.
        window_s: longest stretch of speech without subtitles that is one voice unheard, in seconds.
        at_once_s: overlap from which two lines are two people's, in seconds.
        model: speaker embedding by which voices are told apart in films without subtitles; the
            default is used if it is in the store (``dubarr models pull campplus``); empty: none.
        cues_by: how the lines of subtitles are told apart: by timbre and pitch, or by sound, as
            speech without subtitles is, which music disturbs less.
    """

    clusters: ClusterOptions = field(default_factory=ClusterOptions)
    longest_heard_s: float = 8.0
    bridged_pause_s: float = 0.3
    window_s: float = 2.5
    at_once_s: float = 0.5
    model: str = _MODEL
    cues_by: Literal["timbre", "sound"] = "timbre"


@dataclass(frozen=True, slots=True)
class _Voice:
    """Speaker of a piece: a key that is the same for all pieces of one person, and a voiceprint."""

    piece: ScriptLine
    key: str
    confidence: float
    voiceprint: NDArray[np.float64] | None = None


class CueClusters(Diarizer):
    """Groups the lines of the subtitles by voice: MFCC statistics and pitch, no model."""

    name: ClassVar[str] = "cue-clusters"

    def __init__(self, options: CueClusterOptions | None = None) -> None:
        self._options = options or CueClusterOptions()
        self._model: VoiceprintModel | None = None

    def identity(self) -> str:
        plain = f"{self.name}/{_VERSION}/{canonical_json(self._options)}"
        by_sound = self._options.cues_by == "sound"
        return f"{plain}/{self.unscripted_identity()}" if by_sound else plain

    def unscripted_identity(self) -> str:
        weights = model_identity(self._options.model) if self._has_model() else "no model"
        return f"{_UNSCRIPTED_VERSION}/{weights}"

    def needs(self) -> tuple[Need, ...]:
        present = importlib.util.find_spec("scipy") is not None
        package = Need("package", "scipy", present, "pip install dubarr-pipeline")
        chosen = self._options.model not in ("", _MODEL)
        return (package, model_in_store(self._options.model)) if chosen else (package,)

    def unload(self) -> None:
        self._model = None

    def print_of(self, mono: Samples, rate: int) -> tuple[float, ...] | None:
        model = self._network()
        found = model.print_of(mono, rate) if model else None
        return None if found is None else tuple(found.tolist())

    def _network(self) -> VoiceprintModel | None:
        """Return the network, loaded; None if it is not here."""
        if self._model is None and self._has_model():
            self._model = VoiceprintModel(model_folder(self._options.model))
        return self._model

    def _has_model(self) -> bool:
        return bool(self._options.model) and is_present(self._options.model)

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
            sounds = self._listen(vocals, speech_map if cues else None, pieces, on_progress)
            by_timbre = cues and self._options.cues_by == "timbre"
            found = (self._by_voice if by_timbre else self._by_sound)(sounds, vocals.rate)
            voices = _fill_unheard(pieces, found)
        if not cues:
            voices = _joined(voices, to_samples(self._options.bridged_pause_s, vocals.rate))
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
        stretches = divide_speech(vocals, speech, StretchOptions(longest_s=self._options.window_s))
        return [ScriptLine(i, span, "") for i, span in enumerate(stretches)]

    def _by_sound(self, sounds: Iterable[tuple[ScriptLine, Samples]], rate: int) -> list[_Voice]:
        """Tell voices apart by what is heard alone: by the network if it is here."""
        model = self._network()
        if model is None:
            features = ((piece, voice_features(sound, rate, LOUD_DB)) for piece, sound in sounds)
            return self._by_timbre([(p, found) for p, found in features if found], rate)
        prints = ((piece, model.print_of(sound, rate)) for piece, sound in sounds)
        return self._by_print([(p, found) for p, found in prints if found is not None], rate)

    def _by_timbre(
        self, heard: Sequence[tuple[ScriptLine, VoiceFeatures]], rate: int
    ) -> list[_Voice]:
        if not heard:
            return []
        space, points = (
            voice_space([found for _, found in heard]),
            even_space([f for _, f in heard]),
        )

        def divide(long: NDArray[np.bool_], limits: ClusterOptions) -> NDArray[np.int64]:
            return clear_groups(points[long], space.frames[long], limits)

        pieces = tuple(piece for piece, _ in heard)
        apart = pairs_apart(pieces, to_samples(self._options.at_once_s, rate))
        voiced = VoicedPieces(pieces, points, space.frames, space.pitch_octaves, apart=apart)
        return _voices(heard, *group_pieces(voiced, self._options.clusters, divide))

    def _by_print(
        self, heard: Sequence[tuple[ScriptLine, NDArray[np.float64]]], rate: int
    ) -> list[_Voice]:
        if not heard:
            return []
        pieces, prints = tuple(piece for piece, _ in heard), np.array([found for _, found in heard])
        frames = np.array([piece.span.length * 100 // rate for piece in pieces], np.int64)

        def divide(long: NDArray[np.bool_], limits: ClusterOptions) -> NDArray[np.int64]:
            return group_prints(prints[long], frames[long] / 100, limits)

        apart = pairs_apart(pieces, to_samples(self._options.at_once_s, rate))
        unknown = np.full(len(pieces), np.nan)
        voiced = VoicedPieces(pieces, prints, frames, unknown, apart=apart)
        voices = _voices(heard, *group_pieces(voiced, self._options.clusters, divide))
        return [replace(v, voiceprint=found) for v, (_, found) in zip(voices, heard, strict=True)]

    def _listen(
        self,
        vocals: AudioReader,
        speech: SpeechMap | None,
        pieces: Sequence[ScriptLine],
        on_progress: OnProgress,
    ) -> Iterator[tuple[ScriptLine, Samples]]:
        """Yield the beginning of each piece's speech, mono; without `speech` all of the piece."""
        for done, piece in enumerate(pieces):
            spans = (speech.within(piece.span) if speech else ()) or [piece.span]
            left = to_samples(self._options.longest_heard_s, vocals.rate)
            sounds: list[Samples] = []
            for span in spans:
                part = Span(span.start, span.start + min(span.length, left)) if speech else span
                sounds.append(read_mono(vocals, part))
                left -= sounds[-1].size
                if left <= 0:
                    break
            yield piece, np.concatenate(sounds)
            on_progress(Progress(done + 1, len(pieces), "listening to the voices"))

    def _by_voice(self, sounds: Iterable[tuple[ScriptLine, Samples]], rate: int) -> list[_Voice]:
        features = ((piece, voice_features(sound, rate)) for piece, sound in sounds)
        return self._grouped([(p, found) for p, found in features if found], rate)

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
        return _voices(heard, *group_pieces(voiced, self._options.clusters))

    def _turns(self, voices: Sequence[_Voice], speech: SpeechMap, rate: int) -> Diarization:
        ids: dict[str, str] = {}
        names: dict[str, str] = {}
        prints: dict[str, NDArray[np.float64]] = {}
        turns: list[Turn] = []
        bridge = to_samples(self._options.bridged_pause_s, rate)
        for voice in voices:
            speaker = ids.setdefault(voice.key, f"SPEAKER_{len(ids):02d}")
            if speaker_name(voice.piece) and voice.piece.name:
                names.setdefault(speaker, display_name(voice.piece.name))
            if voice.voiceprint is not None:
                weighted = voice.voiceprint * voice.piece.span.length
                prints[speaker] = prints.get(speaker, 0) + weighted
            spans = merge(speech.within(voice.piece.span), bridge) if voice.piece.supported else []
            sure = voice.confidence if spans else voice.confidence / 2
            turns += [Turn(span, speaker, sure) for span in spans or [voice.piece.span]]
        ordered = sorted(turns, key=lambda turn: (turn.span, turn.speaker))
        units = {who: found / np.linalg.norm(found) for who, found in prints.items()}
        embeddings = {who: tuple(np.round(unit, 6).tolist()) for who, unit in units.items()}
        return Diarization(rate, tuple(t for t in ordered if t.span.length), names, embeddings)


def _voices(
    heard: Sequence[tuple[ScriptLine, object]],
    groups: NDArray[np.int64],
    confidence: NDArray[np.float64],
) -> list[_Voice]:
    return [
        _Voice(piece, f"group {group}", float(sure))
        for (piece, _), group, sure in zip(heard, groups, confidence, strict=True)
    ]


def _joined(voices: Sequence[_Voice], bridge: int) -> list[_Voice]:
    """Join what one voice says with pauses of at most `bridge` samples to one turn."""
    joined: list[_Voice] = []
    for voice in voices:
        last = joined[-1] if joined else None
        if (
            last is None
            or last.key != voice.key
            or voice.piece.span.start - last.piece.span.end > bridge
        ):
            joined.append(voice)
            continue
        lengths = last.piece.span.length, voice.piece.span.length
        sure = (last.confidence * lengths[0] + voice.confidence * lengths[1]) / sum(lengths)
        piece = replace(last.piece, span=Span(last.piece.span.start, voice.piece.span.end))
        joined[-1] = replace(last, piece=piece, confidence=sure)
    return joined


def display_name(name: str) -> str:
    """Return a name as people read it: subtitles shout it."""
    return name.title().replace("'S ", "'s ") if name.isupper() and len(name) > 3 else name


def _fill_unheard(pieces: Sequence[ScriptLine], voices: Sequence[_Voice]) -> list[_Voice]:
    """Give pieces without any sound to whoever is named, or to whom they most likely belong."""
    known = {id(voice.piece): voice for voice in voices}
    of_name = {name: v.key for v in voices if (name := speaker_name(v.piece))}
    filled: list[_Voice] = []
    last = before = "group 0"
    for piece in pieces:
        voice = known.get(id(piece))
        if voice is None:
            name = speaker_name(piece)
            # Else it is the last speaker's, or in a dialogue that of the one before.
            other = before if piece.new_speaker else last
            key = of_name.setdefault(name, f"name {name}") if name else other
            voice = _Voice(piece, key, 0.6 if name else 0.2)
        if not filled:
            last = before = voice.key
        elif voice.key != last:
            last, before = voice.key, last
        filled.append(voice)
    return filled
