from __future__ import annotations

import gc
import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.engines.synthesis import espeak_library, espeak_voices
from dubarr_pipeline.engines.synthesis.espeak import (
    NATURAL_WPM,
    EspeakSynthesizer,
    phoneme_count,
    phonemes,
)
from dubarr_pipeline.engines.synthesis.espeak_library import EspeakLibrary
from dubarr_pipeline.engines.synthesis.espeak_voices import (
    BASES_HZ,
    TIMBRES,
    base_pitch_hz,
    find_language,
    served_languages,
    speaker_number,
)
from dubarr_pipeline.errors import LanguageError, LineError, SettingsError
from dubarr_pipeline_tests.fixtures.speech_meters import median_f0_hz, request, spectrum_db

LINES = {
    "es": "Esta hoja tiene un pasado oscuro, y ha derramado mucha sangre inocente.",
    "ca": "Aquesta fulla té un passat fosc, i ha vessat molta sang innocent.",
    "en-US": "This blade has a dark past, and it has shed much innocent blood.",
    "fr": "Cette lame a un sombre passé, elle a fait couler beaucoup de sang innocent.",
    "de": "Diese Klinge hat eine dunkle Vergangenheit, sie hat viel Blut vergossen.",
    "zh-CN": "这把刀有着黑暗的过去,它流了很多无辜的血。",
}


@pytest.fixture
def short_folder() -> Iterator[Path]:
    """A temporary folder whose path is short enough for espeak."""
    with tempfile.TemporaryDirectory(dir="/tmp", prefix="t") as folder:
        yield Path(folder)


@pytest.mark.parametrize("language", sorted(LINES))
@pytest.mark.parametrize("pitch_hz", [85.0, 125.0, 190.0, 260.0])
def test_a_voice_speaks_at_its_speakers_median_pitch(language: str, pitch_hz: float) -> None:
    speech = EspeakSynthesizer().speak(request(LINES[language], language, pitch_hz=pitch_hz))
    assert median_f0_hz(speech.samples, speech.rate) == pytest.approx(pitch_hz, rel=0.06)


def test_the_meter_itself_measures_a_known_pitch() -> None:
    time_s = np.arange(22050) / 22050
    tone = sum(np.sin(2 * np.pi * 137 * k * time_s) / k for k in range(1, 9))
    assert median_f0_hz(np.asarray(tone, dtype=np.float32), 22050) == pytest.approx(137, rel=0.01)


def test_speakers_of_one_pitch_have_voices_that_can_be_told_apart() -> None:
    spectra = []
    for number in range(len(TIMBRES)):
        asked = request(LINES["es"], pitch_hz=120.0, speaker=f"SPEAKER_{number:02}")
        speech = EspeakSynthesizer().speak(asked)
        spectra.append(spectrum_db(speech.samples, speech.rate))
        assert np.abs(speech.samples).max() < 1  # never clipped
    apart = [np.sqrt(np.mean((a - b) ** 2)) for a, b in combinations(spectra, 2)]
    assert min(apart) > 1.5  # dB rms over third octaves


def test_a_person_can_choose_the_voice_and_learns_the_choices() -> None:
    engine = EspeakSynthesizer()
    chosen = engine.speak(request("Hola madre.", voices={"es": "dark"}))
    usual = engine.speak(request("Hola madre."))
    assert not np.array_equal(chosen.samples, usual.samples)
    with pytest.raises(SettingsError, match="no voice 'velvet' for es; it has plain"):
        engine.speak(request("Hola madre.", voices={"es": "velvet"}))


def test_unknown_speakers_get_voices_of_different_pitch() -> None:
    heard = []
    for number in range(4):
        speech = EspeakSynthesizer().speak(request(LINES["es"], speaker=f"SPEAKER_{number:02}"))
        heard.append(median_f0_hz(speech.samples, speech.rate))
    assert min(abs(np.log2(a / b)) for a, b in combinations(heard, 2)) > 1.5 / 12


def test_ids_without_a_number_have_one_all_the_same() -> None:
    assert speaker_number("SPEAKER_07") == 7
    assert speaker_number("Anna") == speaker_number("Anna")
    assert speaker_number("Anna") != speaker_number("Björn")


@given(st.floats(40, 600))
def test_the_pitch_table_is_inverted_without_leaving_it(pitch_hz: float) -> None:
    assert BASES_HZ[0] <= base_pitch_hz(pitch_hz, "en-us") <= BASES_HZ[-1]


@given(st.floats(65, 400), st.floats(1.01, 1.5))
def test_a_higher_pitch_never_gets_a_lower_voice(pitch_hz: float, ratio: float) -> None:
    assert base_pitch_hz(pitch_hz, "es") <= base_pitch_hz(pitch_hz * ratio, "es")


@pytest.mark.parametrize(
    ("tag", "voice"),
    [
        ("es", "es"),
        ("es-ES", "es"),
        ("es-419", "es-419"),
        ("es-MX", "es-mx"),
        ("es-AR", "es-419"),
        ("ca", "ca"),
        ("ca-valencia", "ca-va"),
        ("pt", "pt"),
        ("pt-BR", "pt-br"),
        ("pt-PT", "pt-pt"),
        ("en-GB", "en-gb"),
        ("fr-FR", "fr-fr"),
        ("fr-CA", "fr"),
        ("zh", "zh"),
        ("zh-Hans-CN", "zh"),
        ("zh-HK", "yue"),
        ("iw", "he"),
        ("spa", "es"),
    ],
)
def test_languages_are_found_by_their_tags(tag: str, voice: str) -> None:
    assert find_language(tag) == voice


@pytest.mark.parametrize("tag", ["", "xx", "tlh", "und", "mul", "nn", "fo", "es_", "-", "klingon"])
def test_what_espeak_does_not_speak_is_not_served(tag: str) -> None:
    assert not EspeakSynthesizer().serves(tag)
    with pytest.raises(LanguageError, match=r"it speaks .*es, "):
        EspeakSynthesizer().speak(request("Hola.", language=tag))


def test_every_language_on_offer_can_be_spoken_or_says_that_it_cannot_read_the_text() -> None:
    spoken = 0
    with EspeakSynthesizer() as engine:
        for language in served_languages():
            if not engine.serves(language):
                continue  # names of espeak's own that are no BCP-47 tags
            speech = engine.speak(request("Mama papa 3", language=language))
            assert speech.samples.size > 2000, language
            spoken += 1
    assert spoken > 120


@pytest.mark.parametrize(
    "text",
    ["<b>hola</b>", "[[h'ola]]", "{hola}", "hola 😀", "hola\x07", "hola\udc80", "♪ la la", "a < b"],
)
def test_what_espeak_would_spell_out_is_refused(text: str) -> None:
    with pytest.raises(LineError) as failed:
        EspeakSynthesizer().speak(request(text))
    assert failed.value.failure == "unspeakable"


def test_kanji_are_refused_and_kana_spoken() -> None:
    assert EspeakSynthesizer().speak(request("わたしは せんせいです", "ja")).samples.size
    with pytest.raises(LineError, match="kanji"):
        EspeakSynthesizer().speak(request("私は先生です", "ja"))


def test_a_line_is_fitted_within_the_rates_that_stay_clear() -> None:
    engine = EspeakSynthesizer()
    errors_s = []
    with engine:
        for text in (*LINES["es"].split(", "), "Gracias.", "Tienes suerte de que aún vivas."):
            natural_s = engine.natural_s(request(text))
            for factor in np.linspace(0.72, 1.42, 8):
                speech = engine.speak(request(text, duration_s=natural_s * factor))
                errors_s.append(abs(speech.samples.size / speech.rate - natural_s * factor))
    assert np.median(errors_s) < 0.012
    assert np.quantile(errors_s, 0.9) < 0.035


@pytest.mark.parametrize(("asked", "low", "high"), [(0.1, 0.66, 0.76), (5.0, 1.36, 1.52)])
def test_beyond_them_the_nearest_is_returned(asked: float, low: float, high: float) -> None:
    engine = EspeakSynthesizer()
    natural_s = engine.natural_s(request(LINES["es"]))
    speech = engine.speak(request(LINES["es"], duration_s=natural_s * asked))
    assert low < speech.samples.size / speech.rate / natural_s < high


def test_no_line_is_rendered_more_than_three_times(monkeypatch: pytest.MonkeyPatch) -> None:
    rates: list[int] = []
    render = espeak_library.EspeakSession.render

    def counted(self: espeak_library.EspeakSession, text: str, rate: int) -> object:
        if text == LINES["es"]:  # and not the probe of `rewind`
            rates.append(rate)
        return render(self, text, rate)

    monkeypatch.setattr(espeak_library.EspeakSession, "render", counted)
    for duration_s in (None, 1.0, 4.4, 5.0, 9.0):
        rates.clear()
        EspeakSynthesizer().speak(request(LINES["es"], duration_s=duration_s))
        assert 1 <= len(rates) <= 3
        assert len(set(rates)) == len(rates)


def test_before_a_line_the_library_is_rewound_by_quick_probes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rates: list[int] = []
    render = espeak_library.EspeakSession.render

    def counted(self: espeak_library.EspeakSession, text: str, rate: int) -> object:
        if text == espeak_library.PROBE_TEXT:
            rates.append(rate)
        return render(self, text, rate)

    with EspeakSynthesizer() as engine:
        first = engine.speak(request("Perro rojo.")).samples
        monkeypatch.setattr(espeak_library.EspeakSession, "render", counted)
        for text in ("Carro.", "El perro corre.", "Perro rojo."):
            rates.clear()
            again = engine.speak(request(text)).samples
            assert 1 <= len(rates) <= espeak_library.PROBE_STATES
            assert set(rates) == {espeak_library.QUICK_WPM}
    assert np.array_equal(first, again)


def test_phonemes_are_espeaks_own() -> None:
    assert phonemes("Esta hoja, un gato.", "es") == "ˈesta ˈoxa, ˈuŋ ɡˈato"  # noqa: RUF001
    assert phoneme_count("Esta hoja, un gato.", "es") == 13
    assert phonemes("", "es") == ""
    assert phoneme_count("... \0 \udc80", "es") == 0
    with pytest.raises(LanguageError):
        phonemes("hola", "tlh")


def test_pointed_hebrew_is_not_spelled() -> None:
    pointed, plain = "אֲנִי רוֹצֶה לִשְׁתּוֹת", "אני רוצה לשתות"
    assert phonemes(pointed, "he") == phonemes(plain, "he") == "anˈi rotsˈe liʃtˈot"  # noqa: RUF001
    engine = EspeakSynthesizer()
    spoken = [engine.speak(request(text, "he")).samples.size for text in (pointed, plain)]
    assert spoken[0] == spoken[1]


def test_phonemes_foretell_length() -> None:
    texts = [LINES["es"][:n] for n in (20, 34, 50, 71)]
    natural_s = [EspeakSynthesizer().natural_s(request(text)) for text in texts]
    per_sound = [s / phoneme_count(t, "es") for s, t in zip(natural_s, texts, strict=True)]
    assert max(per_sound) / min(per_sound) < 1.25


def test_a_text_of_an_hour_is_spoken_whole() -> None:
    speech = EspeakSynthesizer().speak(request(LINES["es"] * 60))
    once = EspeakSynthesizer().speak(request(LINES["es"]))
    assert speech.samples.size / once.samples.size == pytest.approx(60, rel=0.15)


@pytest.mark.parametrize("share", [0.8, 1.0, 1.2])
def test_a_length_that_was_asked_for_before_changes_nothing_and_is_not_rendered_again(
    monkeypatch: pytest.MonkeyPatch, share: float
) -> None:
    text = "El perro corre hacia la torre, y rara vez recuerda el error."
    asked, fresh = EspeakSynthesizer(), EspeakSynthesizer()
    natural_s = asked.natural_s(request(text))
    wanted = request(text, duration_s=share * natural_s)
    rates: list[int] = []
    render = espeak_library.EspeakSession.render

    def noted(session: espeak_library.EspeakSession, said: str, words_per_minute: int):
        rates.extend([words_per_minute] * (said == text))
        return render(session, said, words_per_minute)

    monkeypatch.setattr(espeak_library.EspeakSession, "render", noted)
    known = asked.speak(wanted).samples
    count = len(rates)
    np.testing.assert_array_equal(known, fresh.speak(wanted).samples)
    assert len(rates) - count == (count if share == 1 else count + 1)
    assert (NATURAL_WPM in rates[:count]) is (share == 1)


def test_the_library_stays_open_until_its_last_user_is_gone() -> None:
    library = EspeakLibrary()
    one, other = EspeakSynthesizer(), EspeakSynthesizer()
    one.load()
    one.load()
    other.load()
    one.unload()
    np.testing.assert_array_equal(
        other.speak(request("Hola.")).samples, one.speak(request("Hola.")).samples
    )
    other.unload()
    assert library is not espeak_library.ESPEAK
    assert espeak_library.ESPEAK._loaded is None


@pytest.mark.parametrize("folder", ["short", "a-temporary-folder-with-a-name-of-many-letters" * 2])
def test_a_voice_is_found_wherever_temporary_files_lie(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, folder: str
) -> None:
    (tmp_path / folder).mkdir()
    before = EspeakSynthesizer().speak(request("Hola.")).samples
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / folder))
    np.testing.assert_array_equal(before, EspeakSynthesizer().speak(request("Hola.")).samples)
    assert list((tmp_path / folder).iterdir()) == []


def test_many_loads_and_unloads_leave_no_files_and_no_memory(
    monkeypatch: pytest.MonkeyPatch, short_folder: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(short_folder))

    def resident_kb() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4

    EspeakSynthesizer().speak(request("Hola."))
    gc.collect()
    before_kb = resident_kb()
    for _ in range(150):
        EspeakSynthesizer().speak(request("Hola."))
    assert list(short_folder.iterdir()) == []
    assert resident_kb() - before_kb < 4000


def test_data_in_a_folder_with_a_long_name_is_found(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    before = EspeakSynthesizer().speak(request("Hola madre.")).samples
    long = tmp_path / ("n" * 120) / ("m" * 120)
    long.mkdir(parents=True)
    (long / "espeak-ng-data").symlink_to(espeak_voices.data_folder())
    monkeypatch.setattr(espeak_library, "data_folder", lambda: long / "espeak-ng-data")
    np.testing.assert_array_equal(before, EspeakSynthesizer().speak(request("Hola madre.")).samples)


def test_speaking_in_a_fresh_process_gives_the_same_samples() -> None:
    code = (
        "import hashlib;"
        "from dubarr_pipeline.engines.synthesis.espeak import EspeakSynthesizer;"
        "from dubarr_pipeline_tests.fixtures.speech_meters import request;"
        "s=EspeakSynthesizer().speak(request('Hola madre.', pitch_hz=133.0)).samples;"
        "print(hashlib.sha256(s.tobytes()).hexdigest())"
    )
    there = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    here = EspeakSynthesizer().speak(request("Hola madre.", pitch_hz=133.0)).samples
    assert there.stdout.strip() == hashlib.sha256(here.tobytes()).hexdigest()
