"""Codecs of the dubbed track: their limits, and the removal of their delay."""

from __future__ import annotations

import contextlib
import tempfile
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from pydantic import TypeAdapter

from dubarr_pipeline.errors import MediaToolError, SettingsError
from dubarr_pipeline.media.audio.channels import LAYOUT_MASKS, layout_of
from dubarr_pipeline.media.audio.k_weighting import Powers
from dubarr_pipeline.media.audio.loudness import Loudness, LoudnessMeter
from dubarr_pipeline.media.audio.reader import Samples
from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.media.container import ffmpeg_graph as graph
from dubarr_pipeline.media.mix.options import Codec
from dubarr_pipeline.spans import Span
from dubarr_pipeline.text.tables import read_table


@dataclass(frozen=True, slots=True)
class CodecFacts:
    """Properties of ffmpeg's encoder for a codec.

    Attributes:
        rates: sample rates it takes; empty for all.
        layouts: channel layouts it takes, most channels last; empty for all.
        delay_samples: silence that it puts in front and no header tells of: as much is left out of
            its input, so that sample 0 of the file, decoded, is sample 0 of the film.
        kbps: bitrate for 1, 2, up to 6, and more channels; empty where it has none.
        most_kbps: highest bitrate of the format.
        extra: further options.
    """

    encoder: str
    container: str
    rates: tuple[int, ...] = ()
    layouts: tuple[str, ...] = ()
    delay_samples: int = 0
    kbps: tuple[int, ...] = ()
    most_kbps: int = 0
    extra: Mapping[str, str] = field(default_factory=dict[str, str])


_TABLES = read_table("dubarr_pipeline.media.mix", "codecs")
CODECS = TypeAdapter(dict[Codec, CodecFacts]).validate_python(_TABLES["codecs"])
DIALNORM_CODECS: tuple[Codec, ...] = ("ac3", "eac3")
_SIMILAR: dict[str, str] = _TABLES["similar"]


@dataclass(frozen=True, slots=True)
class TrackFormat:
    """Format of the finished file, and in `notes` a sentence for each change that its codec needs.

    `bitrate_kbps` is None for a codec that has none.
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
    chosen_layout = _layout(layout, sound.channels, facts)
    rate = _rate(sound.rate, facts)
    channels = (
        sound.channels if chosen_layout == layout else LAYOUT_MASKS[chosen_layout].bit_count()
    )
    notes = []
    if rate != sound.rate:
        notes.append(f"resampled from {sound.rate} to {rate} Hz: {codec} has no other near it")
    if channels != sound.channels:
        notes.append(f"folded from {layout} to {chosen_layout}: {codec} carries no more")
    kbps = bitrate_kbps
    if not kbps and facts.kbps:
        kbps = facts.kbps[bisect_left((1, 2, 6), channels)]
    return TrackFormat(codec, rate, channels, chosen_layout, kbps, tuple(notes))


def check_encoder(codec: Codec, sound: SoundFormat, bitrate_kbps: int) -> None:
    """Encode a moment of silence, before any work: encoders refuse rates that their format allows.

    Raises:
        SettingsError: if it does not take the bitrate for this sound.
    """
    track = choose_format(codec, sound, bitrate_kbps)
    try:
        with (
            tempfile.TemporaryDirectory() as folder,
            encoding(Path(folder, "silence"), sound, track, None) as encode,
        ):
            encode(np.zeros((sound.channels, sound.rate // 4), np.float32))
    except MediaToolError as error:
        raise SettingsError(
            f"mix.bitrate_kbps = {bitrate_kbps}: the encoder of {codec} refuses it for "
            f"{track.layout} sound at {track.rate} Hz: {error}"
        ) from error


def _layout(layout: str, channels: int, facts: CodecFacts) -> str:
    if not facts.layouts or layout in facts.layouts:
        return layout
    similar = (_SIMILAR.get(layout), "5.1" if channels > 5 else "5.0" if channels > 4 else "stereo")
    return next(name for name in (*similar, "stereo") if name in facts.layouts)


def _rate(rate: int, facts: CodecFacts) -> int:
    if not facts.rates or rate in facts.rates:
        return rate
    family = [r for r in facts.rates if r % 11025 == rate % 11025 == 0]
    return (family or [48000])[0]


def dialnorm_of(loudness_lufs: float) -> int:
    """Return the dialnorm that says how loud a programme is: -31 to -1 (ATSC A/52, 5.4.2.8)."""
    return int(np.clip(round(loudness_lufs), -31, -1))


@contextlib.contextmanager
def encoding(
    path: Path, sound: SoundFormat, track: TrackFormat, dialnorm: int | None, *, bare: bool = False
) -> Iterator[Callable[[Samples], object]]:
    """Start the one encoder of a track, which takes the film in blocks of ``(channels, samples)``.

    A `bare` encoder takes its input as it is: its delay is the caller's concern. Raises as
    `ffmpeg.run`.
    """
    # Where ffmpeg converts nothing, its filters would cost a twentieth of the encoding.
    by_filters = not bare and is_converted(sound, track)
    delay = 0 if bare or by_filters else CODECS[track.codec].delay_samples
    left_out = delay
    with ffmpeg.encoder(
        encoder_command(path, sound, track, dialnorm, undelayed=by_filters)
    ) as pipe:

        def encode(block: Samples) -> None:
            nonlocal left_out
            heard = block[:, left_out:]
            left_out -= block.shape[1] - heard.shape[1]
            pipe.write(np.ascontiguousarray(heard.T, "<f4").reshape(-1).data.cast("B"))

        yield encode
        if delay:
            encode(np.zeros((sound.channels, delay), np.float32))


def encoder_command(
    path: Path,
    sound: SoundFormat,
    track: TrackFormat,
    dialnorm: int | None,
    *,
    undelayed: bool = False,
) -> list[str]:
    """Return ffmpeg's arguments to make `path` of float32 samples on its standard input.

    It leaves the encoder's delay out of its input if the track is to be `undelayed`.
    """
    facts = CODECS[track.codec]
    layout = layout_of(sound.channels, sound.layout)
    raw: graph.Options = {"f": "f32le", "ar": sound.rate, "ac": sound.channels}
    named: graph.Options = {} if layout.endswith("c") else {"channel_layout": layout}
    heard = converted(graph.open_input("pipe:0", {**raw, **named}).stream("a:0"), sound, track)
    if (delay := facts.delay_samples) and undelayed:
        heard = heard.filter("apad", {"pad_len": delay})
        heard = heard.filter("atrim", {"start_sample": delay})
        heard = heard.filter("asetpts", {"expr": "N/SR/TB"})
    options = {"c:a": facts.encoder, "map_metadata": -1, "f": facts.container, **facts.extra}
    if track.bitrate_kbps:
        options["b:a"] = f"{track.bitrate_kbps}k"
    if dialnorm is not None and track.codec in DIALNORM_CODECS:
        options["dialnorm"] = dialnorm
    return graph.command(graph.output([heard], path, options), flags=["-y"])


def is_converted(sound: SoundFormat, track: TrackFormat) -> bool:
    """Return whether a track's rate or layout is another than the film's."""
    layout = layout_of(sound.channels, sound.layout)
    return track.rate != sound.rate or track.layout != layout


def converted(link: graph.Link, sound: SoundFormat, track: TrackFormat) -> graph.Link:
    """Return the film's sound at a track's rate and in its layout."""
    if track.rate != sound.rate:
        link = graph.resampled(link, track.rate)
    if track.layout != layout_of(sound.channels, sound.layout):
        link = link.filter("aformat", {"channel_layouts": track.layout})
    return link


_BLOCK_SAMPLES = 1 << 16


@dataclass(frozen=True, slots=True)
class MeasuredTrack:
    """Measurements of a track.

    Attributes:
        dialogue_lufs: while somebody speaks, gated within it; -70 where nobody does.
        frames: power of every tenth of a second.
        decoded_samples: length of the file; None where it is the mix that was measured.
    """

    loudness: Loudness
    dialogue_lufs: float
    frames: Powers
    decoded_samples: int | None


def measure_track(
    path: Path, track: TrackFormat, voiced: Sequence[Span], rate: int
) -> MeasuredTrack:
    """Decode a track in one pass and measure it; `voiced` and `rate` (Hz) are the film's."""
    meter = LoudnessMeter(track.rate, track.channels, track.layout)
    samples = 0
    decoded = graph.output([graph.open_input(path).stream("a:0")], "pipe:1", graph.FLOATS)
    with ffmpeg.reader(graph.command(decoded)) as pipe:
        for block in pipe.sound(track.channels, _BLOCK_SAMPLES):
            meter.add(block)
            samples += block.shape[1]
    spoken = [
        Span(span.start * track.rate // rate, span.end * track.rate // rate) for span in voiced
    ]
    return measured(meter, spoken, samples)


def measured(
    meter: LoudnessMeter, voiced: Sequence[Span], decoded_samples: int | None
) -> MeasuredTrack:
    """Return a meter's results after the last block; `voiced` is at the meter's rate."""
    meter.finish()
    return MeasuredTrack(meter.result(), meter.dialogue_lufs(voiced), meter.frames, decoded_samples)
