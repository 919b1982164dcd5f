"""The translator of Firefox's models: pairs, pivot, guards, needs."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dubarr_pipeline.engines.translation.bergamot import (
    BergamotOptions,
    BergamotTranslator,
    PairTranslator,
)
from dubarr_pipeline.errors import EngineError, LanguageError, MissingRequirement
from dubarr_pipeline.script.model import Term
from dubarr_pipeline_tests.fakes.tiny.m2m100 import SAYS
from dubarr_pipeline_tests.fixtures.translation_batches import batch


@pytest.fixture
def engine(tiny_marian: Path) -> Iterator[BergamotTranslator]:
    options = BergamotOptions(models=str(tiny_marian))
    with BergamotTranslator((), (("en", "es"),), options) as loaded:
        yield loaded


@pytest.mark.parametrize("target", ["es", "fr", "ca", "es-MX"])
def test_each_language_has_its_model(engine: BergamotTranslator, target: str):
    (draft,) = engine.draft(batch(["The house is old."], target))
    assert draft.versions == (SAYS[target[:2]],)


def test_two_other_languages_go_through_english(engine: BergamotTranslator):
    assert engine.targets("es") == ("ca", "en", "fr")
    (draft,) = engine.draft(replace(batch(["La casa es vieja."], "fr"), source="es"))
    assert draft.versions == (SAYS["fr"],)
    # Nothing translates French into English here.
    assert engine.targets("fr") == ()


def test_all_sentences_of_a_line_are_translated(engine: BergamotTranslator):
    (draft,) = engine.draft(batch(["The house is old. Who are you? ..."]))
    assert draft.versions == (f"{SAYS['es']} {SAYS['es']}",)


def test_noises_stay_as_they_are(engine: BergamotTranslator):
    texts = ["Hmm...", "Aaah!", "Shh! Pff.", "My cry."]
    drafts = engine.draft(batch(texts))
    assert [draft.versions for draft in drafts[:3]] == [("Hmm...",), ("Aaah!",), ("Shh! Pff.",)]
    assert drafts[3].versions == (SAYS["es"],)


def test_markup_and_capitals_are_kept_from_the_model(tiny_marian: Path):
    asked: list[str] = []

    class Listening(PairTranslator):
        def _search(self, text: str, hop: tuple[str, str]) -> list[str]:
            asked.append(text)
            return super()._search(text, hop)

    with Listening((), BergamotOptions(models=str(tiny_marian))) as engine:
        engine.draft(batch(["<i>THE HOUSE IS OLD.</i>", "{\\an8}FBI!"]))
    assert asked == ["The house is old.", "FBI!"]


def test_wordings_that_keep_names_and_numbers_go_before(engine: BergamotTranslator):
    models = PairTranslator((), engine._models.options)
    lines = batch(["x"], terms=[Term("Frodo", "name", {})])
    wordings = ("Frodo tiene 3", "Frodo tiene 13", "Él tiene 13")
    assert models.preferred(wordings, "Frodo has 13", lines) == ["Frodo tiene 13"]
    assert models.preferred(("Él tiene 3",), "Frodo has 13", lines) == ("Él tiene 3",)


def test_two_loads_say_the_same(engine: BergamotTranslator):
    asked = batch(["The house is old.", "Who are you?"])
    before = engine.draft(asked)
    engine.unload()
    engine.load()
    assert engine.draft(asked) == before


def test_a_pair_that_is_not_served_names_the_engine_that_may(engine: BergamotTranslator):
    with pytest.raises(LanguageError, match="m2m100"):
        engine.draft(batch(["Hello there."], "sw"))


def test_the_film_decides_which_models_are_needed():
    def models(*pairs: tuple[str, str], subtitled: tuple[str, ...] = ()) -> list[str]:
        needs = BergamotTranslator(subtitled, pairs).needs()
        return [need.name for need in needs if need.kind == "model"]

    assert models() == []
    assert models(("en", "es"), ("en-GB", "es-MX")) == ["bergamot/en-es"]
    assert models(("fr", "es"), ("fr", "de")) == [
        "bergamot/fr-en",
        "bergamot/en-es",
        "bergamot/en-de",
    ]
    assert models(("en", "es"), ("en", "tlh")) == ["bergamot/en-es"]
    assert models(("en", "es"), ("en", "fr"), subtitled=("es",)) == ["bergamot/en-fr"]


def test_a_model_that_was_not_pulled_is_told_with_its_cure():
    engine = BergamotTranslator((), (("en", "es"),))
    assert "not here" in engine.identity()
    with pytest.raises(
        MissingRequirement, match=r"dubarr models pull bergamot/en-es \(about 26 MB"
    ):
        engine.load()


def test_subtitles_do_without_the_model():
    with BergamotTranslator(("es",), (("en", "es"),)) as engine:
        first, second = engine.draft(batch(["Hello.", "Bye."], existing=["Hola.", None]))
    assert first.versions == ("Hola.",)
    assert (second.versions, second.fault) == ((), "no_subtitle")


def test_serves_what_the_manifest_lists():
    engine = BergamotTranslator()
    targets = engine.targets("en")
    assert {"es", "fr", "pt", "de", "it", "hi", "ja", "zh"} <= set(targets)
    assert len(targets) >= 40
    assert engine.serves("pt-BR", "fr")
    assert engine.serves("ja", "hi")
    assert not engine.serves("pt-BR", "pt")


def test_a_damaged_model_is_an_error_that_names_it(tiny_marian: Path, tmp_path: Path):
    broken = tmp_path / "models"
    shutil.copytree(tiny_marian, broken)
    engine = BergamotTranslator((), (("en", "es"),), BergamotOptions(models=str(broken)))
    (broken / "en-es" / "model.enes.intgemm.alphas.bin.gz").write_bytes(b"nothing")
    with pytest.raises(EngineError, match="en-es"):
        engine.load()
    (broken / "en-es" / "model.enes.intgemm.alphas.bin.gz").unlink()
    with pytest.raises(MissingRequirement, match=r"model\.\*"):
        engine.load()
