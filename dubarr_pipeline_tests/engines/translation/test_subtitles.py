from __future__ import annotations

import pytest

from dubarr_pipeline.engines.interfaces import Draft
from dubarr_pipeline.engines.translation.lite import (
    LiteTranslator,
    SubtitleTranslator,
    same_language,
    spoken_text,
)
from dubarr_pipeline_tests.fixtures.translation_batches import batch


@pytest.mark.parametrize(
    ("subtitle", "spoken"),
    [
        ("Eres una tonta\npor viajar sola.", "Eres una tonta por viajar sola."),
        ("- ¿Quién?\n- Yo.", "¿Quién? Yo."),
        ("[PUERTA] Hola (ríe)", "Hola"),
        ("♪ La la ♪", "La la"),
        ("[MÚSICA]", ""),
        ("...", ""),
    ],
)
def test_only_what_is_said_is_taken(subtitle: str, spoken: str) -> None:
    assert spoken_text(subtitle) == spoken


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("es", "es", True),
        ("es", "es-419", True),
        ("es-MX", "es", True),
        ("pt", "pt-BR", True),
        ("spa", "es", True),
        ("es", "ca", False),
        ("zh-Hans", "zh-Hant", False),
        ("es", "", False),
        ("no tag!", "es", False),
    ],
)
def test_subtitles_do_for_the_regions_of_their_language(one: str, other: str, same: bool) -> None:
    assert same_language(one, other) is same


def test_lines_without_a_subtitle_are_named() -> None:
    engine = SubtitleTranslator(("es",))
    drafts = engine.draft(batch(["One.", "Two.", "Three."], existing=("Uno.", None, "[RUIDO]")))
    assert drafts == [
        Draft(10, ("Uno.",)),
        Draft(11, (), "no_subtitle"),
        Draft(12, (), "no_subtitle"),
    ]


def test_lite_fills_the_subtitles_gaps_by_rules() -> None:
    with LiteTranslator(("es",)) as engine:
        drafts = engine.draft(
            batch(
                ["A dragon.", "A house.", "...", "Thanks."], existing=(None, "Una casita.", "Eh.")
            )
        )
        assert [draft.versions[-1] for draft in drafts] == [
            "Un dragón.",
            "Una casita.",
            "Eh.",
            "Gracias.",
        ]
        assert {draft.fault for draft in drafts} == {None}


def test_lite_serves_what_either_serves() -> None:
    engine = LiteTranslator(("fr",))
    assert {"fr", "es", "ca"} <= set(engine.targets("en"))
    assert engine.serves("en", "fr")
    assert not LiteTranslator().serves("en", "fr")


def test_lite_by_subtitles_alone_names_the_lines_that_have_none() -> None:
    engine = LiteTranslator(("fr",))
    drafts = engine.draft(batch(["One.", "Two."], "fr", existing=("Un.", None)))
    assert drafts == [Draft(10, ("Un.",)), Draft(11, (), "no_subtitle")]


@pytest.mark.parametrize(
    ("text", "fault"),
    [("♪ ♪", "empty_translation"), ("Blorgh fnord quux zork.", "untranslated")],
)
def test_lite_names_the_fault_of_the_last_one_asked(text: str, fault: str) -> None:
    with LiteTranslator(("es",)) as engine:
        drafts = engine.draft(batch(["A dragon.", text], existing=("Un dragón.", None)))
    assert drafts == [Draft(10, ("Un dragón.",)), Draft(11, (), fault)]


def test_lite_needs_apertium_only_where_subtitles_do_not_do() -> None:
    assert LiteTranslator(("es",), (("en", "es"),)).needs() == ()
    missing = [n for n in LiteTranslator(("es",), (("en", "fr"),)).needs() if not n.present]
    assert [need.name for need in missing] == ["apertium en->fr"]
    assert [need.name for need in LiteTranslator().needs()][-1] == "an apertium language pair"
