"""`dubarr engines --play`: every voice is heard with one sentence, on a page from the disk."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import soundfile
from click.testing import CliRunner, Result

from dubarr_pipeline.cli.main import main
from dubarr_pipeline.demo.voice_samples import sample_sentence
from dubarr_pipeline.text.language_guess import guess_language
from dubarr_pipeline.text.tables import read_table
from dubarr_pipeline_tests.fakes import stock_voices


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DUBARR_WORK_DIR", str(tmp_path / "work"))
    monkeypatch.delenv("DUBARR_CONFIG", raising=False)
    with stock_voices.registered():
        yield tmp_path


def play(*options: str) -> Result:
    return CliRunner().invoke(main, ["engines", *options])


def test_every_stock_voice_has_a_file_and_a_row(here: Path):
    answer = play("--play", "es", "--engine", "stock")
    assert answer.exit_code == 0, answer.output
    folder = here / "voices_es"
    assert f"6 of 6 voices: {folder / 'index.html'}" in answer.stdout
    page, sounds = (folder / "index.html").read_text(), sorted(folder.glob("*.wav"))
    assert len(sounds) == 6
    for voice, path in zip(stock_voices.StockVoiceSynthesizer().voices("es"), sounds, strict=True):
        assert voice.name in path.name
        assert f'src="{path.name}"' in page
        assert f"{voice.pitch_hz:.0f} Hz" in page
        assert soundfile.info(path).subtype == "PCM_16"
    assert page.count("no, accent") == 2
    assert "Apache-2.0" in page
    assert "¿Vienes con nosotros?" in page


def test_an_engine_that_makes_voices_after_the_speakers_shows_three(here: Path):
    assert play("--play", "en", "--engine", "tone").exit_code == 0
    assert len(list((here / "voices_en").glob("*.wav"))) == 3
    # It may be repeated with another engine, which replaces what is there.
    assert play("--play", "en", "--engine", "stock").exit_code == 0
    assert len(list((here / "voices_en").glob("*.wav"))) == 6


def test_files_of_others_are_left_alone(here: Path):
    mine = here / "voices_es" / "mine.wav"
    mine.parent.mkdir()
    mine.write_bytes(b"mine")
    answer = play("--play", "es", "--engine", "tone")
    assert answer.exit_code == 5
    assert "not ours" in answer.stderr
    assert mine.read_bytes() == b"mine"
    assert list(mine.parent.iterdir()) == [mine]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--play", "no such"), "unknown language"),
        (("--play", "es", "--engine", "nobody"), "choose one of: "),
        (("--engine", "tone"), "needs --play"),
        (("--play", "fo", "--engine", "espeak"), "does not speak Faroese"),
        (("--play", "es", "--engine", "xtts"), "CPML"),
    ],
)
def test_a_wrong_wish_is_named(options: tuple[str, ...], words: str, here: Path):
    answer = play(*options)
    assert answer.exit_code == 2
    assert words in answer.stderr
    assert not list(here.glob("voices_*/*"))


SENTENCES = read_table("dubarr_pipeline.demo", "voice_samples")


@pytest.mark.parametrize("language", SENTENCES)
def test_every_sentence_is_in_its_language(language: str):
    assert not guess_language([SENTENCES[language]]).contradicts(language)
    assert not any(sign.isdigit() for sign in SENTENCES[language])


def test_there_are_sentences_for_the_languages_of_most_films():
    assert len(SENTENCES) >= 35
    assert sample_sentence("pt-BR") != sample_sentence("pt-PT") == sample_sentence("pt")
    assert sample_sentence("is") == "íslenska."
