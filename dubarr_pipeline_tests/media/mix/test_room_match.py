"""A distant line's take moves towards it in tilt and decay; without the option nothing changes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import soundfile
from scipy.signal import fftconvolve, resample_poly

from dubarr_pipeline.media.audio.wav import WaveFile, write_wave
from dubarr_pipeline.media.mix.mix import mix
from dubarr_pipeline.media.mix.options import MixOptions
from dubarr_pipeline.media.mix.room_match import (
    Room,
    decay_db_per_s,
    in_room,
    measure_room,
    tilt_db,
)
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.stem_films import Line, make_film

RATE = 48_000


@pytest.fixture
def voice(shared_media) -> np.ndarray:
    sound, rate = soundfile.read(shared_media / "speech" / "sense_0870.wav", dtype="float32")
    return resample_poly(sound, RATE // 1000, rate // 1000)[: 4 * RATE].astype(np.float32)


def distant(voice: np.ndarray) -> np.ndarray:
    """The voice from the far end of a small hall: 0.4 s of decay, highs gone."""
    t = np.arange(round(0.4 * RATE)) / RATE
    echo = np.random.default_rng(3).standard_normal(t.size) * np.exp(-t * 12) * 0.02
    echo[0] = 1
    dull = np.convolve(fftconvolve(voice, echo)[: voice.size], np.ones(12) / 12, "same")
    return dull.astype(np.float32)


def test_a_distant_lines_take_moves_towards_it(voice):
    far = distant(voice)
    room = measure_room(far, RATE, voice, RATE)
    assert room.shelf_db < -3
    assert room.wet > 0
    moved = in_room(voice, RATE, room)
    assert moved.shape == voice.shape
    assert abs(tilt_db(far, RATE) - tilt_db(moved, RATE)) < 0.6 * abs(
        tilt_db(far, RATE) - tilt_db(voice, RATE)
    )
    assert decay_db_per_s(moved, RATE) < decay_db_per_s(voice, RATE)
    assert np.square(moved).mean() == pytest.approx(np.square(voice).mean(), rel=1e-3)


def test_a_near_line_leaves_its_take_alone(voice):
    room = measure_room(voice, RATE, voice, RATE)
    assert room == Room(0.0, 0.0)
    assert in_room(voice, RATE, room) is voice


def test_off_is_bit_identical_and_on_is_not(tmp_path, voice):
    film = make_film(tmp_path, [Line(Span(RATE, 3 * RATE), take_rate=RATE)], 5)
    write_wave(film.takes[0].path, voice[: 2 * RATE], RATE)
    heard = {}
    for on in (None, False, True):
        pcm = tmp_path / f"{on}.wav"
        options = MixOptions(codec="flac", pcm=pcm)
        mix(
            film.sources,
            film.takes,
            tmp_path / "t.flac",
            options if on is None else replace(options, room_match=on),
        )
        with WaveFile(pcm) as wave:
            heard[on] = wave.read(0, wave.samples)
    assert heard[None].tobytes() == heard[False].tobytes()
    assert np.array_equal(heard[True][:, :RATE], heard[None][:, :RATE])
    assert not np.array_equal(heard[True], heard[None])
