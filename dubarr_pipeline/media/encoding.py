"""Codecs of the dubbed track: what each can carry, and how its delay is taken out."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dubarr_pipeline.errors import SettingsError
from dubarr_pipeline.media import ffmpeg
from dubarr_pipeline.media.channels import layout_of
from dubarr_pipeline.media.mix_options import Codec
from dubarr_pipeline.media.sound_reader import Samples


@dataclass(frozen=True, slots=True)
class CodecFacts:
    """What ffmpeg's encoder of a codec does.

    Attributes:
        encoder, container: their names in ffmpeg.
        rates: sample rates it takes; empty for all.
        layouts: channel layouts it takes, most channels last; empty for all.
        delay_samples: silence that it puts in front and no header tells of: as much is left out of
            its input, so that sample 0 of the file, decoded, is sample 0 of the film.
        kbps: bitrate for 1, 2, up to 6, and more channels; empty where it has none.
        most_kbps: highest bitrate of the format.
        extra: further arguments.
    """

    encoder: str
    container: str
    rates: tuple[int, ...] = ()
    layouts: tuple[str, ...] = ()
    delay_samples: int = 0
    kbps: tuple[int, ...] = ()
    most_kbps: int = 0
    extra: tuple[str, ...] = ()


_DOLBY_LAYOUTS = (
    "mono",
    "stereo",
    "2.1",
    "3.0",
    "3.0(back)",
    "quad",
    "quad(side)",
    "4.0",
    "3.1",
    "5.0",
    "5.0(side)",
    "4.1",
    "5.1",
    "5.1(side)",
)
_DOLBY_RATES = (48000, 44100, 32000)
_AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
_OPUS_LAYOUTS = ("mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")
_AAC_LAYOUTS = ("mono", "stereo", "3.0", "4.0", "5.0", "5.1", "7.1(wide)", "7.1")

CODECS: dict[Codec, CodecFacts] = {
    "ac3": CodecFacts(
        "ac3", "ac3", _DOLBY_RATES, _DOLBY_LAYOUTS, 256, (128, 256, 640, 640), 640
    ),
    "eac3": CodecFacts(
        "eac3", "eac3", _DOLBY_RATES, _DOLBY_LAYOUTS, 256, (96, 224, 640, 640), 6144
    ),
    "flac": CodecFacts("flac", "flac", extra=("-sample_fmt", "s32")),
    "aac": CodecFacts(
        "aac", "adts", _AAC_RATES, _AAC_LAYOUTS, 1024, (96, 192, 448, 576), 1536
    ),
    "opus": CodecFacts(
        "libopus", "opus", (48000,), _OPUS_LAYOUTS, 0, (96, 160, 384, 512), 1536
    ),
}  # fmt: skip
DIALNORM_CODECS: tuple[Codec, ...] = ("ac3", "eac3")
_FOLDED = {"6.1": "5.1", "6.1(back)": "5.1", "7.1": "5.1", "7.1(wide)": "5.1", "6.0": "5.1"}
_SIMILAR = {"5.1(side)": "5.1", "5.0(side)": "5.0", "quad(side)": "quad", "4.0": "quad"}


@dataclass(frozen=True, slots=True)
class TrackFormat:
    """What the finished file is, and what had to be changed for the codec's sake.

    Attributes:
        bitrate_kbps: None for a codec that has none.
        notes: one sentence for each change.
    """

    codec: Codec
    rate: int
    channels: int
    layout: str
    bitrate_kbps: int | None
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SoundFormat:
    """Rate, channels and layout of the sound that is fed in."""

    rate: int
    channels: int
    layout: str | None


def choose_format(codec: Codec, sound: SoundFormat, bitrate_kbps: int | None) -> TrackFormat:
    """Return the format of the file: the film's own where the codec can carry it.

    Raises:
        SettingsError: if the bitrate is more than the format allows.
    """
    facts = CODECS[codec]
    if bitrate_kbps is not None and not 0 < bitrate_kbps <= facts.most_kbps:
        raise SettingsError(
            f"mix.bitrate_kbps = {bitrate_kbps}: {codec} takes 1 to {facts.most_kbps}"
            if facts.most_kbps
            else f"mix.bitrate_kbps = {bitrate_kbps}: {codec} is lossless and has no bitrate"
        )
    layout = layout_of(sound.channels, sound.layout)
    chosen_layout = _layout(layout, facts)
    rate = _rate(sound.rate, facts)
    channels = sound.channels if chosen_layout == layout else _channels(chosen_layout)
    notes = []
    if rate != sound.rate:
        notes.append(f"resampled from {sound.rate} to {rate} Hz: {codec} has no other near it")
    if channels != sound.channels:
        notes.append(f"folded from {layout} to {chosen_layout}: {codec} carries no more")
    kbps = bitrate_kbps or _bitrate(channels, facts)
    return TrackFormat(codec, rate, channels, chosen_layout, kbps, tuple(notes))


def _layout(layout: str, facts: CodecFacts) -> str:
    if not facts.layouts or layout in facts.layouts:
        return layout
    for table in (_SIMILAR, _FOLDED):
        if table.get(layout) in facts.layouts:
            return table[layout]
    return "stereo"


def _channels(layout: str) -> int:
    named = {"mono": 1, "stereo": 2, "quad": 4}
    if layout in named:
        return named[layout]
    return sum(int(part) for part in layout.split("(")[0].split("."))


def _rate(rate: int, facts: CodecFacts) -> int:
    if not facts.rates or rate in facts.rates:
        return rate
    family = [r for r in facts.rates if r % 11025 == rate % 11025 == 0]
    return (family or [48000])[0]


def _bitrate(channels: int, facts: CodecFacts) -> int | None:
    if not facts.kbps:
        return None
    mono, stereo, six, more = facts.kbps
    return mono if channels == 1 else stereo if channels == 2 else six if channels < 7 else more


def dialnorm_of(loudness_lufs: float) -> int:
    """Return the dialnorm that says how loud a programme is: -31 to -1 (ATSC A/52, 5.4.2.8)."""
    return int(np.clip(round(loudness_lufs), -31, -1))


@contextlib.contextmanager
def encoding(
    path: Path, sound: SoundFormat, track: TrackFormat, dialnorm: int | None
) -> Iterator[Encoder]:
    """Start the one encoder of a track; what is written inside becomes it. Raises as ffmpeg.run."""
    with ffmpeg.encoder(encoder_arguments(path, sound, track, dialnorm)) as pipe:
        yield Encoder(pipe)


class Encoder:
    """Takes the film block by block."""

    def __init__(self, pipe: ffmpeg.ToolPipe) -> None:
        self._pipe = pipe

    def write(self, block: Samples) -> None:
        """Encode the next ``(channels, samples)``."""
        self._pipe.write(np.ascontiguousarray(block.T, "<f4").data.cast("B"))


def encoder_arguments(
    path: Path, sound: SoundFormat, track: TrackFormat, dialnorm: int | None
) -> list[str]:
    """Return ffmpeg's arguments to make `path` of float32 samples on its standard input."""
    facts = CODECS[track.codec]
    layout = layout_of(sound.channels, sound.layout)
    source = ["-y", "-f", "f32le", "-ar", str(sound.rate), "-ac", str(sound.channels)]
    named = ["-channel_layout", layout] if not layout.endswith("c") else []
    arguments = [
        *source,
        *named,
        "-i",
        "pipe:0",
        "-af",
        _filters(sound, track, facts.delay_samples),
    ]
    arguments += ["-c:a", facts.encoder, *facts.extra]
    if track.bitrate_kbps:
        arguments += ["-b:a", f"{track.bitrate_kbps}k"]
    if dialnorm is not None and track.codec in DIALNORM_CODECS:
        arguments += ["-dialnorm", str(dialnorm)]
    return [*arguments, "-map_metadata", "-1", "-f", facts.container, ffmpeg.file_url(path)]


def conversion(sound: SoundFormat, track: TrackFormat) -> list[str]:
    """Return ffmpeg's filters that bring the film's sound to a track's rate and layout."""
    steps = []
    if track.rate != sound.rate:
        steps.append(f"aresample={track.rate}:resampler=soxr:precision=24")
    if track.layout != layout_of(sound.channels, sound.layout):
        steps.append(f"aformat=channel_layouts={track.layout}")
    return steps


def _filters(sound: SoundFormat, track: TrackFormat, delay: int) -> str:
    steps = conversion(sound, track)
    if delay:
        steps.append(f"apad=pad_len={delay},atrim=start_sample={delay},asetpts=N/SR/TB")
    return ",".join(steps) or "anull"
