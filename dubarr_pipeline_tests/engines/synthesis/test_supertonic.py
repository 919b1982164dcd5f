"""Supertonic's voices: letters, lengths, and what a damaged model says."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dubarr_pipeline.engines.interfaces import SpeechRequest, Voice
from dubarr_pipeline.engines.synthesis.supertonic import SupertonicOptions, SupertonicSynthesizer
from dubarr_pipeline.engines.synthesis.supertonic_model import SupertonicModel, clean, closed
from dubarr_pipeline.errors import EngineError, LineError, MissingRequirement
from dubarr_pipeline.script.model import SpeakerProfile
from dubarr_pipeline_tests.fakes.tiny import supertonic
from dubarr_pipeline_tests.fixtures.speech_meters import median_f0_hz, request

LINE = "Ich war allein, seit ich denken kann."


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return supertonic.build(tmp_path / "supertonic")


def opened(folder: Path) -> SupertonicSynthesizer:
    return SupertonicSynthesizer(SupertonicOptions(str(folder), steps=2))


@pytest.mark.parametrize(
    ("text", "cleaned"),
    [
        ("„Ja“ – nein", '„Ja" - nein'),
        ("l’été", "l'e\u0301te\u0301"),
        ("So , nun !", "So, nun!"),
        ("a_b/c  d", "a b c d"),
        ("''ja''", "'ja'"),
    ],
)
def test_text_is_cleaned_as_the_authors_package_does(text: str, cleaned: str) -> None:
    assert clean(text) == cleaned


@pytest.mark.parametrize(("text", "end"), [("Ja", "Ja."), ("Ja!", "Ja!"), ("Ja…", "Ja…")])
def test_a_text_ends_with_a_mark(text: str, end: str) -> None:
    assert closed(text) == end


def test_the_language_stands_around_the_letters(folder: Path) -> None:
    model = SupertonicModel(folder, 2)
    (passage,) = model.passages("Sí", "es-MX", "F1")
    assert "".join(map(chr, passage.letters[0])) == "<es>Si\u0301.</es>"


def test_it_speaks_31_languages_and_each_with_every_voice() -> None:
    engine = SupertonicSynthesizer()
    assert len(engine.languages) == 31
    assert all(engine.serves(language) for language in engine.languages)
    assert engine.serves("pt-PT")
    assert not engine.serves("zh")
    assert engine.voices("zh") == ()
    sexes = [voice.sex for voice in engine.voices("de")]
    assert (sexes.count("female"), sexes.count("male")) == (5, 5)


def test_the_length_is_known_before_and_kept_to_the_sample(folder: Path) -> None:
    with opened(folder) as engine:
        natural_s = engine.natural_s(request(LINE, "de"))
        assert natural_s is not None
        for factor in (0.8, 1.0, 1.25):
            take = engine.speak(request(LINE, "de", duration_s=natural_s * factor))
            assert take.samples.size / take.rate == pytest.approx(natural_s * factor, rel=0.01)


def test_the_dealt_voice_speaks_and_long_texts_are_parted(folder: Path) -> None:
    profile = SpeakerProfile("SPEAKER_00")
    with opened(folder) as engine:
        for name, hertz in supertonic.VOICES.items():
            asked = SpeechRequest(LINE, "de", Voice("SPEAKER_00", profile, name=name))
            take = engine.speak(asked)
            assert median_f0_hz(take.samples, take.rate) == pytest.approx(hertz, rel=0.05)
        one = engine.natural_s(request(LINE, "de")) or 0.0
        assert engine.natural_s(request(" ".join([LINE] * 20), "de")) == pytest.approx(
            20 * one, rel=0.2
        )
    assert len(SupertonicModel(folder, 2).passages(" ".join([LINE] * 20), "de", "F1")) == 3


def test_letters_that_the_model_does_not_know_fail_the_line(folder: Path) -> None:
    with opened(folder) as engine, pytest.raises(LineError) as failed:
        engine.speak(request("안녕하세요", "ko"))
    assert failed.value.failure == "unspeakable"


@pytest.mark.parametrize("name", ["tts.json", "vocoder.onnx", "unicode_indexer.json"])
def test_missing_files_are_named_with_the_cure(folder: Path, name: str) -> None:
    (folder / "onnx" / name).unlink()
    with pytest.raises(MissingRequirement, match=f"{name} is missing: pull the model again"):
        opened(folder).load()


@pytest.mark.parametrize(
    ("name", "content"),
    [("tts.json", "{}"), ("tts.json", "<html>"), ("text_encoder.onnx", "nothing")],
)
def test_damaged_files_are_named(folder: Path, name: str, content: str) -> None:
    (folder / "onnx" / name).write_text(content)
    with pytest.raises(EngineError, match=name):
        opened(folder).load()


def test_a_damaged_voice_ends_its_lines_alone(folder: Path) -> None:
    (folder / "voice_styles" / "F1.json").write_text(json.dumps({"style_ttl": {"data": [1]}}))
    with opened(folder) as engine:
        with pytest.raises(EngineError, match=r"F1\.json is no voice of Supertonic"):
            engine.speak(request(LINE, "de", gender="female"))
        assert engine.speak(request(LINE, "de", gender="male")).samples.size
