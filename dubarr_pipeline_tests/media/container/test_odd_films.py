"""Odd films all the way: extract, mix with a hummed take, mux, and hear where the dub lies."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dubarr_pipeline.errors import NotMuxable
from dubarr_pipeline.library.disk_space import stage_needs
from dubarr_pipeline.media.audio.loudness import Loudness
from dubarr_pipeline.media.audio.wav import WaveFile, write_wave
from dubarr_pipeline.media.container.extract import extract_audio
from dubarr_pipeline.media.container.probe import probe
from dubarr_pipeline.media.container.streams import choose_audio
from dubarr_pipeline.media.mix.mix import mix
from dubarr_pipeline.media.mix.options import MixOptions, MixSources, PlacedTake
from dubarr_pipeline.media.mux.mux import DubTrack, mux
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.odd_sources import dub, ffmpeg, odd_film
from dubarr_pipeline_tests.fixtures.stem_films import buzz

PICTURE = ("-f", "lavfi", "-i", "testsrc2=s=64x48:r=25:d=2")
NOISE = ("-f", "lavfi", "-i", "anoisesrc=d=2:r=48000:a=0.1:seed=1")


def made(folder: Path, name: str, layout: str, *more: str) -> Path:
    path = folder / name
    late = ["-itsoffset", "4.731"] if "late" in name else []
    sound = ["-af", f"aformat=channel_layouts={layout}", "-strict", "-2"]
    codecs = ["-c:v", "libx264", "-preset", "ultrafast", "-bf", "2"]
    ffmpeg(*PICTURE, *late, *NOISE, "-map", "0", "-map", "1", *codecs, *sound, *more, path)
    return path


def without_index(folder: Path) -> Path:
    """A recording that was stopped before its index was written."""
    path = made(folder, "whole.mkv", "stereo", "-c:a", "flac")
    live = folder / "live.mkv"
    live.write_bytes(ffmpeg("-i", path, "-c", "copy", "-f", "matroska", "pipe:1"))
    return live


def joined(first_s: float, second_s: float, form: str = "mpegts", *codecs: str):
    """Two parts of 6 s by these clocks, one behind the other; the second's sound begins late."""

    def make(folder: Path) -> Path:
        kinds = codecs or ("-c:v", "mpeg2video", "-bf", "2", "-c:a", "ac3")
        data = b""
        for start, skipped in ((first_s, 0), (second_s, 0.3)):
            sound = ["-f", "lavfi", "-i", f"anoisesrc=d=6:a=0.1:r=48000:seed={int(start)}"]
            cut = ["-filter_complex", f"[1]atrim=start={skipped}[a]", "-map", "0", "-map", "[a]"]
            clock = ["-output_ts_offset", str(start), "-muxdelay", "0", "-f", form]
            data += ffmpeg(
                *PICTURE[:-1], "testsrc2=s=64x48:r=25:d=6", *sound, *cut, *kinds, *clock, "-"
            )
        path = folder / f"film.{'mpg' if form != 'mpegts' else 'ts'}"
        path.write_bytes(data)
        return path

    return make


def silent_for_15_s(folder: Path) -> Path:
    """A broadcast whose sound alone fails for longer than ffmpeg's limit for a jump."""
    path = folder / "hole.ts"
    lost = ["-af", "aselect=not(between(t\\,4\\,19))", "-c:v", "mpeg2video", "-c:a", "mp2"]
    noise = ["-f", "lavfi", "-i", "anoisesrc=d=25:r=48000:a=0.1:seed=1"]
    ffmpeg(*PICTURE[:-1], "testsrc2=s=64x48:r=25:d=25", *noise, *lost, path)
    return path


LPCM = ("-c:v", "mpeg2video", "-c:a", "pcm_bluray", "-ac", "2", "-mpegts_m2ts_mode", "1")
FILMS: dict[str, Callable[[Path], Path]] = {
    "truehd 5.1, late": lambda f: made(f, "late.mkv", "5.1", "-c:a", "truehd"),
    "flac 7.1": lambda f: made(f, "wide.mkv", "7.1", "-c:a", "flac"),
    "dts 5.1, late, m2ts": lambda f: made(
        f, "late.m2ts", "5.1(side)", "-c:a", "dca", "-mpegts_m2ts_mode", "1"
    ),
    "late in an MP4": lambda f: made(f, "late.mp4", "stereo", "-c:a", "ac3"),
    "no index": without_index,
    "a break cut out": joined(100, 124),
    "jump far ahead": joined(100, 5112),
    "jump far back": joined(5000, 300),
    "jump back a little": joined(5000, 5002, "mpegts", "-c:v", "libx264", "-c:a", "aac"),
    "clock set back, converted": joined(700, 30, "mpegts", *LPCM),
    "program stream": joined(5000, 300, "vob"),
    "MPEG-1": joined(100, 150, "mpeg", "-c:v", "mpeg1video", "-c:a", "mp2"),
    "clock that wraps": joined(95_439, 95_445),
    "sound fails": silent_for_15_s,
}


SHARED = ("mp4", "mov", "webm", "avi", "two_programs", "disc", "uneven", "cut", "matroska")


@pytest.mark.parametrize("name", [*FILMS, *SHARED])
def test_the_dub_of_an_odd_film_lies_on_its_sound(
    tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, name: str
) -> None:
    source = odd_film(name, tmp_path_factory) if name in SHARED else FILMS[name](tmp_path)
    info = probe(source)
    stream = choose_audio(info)
    number = info.audio.index(stream)
    bed = tmp_path / "bed.wav"
    heard = extract_audio(info, stream, bed)
    track = tmp_path / "dub.flac"
    mix(_sources(tmp_path, bed), [_take(tmp_path, heard.rate)], track, MixOptions(codec="flac"))

    result = tmp_path / "final_muxed.mkv"
    report = mux(source, [DubTrack(track, "es", offset_s=heard.offset_s)], [], result)

    assert all(abs(row.offset_us) <= 1000 for row in report.streams)
    finished = probe(result)
    played_s = max(finished.duration_s, heard.offset_s + heard.samples / heard.rate)
    assert sum(stage_needs(info, 0, 1).values()) < 5e6 * played_s
    original, dub = finished.audio[number], finished.audio[-1]
    assert (dub.language, dub.title, dub.channels) == ("es", "Español · dub", heard.channels)
    assert "default" not in dub.dispositions
    apart_s = _place_s(result, original.index, dub.index, tmp_path)
    assert abs(apart_s) <= 1.0e-3


def test_a_matroska_film_of_negative_times_is_refused_by_name(tmp_path: Path) -> None:
    """Matroska counts from 0; what lies before it is no time that a player could show."""
    early = ["-output_ts_offset", "-0.5", "-avoid_negative_ts", "disabled"]
    source = made(tmp_path, "early.mkv", "stereo", "-c:a", "flac", *early)
    with pytest.raises(NotMuxable, match=r"early\.mkv has packets without a valid time"):
        mux(source, [DubTrack(dub(tmp_path), "es")], [], tmp_path / "out.mkv")
    assert not (tmp_path / "out.mkv").exists()


def _sources(folder: Path, bed: Path) -> MixSources:
    silent = folder / "vocals.wav"
    with WaveFile(bed) as wave:
        shape, rate = (wave.channels, wave.samples), wave.rate
    write_wave(silent, np.zeros(shape, np.float32), rate)
    speech = (Span(rate // 2, rate * 3 // 4),)
    return MixSources(bed, silent, speech, (), Loudness(-20.0, 5.0, -6.0))


def _take(folder: Path, rate: int) -> PlacedTake:
    path, span = folder / "take.wav", Span(rate // 2, rate * 3 // 4)
    write_wave(path, buzz(span.length, rate, level=0.05), rate)
    return PlacedTake(span.start, path, "SPEAKER_00", span)


def _place_s(path: Path, original: int, dub: int, folder: Path) -> float:
    """How much later the dub's bed sounds than the original's, by the peak of their correlation."""
    info = probe(path)
    sounds, starts = [], []
    for index in (original, dub):
        found = extract_audio(info, info.stream(index), folder / "heard.wav")
        with WaveFile(folder / "heard.wav") as wave:
            sounds.append(wave.read(0, wave.samples)[0])
        starts.append(found.offset_s)
    size = 1 << (sum(map(len, sounds)) - 1).bit_length()
    first, second = (np.fft.rfft(sound, size) for sound in sounds)
    lag = int(np.argmax(np.fft.irfft(second * first.conj(), size)))
    lag = lag - size if lag > size // 2 else lag
    return starts[1] - starts[0] + lag / found.rate
