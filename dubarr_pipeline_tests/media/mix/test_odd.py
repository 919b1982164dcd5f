"""Mixes of odd inputs, decoded and compared with what they were made of."""

from __future__ import annotations

import pytest

from dubarr_pipeline.media.mix.check import prove_track
from dubarr_pipeline.media.mix.mix import mix
from dubarr_pipeline.media.mix.options import MixOptions
from dubarr_pipeline.reports.heard import AUDIBLE_DB
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.stem_films import Film, Line, film_of, make_film, pink


def mixed(film: Film, options: MixOptions):
    path = film.folder / f"final.{options.codec}"
    report = mix(film.sources, film.takes, path, options)
    return report, prove_track(path, film.sources, film.takes, report, options)


@pytest.mark.parametrize(
    ("rate", "channels", "codec"),
    [
        (44_100, 1, "ac3"),
        (44_100, 1, "aac"),
        (44_100, 8, "aac"),
        (96_000, 1, "aac"),
        (96_000, 8, "flac"),
    ],
)
def test_takes_at_the_first_and_the_last_sample_are_heard(tmp_path, rate, channels, codec):
    lines = [Line(Span(0, rate)), Line(Span(5 * rate, 6 * rate), 0.05)]
    film = make_film(tmp_path, lines, 6, channels, rate)
    report, proof = mixed(film, MixOptions(codec=codec))
    assert report.passes <= (2 if codec == "aac" else 1)
    assert report.clipped_samples == 0
    assert abs(report.miss_lu) <= 0.2
    assert max(abs(gain) for gain in proof.line_gains_db) < 1
    assert proof.offset_ms is not None
    assert proof.offset_ms <= 0.1


def test_forty_speakers_at_once_are_kept_under_the_ceiling(tmp_path):
    rate = 48_000
    lines = [Line(Span(rate, 3 * rate), 0.1, start=rate + 300 * i) for i in range(40)]
    film = make_film(tmp_path, lines, 6)
    report, proof = mixed(film, MixOptions())
    assert report.clipped_samples == 0
    assert proof.bed_null_db is not None
    assert proof.bed_null_db < -3
    assert proof.heard_together > 25
    assert min(proof.line_gains_db) > AUDIBLE_DB + report.limited_db
    assert max(proof.line_gains_db) < 1


def test_a_source_at_full_scale_is_not_driven_over_it(tmp_path):
    rate = 48_000
    bed = pink(2, 8 * rate, 0.5).clip(-1, 1)
    film = film_of(tmp_path, bed, [Line(Span(rate, 2 * rate), 0.5)])
    report, proof = mixed(film, MixOptions())
    assert report.clipped_samples == 0
    assert report.limited_samples > 0
    assert abs(proof.line_gains_db[0]) < 1
