"""The source sound, taken out of its container in one pass.

One ffmpeg process reads the film once and leaves the decoded sound as float32 WAV, hands 16 kHz
mono to whoever looks for speech, and measures the loudness. What it decodes it leaves alone, bit
for bit; only where the time stamps jump is silence put in, so that what follows stays in place.
"""

from __future__ import annotations

import contextlib
import json
import logging
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dubarr_pipeline.errors import MediaToolError, NoAudio, NotAVideo
from dubarr_pipeline.media import ffmpeg
from dubarr_pipeline.media.channels import positions
from dubarr_pipeline.media.probe import PROBE_TIMEOUT_S
from dubarr_pipeline.media.streams import MediaInfo, Stream
from dubarr_pipeline.media.wave_header import usual_layout
from dubarr_pipeline.media.waveform import Samples, WaveFile

log = logging.getLogger(__name__)

SPEECH_RATE = 16_000
"""Sample rate in Hz of what speech detection hears."""
GAP_S = 0.015
"""Jumps of the time stamps from here on are gaps. Containers round to 1 ms, and what gets lost is
a packet, 20 ms and more in most codecs; smaller ones do not add up: all count from the start."""
SILENCE_LUFS = -70.0
"""What BS.1770 gating leaves of silence: the meter's floor."""
_SHORTFALL_S, _SHORTFALL_SHARE = 2.0, 0.01
"""Less than declared by more than both: the stream is cut, not merely rounded."""
_PATIENCE_S = 300.0
"""How long ffmpeg may give nothing: a sleeping disk needs 30 s, a hostile file for ever."""
_LONGEST_SHARE, _LONGEST_EXTRA_S = 4.0, 3600.0
"""More sound than this against what is declared is silence put in for time stamps gone wild."""
_LEAST_SURROUND = 5
_FRONT_SHARE = 0.125
"""Of left and right, -18 dB: a voice there alone is still found (the detector levels what it
hears), and music there is not in the way of the centre. Measured in test_surround.py."""
_BLOCK_SAMPLES = SPEECH_RATE * 4

OnMono = Callable[[Samples], None]
OnSeconds = Callable[[float, float], None]
"""Told the seconds that are done, and of how many."""


@dataclass(frozen=True, slots=True)
class ExtractedAudio:
    """The sound that was written, and what it measures.

    Attributes:
        layout: ffmpeg's name of the channel layout, or None where it is not known.
        samples: length of each channel.
        offset_s: where sample 0 lies on the player's clock (stream start minus container start).
        loudness_lufs: integrated, EBU R 128; `SILENCE_LUFS` where there is nothing to measure.
        lra_lu: loudness range, EBU Tech 3342.
        true_peak_dbtp: -inf for digital silence.
    """

    rate: int
    channels: int
    layout: str | None
    samples: int
    offset_s: float
    loudness_lufs: float
    true_peak_dbtp: float
    lra_lu: float


def extract_audio(
    info: MediaInfo,
    stream: Stream,
    destination: Path,
    on_mono16k: OnMono | None = None,
    on_progress: OnSeconds | None = None,
) -> ExtractedAudio:
    """Decode one audio stream into `destination`, float32 WAV at its own rate and layout.

    Args:
        info: the container, as probed.
        stream: the audio stream of it.
        destination: the file to write; RF64 from 4 GiB on. Not renamed: the caller makes it whole.
        on_mono16k: called with mono float32 blocks ``(samples,)`` at `SPEECH_RATE`, in order.
        on_progress: told the seconds done, and of how many.

    Raises:
        NoAudio: if the stream holds no sound.
        NotAVideo: if it ends notably before its declared end.
        MediaToolError, DiskFull: if ffmpeg cannot read or write.
    """
    start_s = _first_sound_s(info, stream)
    words = _decode(info, stream, destination, on_mono16k, on_progress)
    with WaveFile(destination) as wave:
        _check_length(info, stream, wave.samples / wave.rate)
        return ExtractedAudio(
            wave.rate,
            wave.channels,
            stream.layout or wave.layout,
            wave.samples,
            start_s - info.start_s,
            *_measured(words),
        )


def _decode(
    info: MediaInfo,
    stream: Stream,
    destination: Path,
    on_mono16k: OnMono | None,
    on_progress: OnSeconds | None,
) -> str:
    total_s = stream.duration_s or info.duration_s
    done = 0
    arguments = _arguments(info, stream, destination)
    with _named(info, stream), ffmpeg.reader(arguments, patience_s=_PATIENCE_S) as pipe:
        while data := pipe.read(_BLOCK_SAMPLES * 4):
            block = np.frombuffer(data, "<f4").astype(np.float32, copy=False)
            done += len(block)
            _check_not_endless(info, stream, done / SPEECH_RATE)
            if on_mono16k:
                on_mono16k(block)
            if on_progress:
                seconds = done / SPEECH_RATE
                on_progress(seconds, max(total_s, seconds))
    log.info("%s: %.1f s of stream #%d extracted", info.path, done / SPEECH_RATE, stream.index)
    return pipe.stderr


@contextlib.contextmanager
def _named(info: MediaInfo, stream: Stream) -> Iterator[None]:
    """Name the stream that ffmpeg cannot decode, and the cure."""
    try:
        yield
    except MediaToolError as error:
        if "Error while decoding" not in str(error):
            raise
        raise NotAVideo(
            f"{info.path}: {stream.describe()} cannot be decoded; it is damaged, or not what its "
            f"label says: choose another with audio.stream, or copy it again ({error})"
        ) from error


def _arguments(info: MediaInfo, stream: Stream, destination: Path) -> list[str]:
    return [
        *("-y", "-v", "level+info", "-nostats", "-vn", "-sn", "-dn"),
        *ffmpeg.source_arguments(info.path),
        *("-filter_complex", _graph(stream)),
        *("-map", "[whole]", "-c:a", "pcm_f32le", "-map_metadata", "-1", "-fflags", "+bitexact"),
        *("-flags:a", "+bitexact", "-rf64", "auto", "-f", "wav", ffmpeg.file_url(destination)),
        *("-map", "[speech]", "-c:a", "pcm_f32le", "-f", "f32le", "pipe:1"),
    ]


def _graph(stream: Stream) -> str:
    gaps = f"aresample=async=1:min_hard_comp={GAP_S},aformat=sample_fmts=flt"
    # The summary rounds to 0.1 LU; the frames' own figures have three decimals.
    meter = "ebur128=peak=true:metadata=1:framelog=verbose"
    exact = "ametadata=mode=print:key=lavfi.r128.I:file=/dev/stderr"
    # A plain aresample first: else formats are agreed on with the branch that stays whole.
    heard = f"aresample={SPEECH_RATE},{_towards_dialogue(stream)}"
    mono = f"{heard}aformat=sample_fmts=flt:channel_layouts=mono"
    measured = f"[meter]{_downmix(stream)}{meter},{exact},{mono}[speech]"
    return f"[0:{stream.index}]{gaps},asplit=2[whole][meter];{measured}"


def _towards_dialogue(stream: Stream) -> str:
    """The centre, and a little of the front: a plain downmix drowns dialogue in the surrounds."""
    layout = stream.layout or usual_layout(stream.channels)
    places = positions(stream.channels, layout)
    if layout is None or stream.channels < _LEAST_SURROUND or "FC" not in places:
        return ""
    centre = f"c{places.index('FC')}"
    front = [f"{_FRONT_SHARE}*c{n}" for n, name in enumerate(places) if name in ("FL", "FR")]
    return f"pan=mono|c0={'+'.join([centre, *front])},"


def _downmix(stream: Stream) -> str:
    """A plain mean of channels without known places, which ffmpeg neither meters nor mixes."""
    if stream.layout or usual_layout(stream.channels):
        return ""
    mean = "+".join(f"{1 / stream.channels:.6f}*c{channel}" for channel in range(stream.channels))
    return f"pan=mono|c0={mean},"


def _first_sound_s(info: MediaInfo, stream: Stream) -> float:
    """When the first decoded sample is due, on the container's clock.

    Not the stream's first packet: encoders put in samples that decoders drop again.
    """
    arguments = [
        *("-select_streams", str(stream.index), "-read_intervals", "%+#64"),
        *("-show_entries", "frame=best_effort_timestamp_time", "-of", "json"),
        *ffmpeg.source_arguments(info.path),
    ]
    found = ffmpeg.run(arguments, tool="ffprobe", timeout_s=PROBE_TIMEOUT_S)
    for frame in json.loads(found.stdout.decode(errors="replace")).get("frames", ()):
        if (time := frame.get("best_effort_timestamp_time")) is not None:
            return float(time)
    return stream.start_s


def _check_not_endless(info: MediaInfo, stream: Stream, decoded_s: float) -> None:
    declared_s = max(stream.duration_s or 0.0, info.duration_s)
    if declared_s and decoded_s > _LONGEST_SHARE * declared_s + _LONGEST_EXTRA_S:
        raise NotAVideo(
            f"{info.path} is damaged: {stream.describe()} should last {declared_s:.1f} s, its time "
            f"stamps reach beyond {decoded_s:.0f} s; remux it, or copy or download it again"
        )


def _check_length(info: MediaInfo, stream: Stream, decoded_s: float) -> None:
    if not decoded_s:
        raise NoAudio(f"{info.path}: {stream.describe()} holds no sound: choose another stream")
    declared_s = stream.duration_s or 0.0
    missing_s = declared_s - decoded_s
    if missing_s > max(_SHORTFALL_S, _SHORTFALL_SHARE * declared_s):
        raise NotAVideo(
            f"{info.path} is truncated or damaged: {stream.describe()} should last "
            f"{declared_s:.1f} s, {decoded_s:.1f} s could be decoded; copy or download it again"
        )


_FIGURE = r"\s*(-?(?:\d+(?:\.\d+)?|inf|nan))"
_EXACT = re.compile(r"lavfi\.r128\.I=" + _FIGURE)
_RANGE = re.compile(r"\bLRA:" + _FIGURE)
_PEAK = re.compile(r"\bPeak:" + _FIGURE)


def _measured(words: str) -> tuple[float, float, float]:
    """Loudness in LUFS, true peak in dBTP and range in LU, from what the meter said last."""
    loudness = _last(_EXACT, words, SILENCE_LUFS)
    peak = _last(_PEAK, words, -math.inf)
    return max(loudness, SILENCE_LUFS), peak, _last(_RANGE, words, 0.0)


def _last(pattern: re.Pattern[str], words: str, absent: float) -> float:
    found = pattern.findall(words)
    value = float(found[-1]) if found else absent
    return absent if math.isnan(value) else value
