from __future__ import annotations

import numpy as np
import pytest

from dubarr_pipeline.engines.synthesis.tone import (
    PAUSE_S,
    SYLLABLE_S,
    ToneSynthesizer,
    natural_s,
    syllables,
)
from dubarr_pipeline_tests.fixtures.speech_meters import median_f0_hz, request


@pytest.mark.parametrize(
    ("text", "count"),
    [("Hola", 2), ("casa blanca", 4), ("strength", 1), ("hm", 1), ("你好吗", 3), ("3", 1), ("", 1)],
)
def test_syllables(text: str, count: int) -> None:
    assert syllables(text) == count


def test_natural_length_is_syllables_and_the_pauses_within() -> None:
    assert natural_s("Hola") == pytest.approx(2 * SYLLABLE_S)
    assert natural_s("Hola. Casa... no!") == pytest.approx(5 * SYLLABLE_S + 2 * PAUSE_S)


@pytest.mark.parametrize("pitch_hz", [80.0, 140.0, 250.0])
def test_the_hum_is_at_the_speakers_pitch(pitch_hz: float) -> None:
    speech = ToneSynthesizer().speak(request("la casa blanca de la montaña", pitch_hz=pitch_hz))
    assert median_f0_hz(speech.samples, speech.rate) == pytest.approx(pitch_hz, rel=0.02)


def test_a_length_that_was_asked_for_is_exact_to_the_sample() -> None:
    speech = ToneSynthesizer().speak(request("hola", duration_s=1.2345))
    assert speech.samples.size == round(1.2345 * speech.rate)


def test_lengths_near_nothing_are_still_a_sound() -> None:
    speech = ToneSynthesizer().speak(request("hola", duration_s=0.0))
    assert speech.samples.size
    assert np.isfinite(speech.samples).all()
