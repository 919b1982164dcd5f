from __future__ import annotations

from pathlib import Path

import pytest

from dubarr_pipeline.config.settings import load_settings
from dubarr_pipeline.errors import NoAudio, NoScript
from dubarr_pipeline.library.source import inspect_source
from dubarr_pipeline_tests.fixtures.bench import Film, Said, make_film, sidecar, srt


@pytest.fixture
def film(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DUBARR_CONFIG", raising=False)
    return make_film(tmp_path / "films" / "film.mkv", Film(length_s=1.0, subtitles=False))


def test_subtitles_that_come_later_are_seen(film: Path):
    settings = load_settings()
    with pytest.raises(NoScript):
        inspect_source(film, settings)
    sidecar(film, "en").write_text(srt([Said(0.1, "Good morning.", 0.9)]))
    first = inspect_source(film, settings)
    digest = first.script_digest()
    assert (first.path, first.language) == (film, "en")
    assert first.script
    assert first.script.path == sidecar(film, "en")
    assert not first.translations(("es",))
    sidecar(film, "en").write_text(srt([Said(0.1, "Good evening.", 0.9)]))
    sidecar(film, "es").write_text(srt([Said(0.1, "Buenas noches.", 0.9)]))
    later = inspect_source(film, settings)
    assert later.script_digest() != digest
    assert later.translations(("es", "ca")).keys() == {"es"}


SPANISH = (
    Said(0.1, "Buenas noches, amigo mío. Tengo una carta para ti.", 0.5),
    Said(0.5, "¿Quién te dio la carta?", 0.9),
)


def test_the_target_languages_file_is_the_script_where_there_is_no_other(film: Path):
    film.with_suffix(".srt").write_text(srt(SPANISH))
    settings = load_settings()
    source = inspect_source(film, settings, ("es",))
    assert (source.language, source.script) == ("en", source.translations(("es",))["es"])
    for targets in ((), ("fr",), ("es", "fr")):
        with pytest.raises(NoScript, match=r"film\.srt \(es, full, srt\)"):
            inspect_source(film, settings, targets)
    sidecar(film, "en").write_text(srt([Said(0.1, "Good morning.", 0.9)]))
    source = inspect_source(film, settings, ("es",))
    assert source.script
    assert source.script.path == sidecar(film, "en")
    assert source.translations(("es",))["es"].path == film.with_suffix(".srt")


def test_the_language_that_a_person_names_overrules_a_single_label(film: Path):
    sidecar(film, "de").write_text(srt([Said(0.1, "Guten Morgen.", 0.9)]))
    german = load_settings().for_video("lite", {"audio.language": "de"})
    source = inspect_source(film, german)
    assert (source.language, source.audio.language) == ("de", "en")


def test_settings_that_change_the_choice_are_honoured(film: Path):
    sidecar(film, "en").write_text(srt([Said(0.1, "Good morning.", 0.9)]))
    sidecar(film, "de").write_text(srt([Said(0.1, "Guten Morgen.", 0.9)]))
    settings = load_settings()
    assert inspect_source(film, settings).language == "en"
    german = settings.for_video("lite", {"audio.language": "de", "audio.stream": 1})
    source = inspect_source(film, german)
    assert source.language == "de"
    assert source.script
    assert source.script.path == sidecar(film, "de")
    with pytest.raises(NoAudio, match="#7"):
        inspect_source(film, settings.for_video("lite", {"audio.stream": 7}))
    assert inspect_source(film, settings).language == "en"
