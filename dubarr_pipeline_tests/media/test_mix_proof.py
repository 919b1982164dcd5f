"""A finished track is heard again; each fault that is put in on purpose is told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from dubarr_pipeline.media import ffmpeg
from dubarr_pipeline.media.loudness import measure_file
from dubarr_pipeline.media.mix_options import MixOptions
from dubarr_pipeline.media.mix_proof import TrackProof, prove_track
from dubarr_pipeline.media.mix_report import MixReport
from dubarr_pipeline.media.mixdown import mix
from dubarr_pipeline.media.waveform import write_wave
from dubarr_pipeline.timeline.spans import Span
from dubarr_pipeline_tests.media.films import Film, Line, decoded, make_film

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
