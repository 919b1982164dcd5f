"""A finished track is heard again; each fault that is put in on purpose is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dubarr_pipeline.media.audio.wav import write_wave
from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.media.mix.check import TrackProof, prove_track
from dubarr_pipeline.media.mix.mix import mix
from dubarr_pipeline.media.mix.options import MixOptions
from dubarr_pipeline.media.mix.plan import undubbed_speech
from dubarr_pipeline.media.mix.report import MixReport
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.speech_meters import measure_file
from dubarr_pipeline_tests.fixtures.stem_films import Film, Line, decoded, make_film

RATE = 48000
LINES = [Line(Span(n * RATE, n * RATE + RATE), level) for n, level in ((1, 0.2), (4, 0.02))]


def proven(film: Film, options: MixOptions, change=None) -> tuple[TrackProof, MixReport]:
    """Mix, change the decoded sound if asked to, and prove."""
    path = film.folder / f"final.{options.codec}"
    report = mix(film.sources, film.takes, path, options)
    if change:
        write_wave(film.folder / "x.wav", change(decoded(path, report.channels)), RATE)
        ffmpeg.run(["-y", "-i", film.folder / "x.wav", "-sample_fmt", "s32", path])
    return prove_track(path, film.sources, film.takes, report, options), report


@pytest.mark.parametrize("codec", ["ac3", "eac3", "flac", "aac", "opus"])
@pytest.mark.parametrize("preset", ["film", "duck"])
def test_a_good_track_is_told_as_good(tmp_path, codec, preset):
    film = make_film(tmp_path, LINES, seconds=12)
    proof, report = proven(film, MixOptions(codec=codec, preset=preset))
    assert max(abs(gain) for gain in proof.line_gains_db) < 1.0
    assert proof.bed_null_db is not None
    assert proof.bed_null_db < (-90 if codec == "flac" else -4)
    assert abs(proof.bed_gain_db or 0) < 1
    assert proof.offset_ms is not None
    assert proof.offset_ms <= 0.1
    assert proof.loudness_lufs == pytest.approx(report.loudness_lufs, abs=0.5)


def test_in_surround_and_with_a_gain_on_all(tmp_path):
    centre = (0.0, 0.0, 1.0, 0.0, 0.0, 0.0)
    film = make_film(tmp_path, [replace(n, pan=centre) for n in LINES], channels=6)
    proof, report = proven(film, MixOptions(loudness="ebu-r128"))
    assert report.gain_db > 0.4
    assert proof.bed_gain_db == pytest.approx(report.gain_db, abs=0.5)
    assert max(abs(gain) for gain in proof.line_gains_db) < 1.0
    assert proof.offset_ms is not None
    assert proof.offset_ms <= 0.1


FLAC = MixOptions(codec="flac")


def without_the_first_line(sound):
    film_bed = sound.copy()
    film_bed[:, RATE : 2 * RATE] = np.roll(sound[:, 7 * RATE : 8 * RATE], 99)
    return film_bed


def test_a_take_that_is_not_there_is_told(tmp_path):
    proof, _ = proven(make_film(tmp_path, LINES), FLAC, without_the_first_line)
    assert proof.line_gains_db[0] < -20
    assert abs(proof.line_gains_db[1]) < 1


def test_a_track_that_is_late_is_told(tmp_path):
    proof, _ = proven(make_film(tmp_path, LINES), FLAC, lambda s: np.roll(s, 96, axis=1))
    assert proof.offset_ms == pytest.approx(2.0, abs=0.05)


def test_a_bed_that_is_another_is_told(tmp_path):
    proof, _ = proven(make_film(tmp_path, LINES), FLAC, lambda s: np.roll(s, 9999, axis=1))
    assert proof.bed_null_db is not None
    assert proof.bed_null_db > -1


@pytest.mark.parametrize(
    ("rate", "channels", "codec"),
    [(48_000, 8, "ac3"), (96_000, 1, "ac3"), (44_100, 2, "opus"), (96_000, 8, "eac3")],
)
def test_a_track_that_was_folded_or_resampled_is_compared_as_such(tmp_path, rate, channels, codec):
    lines = [Line(Span(n * rate, (n + 1) * rate), level) for n, level in ((1, 0.2), (4, 0.02))]
    film = make_film(tmp_path, lines, 8, channels, rate)
    proof, report = proven(film, MixOptions(codec=codec))
    assert (report.track_rate, report.track_layout) != (report.rate, report.layout)
    assert proof.bed_null_db is not None
    assert proof.bed_null_db < -4
    assert abs(proof.bed_gain_db or 9) < 1
    assert proof.offset_ms is not None
    assert proof.offset_ms <= 0.1
    assert max(abs(gain) for gain in proof.line_gains_db) < 1


def test_faults_in_a_folded_track_are_told(tmp_path):
    film = make_film(tmp_path, LINES, seconds=8, channels=8)

    def spoilt(sound):
        late = np.roll(sound, 96, axis=1)
        late[:, RATE : 2 * RATE] = sound[:, 6 * RATE : 7 * RATE]
        return late

    path = film.folder / "final.ac3"
    report = mix(film.sources, film.takes, path, MixOptions())
    write_wave(film.folder / "x.wav", spoilt(decoded(path, 6)), RATE, "5.1")
    ffmpeg.run(["-y", "-i", film.folder / "x.wav", "-c:a", "ac3", "-b:a", "640k", path])
    proof = prove_track(path, film.sources, film.takes, report, MixOptions())
    # Late by 96 samples, and by the 256 that this encoder puts in front.
    assert proof.offset_ms == pytest.approx(352 / 48, abs=0.1)
    assert proof.bed_null_db is not None
    assert proof.bed_null_db > -1
    assert proof.line_gains_db[0] < -20


SPEECH = [Line(Span(n * RATE, (n + 1) * RATE)) for n in (1, 3, 5, 7)]


def half_dubbed(folder, kept: bool) -> Film:
    """Four lines, the first two with a take; the original voice of the others stays, or not."""
    film = make_film(folder, SPEECH)
    spans = tuple(line.span for line in SPEECH[2:]) if kept else ()
    return replace(film.keeping(*spans), takes=film.takes[:2])


@pytest.mark.parametrize("codec", ["ac3", "flac", "opus"])
@pytest.mark.parametrize("preset", ["film", "duck"])
def test_where_speech_has_a_dub_or_its_own_voice_nothing_is_muted(tmp_path, codec, preset):
    proof, _ = proven(half_dubbed(tmp_path, kept=True), MixOptions(codec=codec, preset=preset))
    assert (proof.speech_s, proof.dubbed_s) == (4.0, 2.0)
    assert (proof.muted_s, proof.doubled_s) == ((), ())
    assert proof.original_left_db is not None
    assert proof.original_left_db < -30


@pytest.mark.parametrize("codec", ["ac3", "flac", "opus"])
def test_speech_without_dub_and_without_its_voice_is_muted(tmp_path, codec):
    proof, _ = proven(half_dubbed(tmp_path, kept=False), MixOptions(codec=codec))
    assert [(round(a), round(b)) for a, b in proof.muted_s] == [(5, 6), (7, 8)]
    assert sum(b - a for a, b in proof.muted_s) == pytest.approx(2.0, abs=0.3)


def test_a_take_that_is_not_there_leaves_its_speech_muted(tmp_path):
    proof, _ = proven(make_film(tmp_path, LINES), FLAC, without_the_first_line)
    assert proof.muted_s == ((1.0, 2.0),)


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_an_original_voice_under_its_dub_is_told(tmp_path, share):
    film = make_film(tmp_path, LINES, seconds=8)
    proof, _ = proven(film, FLAC, lambda sound: sound + np.float32(share) * film.vocals)
    assert proof.original_left_db == pytest.approx(20 * np.log10(share), abs=1)
    assert proof.doubled_s == (() if share < 0.3 else (1.0, 4.0))
    assert proof.muted_s == ()


def test_a_voice_that_no_separator_took_out_is_told_where_speech_was_detected(tmp_path):
    film = make_film(tmp_path, LINES, seconds=8)
    write_wave(film.folder / "accompaniment.wav", film.original, RATE)
    write_wave(film.folder / "vocals.wav", np.zeros_like(film.vocals), RATE)
    proof, _ = proven(film, FLAC)
    assert (proof.original_left_db, proof.doubled_s) == (0.0, (1.0, 4.0))
    nobody = replace(film, sources=replace(film.sources, detected=()))
    assert proven(nobody, FLAC)[0].doubled_s == ()


def test_a_voice_over_has_both_voices(tmp_path):
    proof, _ = proven(make_film(tmp_path, LINES), MixOptions(codec="flac", preset="voice-over"))
    # Nine dB lower, as all of the film is.
    assert proof.original_left_db == pytest.approx(-9, abs=1)
    assert proof.muted_s == ()


def test_undubbed_speech_is_what_no_line_with_a_dub_covers():
    speech = [Span(0, 30), Span(100, 160), Span(200, 220), Span(300, 500)]
    dub = [Span(105, 150), Span(330, 400), Span(340, 420)]
    # At 100 Hz: 0.3 s belong to a line's edges, and 0.4 s are a word unless they are all there is.
    assert undubbed_speech(speech, dub, 100) == [Span(0, 30), Span(200, 220), Span(450, 500)]
    assert undubbed_speech(speech, [], 100) == speech
    assert undubbed_speech([], dub, 100) == []


def test_a_delivery_standard_is_measured_by_ffmpegs_meter(tmp_path):
    proof, _ = proven(make_film(tmp_path, LINES), MixOptions(loudness="ebu-r128"))
    theirs = measure_file(tmp_path / "final.ac3")
    assert proof.loudness_lufs == theirs.integrated_lufs
    assert proof.true_peak_dbtp == theirs.true_peak_dbtp


def test_two_at_once_are_told_apart_and_forty_are_heard_together(tmp_path):
    two = [Line(Span(RATE, 2 * RATE)), Line(Span(RATE, 2 * RATE), start=RATE + 4800)]
    proof, _ = proven(make_film(tmp_path, two), FLAC)
    assert proof.heard_together == 0
    assert max(abs(gain) for gain in proof.line_gains_db) < 1


def test_a_film_full_of_speech_has_no_bed_to_compare(tmp_path):
    film = make_film(tmp_path, [Line(Span(0, 3 * RATE))], seconds=3)
    proof, _ = proven(film, FLAC)
    assert (proof.bed_null_db, proof.bed_gain_db, proof.offset_ms) == (None, None, None)
    assert abs(proof.line_gains_db[0]) < 1
