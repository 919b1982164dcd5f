"""Envelopes, ducking, limiter and resampling: the gains that move, measured on sound."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubarr_pipeline.media.audio.loudness import TruePeakMeter
from dubarr_pipeline.media.mix.ducking import (
    Ducker,
    DuckingOptions,
    Envelope,
    Plateau,
    around,
    half_cosine,
    within,
)
from dubarr_pipeline.media.mix.limiter import Limiter
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.stem_films import buzz, pink

RATE = 48000
spans = st.lists(
    st.builds(lambda s, n: Span(s, s + n), st.integers(0, 4000), st.integers(1, 900)), max_size=6
)


@given(spans, st.integers(1, 50), st.integers(1, 700))
@settings(max_examples=60, deadline=None)
def test_an_envelope_is_the_same_in_blocks_of_any_length(covered, fade, size):
    envelope = around(covered, fade)
    whole = envelope.weight(0, 5000)
    whole = np.zeros(5000, np.float32) if whole is None else whole
    for start in range(0, 5000, size):
        part = envelope.weight(start, min(5000, start + size))
        assert envelope.touches(start, min(5000, start + size)) == (part is not None)
        part = 0 if part is None else part
        assert np.array_equal(
            whole[start : start + size], part + np.zeros(len(whole[start : start + size]))
        )


@given(spans, st.integers(1, 50))
@settings(max_examples=60, deadline=None)
def test_around_is_whole_inside_and_within_is_nothing_outside(covered, fade):
    outer, inner = around(covered, fade).weight(0, 5000), within(covered, fade).weight(0, 5000)
    inside = np.zeros(5000, bool)
    for span in covered:
        inside[span.start : span.end] = True
    if not covered:
        assert outer is None
        assert inner is None
        return
    assert outer is not None
    assert (outer[inside] == 1).all()
    assert inner is None or not inner[~inside].any()


def test_flanks_have_no_jumps():
    weight = Envelope([Plateau(100, 500, 700, 1100)]).weight(0, 1300)
    assert weight is not None
    assert np.abs(np.diff(weight)).max() <= np.pi / 2 / 400 * 1.01
    assert weight[500:700].min() == 1
    assert not weight[:100].any()
    assert not weight[1100:].any()


SPEECH = [Span(3 * RATE, 5 * RATE), Span(round(5.9 * RATE), 7 * RATE), Span(12 * RATE, 13 * RATE)]


DEFAULT = DuckingOptions()


def measured_gain_db(speech, options=DEFAULT) -> np.ndarray:
    """The gain that a constant bed would be heard to have, sample by sample, 18 s."""
    ducker, pieces = Ducker(speech, RATE, options), []
    for start in range(0, 18 * RATE, 10_007):
        stop = min(18 * RATE, start + 10_007)
        bed = np.ones((1, stop - start), np.float32)
        ducker.lower(start, bed)
        pieces.append(bed[0])
    return 20 * np.log10(np.concatenate(pieces))


def test_the_bed_is_down_before_the_first_word_and_up_after_the_last():
    gain_db, options = measured_gain_db(SPEECH), DEFAULT
    for span in SPEECH:
        assert gain_db[span.start : span.end].max() == pytest.approx(-9, abs=1e-3)
    first = round(3 * RATE - options.look_ahead_ms * RATE / 1000)
    assert not gain_db[:first].any()
    assert gain_db[first + 10 : 3 * RATE].max() < 0
    up = 7 * RATE + round((options.hold_ms + options.release_ms) * RATE / 1000)
    assert not gain_db[up : 11 * RATE].any()


def test_the_bed_does_not_pump_in_a_short_pause():
    gain_db = measured_gain_db(SPEECH)
    assert gain_db[5 * RATE : round(5.9 * RATE)].max() == pytest.approx(-9, abs=1e-3)


@pytest.mark.parametrize("depth_db", [3.0, 9.0, 18.0])
def test_the_fader_moves_no_faster_than_it_should(depth_db):
    options = DuckingOptions(depth_db=depth_db)
    slope = np.diff(measured_gain_db(SPEECH, options)) * RATE
    quickest = np.pi / 2 * depth_db / (options.attack_ms / 1000)
    assert -slope.min() <= quickest * 1.02
    assert slope.max() <= np.pi / 2 * depth_db / (options.release_ms / 1000) * 1.02


def test_the_fader_makes_no_zipper_noise():
    # A 200 Hz tone under the moving gain: nothing may appear a kilohertz away.
    tone = np.sin(2 * np.pi * 200 * np.arange(18 * RATE) / RATE)
    moved = tone * 10 ** (measured_gain_db(SPEECH) / 20)
    spectrum = np.abs(np.fft.rfft(moved * np.hanning(moved.size)))
    hz = np.fft.rfftfreq(moved.size, 1 / RATE)
    assert 20 * np.log10(spectrum[hz > 1200].max() / spectrum.max()) < -120


@given(spans, st.integers(1, 3), st.integers(50, 3000))
@settings(max_examples=60, deadline=None)
def test_a_lowered_bed_is_the_bed_times_the_gain_of_each_sample(speech, channels, size):
    options = DuckingOptions(attack_ms=5, hold_ms=4, release_ms=10, look_ahead_ms=5)
    ducker, bed = Ducker(speech, RATE, options), pink(channels, 6000)
    weight = Envelope(ducker.dips).weight(0, 6000)
    gain = np.exp((0 if weight is None else weight) * np.float32(-9 * np.log(10) / 20))
    lowered = np.array(bed, order="F")
    for start in range(0, 6000, size):
        ducker.lower(start, lowered[:, start : start + size])
    assert np.array_equal(lowered, bed * gain)


def test_only_where_the_fader_moves_is_there_a_gain_for_each_sample(monkeypatch):
    computed, real = [], np.exp
    monkeypatch.setattr(np, "exp", lambda x: computed.append(np.size(x)) or real(x))
    half_cosine.cache_clear()
    ducker = Ducker([Span(RATE, 9 * RATE), Span(12 * RATE, 19 * RATE)], RATE, DEFAULT)
    for start in range(0, 20 * RATE, RATE):
        ducker.lower(start, np.ones((2, RATE), np.float32))
    moving = sum(n for n in computed if n > 1)
    assert moving == sum(d.top - d.rise + d.end - d.edge for d in ducker.dips) == 72_000
    assert half_cosine.cache_info().misses == 2


def test_the_limiter_asks_where_it_may_turn_down_only_at_a_peak(monkeypatch):
    asked, real = [], Envelope.weight
    monkeypatch.setattr(Envelope, "weight", lambda *a: asked.append(a) or real(*a))
    quiet = [0.1 * np.ones((2, RATE), np.float32)] * 4
    where = within([Span(RATE, 3 * RATE)], 960)
    assert sum(b.shape[1] for b in Limiter(RATE, -1.0, None, where).limit(quiet)) == 4 * RATE
    assert not asked
    loud = [0.99 * np.ones((2, RATE), np.float32)] * 4
    list(Limiter(RATE, -1.0, None, where).limit(loud))
    assert asked


def test_no_depth_is_no_change():
    assert not measured_gain_db(SPEECH, DuckingOptions(depth_db=0)).any()
    assert not measured_gain_db([]).any()


def limited(sound: np.ndarray, limiter: Limiter, size: int = 10_000) -> np.ndarray:
    blocks = (sound[:, s : s + size].copy() for s in range(0, sound.shape[1], size))
    return np.concatenate(list(limiter.limit(blocks)), axis=1)


def true_peak_db(sound: np.ndarray) -> float:
    meter = TruePeakMeter(sound.shape[0])
    meter.add(sound)
    return meter.peak_dbtp


def loud(seconds: int = 4) -> np.ndarray:
    sound = pink(2, seconds * RATE, 0.1)
    sound[:, RATE : 2 * RATE] += buzz(RATE, RATE, 150, 1.4)
    return sound


@pytest.mark.parametrize("ceiling_dbtp", [-1.0, -2.0, -9.0])
def test_no_true_peak_passes_the_ceiling(ceiling_dbtp):
    found = limited(loud(), Limiter(RATE, ceiling_dbtp))
    assert ceiling_dbtp - 0.8 < true_peak_db(found) <= ceiling_dbtp + 0.02


def test_the_limiter_does_nothing_away_from_peaks():
    sound = loud()
    limiter = Limiter(RATE, -1.0)
    found = limited(sound, limiter)
    assert found.shape == sound.shape
    reach = round(0.04 * RATE)
    away = np.r_[0 : RATE - reach, 2 * RATE + reach : 4 * RATE]
    assert np.array_equal(found[:, away], sound[:, away])
    assert 0 < limiter.touched_samples < 1.1 * RATE
    assert -6 < limiter.deepest_db < -1


@pytest.mark.parametrize("size", [64, 777, 48_000, 1_000_000])
def test_limiting_is_the_same_in_blocks_of_any_length(size):
    sound = loud(3)
    ceiling_dbtp = -3.0
    whole = limited(sound, Limiter(RATE, ceiling_dbtp), 3 * RATE)
    assert np.allclose(limited(sound, Limiter(RATE, ceiling_dbtp), size), whole, atol=2e-6)


def test_the_limiter_keeps_to_its_channels_and_its_place():
    sound = loud()
    where = within([Span(RATE, RATE + RATE // 2)], 400)
    found = limited(sound, Limiter(RATE, -3.0, (1,), where))
    assert np.array_equal(found[0], sound[0])
    assert np.array_equal(found[1, :RATE], sound[1, :RATE])
    assert np.array_equal(found[1, RATE + RATE // 2 :], sound[1, RATE + RATE // 2 :])
    middle = slice(RATE + 2000, RATE + RATE // 2 - 2000)
    assert np.abs(found[1, middle]).max() < 10 ** (-2.95 / 20) < np.abs(sound[1, middle]).max()


def test_the_limiter_makes_no_clicks():
    sound = np.zeros((1, 3 * RATE), np.float32)
    t = np.arange(3 * RATE) / RATE
    swell = np.where((t > 1) & (t < 1.5), 1.6, 0.5) * np.sin(2 * np.pi * 300 * t)
    sound[0] = swell
    found = limited(sound, Limiter(RATE, -1.0))
    gain = found[0][np.abs(swell) > 0.05] / swell[np.abs(swell) > 0.05]
    assert np.abs(np.diff(gain)).max() < 0.01
