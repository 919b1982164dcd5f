"""Plays a finished track once: its samples, block by block, and what it measures.

ffmpeg's own meter hears it in the same pass, so that it is not only the mixer's word. True peaks
are ffmpeg's where a delivery standard is asked for, and ours with ``source``: to interpolate
them costs ffmpeg more than the whole mix costs us.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from dubarr_pipeline.media import ffmpeg
from dubarr_pipeline.media.channels import layout_of
from dubarr_pipeline.media.encoding import SoundFormat, TrackFormat, conversion
from dubarr_pipeline.media.loudness import LOUDNESS_METER, METER, Loudness, meter_said
from dubarr_pipeline.media.sound_reader import Samples
from dubarr_pipeline.media.true_peak import TruePeakMeter
from dubarr_pipeline.media.waveform import WaveFile

_FLOATS = ("-c:a", "pcm_f32le", "-f", "f32le", "pipe:1")
_PROBE_SAMPLES = 4800


class InOrder(Protocol):
    """A sound that is read from its beginning to its end."""

    def read(self, start: int, stop: int) -> Samples:
        """Return ``(channels, stop - start)``; `start` is where the last call stopped."""
        ...


def play_track(
    path: Path, track: TrackFormat, block: int, on_block: Callable[[Samples], None], *, strict: bool
) -> Loudness:
    """Decode a track once, hand out its blocks, and return what it measures.

    Args:
        path: the encoded file.
        track: its format.
        block: samples in a block.
        on_block: told every ``(channels, block)``, the last may be shorter.
        strict: whether it is ffmpeg that measures true peaks, too.

    Raises:
        MediaToolError: if it cannot be decoded.
    """
    peaks = None if strict else TruePeakMeter(track.channels)
    filters = ["-v", "info", "-nostats", "-af", METER if strict else LOUDNESS_METER]
    source = ["-i", ffmpeg.file_url(path), "-map", "0:a:0"]
    with ffmpeg.reader([*filters[:3], *source, *filters[3:], *_FLOATS]) as pipe:
        for heard in _blocks(pipe, track.channels, block):
            if peaks:
                peaks.add(heard)
            on_block(heard)
    said = meter_said(pipe.stderr, path)
    return said if peaks is None else replace(said, true_peak_dbtp=peaks.peak_dbtp)


def _blocks(pipe: ffmpeg.ToolPipe, channels: int, block: int) -> Iterator[Samples]:
    while data := pipe.read(block * channels * 4):
        frames = np.frombuffer(data, "<f4").reshape(-1, channels)
        yield np.ascontiguousarray(frames.T, np.float32)


@contextlib.contextmanager
def as_in_track(path: Path, sound: SoundFormat, track: TrackFormat) -> Iterator[InOrder]:
    """Open a stem as it would sound in a track: folded and resampled as the encoder's input is.

    Raises:
        ArtifactError: if the stem is missing or damaged.
        MediaToolError: if it cannot be converted.
    """
    if not conversion(sound, track):
        with WaveFile(path) as wave:
            yield wave
        return
    filters = ",".join([*_named(sound), *conversion(sound, track)])
    with ffmpeg.reader(["-i", ffmpeg.file_url(path), "-af", filters, *_FLOATS]) as pipe:
        yield _Piped(pipe, track.channels)
        while pipe.read(1 << 20):
            pass


def _named(sound: SoundFormat) -> list[str]:
    """Have ffmpeg take the channels for what the mixer takes them for."""
    layout = layout_of(sound.channels, sound.layout)
    if layout.endswith("c"):
        return []
    return ["|".join([f"pan={layout}", *(f"c{n}=c{n}" for n in range(sound.channels))])]


class _Piped:
    def __init__(self, pipe: ffmpeg.ToolPipe, channels: int) -> None:
        self._pipe, self._channels = pipe, channels

    def read(self, start: int, stop: int) -> Samples:
        block = np.zeros((self._channels, stop - start), np.float32)
        data = self._pipe.read((stop - start) * self._channels * 4)
        frames = np.frombuffer(data, "<f4").reshape(-1, self._channels)
        block[:, : len(frames)] = frames.T
        return block


def folding(sound: SoundFormat, track: TrackFormat) -> NDArray[np.float64]:
    """Return ``(track channels, film channels)``: with which gains a film's channels are folded.

    Told by ffmpeg itself, which folds one channel after the other.
    """
    steps = conversion(SoundFormat(track.rate, sound.channels, sound.layout), track)
    if not steps:
        return np.eye(sound.channels)
    one_by_one = np.repeat(np.eye(sound.channels, dtype="<f4"), _PROBE_SAMPLES, axis=0)
    given = ["-f", "f32le", "-ar", str(track.rate), "-ac", str(sound.channels), "-i", "pipe:0"]
    filters = ",".join([*_named(sound), *steps])
    found = ffmpeg.run([*given, "-af", filters, *_FLOATS], stdin=one_by_one.tobytes()).stdout
    heard = np.frombuffer(found, "<f4").reshape(-1, track.channels)
    return heard[_PROBE_SAMPLES // 2 :: _PROBE_SAMPLES][: sound.channels].T.astype(np.float64)
