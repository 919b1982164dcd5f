"""Predictions for real neural voices, from the sentences that they are measured by."""

from __future__ import annotations

from functools import cache
from statistics import fmean
from typing import Any

import pytest

from dubarr_pipeline.engines.synthesis.espeak import phoneme_count
from dubarr_pipeline.text.tables import read_table
from dubarr_pipeline.timing.length_model import LengthModel

SPOKEN = read_table("dubarr_pipeline_tests.timing", "kokoro_lengths")["languages"]
SENTENCES = read_table("dubarr_pipeline.timing", "measuring_sentences")
FIRST = 5
phonemes = cache(phoneme_count)


def errors(spoken: dict[str, Any], voice: str, *, measured: bool) -> list[float]:
    """Relative errors of the first lines, before the voice has said any of them."""
    language, model = spoken["language"], LengthModel(phonemes)
    known = spoken["voices"][voice]
    if measured:
        sentences = SENTENCES[language.split("-")[0]]
        for text, seconds in zip(sentences, known["measured"], strict=True):
            model.observe((text, language, voice), seconds)
    lines = zip(spoken["texts"][:FIRST], known["lines"], strict=False)
    return [abs(model.predict(text, language, voice) / seconds - 1) for text, seconds in lines]


VOICES = [(spoken, voice) for spoken in SPOKEN for voice in spoken["voices"]]


@pytest.mark.parametrize(("spoken", "voice"), VOICES, ids=[voice for _, voice in VOICES])
def test_the_first_lines_of_a_measured_voice(spoken: dict[str, Any], voice: str):
    assert fmean(errors(spoken, voice, measured=True)) <= 0.12


def test_the_first_lines_of_all_measured_voices():
    measured, unmeasured = (
        fmean(fmean(errors(spoken, voice, measured=known)) for spoken, voice in VOICES)
        for known in (True, False)
    )
    assert len(VOICES) == 25
    assert measured <= 0.08
    # What the sentences are worth.
    assert unmeasured >= 0.15
