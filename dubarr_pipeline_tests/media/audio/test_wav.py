"""Sound files: what is written is what is read, in any order, by anybody."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.errors import ArtifactError, DiskFull
from dubarr_pipeline.media.audio.channels import LAYOUT_MASKS
from dubarr_pipeline.media.audio.wav import OverlayWriter, WaveFile, WaveWriter, write_wave
from dubarr_pipeline.media.audio.wav_header import header_bytes
from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline_tests.fixtures.synthetic_media import noise

FOUR_GIB = 1 << 32


@pytest.mark.parametrize("channels", [1, 2, 6, 8, 10])
def test_what_is_written_is_read_by_us_and_by_others(tmp_path: Path, channels: int):
    sound = noise(channels, 1001)
    write_wave(tmp_path / "a.wav", sound, 22_050)
    with WaveFile(tmp_path / "a.wav") as wave:
        assert (wave.rate, wave.channels, wave.samples) == (22_050, channels, 1001)
        assert (wave.read(0, 1001) == sound).all()
        assert wave.read(0, 1001).dtype == np.float32
    other, rate = soundfile.read(tmp_path / "a.wav", dtype="float32", always_2d=True)
    assert rate == 22_050
    assert (sound == other.T).all()


def test_mono_may_come_flat(tmp_path: Path):
    write_wave(tmp_path / "a.wav", noise(1, 50)[0], 8000)
    with WaveFile(tmp_path / "a.wav") as wave:
        assert (wave.read(0, 50) == noise(1, 50)).all()


IN_WAVE = [(layout, mask) for layout, mask in LAYOUT_MASKS.items() if mask < 1 << 18]


@pytest.mark.parametrize(("layout", "mask"), IN_WAVE)
def test_layouts_survive_and_ffmpeg_agrees(tmp_path: Path, layout: str, mask: int):
    channels = mask.bit_count()
    write_wave(tmp_path / "a.wav", noise(channels, 20), 48_000, layout)
    with WaveFile(tmp_path / "a.wav") as wave:
        assert wave.layout == layout
    if layout in ("5.1(side)", "7.1", "3.0(back)"):
        told = ffmpeg.run(
            ["-show_entries", "stream=channel_layout", "-of", "csv=p=0", str(tmp_path / "a.wav")],
            tool="ffprobe",
        )
        assert told.stdout.decode().strip() == layout


def test_ffmpegs_own_wave_is_read(tmp_path: Path):
    path = tmp_path / "a.wav"
    ffmpeg.run(
        [
            "-f",
            "lavfi",
            "-i",
            "anoisesrc=d=0.1:r=48000",
            "-ac",
            "6",
            "-c:a",
            "pcm_f32le",
            "-rf64",
            "always",
            str(path),
        ]
    )
    with WaveFile(path) as wave:
        expected = soundfile.read(path, dtype="float32")[0].T
        assert wave.layout == "5.1"
        assert (wave.read(0, wave.samples) == expected).all()


@given(st.lists(st.tuples(st.integers(-50, 150), st.integers(0, 120)), min_size=1, max_size=20))
def test_beyond_the_ends_there_is_silence(tmp_path_factory: pytest.TempPathFactory, reads):
    path = tmp_path_factory.getbasetemp() / "ends.wav"
    sound = noise(2, 100)
    if not path.exists():
        write_wave(path, sound, 8000)
    padded = np.zeros((2, 400), np.float32)
    padded[:, 100:200] = sound
    with WaveFile(path) as wave:
        for start, length in reads:
            expected = padded[:, 100 + start : 100 + start + length]
            assert (wave.read(start, start + length) == expected).all()


def test_many_threads_read_one_file(tmp_path: Path):
    sound = noise(2, 50_000)
    write_wave(tmp_path / "a.wav", sound, 8000)
    with WaveFile(tmp_path / "a.wav") as wave, ThreadPoolExecutor(8) as pool:
        starts = list(range(0, 49_000, 100))
        blocks = pool.map(lambda start: wave.read(start, start + 1000), starts)
        assert all(
            (block == sound[:, s : s + 1000]).all() for s, block in zip(starts, blocks, strict=True)
        )


def test_backwards_and_closed_are_refused(tmp_path: Path):
    write_wave(tmp_path / "a.wav", noise(1, 10), 8000)
    wave = WaveFile(tmp_path / "a.wav")
    with pytest.raises(ValueError, match="back"):
        wave.read(5, 4)
    wave.close()
    wave.close()
    with pytest.raises(ValueError, match="closed"):
        wave.read(0, 1)


def test_blocks_join_and_lengths_are_held_to(tmp_path: Path):
    sound = noise(2, 1000)
    with WaveWriter(tmp_path / "a.wav", 8000, 2, 1000) as writer:
        for start in (0, 0, 300, 600):
            writer.write(sound[:, start:start] if not start else sound[:, start - 300 : start])
        writer.write(sound[:, 600:])
        assert writer.samples == 1000
    with WaveFile(tmp_path / "a.wav") as wave:
        assert (wave.read(0, 1000) == sound).all()
    short = WaveWriter(tmp_path / "b.wav", 8000, 2, 1001)
    short.write(sound)
    with pytest.raises(ValueError, match="1001 samples announced, 1000 written"):
        short.close()
    with pytest.raises(ValueError, match="channels"), WaveWriter(tmp_path / "c.wav", 8000, 3) as w:
        w.write(sound)


def test_overlay_changes_only_what_it_is_told_to(tmp_path: Path):
    sound, other = noise(2, 1000), noise(2, 100, seed=2)
    write_wave(tmp_path / "a.wav", sound, 8000)
    with OverlayWriter(tmp_path / "a.wav") as overlay:
        overlay.write_at(900, other)
        overlay.write_at(0, other[:, :1])
        overlay.write_at(5, other[:, :0])
        assert (overlay.read(900, 1000) == other).all()
        for start in (-1, 901):
            with pytest.raises(ValueError, match="not all inside"):
                overlay.write_at(start, other)
    with WaveFile(tmp_path / "a.wav") as wave:
        assert (wave.read(1, 900) == sound[:, 1:900]).all()
        assert (wave.read(0, 1) == other[:, :1]).all()


@pytest.mark.parametrize("extra", [-1, 0, 1])
def test_rf64_begins_where_32_bits_end(tmp_path: Path, extra: int):
    """The RIFF size counts all but its first 8 bytes; one block more than fits must be RF64."""
    front = len(header_bytes(48_000, 2, "stereo", 0)) - 8
    most = (FOUR_GIB - 1 - front) // 8
    header = header_bytes(48_000, 2, "stereo", most + extra)
    assert header[:4] == (b"RF64" if extra > 0 else b"RIFF")
    path = tmp_path / "big.wav"
    with path.open("wb") as stream:
        stream.write(header)
        stream.truncate(len(header) + (most + extra) * 8)
    last = np.array([[0.5], [-0.5]], np.float32)
    with OverlayWriter(path) as overlay:
        assert overlay.samples == most + extra
        overlay.write_at(overlay.samples - 1, last)
    assert soundfile.info(path).frames == most + extra
    with soundfile.SoundFile(path) as sound:
        sound.seek(-1, soundfile.SEEK_END)
        assert (last == sound.read(1, dtype="float32").T).all()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (lambda _: b"", "no WAV"),
        (lambda data: data[:30], "no samples|damaged"),
        (lambda data: data[:-1], "cut off: 1 bytes"),
        (lambda data: b"RIFX" + data[4:], "no WAV"),
        (lambda data: data.replace(b"data", b"dota"), "no samples"),
        (lambda data: data.replace(b"fmt ", b"fmx "), "damaged"),
    ],
)
def test_damaged_files_are_named(tmp_path: Path, damage, words: str):
    path = tmp_path / "a.wav"
    write_wave(path, noise(2, 100), 8000)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(ArtifactError, match=words) as refused:
        WaveFile(path)
    assert str(path) in str(refused.value)


def test_other_sample_formats_and_absent_files_are_named(tmp_path: Path):
    soundfile.write(tmp_path / "16.wav", np.zeros(100), 8000, subtype="PCM_16")
    with pytest.raises(ArtifactError, match="float32"):
        WaveFile(tmp_path / "16.wav")
    for path in (tmp_path, tmp_path / "none.wav"):
        with pytest.raises(ArtifactError, match="missing"):
            WaveFile(path)


def test_a_file_cut_while_open_is_named(tmp_path: Path):
    path = tmp_path / "a.wav"
    write_wave(path, noise(2, 1000), 8000)
    with WaveFile(path) as wave:
        os.truncate(path, 500)
        with pytest.raises(ArtifactError, match="cut since"):
            wave.read(0, 1000)


def test_a_full_disk_is_named():
    with pytest.raises(DiskFull):
        write_wave(Path("/dev/full"), noise(2, 100_000), 8000)
