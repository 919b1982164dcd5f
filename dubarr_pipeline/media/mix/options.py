"""Options and inputs of the mixer: ducking, loudness, codec, and the places of the takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from dubarr_pipeline.media.audio.k_weighting import Powers
from dubarr_pipeline.media.audio.loudness import Loudness
from dubarr_pipeline.media.audio.reader import Samples
from dubarr_pipeline.media.mix.ducking import DuckingOptions
from dubarr_pipeline.media.mix.room_match import Room
from dubarr_pipeline.spans import Span

Preset = Literal["film", "duck", "voice-over"]
LoudnessPreset = Literal["source", "ebu-r128", "atsc-a85", "netflix"]
Codec = Literal["ac3", "eac3", "flac", "aac", "opus"]


@dataclass(frozen=True, slots=True)
class LoudnessTarget:
    """Requirements of a delivery standard; `dialogue_gated`: where nobody speaks does not count."""

    programme_lufs: float
    true_peak_dbtp: float
    dialogue_gated: bool = False


TARGETS: dict[LoudnessPreset, LoudnessTarget] = {
    "ebu-r128": LoudnessTarget(-23.0, -1.0),
    "atsc-a85": LoudnessTarget(-24.0, -2.0),
    "netflix": LoudnessTarget(-27.0, -2.0, dialogue_gated=True),
}
"""EBU R 128 (2020); ATSC A/85:2013; Netflix sound mix specification 1.6: dialogue-gated, +-2 LU."""


@dataclass(frozen=True, slots=True)
class LevelOptions:
    """Levels of the dub relative to the original.

    Attributes:
        quieter_db: how far a line may lie under the film's dialogue level, in dB: a whisper (15 to
            20 dB under talk) stays one, and can be understood.
        louder_db: how far a line may lie over the film's dialogue level, in dB: a shout does not
            tear the film apart.
        trim_db: how far all lines together may move so that the programme keeps its loudness, in
            dB.
        boost_db: most that a single take is turned up, in dB; a quieter take is broken.
        fallback_lufs: dialogue level in LUFS where neither the line nor the film has any to follow.
    """

    quieter_db: float = 20.0
    louder_db: float = 9.0
    trim_db: float = 3.0
    boost_db: float = 30.0
    fallback_lufs: float = -27.0


@dataclass(frozen=True, slots=True)
class MixOptions:
    """Mixing and delivery of a track.

    Attributes:
        preset: ``film`` leaves the bed at its level; ``duck`` lowers it under speech;
            ``voice-over`` keeps the original voices too, and lowers all of it.
        ducking: how the last two move.
        fade_ms: length of the fades at the ends of takes and around kept voices, in ms.
        loudness: ``source`` keeps the original programme's; the others reach a delivery standard.
        true_peak_dbtp: ceiling with ``source``, in dBTP; a film whose own peaks lie higher keeps
            them, and the dub may go as high.
        codec: codec of the new tracks, and their files' extension.
        bitrate_kbps: bit rate in kbit/s; not set: suits codec and channels.
        decode_again: whether loudness is measured on the file, decoded, and corrected by it, rather
            than on what went into the encoder. None: for a delivery standard, whose peaks must be
            proven, and for AAC, which loses up to 0.4 LU; with ``source`` and the other codecs
            it would cost half as much as the whole mix, for a hundredth of an LU.
        room_match: move takes towards the distance of their original lines (duller, with a small
            room's first reflections), as measured from each line.
        pcm: where to leave the mixer's own samples too, as float32 WAV.
    """

    preset: Preset = "film"
    ducking: DuckingOptions = field(default_factory=DuckingOptions)
    levels: LevelOptions = field(default_factory=LevelOptions)
    fade_ms: float = 8.0
    loudness: LoudnessPreset = "source"
    true_peak_dbtp: float = -1.0
    codec: Codec = "ac3"
    bitrate_kbps: int | None = None
    decode_again: bool | None = None
    room_match: bool = False
    pcm: Path | None = None

    @property
    def target(self) -> LoudnessTarget | None:
        """The delivery standard, or None where the source's own loudness is kept."""
        return TARGETS.get(self.loudness)


@dataclass(frozen=True, slots=True)
class OriginalLevels:
    """Levels of a film's own sound: measured for its first language, known to the others.

    Attributes:
        lines: gated loudness in LUFS, ``(channels,)`` shares and sum of the voice's powers, by the
            line's window.
        parts: powers of every tenth of a second, by the part of the film.
    """

    lines: dict[Span, tuple[float, Powers, float]] = field(default_factory=dict)
    parts: dict[Span, Powers] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class MixSources:
    """The original sound, taken apart.

    Attributes:
        accompaniment, vocals: float32 WAV of one rate, layout and length; summed, the original.
        speech: where vocals were taken out.
        kept: where the original voice stays: everywhere but in lines that have a dub.
        loudness: of the original programme, as measured when it was extracted.
        detected: where the detector heard speech; not set: `speech`.
        levels: levels of both stems, as far as they are known.
    """

    accompaniment: Path
    vocals: Path
    speech: tuple[Span, ...]
    kept: tuple[Span, ...]
    loudness: Loudness
    detected: tuple[Span, ...] | None = None
    levels: OriginalLevels = field(default_factory=OriginalLevels, compare=False)


_NOT_PLANNED = Span(0, 0)


@dataclass(frozen=True, slots=True)
class PlacedTake:
    """A take in a track: the caller gives its place, `plan_mix` the rest.

    Attributes:
        start: sample of the track at which its first sample is heard; may lie before the track.
        path: mono WAV at any rate; all of it is heard, no more and no less.
        speaker: the speaker's id.
        window: the original line's span: its level and its place in the room are followed.
        gain_db: on the samples of the file; before the plan, the correction that a person asked
            for, which the plan adds to the measured level.
        span: the part that lies in the track and can be heard.
        pan: ``(channels,)`` float32 gains, on top of `gain_db`.
        room: the distance that it is given so that it sounds as far away as its original, or None.
    """

    start: int
    path: Path
    speaker: str
    window: Span
    gain_db: float = 0.0
    span: Span = _NOT_PLANNED
    pan: Samples = field(default_factory=lambda: np.zeros(0, np.float32), compare=False)
    room: Room | None = None

    @property
    def is_heard(self) -> bool:
        """True if any of it sounds in the track."""
        return self.span.length > 0 and bool(self.pan.any())
