from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import scipy.fft
from scipy.signal import lfilter

from dubarr_pipeline.errors import MediaToolError
from dubarr_pipeline.media.audio.channels import layout_of, loudness_weights, positions
from dubarr_pipeline.media.audio.k_weighting import SummedPowers, frame_powers, summed_powers
from dubarr_pipeline.media.audio.loudness import (
    SILENCE_DBTP,
    LoudnessMeter,
    TruePeakMeter,
    gated,
    lufs,
    power,
)
from dubarr_pipeline.media.audio.reader import Samples
from dubarr_pipeline.media.audio.wav import write_wave
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.speech_meters import measure_file
from dubarr_pipeline_tests.fixtures.stem_films import buzz, loudness_of, pink


def sine(hz: float, seconds: float, rate: int = 48000, level: float = 1.0) -> Samples:
    t = np.arange(round(seconds * rate)) / rate
    return (level * np.sin(2 * np.pi * hz * t)).astype(np.float32)[None]


@pytest.mark.parametrize("rate", [44100, 48000, 96000, 192000])
def test_full_scale_997_hz_measures_what_the_standard_says(rate):
    # BS.1770-4: 0 dBFS at 997 Hz in one front channel reads -3.01 LKFS.
    assert loudness_of(sine(997, 3, rate), rate).integrated_lufs == pytest.approx(-3.01, abs=0.04)


@pytest.mark.parametrize(
    ("level_dbfs", "expected_lufs"), [(-23.0, -23.0), (-33.0, -33.0)], ids=["-23", "-33"]
)
def test_ebu_tech_3341_stereo_sine(level_dbfs, expected_lufs):
    tone = np.repeat(sine(1000, 20, level=10 ** (level_dbfs / 20)), 2, axis=0)
    assert loudness_of(tone, 48000).integrated_lufs == pytest.approx(expected_lufs, abs=0.1)


def test_ebu_tech_3341_gating_forgets_the_quiet_parts():
    parts = [(-36.0, 10), (-23.0, 60), (-36.0, 10)]
    tone = np.concatenate([sine(1000, s, level=10 ** (d / 20)) for d, s in parts], axis=1)
    assert loudness_of(np.repeat(tone, 2, 0), 48000).integrated_lufs == pytest.approx(-23, abs=0.1)


def test_frame_powers_are_those_of_the_filter_even_under_rumble():
    rate, random = 48000, np.random.default_rng(1)
    rumble = 0.1 * np.sin(2 * np.pi * 7 * np.arange(rate * 6) / rate) + 0.1
    sound = (rumble + 0.01 * random.standard_normal(rate * 6)).astype(np.float32)
    shelf = (
        [1.53512485958697, -2.69169618940638, 1.19839281085285],
        [1, -1.69065929318241, 0.73248077421585],
    )
    high_pass = ([1, -2, 1], [1, -1.99004745483398, 0.99007225036621])
    filtered = lfilter(*high_pass, lfilter(*shelf, sound.astype(float)))
    expected = (filtered.reshape(-1, rate // 10) ** 2).mean(axis=1)
    found = frame_powers(sound[None], rate)[0]
    blocks = [np.convolve(p[2:-1], np.ones(4), "valid") for p in (found, expected)]
    assert np.abs(10 * np.log10(blocks[0] / blocks[1])).max() < 0.1
    assert 10 * np.log10(found[2:-1].sum() / expected[2:-1].sum()) == pytest.approx(0, abs=0.05)


@pytest.mark.parametrize("size", [1, 333, 4800, 50_001])
def test_blocks_of_any_length_give_the_same_powers(size):
    sound = pink(2, 100_003)
    whole = frame_powers(sound, 48000).sum(axis=0)
    stage = SummedPowers(48000, np.ones(2))
    starts = range(0, sound.shape[1], size) if size > 1 else (0,)
    pieces = [stage.add(sound[:, s : s + size] if size > 1 else sound) for s in starts]
    pieces.append(stage.add(sound[:, :0], last=True))
    assert np.allclose(np.concatenate(pieces), whole, rtol=1e-4)


@pytest.mark.parametrize("rate", [48000, 44100, 8001])
@pytest.mark.parametrize("weights", [(1,), (1, 1), (1, 1, 1, 0, 1.41, 1.41), (0, 0), (1, 0, 1, 1)])
def test_channels_transformed_together_have_the_powers_of_each(rate, weights, monkeypatch):
    sound = pink(len(weights), rate) * np.linspace(0.01, 1, len(weights), dtype=np.float32)[:, None]
    sound[-1, rate // 2 :] = 0
    each = np.array(weights) @ frame_powers(sound, rate)
    counts = Counter()
    for name in ("rfft", "fft"):
        real = getattr(scipy.fft, name)

        def count(found, *a, name=name, real=real, **k):
            counts[name] += 1
            return real(found, *a, **k)

        monkeypatch.setattr(scipy.fft, name, count)
    assert np.allclose(summed_powers(sound, rate, np.array(weights)), each, rtol=1e-5)
    heard = sum(weight > 0 for weight in weights)
    assert 2 * counts["fft"] + counts["rfft"] == max(1, heard)
    assert counts["rfft"] <= 1


def test_a_voice_in_the_middle_is_transformed_once(monkeypatch):
    sound, transforms, real = np.repeat(pink(1, 48000), 2, axis=0), [], scipy.fft.rfft
    monkeypatch.setattr(scipy.fft, "rfft", lambda *a, **k: transforms.append(1) or real(*a, **k))
    left, right = frame_powers(sound, 48000)
    assert len(transforms) == 1
    assert np.array_equal(left, right)


@pytest.mark.parametrize(
    ("rate", "channels"), [(48000, 1), (44100, 2), (48000, 6), (48000, 8), (22050, 2)]
)
def test_we_measure_what_ffmpeg_measures(tmp_path, rate, channels):
    sound = pink(channels, rate * 8, 0.05)
    sound[:, rate * 2 : rate * 5] += buzz(rate * 3, rate, level=0.4)
    path = tmp_path / "-odd 'na:me%.wav"
    write_wave(path, sound, rate)
    theirs, ours = measure_file(path), loudness_of(sound, rate)
    assert ours.integrated_lufs == pytest.approx(theirs.integrated_lufs, abs=0.05)
    assert ours.true_peak_dbtp == pytest.approx(theirs.true_peak_dbtp, abs=0.25)


def test_silence_and_nothing_measure_as_silence(tmp_path):
    for samples in (0, 10, 48000):
        found = loudness_of(np.zeros((2, samples), np.float32), 48000)
        assert (found.integrated_lufs, found.lra_lu) == (-70.0, 0.0)
        assert found.true_peak_dbtp == SILENCE_DBTP
    write_wave(tmp_path / "s.wav", np.zeros((2, 48000), np.float32), 48000)
    assert measure_file(tmp_path / "s.wav").integrated_lufs == -70.0


def test_a_file_that_cannot_be_measured_is_named(tmp_path):
    (tmp_path / "no.wav").write_bytes(b"nothing")
    with pytest.raises(MediaToolError, match=r"no\.wav"):
        measure_file(tmp_path / "no.wav")


def test_an_inter_sample_peak_is_found():
    # A quarter of the rate, 45 degrees off: samples at -3 dB of the true peak.
    t = np.arange(48000)
    tone = np.sin(np.pi / 2 * t + np.pi / 4).astype(np.float32)[None] * 0.5
    assert np.abs(tone).max() == pytest.approx(0.5 / np.sqrt(2), rel=1e-3)
    meter = TruePeakMeter(1)
    for start in range(0, 48000, 1000):
        meter.add(tone[:, start : start + 1000])
    assert meter.peak_dbtp == pytest.approx(20 * np.log10(0.5), abs=0.15)


def test_a_peak_across_two_blocks_is_found():
    tone = np.zeros((1, 2000), np.float32)
    tone[0, 998:1002] = [0.5, 1.0, 1.0, 0.5]
    whole, halves = TruePeakMeter(1), TruePeakMeter(1)
    whole.add(tone)
    halves.add(tone[:, :1000])
    halves.add(tone[:, 1000:])
    assert halves.peak_dbtp == whole.peak_dbtp > 0.5


@pytest.mark.parametrize("channels", [1, 2, 6])
def test_sound_as_it_lies_in_a_file_measures_the_same(channels):
    sound = pink(channels, 48000 * 5)
    figures = []
    for order in ("C", "F"):
        meter = LoudnessMeter(48000, channels)
        for start in range(0, sound.shape[1], 9999):
            meter.add(np.array(sound[:, start : start + 9999], order=order))
        meter.finish()
        figures.append((meter.result(), meter.frames.tolist()))
    assert figures[0] == figures[1]


def test_blocks_far_below_the_peak_so_far_are_not_looked_into(monkeypatch):
    looked, real = [], TruePeakMeter._hear_cells
    monkeypatch.setattr(TruePeakMeter, "_hear_cells", lambda *a: looked.append(a) or real(*a))
    sound = pink(2, 48000 * 10, 0.05)
    sound[:, 5000] = 0.9
    sound[:, 48000 * 7] = 0.85
    meter = TruePeakMeter(2)
    for start in range(0, sound.shape[1], 48000):
        meter.add(sound[:, start : start + 48000])
    # What is kept of a block is looked into with the next.
    assert len(looked) <= 4
    whole = TruePeakMeter(2)
    whole.add(sound)
    assert meter.peak_dbtp == whole.peak_dbtp


@pytest.mark.parametrize("length", [1, 100, 255, 256, 300, 4801, 20000])
def test_no_cut_is_heard_where_blocks_end(length: int) -> None:
    # Faded in and out: a tone that breaks off has higher peaks than a tone.
    fade = np.sin(np.linspace(0, np.pi, 20000)) ** 0.2
    tone = (0.07 * fade * np.sin(2 * np.pi * 1000 / 48000 * np.arange(20000)))[None]
    whole, blocks = TruePeakMeter(1), TruePeakMeter(1)
    whole.add(tone.astype(np.float32))
    for start in range(0, 20000, length):
        blocks.add(tone[:, start : start + length].astype(np.float32))
        assert blocks.peak_dbtp < 20 * np.log10(0.07) + 0.01
    assert blocks.peak_dbtp == whole.peak_dbtp == pytest.approx(20 * np.log10(0.07), abs=0.01)


def test_dialogue_is_measured_where_somebody_speaks():
    rate = 48000
    sound = pink(2, rate * 10, 0.003)
    sound[:, rate * 2 : rate * 4] += buzz(rate * 2, rate, level=0.3)
    meter = LoudnessMeter(rate, 2)
    meter.add(sound)
    meter.finish()
    spoken = loudness_of(sound[:, rate * 2 : rate * 4], rate).integrated_lufs
    found = meter.dialogue_lufs([Span(rate * 2, rate * 4)])
    assert found == pytest.approx(spoken, abs=0.3)
    assert meter.dialogue_lufs([]) == -70.0


def test_the_gates():
    at = power
    assert gated(np.array([at(-70.1)])) == -70.0
    assert gated(np.array([at(-69.9)])) == pytest.approx(-69.9)
    # Mean of -20 and x: the relative gate lies 10 LU under it.
    assert gated(np.array([at(-20), at(-34)])) == pytest.approx(-20, abs=0.01)
    assert lufs(0) == -70.0


def test_channels_count_as_the_standard_weighs_them():
    assert list(loudness_weights(6, "5.1")) == [1, 1, 1, 0, 1.41, 1.41]
    assert list(loudness_weights(6, "5.1(side)")) == [1, 1, 1, 0, 1.41, 1.41]
    assert list(loudness_weights(8)) == [1, 1, 1, 0, 1.41, 1.41, 1.41, 1.41]
    assert positions(3, "3.0") == ("FL", "FR", "FC")
    assert positions(11) == ("?",) * 11
    assert layout_of(6, "5.1(side)") == "5.1(side)"
    assert layout_of(2, None) == "stereo"


def test_a_film_is_measured_like_ffmpeg_does(shared_media: Path, tmp_path):
    from dubarr_pipeline.media.audio.wav import WaveFile
    from dubarr_pipeline.media.container import ffmpeg

    path = tmp_path / "sintel.wav"
    source = shared_media / "video" / "sintel_trailer_52s.mp4"
    ffmpeg.run(["-i", source, "-vn", "-c:a", "pcm_f32le", path])
    with WaveFile(path) as film:
        meter = LoudnessMeter(film.rate, film.channels, film.layout)
        for start in range(0, film.samples, 1 << 16):
            meter.add(film.read(start, min(film.samples, start + (1 << 16))))
    meter.finish()
    ours, theirs = meter.result(), measure_file(path)
    assert ours.integrated_lufs == pytest.approx(theirs.integrated_lufs, abs=0.03)
    assert ours.true_peak_dbtp == pytest.approx(theirs.true_peak_dbtp, abs=0.15)
    assert ours.lra_lu == pytest.approx(theirs.lra_lu, abs=0.2)
