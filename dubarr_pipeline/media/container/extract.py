"""Extraction of the source sound in one pass.

One ffmpeg process writes the decoded sound as float32 WAV and passes 16 kHz mono to the speech
detector; the loudness is measured on what was written. Samples stay as they are, bit for bit;
silence is inserted only where the time stamps jump, so that later samples keep their place.
"""

from __future__ import annotations

import json
import logging
import math
import re
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np

from dubarr_pipeline.errors import MediaToolError, NoAudio, NotAVideo
from dubarr_pipeline.media.audio.channels import positions, usual_layout
from dubarr_pipeline.media.audio.loudness import SILENCE_DBTP, Loudness, LoudnessMeter
from dubarr_pipeline.media.audio.reader import keep_freed_blocks
from dubarr_pipeline.media.audio.resample import SPEECH_RATE
from dubarr_pipeline.media.audio.wav import Samples, WaveFile
from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.media.container import ffmpeg_graph as graph
from dubarr_pipeline.media.container.facts import read_facts
from dubarr_pipeline.media.container.packet_times import read_timelines
from dubarr_pipeline.media.container.probe import PROBE_TIMEOUT_S
from dubarr_pipeline.media.container.streams import MediaInfo, Stream
from dubarr_pipeline.media.container.timelines import Timelines
from dubarr_pipeline.progress import OnSeconds

log = logging.getLogger(__name__)

GAP_S = 0.015
"""Jump of the time stamps that counts as a gap. Containers round to 1 ms, and a lost packet lasts
20 ms and more in most codecs; smaller jumps do not add up: all time stamps count from the start."""
_SHORTFALL_S, _SHORTFALL_SHARE = 2.0, 0.01
"""A stream that is shorter than declared by more than both is cut, not merely rounded."""
_PATIENCE_S = 300.0
"""Time that ffmpeg may give nothing: a sleeping disk needs 30 s, a hostile file for ever."""
_LONGEST_SHARE, _LONGEST_EXTRA_S = 4.0, 3600.0
"""More sound than this, against the declared duration, is silence inserted for wild time stamps."""
_MIN_SURROUND_CHANNELS = 5
_FRONT_SHARE = 0.125
"""Share of left and right, -18 dB: a voice there alone is still detected (the detector levels its
input), and music there does not mask the centre. Measured in test_surround.py."""
_STEADY_CLOCKS = ("matroska", "mp4")
_ONE_FRAME: graph.Options = {"af": "atrim=end_sample=1", "frames:a": 1, "f": "framecrc"}
"""The filter ends with the first frame: by ``-frames`` alone, ffmpeg would filter all of them."""
_BLOCK_SAMPLES = SPEECH_RATE * 4
_METERED_VALUES = 1 << 18

OnMono = Callable[[Samples], None]


@dataclass(frozen=True, slots=True)
class ExtractedAudio:
    """The extracted sound, with its measurements.

    Attributes:
        layout: ffmpeg's name of the channel layout, or None if it is not known.
        offset_s: time of sample 0 on the player's clock (stream start minus container start).
        loudness_lufs: integrated, EBU R 128; `SILENCE_LUFS` for silence.
        lra_lu: loudness range, EBU Tech 3342.
        true_peak_dbtp: -inf for digital silence.
        notes: jumps of the clock, and stretches that the file does not hold, with their times.
    """

    rate: int
    channels: int
    layout: str | None
    samples: int
    offset_s: float
    loudness_lufs: float
    true_peak_dbtp: float
    lra_lu: float
    notes: tuple[str, ...] = ()


def extract_audio(
    info: MediaInfo,
    stream: Stream,
    destination: Path,
    on_mono16k: OnMono | None = None,
    on_progress: OnSeconds | None = None,
) -> ExtractedAudio:
    """Decode one audio stream into `destination`, float32 WAV at its own rate and layout.

    The file is RF64 from 4 GiB on, and not renamed: the caller makes it whole. `on_mono16k` gets
    mono float32 blocks ``(samples,)`` at `SPEECH_RATE`, in order.

    Raises:
        NoAudio: if the stream holds no sound.
        NotAVideo: if it ends notably before its declared end.
        MediaToolError, DiskFull: if ffmpeg cannot read or write.
    """
    keep_freed_blocks(2 << 20)
    timelines = read_timelines(info.path)
    with tempfile.TemporaryFile() as first_frame:
        _decode(info, stream, destination, timelines, first_frame, on_mono16k, on_progress)
        start_s = _first_sound_s(info, stream, first_frame)
    with WaveFile(destination) as wave:
        decoded_s = wave.samples / wave.rate
        if not decoded_s:
            raise NoAudio(f"{info.path}: {stream.describe()} holds no sound: choose another stream")
        notes = _notes(info, stream, timelines, start_s - info.start_s + decoded_s)
        if not timelines.streams:
            notes = (*notes, *_shortfall(info, stream, start_s, decoded_s))
        for note in notes:
            log.warning("%s: %s", info.path, note)
        layout = stream.layout or wave.layout
        loudness = _measured(wave, layout)
        return ExtractedAudio(
            wave.rate,
            wave.channels,
            layout,
            wave.samples,
            start_s - info.start_s,
            loudness.integrated_lufs,
            loudness.true_peak_dbtp if loudness.true_peak_dbtp > SILENCE_DBTP else -math.inf,
            loudness.lra_lu,
            notes,
        )


def _shortfall(
    info: MediaInfo, stream: Stream, start_s: float, decoded_s: float
) -> tuple[str, ...]:
    """Return what is declared and not there, in words, where that may be. Raises NotAVideo."""
    # Sound that starts late ends late: where its declared end is the film's, as in Matroska.
    declared_s = stream.duration_s or 0.0
    missing_s = declared_s - decoded_s - max(0.0, start_s - stream.start_s)
    if missing_s <= max(_SHORTFALL_S, _SHORTFALL_SHARE * declared_s):
        return ()
    if info.format_name != "avi":
        raise NotAVideo(
            f"{info.path} is truncated or damaged: {stream.describe()} should last "
            f"{declared_s:.1f} s, {decoded_s:.1f} s could be decoded; copy or download it again"
        )
    # AVI counts the empty blocks before sound that starts late; its own length was checked.
    return (f"{declared_s:.1f} s of sound are declared, {decoded_s:.1f} s are there",)


def _notes(info: MediaInfo, stream: Stream, timelines: Timelines, end_s: float) -> tuple[str, ...]:
    """Return what a broadcast lacks, in words; its time stamps declare nothing."""
    jumps = [
        f"the clock jumps from {before_s:.1f} to {after_s:.1f} s: closed at {at_s:.1f} s"
        for at_s, before_s, after_s in timelines.jumps
    ]
    holes = [
        (f"no {each.kind} in the file", start_s, stop_s)
        for each in (stream, *info.video)
        for start_s, stop_s in timelines.line(each.index).holes
    ]
    if timelines.end_s - end_s > _SHORTFALL_S:
        holes.append(("no sound could be decoded", end_s, timelines.end_s))
    return (*jumps, *(f"{what} from {a:.1f} to {b:.1f} s" for what, a, b in holes))


def _decode(
    info: MediaInfo,
    stream: Stream,
    destination: Path,
    timelines: Timelines,
    first_frame: BinaryIO,
    on_mono16k: OnMono | None,
    on_progress: OnSeconds | None,
) -> None:
    total_s = timelines.end_s or stream.duration_s or info.duration_s
    declared_s = timelines.end_s or max(stream.duration_s or 0.0, info.duration_s)
    done = 0
    command = _command(info, stream, destination, timelines, first_frame)
    kept = (first_frame.fileno(),)
    try:
        with ffmpeg.reader(command, patience_s=_PATIENCE_S, open_files=kept) as pipe:
            while data := pipe.read(_BLOCK_SAMPLES * 4):
                block = np.frombuffer(data, "<f4").astype(np.float32, copy=False)
                done += len(block)
                decoded_s = done / SPEECH_RATE
                if declared_s and decoded_s > _LONGEST_SHARE * declared_s + _LONGEST_EXTRA_S:
                    raise NotAVideo(
                        f"{info.path} is damaged: {stream.describe()} should last "
                        f"{declared_s:.1f} s, its time stamps reach beyond {decoded_s:.0f} s; "
                        "remux it, or copy or download it again"
                    )
                if on_mono16k:
                    on_mono16k(block)
                if on_progress:
                    on_progress(decoded_s, max(total_s, decoded_s))
    except MediaToolError as error:
        if "Error while decoding" not in str(error):
            raise
        raise NotAVideo(
            f"{info.path}: {stream.describe()} cannot be decoded; it is damaged, or not what its "
            f"label says: choose another with audio.stream, or copy it again ({error})"
        ) from error
    log.info("%s: %.1f s of stream #%d extracted", info.path, done / SPEECH_RATE, stream.index)


def _measured(wave: WaveFile, layout: str | None) -> Loudness:
    """Return the programme's loudness, five times quicker than ffmpeg's own meter gives it.

    Nobody knows how loud channels without known places are: their plain mean is measured.
    """
    has_places = "?" not in positions(wave.channels, layout)
    channels = wave.channels if has_places else 1
    meter = LoudnessMeter(wave.rate, channels, layout if has_places else None)
    step = max(1, _METERED_VALUES // wave.channels)
    for start in range(0, wave.samples, step):
        # As it lies in the file: neighbouring channels are transformed together.
        block = wave.read_frames(start, min(wave.samples, start + step)).T
        # Broken float tracks hold values that are not numbers: these are silence.
        if not np.isfinite(block.sum()):
            block = np.nan_to_num(block, nan=0.0, posinf=0.0, neginf=0.0)
        if not has_places:
            block = np.ascontiguousarray(block).mean(axis=0, keepdims=True)
        meter.add(block)
    meter.finish()
    return meter.result_of_whole(wave.samples)


def _command(
    info: MediaInfo,
    stream: Stream,
    destination: Path,
    timelines: Timelines,
    first_frame: BinaryIO,
) -> list[str]:
    """Return one pass: the sound as it is, mono speech through the pipe, the first frame's time."""
    only_sound: graph.Options = {"vn": None, "sn": None, "dn": None}
    # Only where the time stamps jump is silence put in.
    gaps: graph.Options = {"async": 1, "min_hard_comp": GAP_S}
    source = graph.open_source(info.path, only_sound)
    tracks: list[graph.Link] = []
    for index in stream.parts or (stream.index,):
        sound = source.stream(index)
        if (line := timelines.line(index)).steps:
            sound = sound.filter("asetpts", {"expr": line.sound_filter()})
        tracks.append(sound.filter("aresample", gaps))
    sound = graph.joined(tracks, stream.layout or "") if stream.parts else tracks[0]
    whole, speech = sound.filter("aformat", {"sample_fmts": "flt"}).split()
    # Mixed first, so that one channel is resampled.
    if mix := _speech_mix(stream):
        speech = speech.filter("pan", {"args": f"mono|c0={mix}"})
    speech = graph.resampled(speech, SPEECH_RATE, read_facts(info.path).build)
    speech = speech.filter("aformat", {"sample_fmts": "flt", "channel_layouts": "mono"})
    exact: graph.Options = {"map_metadata": -1, "fflags": "+bitexact", "flags:a": "+bitexact"}
    wave: graph.Options = {"c:a": "pcm_f32le", **exact, "rf64": "auto", "f": "wav"}
    outputs = [
        graph.output([whole], destination, wave),
        graph.output([speech], "pipe:1", graph.FLOATS),
    ]
    if _has_steady_clock(info):
        file = f"pipe:{first_frame.fileno()}"
        outputs.append(graph.output([source.stream(stream.index)], file, _ONE_FRAME))
    return graph.command(
        *outputs,
        flags=["-y", "-v", "level+error", "-nostats", *timelines.reading_flags],
    )


def _speech_mix(stream: Stream) -> str:
    """Return the gains of the channels for speech detection; empty where ffmpeg's mix is right.

    A plain downmix of surround drowns dialogue: the centre counts, and a little of the front.
    """
    layout = stream.layout or usual_layout(stream.channels)
    places = positions(stream.channels, layout)
    if layout == "stereo":
        # As ffmpeg mixes floating point; by itself it would resample both channels before.
        gains = dict.fromkeys(range(2), f"{0.5**0.5:.9f}")
    elif layout is None:
        # ffmpeg does not mix channels without known places: their plain mean, then.
        gains = dict.fromkeys(range(stream.channels), f"{1 / stream.channels:.6f}")
    elif stream.channels >= _MIN_SURROUND_CHANNELS and "FC" in places:
        shares = {"FC": "1", **dict.fromkeys(("FL", "FR"), f"{_FRONT_SHARE}")}
        gains = {n: shares[name] for n, name in enumerate(places) if name in shares}
    else:
        return ""
    return "+".join(f"{gain}*c{channel}" for channel, gain in gains.items())


def _first_sound_s(info: MediaInfo, stream: Stream, first_frame: BinaryIO) -> float:
    """Return the time of the first decoded sample on the container's clock, in seconds.

    It is not that of the first packet: encoders add samples that decoders drop again. The pass
    tells it as ffmpeg's ``framecrc`` does: a line of its unit, ``#tb 0: 1/48000``, and lines of
    frames, ``stream, dts, pts, ...``.
    """
    if not _has_steady_clock(info):
        return _probed_first_sound_s(info, stream)
    first_frame.seek(0)
    told = first_frame.read().decode(errors="replace")
    unit = re.search(r"^#tb 0: (\d+)/(\d+)$", told, re.MULTILINE)
    frame = re.search(r"^0, *-?\d+, *(-?\d+),", told, re.MULTILINE)
    if not unit or not frame:
        return stream.start_s
    return info.start_s + int(frame[1]) * int(unit[1]) / int(unit[2])


def _has_steady_clock(info: MediaInfo) -> bool:
    """Return whether ffmpeg leaves time stamps as they are: of broadcasts it moves late streams."""
    return any(each in info.format_name for each in _STEADY_CLOCKS)


def _probed_first_sound_s(info: MediaInfo, stream: Stream) -> float:
    """Return the same by a run of ffprobe."""
    arguments = [
        *("-select_streams", str(stream.index), "-read_intervals", "%+#64"),
        *("-show_entries", "frame=best_effort_timestamp_time", "-of", "json"),
        *ffmpeg.source_arguments(info.path),
    ]
    answer = ffmpeg.run(arguments, tool="ffprobe", timeout_s=PROBE_TIMEOUT_S).stdout
    for frame in json.loads(answer.decode(errors="replace")).get("frames", ()):
        if (time := frame.get("best_effort_timestamp_time")) is not None:
            return float(time)
    return stream.start_s
