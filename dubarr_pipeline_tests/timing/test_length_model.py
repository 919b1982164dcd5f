from __future__ import annotations

import json
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dubarr_pipeline.timing.length_model import (
    DEFAULT_RATE,
    LengthModel,
    features_of,
    published_weights,
    syllable_rate,
)

WORDS = "la casa de mi hermana tiene una ventana pequeña sobre el río y nadie la abre nunca".split()


def _text(chance: random.Random) -> str:
    text = " ".join(chance.choices(WORDS, k=chance.randrange(2, 14)))
    return text + chance.choice([".", "?", ", sí.", ". Ven."])


def _truth(text: str, language: str = "es") -> float:
    """A voice that speaks by quite other weights than the published ones."""
    features = features_of(text, language)
    return (
        0.16 * features.syllables
        + 0.02 * features.words
        + 0.25 * features.minor_pauses
        + 0.5 * features.major_pauses
        + 0.15
    )


def _mean_error(model: LengthModel, texts: list[str]) -> float:
    found = [abs(model.predict(text, "es", "v") / _truth(text) - 1) for text in texts]
    return float(np.mean(found))


def test_it_learns_a_voice_within_ten_lines() -> None:
    chance = random.Random(1)
    model, held_out = LengthModel(), [_text(chance) for _ in range(60)]
    before = _mean_error(model, held_out)
    for _ in range(10):
        text = _text(chance)
        model.observe((text, "es", "v"), _truth(text))
    assert before > 0.12
    assert _mean_error(model, held_out) < 0.04


def test_with_eight_percent_noise_ten_lines_are_near_the_best_that_can_be() -> None:
    errors: list[float] = []
    for seed in range(10):
        chance = random.Random(seed)
        model = LengthModel()
        for _ in range(10):
            text = _text(chance)
            model.observe((text, "es", "v"), _truth(text) * chance.lognormvariate(0, 0.08))
        for _ in range(40):
            text = _text(chance)
            heard = _truth(text) * chance.lognormvariate(0, 0.08)
            errors.append(abs(model.predict(text, "es", "v") / heard - 1))
    assert np.mean(errors) < 0.08


def test_a_babbling_take_does_not_spoil_it() -> None:
    chance = random.Random(2)
    model, held_out = LengthModel(), [_text(chance) for _ in range(40)]
    for number in range(12):
        text = _text(chance)
        model.observe((text, "es", "v"), _truth(text) * (6 if number == 4 else 1))
    assert _mean_error(model, held_out) < 0.08


def test_a_new_voice_starts_from_the_other_voices_of_its_language() -> None:
    chance = random.Random(3)
    model, held_out = LengthModel(), [_text(chance) for _ in range(40)]
    fresh = _mean_error(model, held_out)
    for _ in range(20):
        text = _text(chance)
        model.observe((text, "es", "another"), _truth(text))
    assert _mean_error(model, held_out) < fresh / 3
    assert model.predict("Ja, gern.", "de", "v") == LengthModel().predict("Ja, gern.", "de", "v")


@settings(max_examples=25, deadline=None)
@given(st.randoms(use_true_random=False))
def test_the_order_of_the_takes_does_not_matter(chance: random.Random) -> None:
    takes = [(_text(chance), chance.choice("ab"), chance.uniform(0.5, 4)) for _ in range(20)]
    mixed = list(takes)
    chance.shuffle(mixed)
    models = []
    for order in (takes, mixed):
        model = LengthModel(kept=6)
        for text, voice, seconds in order:
            model.observe((text, "es", voice), seconds)
        models.append(model)
    assert models[0].to_document() == models[1].to_document()
    assert models[0].predict("una casa", "es", "a") == models[1].predict("una casa", "es", "a")


def test_it_comes_back_from_its_document_the_same() -> None:
    chance = random.Random(4)
    model = LengthModel()
    for _ in range(15):
        text = _text(chance)
        model.observe((text, "es", chance.choice("ab")), _truth(text))
    document = json.loads(json.dumps(model.to_document()))
    again = LengthModel.from_document(document)
    assert again.to_document() == document
    assert again.predict("una casa", "es", "b") == model.predict("una casa", "es", "b")


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"schema": 99},
        {"schema": 1, "voices": [{"language": "es", "voice": "a", "takes": [[1]]}]},
    ],
)
def test_a_document_of_another_kind_is_refused(document: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="length model"):
        LengthModel.from_document(document)


def test_a_snapshot_does_not_change_and_agrees_with_the_model() -> None:
    model = LengthModel()
    model.observe(("una casa", "es", "v"), 1.0)
    frozen = model.snapshot()
    before = frozen.predict("una casa", "es", "v")
    assert before == model.predict("una casa", "es", "v")
    model.observe(("la ventana", "es", "v"), 3.0)
    assert frozen.predict("una casa", "es", "v") == before
    assert model.predict("una casa", "es", "v") != before


def test_each_line_records_what_was_predicted_and_what_was_measured() -> None:
    model = LengthModel()
    first = model.observe(("una casa", "es", "v"), 1.0)
    second = model.observe(("una casa", "es", "v"), 1.0, predicted_s=1.5)
    assert (first.known, second.known, second.relative) == (0, 1, 0.5)
    assert model.errors == (first, second)
    with pytest.raises(ValueError, match="cannot be learned from"):
        model.observe(("una casa", "es", "v"), 0.0)


def test_a_text_with_nothing_to_say_takes_no_time_and_teaches_nothing() -> None:
    model = LengthModel()
    assert model.predict("... !", "es", "v") == 0.0
    model.observe(("...", "es", "v"), 0.5)
    assert model.snapshot().voices["es", "v"].tolist() == published_weights("es").tolist()


def test_budgets_in_syllables_follow_the_language_and_the_voice() -> None:
    frozen = LengthModel().snapshot()
    assert frozen.syllables_in(2, "es", "v") > frozen.syllables_in(2, "zh", "v")
    assert frozen.syllables_in(0.01, "es", "v") == 1


def test_phonemes_are_used_where_somebody_counts_them() -> None:
    counted = features_of("una casa", "es", lambda *_: 7)
    assert counted.phonemes == 7
    assert features_of("una casa", "es", lambda *_: None).phonemes == 9.6


@pytest.mark.parametrize(
    ("language", "rate"),
    [("ja", 7.84), ("es-MX", 7.82), ("ZH-Hant", 5.18), ("xx", DEFAULT_RATE), ("sw", 6.63)],
)
def test_published_rates(language: str, rate: float) -> None:
    assert syllable_rate(language) == rate
