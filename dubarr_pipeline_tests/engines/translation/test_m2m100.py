from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from dubarr_pipeline.engines.translation.m2m100 import M2M100Options, M2M100Translator, code
from dubarr_pipeline.errors import EngineError, LanguageError, MissingRequirement
from dubarr_pipeline_tests.fakes.tiny.m2m100 import SAYS
from dubarr_pipeline_tests.fixtures.translation_batches import batch


@pytest.fixture
def engine(tiny_m2m100: Path) -> Iterator[M2M100Translator]:
    with M2M100Translator(M2M100Options(model=str(tiny_m2m100), threads=1)) as loaded:
        yield loaded


@pytest.mark.parametrize("target", ["es", "fr", "de", "ca"])
def test_the_target_language_is_forced(engine: M2M100Translator, target: str) -> None:
    (draft,) = engine.draft(batch(["The house is old."], target))
    assert SAYS[target] in draft.versions
    first = SAYS[target].split()[0][:3]
    assert all(version.startswith(first) for version in draft.versions)
    assert "__" not in " ".join(draft.versions)


def test_the_beams_give_wordings_of_several_lengths(engine: M2M100Translator) -> None:
    (draft,) = engine.draft(batch(["The house is old."]))
    assert 2 <= len(draft.versions) <= engine.options.wordings
    assert len({len(version) for version in draft.versions}) > 1


def test_all_sentences_of_a_line_are_translated(engine: M2M100Translator) -> None:
    one, two = engine.draft(batch(["The house is old.", "The house is old. Who are you? ..."]))
    assert f"{SAYS['es']} {SAYS['es']}" in two.versions
    assert len(two.versions) <= len(one.versions)


def test_an_echo_is_named_and_not_taken(engine: M2M100Translator, tiny_m2m100: Path) -> None:
    options = M2M100Options(model=str(tiny_m2m100), threads=1, beams=1, wordings=1)
    with M2M100Translator(options) as narrow:
        echo, fine = narrow.draft(batch([SAYS["es"], "The house is old."]))
    assert (echo.versions, echo.fault) == ((), "echo")
    assert fine.versions == (SAYS["es"],)
    assert narrow.faults == {echo.index: "echo"}


def test_two_loads_say_the_same(engine: M2M100Translator) -> None:
    asked = batch(["The house is old.", "Who are you?"])
    before = engine.draft(asked)
    engine.unload()
    with pytest.raises(MissingRequirement):
        engine.draft(asked)
    engine.load()
    assert engine.draft(asked) == before


def test_languages_by_their_bcp47_names(engine: M2M100Translator) -> None:
    assert [code(name) for name in ("pt-BR", "nb", "zh-Hant", "xx", "")] == [
        "pt",
        "no",
        "zh",
        None,
        None,
    ]
    assert engine.serves("en", "gl")
    assert not engine.serves("pt", "pt-BR")
    with pytest.raises(LanguageError, match="tlh"):
        engine.draft(batch(["Hello there."], "tlh"))


def test_a_folder_without_a_model_is_an_error_that_names_it(
    tiny_m2m100: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tiny_m2m100, broken)
    (broken / "model.bin").write_bytes(b"nothing")
    with pytest.raises(EngineError, match="broken"):
        M2M100Translator(M2M100Options(model=str(broken))).load()
    (broken / "sentencepiece.bpe.model").unlink()
    with pytest.raises(MissingRequirement, match="sentencepiece"):
        M2M100Translator(M2M100Options(model=str(broken))).load()


def test_a_model_that_was_not_pulled_is_told_with_its_cure() -> None:
    engine = M2M100Translator()
    missing = [need for need in engine.needs() if need.kind == "model"]
    assert not missing[0].present
    assert "dubarr models pull" in missing[0].cure
    with pytest.raises(MissingRequirement, match="dubarr models pull"):
        engine.load()
