"""What every translator promises. A new engine is one more row in ENGINES."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest

from dubarr_pipeline.engines.interfaces import RewriteRequest, Translator
from dubarr_pipeline.engines.translation.apertium import ApertiumTranslator
from dubarr_pipeline.engines.translation.bergamot import BergamotOptions, BergamotTranslator
from dubarr_pipeline.engines.translation.lite import LiteTranslator, SubtitleTranslator
from dubarr_pipeline.engines.translation.m2m100 import M2M100Options, M2M100Translator
from dubarr_pipeline.engines.translation.openai import OpenAIOptions, OpenAITranslator
from dubarr_pipeline.errors import LanguageError
from dubarr_pipeline_tests.fakes.simulated_services import SimulatedServer
from dubarr_pipeline_tests.fixtures.translation_batches import batch


class OverHTTP(OpenAITranslator):
    """A language model behind a server of its own, for as long as it is used."""

    def __init__(self) -> None:
        self._server = SimulatedServer()
        self._server.__enter__()
        options = OpenAIOptions(url=self._server.url, languages=("es", "ca"), timeout_s=5.0)
        super().__init__(options)

    def __exit__(self, *_: object) -> None:
        super().__exit__(*_)
        self._server.die()


ENGINES: dict[str, Callable[[], Translator]] = {
    "openai": OverHTTP,
    "apertium": ApertiumTranslator,
    "subtitles": lambda: SubtitleTranslator(("es", "ca")),
    "lite": LiteTranslator,
    "lite-subtitled": lambda: LiteTranslator(("es",)),
}
ENGLISH = ("This blade has a dark past.", "", "Thank you.", "A dragon.", "I have seen the house.")
SPANISH = ("Esta hoja tiene un pasado oscuro.", None, "Gracias.", "Un dragón.", "He visto la casa.")


@pytest.fixture(params=[*sorted(ENGINES), "m2m100", "bergamot", "bergamot-subtitled"])
def engine(request: pytest.FixtureRequest) -> Iterator[Translator]:
    made: Translator
    if request.param == "m2m100":
        tiny = str(request.getfixturevalue("tiny_m2m100"))
        made = M2M100Translator(M2M100Options(model=tiny, threads=1))
    elif request.param.startswith("bergamot"):
        options = BergamotOptions(models=str(request.getfixturevalue("tiny_marian")))
        subtitled = ("es",) if "subtitled" in request.param else ()
        made = BergamotTranslator(subtitled, (("en", "es"),), options)
    else:
        made = ENGINES[request.param]()
    with made as loaded:
        yield loaded


def test_drafts_come_in_the_order_of_the_lines_each_once(engine: Translator) -> None:
    asked = batch(ENGLISH, existing=SPANISH)
    asked = replace(asked, lines=tuple(reversed(asked.lines)))
    assert [draft.index for draft in engine.draft(asked)] == [14, 13, 12, 11, 10]


def test_versions_are_texts_shortest_first_without_repetition(engine: Translator) -> None:
    lines = ("Well, what brings you here?", *ENGLISH)
    for draft in engine.draft(batch(lines, existing=("Bueno, ¿qué te trae?", *SPANISH))):
        assert bool(draft.versions) == (draft.fault is None)
        assert all(version.strip() == version and version for version in draft.versions)
        assert list(draft.versions) == sorted(set(draft.versions), key=len)


def test_a_line_with_nothing_to_say_has_a_fault_and_no_version(engine: Translator) -> None:
    drafts = engine.draft(batch(ENGLISH, existing=SPANISH))
    assert [draft.index for draft in drafts if not draft.versions] == [11]
    assert drafts[1].fault in ("empty_translation", "no_subtitle")


def test_a_second_batch_is_not_coloured_by_the_first(engine: Translator) -> None:
    asked = batch(ENGLISH, existing=SPANISH)
    first = engine.draft(asked)
    engine.draft(batch(("Where is the old dragon, madam?",), existing=("¿Dónde?",)))
    assert engine.draft(asked) == first


def test_an_empty_batch_has_an_empty_answer(engine: Translator) -> None:
    assert engine.draft(batch(())) == []


@pytest.mark.parametrize("target", ["tlh", "en", "en-GB", ""])
def test_a_pair_that_is_not_served_is_refused_with_the_choices(
    engine: Translator, target: str
) -> None:
    assert not engine.serves("en", target)
    with pytest.raises(LanguageError, match="es"):
        engine.draft(batch(ENGLISH, target, existing=SPANISH))


def test_what_it_offers_it_serves(engine: Translator) -> None:
    assert "es" in engine.targets("en")
    assert "en" not in engine.targets("en")
    assert all(engine.serves("en", target) for target in engine.targets("en"))


def test_only_what_can_rewrite_does(engine: Translator) -> None:
    asked = batch(ENGLISH)
    request = RewriteRequest(asked, asked.lines[0], "Hola", 2.0, 1.0, -3, ("Hola",))
    if engine.can_rewrite:
        assert engine.rewrite(request) not in ("", "Hola")
    else:
        with pytest.raises(NotImplementedError, match=engine.name):
            engine.rewrite(request)


def test_identity_needs_and_unload_work_unloaded(engine: Translator) -> None:
    engine.unload()
    engine.unload()
    assert engine.name in engine.identity()
    assert all(need.present for need in engine.needs())
    engine.load()
    assert engine.draft(batch(("A dragon.",), existing=("Un dragón.",)))
