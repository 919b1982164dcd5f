"""Pauses inside detected speech, and the room that the detector leaves around it."""

from __future__ import annotations

import numpy as np
import pytest

from dubarr_pipeline.script.speakers.edges import voiced_pieces
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.tone_voices import Sound

RATE = 8_000


def second(at: float) -> int:
    return round(at * RATE)


def spoken(quiet: tuple[float, float], bed_db: float = -90.0, length_s: float = 4.0) -> Sound:
    noise = np.random.default_rng(1).standard_normal((2, second(length_s))).astype(np.float32)
    voice = 0.1 * noise
    voice[:, second(quiet[0]) : second(quiet[1])] = 0
    bed = np.float32(0.1 * 10 ** (bed_db / 20)) * noise[:, ::-1]
    return Sound((voice + bed).astype(np.float32), RATE)


@pytest.mark.parametrize(
    ("quiet", "bed_db", "pieces"),
    [
        ((2.0, 2.2), -90.0, 2),
        ((2.0, 2.2), -26.0, 2),
        ((2.0, 2.2), -18.0, 1),
        ((2.0, 2.12), -90.0, 1),
        ((2.0, 2.8), -90.0, 1),
        ((0.0, 0.4), -90.0, 1),
    ],
    ids=["pause", "with residue", "music", "closure", "faint voice", "soft start"],
)
def test_only_short_pauses_divide_a_stretch(
    quiet: tuple[float, float], bed_db: float, pieces: int
) -> None:
    found = voiced_pieces(spoken(quiet, bed_db), [Span(0, second(4))], 0.0)
    assert len(found) == pieces
    if pieces == 2:
        assert found[0].end / RATE == pytest.approx(quiet[0], abs=0.02)
        assert found[1].start / RATE == pytest.approx(quiet[1], abs=0.02)


def test_the_detectors_room_is_taken_off_both_sides() -> None:
    speech = [Span(second(0.5), second(1.5)), Span(second(3.8), second(4))]
    found = voiced_pieces(spoken((0, 0)), speech, 0.15)
    assert [(s.start / RATE, s.end / RATE) for s in found] == [(0.6, 1.35), (3.8, 4.0)]


def test_a_long_stretch_is_read_in_parts() -> None:
    sound = spoken((50.0, 50.3), length_s=65)
    found = voiced_pieces(sound, [Span(0, second(65))], 0.0)
    assert [round(s.end / RATE, 1) for s in found] == [50.0, 65.0]
    assert sound.longest_read <= second(20)
