# ruff: noqa: RUF001 - phonemes look like letters
"""Kokoro's Japanese and Mandarin: with their packages, and without them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dubarr_pipeline.config.profile_engines import voices_for
from dubarr_pipeline.engines.interfaces import Need, SpeechRequest, Voice
from dubarr_pipeline.engines.synthesis import kokoro_readers
from dubarr_pipeline.engines.synthesis.kokoro import KokoroOptions, KokoroSynthesizer
from dubarr_pipeline.engines.synthesis.kokoro_readers import read_aloud
from dubarr_pipeline.errors import LanguageError, LineError
from dubarr_pipeline.script.model import SpeakerProfile
from dubarr_pipeline_tests.fakes.tiny import kokoro
from dubarr_pipeline_tests.fixtures.speech_meters import median_f0_hz


def spoken_by(name: str | None, text: str, language: str) -> SpeechRequest:
    return SpeechRequest(
        text, language, Voice("SPEAKER_00", SpeakerProfile("SPEAKER_00"), name=name)
    )


def install(monkeypatch: pytest.MonkeyPatch, is_here: bool) -> None:
    """Have the packages installed, or not."""
    monkeypatch.setattr(
        kokoro_readers,
        "package_need",
        lambda package, _, cure: Need("package", package, is_here, cure),
    )


def read_with(monkeypatch: pytest.MonkeyPatch, read: Callable[[str], str]) -> None:
    """Put a reader in place of misaki's."""
    install(monkeypatch, is_here=True)
    monkeypatch.setattr(kokoro_readers, "_reader", lambda _: read)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return kokoro.build(tmp_path / "kokoro", voices={"jf_alpha": 230.0, "zm_yunxi": 150.0})


@pytest.mark.parametrize(
    ("language", "package", "extra"),
    [
        ("ja", "unidic-lite", "japanese"),
        ("zh", "pypinyin", "chinese"),
        ("zh-TW", "jieba", "chinese"),
    ],
)
def test_without_its_packages_a_language_is_refused_with_the_cure(
    monkeypatch: pytest.MonkeyPatch, folder: Path, language: str, package: str, extra: str
) -> None:
    install(monkeypatch, is_here=False)
    with KokoroSynthesizer(KokoroOptions(str(folder))) as engine:
        assert not engine.serves(language)
        assert engine.voices(language) == ()
        with pytest.raises(LanguageError, match=rf"{package}.*dubarr-pipeline\[{extra}\]"):
            engine.speak(spoken_by(None, "你好", language))
        assert engine.speak(spoken_by(None, "Hola, amigo.", "es")).samples.size


def test_a_refused_film_learns_what_would_have_kokoro_speak_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install(monkeypatch, is_here=False)
    assert any("kokoro with" in each and "[japanese]" in each for each in voices_for("ja"))
    install(monkeypatch, is_here=True)
    assert "kokoro" in voices_for("ja")


@pytest.mark.parametrize(("language", "voice"), [("ja", "jf_alpha"), ("zh", "zm_yunxi")])
def test_with_its_packages_its_own_voices_speak_it_in_the_time_asked_for(
    monkeypatch: pytest.MonkeyPatch, folder: Path, language: str, voice: str
) -> None:
    read_with(monkeypatch, lambda _: "mata " * 3 + ".")
    with KokoroSynthesizer(KokoroOptions(str(folder))) as engine:
        assert [each.name for each in engine.voices(language)] == [voice]
        line = spoken_by(None, "明日の朝。", language)
        natural_s = engine.natural_s(line)
        assert natural_s
        wanted_s = natural_s * 1.2
        speech = engine.speak(SpeechRequest(line.text, language, line.voice, duration_s=wanted_s))
        assert speech.samples.size / speech.rate == pytest.approx(wanted_s, rel=0.1)
        hertz = {"jf_alpha": 230.0, "zm_yunxi": 150.0}[voice]
        assert median_f0_hz(speech.samples, speech.rate) == pytest.approx(hertz, rel=0.05)


def test_a_text_longer_than_one_rendering_is_cut(
    monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    read_with(monkeypatch, lambda _: ("mata " * 60 + ". ") * 2)
    with KokoroSynthesizer(KokoroOptions(str(folder))) as engine:
        assert len(engine._passages(spoken_by(None, "长", "zh"))[0]) == 2


def test_cantonese_is_not_read_as_mandarin(monkeypatch: pytest.MonkeyPatch) -> None:
    install(monkeypatch, is_here=True)
    engine = KokoroSynthesizer()
    assert engine.serves("zh-Hant")
    assert engine.serves("cmn")
    assert not engine.serves("yue")


def test_latin_words_are_read_as_english(monkeypatch: pytest.MonkeyPatch) -> None:
    read_with(monkeypatch, lambda text: text.replace("，", ", ").replace("来了", "lˈai lɤ"))
    assert read_aloud("OK，Anna来了", "zh", str.lower) == "ok, anna lˈai lɤ"


@pytest.mark.parametrize("error", [AssertionError, IndexError, KeyError, ValueError])
def test_what_misaki_cannot_read_fails_that_line_alone(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    def fail(text: str) -> str:
        raise error(text)

    read_with(monkeypatch, fail)
    with pytest.raises(LineError) as failed:
        read_aloud("難", "ja", str.lower)
    assert failed.value.failure == "unspeakable"


@pytest.mark.parametrize("left", ["𠮷", "7", "龘"])
def test_a_line_is_not_spoken_without_the_signs_that_misaki_leaves_unread(
    monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    read_with(monkeypatch, lambda _: f"noja {left}")
    with pytest.raises(LineError, match=left):
        read_aloud(f"{left}野家", "ja", str.lower)
