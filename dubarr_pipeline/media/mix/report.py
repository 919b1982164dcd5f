"""The mixer's report: the figures that checks and reports show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class LineMix:
    """One take in the track.

    Attributes:
        start, samples: where it lies on the film and how long it is, at the film's rate.
        original_lufs: the original line, -70 where there was no voice.
        dub_lufs: the take as it sounds in the track, -70 where nothing is heard.
        gain_db: on the samples of its file.
        lost_samples: what lay before the film's start or after its end and could not be heard.
    """

    start: int
    samples: int
    speaker: str
    original_lufs: float
    dub_lufs: float
    gain_db: float
    pan: tuple[float, ...]
    lost_samples: int = 0


@dataclass(frozen=True, slots=True)
class DuckingReport:
    """Count, depth and length of the ducking."""

    moves: int = 0
    depth_db: float = 0.0
    lowered_s: float = 0.0


@dataclass(frozen=True, slots=True)
class MixReport:
    """Result of mixing a track.

    Attributes:
        samples, rate, channels, layout: of the mixer's sound: the film's own.
        codec, track_rate, track_layout, bitrate_kbps: of the file.
        measured_on: ``track``: the file was decoded again; ``mix``: as it went into the encoder.
        loudness_lufs, true_peak_dbtp, lra_lu: of the programme.
        dialogue_lufs: the programme's loudness while somebody speaks, gated within it.
        source_lufs: of the original programme.
        target_lufs: what was asked for.
        miss_lu: measured minus asked for, as the preset measures it.
        ceiling_dbtp: the highest true peak that the file may have.
        gain_db: on the whole programme (0 with ``source``).
        dub_trim_db: on all takes together, so that the programme keeps its loudness.
        dialnorm: as written, or None for a codec that has none.
        clipped_samples: samples of the mix over full scale, or over the film's own higher peaks.
        limited_samples, limited_db: how much, and how deep, the limiter turned down.
        encoder_delay_samples: taken out, so that the file starts with the film.
        decoded_samples: length of the file at `track_rate`; None where it was not decoded again.
        passes: how often the track was encoded.
        dialogue_channels: the only channels that were changed.
        notes: what had to be done for the codec's sake, and what could not be reached.
    """

    samples: int
    rate: int
    channels: int
    layout: str
    codec: str
    track_rate: int
    track_layout: str
    bitrate_kbps: int | None
    measured_on: Literal["track", "mix"]
    loudness_lufs: float
    true_peak_dbtp: float
    lra_lu: float
    dialogue_lufs: float
    source_lufs: float
    target_lufs: float
    miss_lu: float
    ceiling_dbtp: float
    gain_db: float
    dub_trim_db: float
    dialnorm: int | None
    clipped_samples: int
    limited_samples: int
    limited_db: float
    encoder_delay_samples: int
    decoded_samples: int | None
    passes: int
    dialogue_channels: tuple[int, ...]
    ducking: DuckingReport
    lines: tuple[LineMix, ...]
    notes: tuple[str, ...] = ()
