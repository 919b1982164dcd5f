"""Extraction: exact samples, exact place, loudness, and nothing silently short."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from dubarr_pipeline.errors import DiskFull, MediaToolError, NoAudio, NotAVideo
from dubarr_pipeline.media.audio.channels import positions
from dubarr_pipeline.media.audio.loudness import SILENCE_LUFS
from dubarr_pipeline.media.audio.resample import SPEECH_RATE
from dubarr_pipeline.media.audio.wav import WaveFile, WaveWriter
from dubarr_pipeline.media.container import extract as extract_module
from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.media.container.extract import ExtractedAudio, extract_audio
from dubarr_pipeline.media.container.probe import probe
from dubarr_pipeline.media.container.streams import choose_audio
from dubarr_pipeline_tests.fixtures.speech_meters import measure_file
from dubarr_pipeline_tests.fixtures.synthetic_media import Film, make_film, noise

TOOLS = ("ffmpeg", "ffprobe")
BENCHMARKS = Path(__file__).resolve().parents[3] / "benchmarks"


def extract(path: Path, **options) -> tuple[ExtractedAudio, NDArray[np.float32]]:
    info = probe(path)
    destination = path.parent / "extracted.wav"
    found = extract_audio(info, choose_audio(info), destination, **options)
    with WaveFile(destination) as wave:
        assert (wave.rate, wave.channels, wave.samples) == (
            found.rate,
            found.channels,
            found.samples,
        )
        return found, wave.read(0, wave.samples)


def test_a_probed_film_is_extracted_by_one_process(tmp_path, monkeypatch) -> None:
    path = make_film(tmp_path / "film.mkv", noise(6, 48_000), Film(layout="5.1"))
    probe(path)
    started: list[str] = []
    start = subprocess.Popen.__init__

    def counted(process: subprocess.Popen[bytes], command: list[str], **options) -> None:
        started.extend(Path(each).name for each in command if Path(each).name in TOOLS)
        start(process, command, **options)

    monkeypatch.setattr(subprocess.Popen, "__init__", counted)
    # Asked once for a process: an earlier test may have done so.
    monkeypatch.setattr("dubarr_pipeline.media.container.ffmpeg_graph._build", pytest.fail)
    extract(path)
    assert started == ["ffmpeg"]


def plain_decode(path: Path, channels: int, *options: str) -> NDArray[np.float32]:
    arguments = ["-i", ffmpeg.file_url(path), "-map", "0:a:0", *options, "-f", "f32le", "pipe:1"]
    return np.frombuffer(ffmpeg.run(arguments).stdout, np.float32).reshape(-1, channels).T


@pytest.mark.parametrize(
    ("channels", "layout", "rate"),
    [
        (1, "mono", 8000),
        (2, "stereo", 44_100),
        (6, "5.1", 48_000),
        (6, "5.1(side)", 48_000),
        (8, "7.1", 48_000),
        (2, "stereo", 192_000),
    ],
)
def test_lossless_sound_comes_out_as_it_went_in(tmp_path: Path, channels, layout, rate):
    sound = noise(channels, rate // 2)
    film = make_film(tmp_path / "a.mkv", sound, Film(rate, layout=layout))
    found, heard = extract(film)
    assert (found.rate, found.channels, found.layout) == (rate, channels, layout)
    assert found.offset_s == 0
    assert heard.shape == sound.shape
    assert (heard == sound).all()


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [
        *(("mkv", c) for c in ("aac", "ac3", "eac3", "libmp3lame", "libopus", "dca", "truehd")),
        *(("mkv", c) for c in ("pcm_s24le", "pcm_s32le", "pcm_f64le", "libvorbis")),
        *(("mp4", "aac"), ("ts", "ac3"), ("ts", "mp2"), ("avi", "libmp3lame"), ("mov", "alac")),
    ],
)
def test_every_codec_is_the_plain_decode_bit_for_bit(tmp_path: Path, suffix: str, codec: str):
    film = make_film(tmp_path / f"a.{suffix}", noise(2, 96_000), Film(codec=codec))
    _, heard = extract(film)
    expected = plain_decode(film, 2)
    assert heard.shape == expected.shape
    assert (heard == expected).all()


def test_channels_without_known_places(tmp_path: Path):
    film = make_film(tmp_path / "a.mov", noise(10, 4800), Film(codec="pcm_s16le"))
    blocks: list[NDArray[np.float32]] = []
    found, heard = extract(film, on_mono16k=blocks.append)
    assert found.channels == 10
    assert (heard == noise(10, 4800)).all()
    assert abs(len(np.concatenate(blocks)) - 1600) <= 2


def tone(frequency: float, seconds: float, rate: int = 48_000, level: float = 0.25):
    phase = 2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate
    return np.stack([level * np.sin(phase)] * 2).astype(np.float32)


@pytest.mark.parametrize("rate", [8000, 44_100, 48_000])
def test_speech_detection_hears_the_same_sound_at_16_khz(tmp_path: Path, rate: int):
    sound = tone(440, 6.0, rate)
    sound[:, : rate * 2] = 0
    film = make_film(tmp_path / "a.mkv", sound, Film(rate))
    blocks: list[NDArray[np.float32]] = []
    extract(film, on_mono16k=blocks.append)
    mono = np.concatenate(blocks)
    assert mono.dtype == np.float32
    assert abs(len(mono) - 6 * SPEECH_RATE) <= 2
    onset = int(np.argmax(np.abs(mono) > 0.01))
    assert onset == pytest.approx(2 * SPEECH_RATE, abs=SPEECH_RATE * 0.002)
    spectrum = np.abs(np.fft.rfft(mono[3 * SPEECH_RATE : 4 * SPEECH_RATE]))
    assert int(np.argmax(spectrum)) == 440


def test_stereo_is_heard_as_ffmpeg_mixes_it(tmp_path: Path):
    sound = tone(440, 3.0)
    sound[1] = 0.1 * noise(1, sound.shape[1])
    film = make_film(tmp_path / "a.mkv", sound, Film(codec="pcm_f32le"))
    blocks: list[NDArray[np.float32]] = []
    extract(film, on_mono16k=blocks.append)
    rate = f"aresample={SPEECH_RATE}:resampler=soxr:precision=24"
    heard = np.concatenate(blocks)
    mixed = plain_decode(film, 1, "-af", f"{rate},aformat=flt:channel_layouts=mono")[0]
    assert np.sqrt(np.mean((heard - mixed) ** 2)) < 1e-6 * np.sqrt(np.mean(mixed**2))


def test_loudness_is_that_of_the_standards_own_test_tone(tmp_path: Path):
    """EBU Tech 3341: a 1 kHz stereo sine at -23 dBFS measures -23.0 LUFS."""
    sound = tone(1000, 10.0, level=10 ** (-23 / 20))
    found, _ = extract(make_film(tmp_path / "a.mkv", sound, Film(codec="pcm_f32le")))
    assert found.loudness_lufs == pytest.approx(-23.0, abs=0.05)
    assert found.true_peak_dbtp == pytest.approx(-23.0, abs=0.2)
    assert found.lra_lu == pytest.approx(0.0, abs=0.1)


def test_loudness_range_of_two_levels(tmp_path: Path):
    """EBU Tech 3342, case 1: 20 s at -20 dBFS, then 20 s at -30 dBFS are a range of 10 LU."""
    sound = np.concatenate([tone(1000, 20, level=0.1), tone(1000, 20, level=10**-1.5)], axis=1)
    found, _ = extract(make_film(tmp_path / "a.mkv", sound, Film(codec="pcm_f32le")))
    assert found.lra_lu == pytest.approx(10.0, abs=1.0)


def test_peaks_between_samples_are_seen(tmp_path: Path):
    """A quarter of the rate, 45 degrees off: samples at -3 dB of the real peak."""
    phase = np.pi / 4 + np.pi / 2 * np.arange(96_000)
    sound = np.stack([0.5 * np.sin(phase)] * 2).astype(np.float32)
    found, _ = extract(make_film(tmp_path / "a.mkv", sound, Film(codec="pcm_f32le")))
    assert found.true_peak_dbtp == pytest.approx(-6.0, abs=0.6)


def test_the_film_is_decoded_once_and_measured_as_ffmpeg_does(tmp_path: Path, monkeypatch):
    """One decode, without a filter that measures; what is no number counts as silence."""
    sound = noise(6, 48_000 * 4)
    sound[:, 48_000 : 48_000 * 2] *= 0.3
    film = make_film(tmp_path / "a.mkv", sound, Film(48_000, "pcm_f32le", layout="5.1"))
    decodes: list[list[str]] = []
    reader = ffmpeg.reader
    monkeypatch.setattr(ffmpeg, "reader", lambda a, **o: decodes.append(a) or reader(a, **o))
    found, _ = extract(film)
    assert len(decodes) == 1
    assert not any("ebur128" in argument for argument in decodes[0])
    theirs = measure_file(film)
    assert found.loudness_lufs == pytest.approx(theirs.integrated_lufs, abs=0.01)
    assert found.true_peak_dbtp == pytest.approx(theirs.true_peak_dbtp, abs=0.1)
    assert found.lra_lu == pytest.approx(theirs.lra_lu, abs=0.1)
    sound[0, 100:200], sound[1, 300] = np.nan, np.inf
    broken = make_film(tmp_path / "b.mkv", sound, Film(48_000, "pcm_f32le", layout="5.1"))
    heard, _ = extract(broken)
    assert heard.loudness_lufs == pytest.approx(found.loudness_lufs, abs=0.1)


def test_digital_silence(tmp_path: Path):
    found, heard = extract(make_film(tmp_path / "a.mkv", np.zeros((2, 48_000), np.float32)))
    assert found.loudness_lufs == SILENCE_LUFS
    assert found.true_peak_dbtp == -np.inf
    assert not heard.any()


@pytest.mark.parametrize("samples", [1, 800, 4800])
def test_very_short_sound(tmp_path: Path, samples: int):
    film = make_film(tmp_path / "a.mkv", noise(2, samples), Film(codec="pcm_s16le"))
    found, heard = extract(film)
    assert (heard == noise(2, samples)).all()
    assert found.loudness_lufs == SILENCE_LUFS


def test_an_empty_stream_is_named(tmp_path: Path):
    film = make_film(tmp_path / "a.mkv", noise(), Film(codec="pcm_s16le", filters="aselect=0"))
    with pytest.raises(NoAudio, match=r"#1 audio .* holds no sound"):
        extract(film)


@pytest.mark.parametrize("suffix", ["mkv", "mov", "ts"])
@pytest.mark.parametrize("delay_s", [0.0, 0.04, 1.5])
def test_late_sound_says_how_late(tmp_path: Path, suffix: str, delay_s: float):
    codec = "mp2" if suffix == "ts" else "pcm_s16le"
    sound = noise(2, 48_000)
    sound[:, :24_000] = 0
    film = make_film(tmp_path / f"a.{suffix}", sound, Film(codec=codec, delay_s=delay_s))
    found, heard = extract(film)
    onset = np.argmax(np.abs(heard[0]) > 0.02) / 48_000
    # mp2 is heard 481 samples late by its decoder.
    assert found.offset_s + onset == pytest.approx(
        delay_s + 0.5, abs=0.012 if codec == "mp2" else 0.001
    )


def lag_within_1_ms(
    heard: NDArray[np.float32], original: NDArray[np.float32], at: int
) -> int | None:
    """By how many samples one is the other's shifted copy, bit for bit; None if it is none."""
    piece = heard[:, at : at + 10_000]
    lags = (at + lag for lag in range(-48, 49))
    return next((s - at for s in lags if (original[:, s : s + 10_000] == piece).all()), None)


@pytest.mark.parametrize("gap_s", [0.02, 0.04, 0.5, 2.0])
def test_a_gap_in_the_time_stamps_becomes_silence_there(tmp_path: Path, gap_s: float):
    """Packets lost in the middle: what follows must not move, what was before is untouched."""
    sound = noise(2, 48_000 * 5, level=0.05)
    # Whole packets of 20 ms, so that the hole is exactly as long as said.
    cut = f"asetnsamples=n=960,aselect=not(between(t\\,1.9999\\,{2 + gap_s - 0.0051}))"
    film = make_film(tmp_path / "a.mkv", sound, Film(codec="pcm_s16le", filters=cut))
    _, heard = extract(film)
    assert heard.shape[1] == pytest.approx(sound.shape[1], abs=48)
    assert (heard[:, :96_000] == sound[:, :96_000]).all()
    assert lag_within_1_ms(heard, sound, 216_000) is not None
    silent = np.flatnonzero(~heard[:, 96_000:].any(axis=0))
    assert len(silent) == pytest.approx(round(gap_s * 50) * 960, abs=100)


def test_jitter_of_the_time_stamps_changes_nothing(tmp_path: Path):
    """Matroska rounds to 1 ms: 4608 samples at 44.1 kHz never fit."""
    sound = noise(2, 44_100 * 3)
    jitter = "asetpts=PTS+mod(N\\,3)*0.006/TB"
    film = make_film(tmp_path / "a.mkv", sound, Film(44_100, "pcm_s16le", filters=jitter))
    _, heard = extract(film)
    assert heard.shape == sound.shape
    assert (heard == sound).all()


def test_a_stream_that_ends_before_its_declared_end_is_refused(tmp_path: Path):
    """Cut and given a new length by a careless tool: the structure is whole, the sound is not."""
    film = make_film(tmp_path / "a.mkv", noise(2, 48_000 * 6), Film(codec="pcm_s16le"))
    short = tmp_path / "live.mkv"
    whole = ffmpeg.run(["-i", str(film), "-c", "copy", "-f", "matroska", "pipe:1"]).stdout
    short.write_bytes(whole[: len(whole) // 2])
    info = probe(short)
    declared = replace(choose_audio(info), duration_s=6.0)
    with pytest.raises(NotAVideo, match=r"should last 6\.0 s, [23]\.\d s could be decoded"):
        extract_audio(info, declared, tmp_path / "x.wav")


@pytest.mark.parametrize("codec", ["flac", "pcm_s16le"])
def test_damage_in_the_middle_does_not_move_the_rest(tmp_path: Path, codec: str):
    sound = noise(2, 48_000 * 4, level=0.05)
    film = make_film(tmp_path / "a.mkv", sound, Film(codec=codec))
    _, whole = extract(film)
    data = bytearray(film.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 2000] = bytes(2000)
    film.write_bytes(data)
    found, heard = extract(film)
    assert found.samples == pytest.approx(whole.shape[1], abs=1536)
    assert not (heard[:, : whole.shape[1]] == whole[:, : heard.shape[1]]).all()
    assert lag_within_1_ms(heard, whole, 48_000 * 3) is not None


@pytest.mark.parametrize(
    "name", ["-a.mkv", "100%d.mkv", "a:b,c[d]';e.mkv", "new\nline.mkv", "ü 😀.mkv", b"caf\xe9.mkv"]
)
def test_odd_names(tmp_path: Path, name: str | bytes):
    film = make_film(tmp_path / "plain.mkv", noise())
    odd = tmp_path / os.fsdecode(name)
    shutil.move(film, odd)
    info = probe(odd)
    out = tmp_path / (odd.name + ".wav")
    assert extract_audio(info, choose_audio(info), out).samples == 12_000


def test_progress_and_an_exception_in_the_listener(tmp_path: Path):
    film = make_film(tmp_path / "a.mkv", noise(1, 16_000 * 9), Film(16_000))
    steps: list[tuple[float, float]] = []
    extract(film, on_progress=lambda done, total: steps.append((done, total)))
    assert [done for done, _ in steps] == sorted(done for done, _ in steps)
    assert steps[-1] == pytest.approx((9.0, 9.0), abs=0.1)

    def fail(_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        extract(film, on_mono16k=fail)


def test_a_full_disk_and_a_missing_folder(tmp_path: Path):
    info = probe(make_film(tmp_path / "a.mkv", noise(2, 480_000)))
    with pytest.raises(DiskFull):
        extract_audio(info, choose_audio(info), Path("/dev/full"))
    with pytest.raises(MediaToolError, match="No such file"):
        extract_audio(info, choose_audio(info), tmp_path / "none" / "a.wav")


def test_a_source_that_vanished_is_named(tmp_path: Path):
    film = make_film(tmp_path / "a.mkv", noise())
    info = probe(film)
    film.unlink()
    with pytest.raises(MediaToolError, match=r"a\.mkv"):
        extract_audio(info, choose_audio(info), tmp_path / "x.wav")


def test_a_decoder_that_hangs_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    info = probe(make_film(tmp_path / "a.mkv", noise()))
    hanging = tmp_path / "bin" / "ffmpeg"
    hanging.parent.mkdir()
    answer = f'[ "$5" = -buildconf ] && exec {shutil.which("ffmpeg")} "$@"'
    hanging.write_text(f"#!/bin/sh\n{answer}\nexec sleep 60\n")
    hanging.chmod(0o755)
    monkeypatch.setenv("PATH", f"{hanging.parent}:{os.environ['PATH']}")
    monkeypatch.setattr(extract_module, "_PATIENCE_S", 0.3)
    with pytest.raises(MediaToolError, match=r"gave nothing for 0\.3 s and was stopped: .*a\.mkv"):
        extract_audio(info, choose_audio(info), tmp_path / "x.wav")


def test_time_stamps_gone_wild_do_not_fill_the_disk(tmp_path: Path, monkeypatch):
    """One packet a day later would be a day of silence."""
    wild = "asetpts=PTS+gt(N\\,9)*86400/TB"
    sound = noise(1, 8000 * 4)
    film = make_film(tmp_path / "a.mkv", sound, Film(8000, "pcm_s16le", filters=wild))
    info = replace(probe(film), duration_s=4.0)
    stream = replace(choose_audio(info), duration_s=None)
    monkeypatch.setattr(extract_module, "_LONGEST_EXTRA_S", 60.0)
    with pytest.raises(NotAVideo, match="time stamps reach beyond"):
        extract_audio(info, stream, tmp_path / "x.wav")
    assert (tmp_path / "x.wav").stat().st_size < 8000 * 4 * 86_400 / 4


def test_memory_does_not_grow_with_the_film(tmp_path: Path):
    """Ten times the length, the same memory, ours and ffmpeg's."""

    def peak(seconds: int) -> float:
        with WaveWriter(tmp_path / "s.wav", 48_000, 6) as writer:
            for _ in range(seconds):
                writer.write(noise(6, 48_000))
        code = (
            "import sys, pathlib\n"
            f"sys.path.insert(0, {str(BENCHMARKS)!r})\n"
            "from figures import peak_mb\n"
            "from dubarr_pipeline.media.container.probe import probe\n"
            "from dubarr_pipeline.media.container.extract import extract_audio\n"
            "info = probe(pathlib.Path(sys.argv[1]))\n"
            "extract_audio(info, info.audio[0], pathlib.Path(sys.argv[2]))\n"
            "print(peak_mb())\n"
        )
        command = [sys.executable, "-c", code, str(tmp_path / "s.wav"), str(tmp_path / "d.wav")]
        return float(subprocess.run(command, capture_output=True, check=True, text=True).stdout)

    short, long = peak(12), peak(120)
    assert long < short * 1.15


def test_the_shared_videos(shared_media: Path, tmp_path: Path):
    for path in (shared_media / "video").glob("*.mp4"):
        info = probe(path)
        found = extract_audio(info, choose_audio(info), tmp_path / "x.wav")
        with WaveFile(tmp_path / "x.wav") as wave:
            expected = plain_decode(path, found.channels)
            assert (wave.read(0, wave.samples) == expected).all()
        assert found.samples / found.rate == pytest.approx(info.audio[0].duration_s, abs=0.05)
        assert -40 < found.loudness_lufs < -10


@pytest.mark.parametrize(
    ("layout", "order"), [("stereo", "FL FR"), ("5.1", "FL FR FC LFE BL BR"), ("stereo", "FR FL")]
)
def test_mono_tracks_with_places_are_one_sound(tmp_path: Path, layout: str, order: str):
    places = order.split()
    sound = noise(len(places), 48_000, level=0.05)
    film = make_film(tmp_path / "whole.mov", sound, Film(codec="pcm_f32le", layout=layout))
    split = "".join(f"[{place}]" for place in positions(len(places), layout))
    maps = [part for place in places for part in ("-map", f"[{place}]")]
    graph = f"channelsplit=channel_layout={layout}{split}"
    parts = ["-filter_complex", graph, "-map", "0:v", *maps, "-c:v", "copy", "-c:a", "pcm_f32le"]
    path = tmp_path / "a.mov"
    ffmpeg.run(["-i", str(film), *parts, str(path)])
    info = probe(path)
    found, heard = extract(path)
    assert (found.channels, found.layout) == (len(places), layout)
    assert np.abs(heard - sound).max() < 1e-6
    assert [choose_audio(info, index=s.index) for s in info.of_kind("audio")] == [
        *info.audio
    ] * len(places)
