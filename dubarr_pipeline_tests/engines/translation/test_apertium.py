from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.engines.translation.apertium import (
    ApertiumOptions,
    ApertiumTranslator,
    read_stream,
    to_stream,
)
from dubarr_pipeline.engines.translation.apertium_pipeline import (
    ProgramPipeline,
    find_mode,
    installed_modes,
    package_for,
    read_programs,
)
from dubarr_pipeline.engines.translation.apertium_text import sentences
from dubarr_pipeline.errors import EngineError, LanguageError, MissingRequirement
from dubarr_pipeline.script.model import Term
from dubarr_pipeline_tests.fixtures.translation_batches import batch

CAT = ["/bin/cat"]
SLEEP = ["/bin/sleep", "60"]


def versions(texts: list[str], target: str = "es", **known: object) -> dict[int, str]:
    with ApertiumTranslator() as engine:
        drafts = engine.draft(batch(texts, target, **known))  # type: ignore[arg-type]
    return {draft.index - 10: draft.versions[-1] for draft in drafts}


@pytest.fixture
def modes(tmp_path: Path) -> Path:
    for name in (
        "eng-spa eng-cat eng-cat_valencia eng-cat_iec2017 cat-eng_US spa-eng es-pt es-pt_BR oc-fr x"
        " eng-hbs eng-hbs_HR eng-hbs_SR eng-hbs_BS hbs-eng swe-nob dan-nno nob-dan nno-nob nob-nno "
        "ind-zlm zlm-ind"
    ).split():
        (tmp_path / f"{name}.mode").write_text("cat | cat $1 $2 'a file'\n")
    return tmp_path


@pytest.mark.parametrize(
    ("source", "target", "mode"),
    [
        ("en", "es", "eng-spa"),
        ("en-GB", "es", "eng-spa"),
        ("en", "es-ES", "eng-spa"),
        ("eng", "spa", "eng-spa"),
        ("en", "es-MX", None),
        ("en", "ca-valencia", "eng-cat_valencia"),
        ("en", "ca", "eng-cat"),
        ("ca", "en-US", "cat-eng_US"),
        ("ca", "en", None),
        ("es", "en-GB", "spa-eng"),
        ("es", "en-US", None),
        ("es", "pt", "es-pt"),
        ("es", "pt-BR", "es-pt_BR"),
        ("es", "pt-PT", None),
        ("oc", "fr", "oc-fr"),
        ("en", "hr", "eng-hbs_HR"),
        ("en", "bs-BA", "eng-hbs_BS"),
        ("en", "sr-Latn", "eng-hbs_SR"),
        ("en", "sr-Latn-RS", "eng-hbs_SR"),
        ("en", "sr", None),
        ("hr", "en", "hbs-eng"),
        ("sr-Latn", "en-GB", "hbs-eng"),
        ("sv", "no", "swe-nob"),
        ("sv", "nb-NO", "swe-nob"),
        ("sv", "nn", None),
        ("da", "nn", "dan-nno"),
        ("no", "da", "nob-dan"),
        ("nn", "da", None),
        ("nn", "nb", "nno-nob"),
        ("no", "nn", "nob-nno"),
        ("id", "ms", "ind-zlm"),
        ("ms", "id", "zlm-ind"),
        ("es", "es", None),
        ("en", "not a tag", None),
        ("", "es", None),
    ],
)
def test_a_direction_is_served_only_by_a_mode_of_its_own(
    modes: Path, source: str, target: str, mode: str | None
) -> None:
    found = find_mode(installed_modes(modes), source, target)
    assert (found.path.stem if found else None) == mode


def test_modes_are_read_as_programs_that_flush(modes: Path) -> None:
    mode = installed_modes(modes)["en", "es"]
    assert read_programs(mode) == [["cat", "-z"], ["cat", "-z", "-g", "a file"]]
    mode.path.write_text("cat | | cat")
    with pytest.raises(EngineError, match="not a pipeline"):
        read_programs(mode)


@pytest.mark.parametrize(
    ("source", "target", "package"),
    [
        ("en", "es", "apertium-eng-spa"),
        ("es", "en-US", "apertium-eng-spa"),
        ("en", "hr", "apertium-hbs-eng"),
        ("sr-Latn", "sl", "apertium-hbs-slv"),
        ("sv", "nn", "apertium-swe-nor"),
        ("no", "da", "apertium-dan-nor"),
        ("nb", "nn", "apertium-nno-nob"),
        ("ms", "id", "apertium-ind-zlm"),
        ("en", "fr", None),
    ],
)
def test_packages_are_named(source: str, target: str, package: str | None) -> None:
    assert package_for(source, target) == package


def test_what_is_installed_can_be_asked_for_and_is_the_cure(modes: Path) -> None:
    engine = ApertiumTranslator((("en", "es-MX"), ("en", "sr")), ApertiumOptions(modes=modes))
    assert engine.targets("en") == ("bs", "ca", "ca-valencia", "es", "hr", "sr-Latn")
    assert engine.targets("no") == ("da", "nn")
    cures = [need.cure for need in engine.needs() if need.kind == "data"]
    assert cures == ["ask for es", "ask for sr-Latn"]


def test_needs_name_the_pair_and_its_package(modes: Path) -> None:
    engine = ApertiumTranslator((("spa", "cat"), ("en", "es")), ApertiumOptions(modes=modes))
    missing = [need for need in engine.needs() if not need.present]
    assert [(need.name, need.cure) for need in missing] == [
        ("apertium spa->cat", "apt-get install apertium apertium-spa-cat")
    ]
    with pytest.raises(LanguageError, match="it can bs, ca, ca-valencia, es"):
        engine.draft(batch(["Hi."], "pt"))


@pytest.mark.parametrize(
    ("english", "spanish", "catalan"),
    [
        ("This blade has a dark past.", "Esta hoja tiene un pasado oscuro.", None),
        ("Let's go, Mark!", "¡Vámonos, Mark!", "Anem, Mark!"),
        ("Come on, hurry up!", "¡Vamos, date prisa!", "Vinga, afanya't!"),
        ("Who\u2019s there?", "¿Quién anda ahí?", "Qui hi ha?"),
        ("THE HOUSE IS VERY BIG!", "¡La casa es muy grande!", "La casa és molt gran!"),
        ("- Thank you\u2026", "Gracias...", "Gràcies..."),
        ("Mark's house is big.", "La casa de Mark es grande.", "La casa de Mark és gran."),
        ("...and Mr. Smith, he is here.", "...y Señor Smith, es aquí.", None),
        ("It is 3.5 metres long.", "Es 3.5 metros mucho tiempo.", None),
        ("I'm gonna kill you.", "Te voy a matar.", "Et mataré."),
    ],
)
def test_lines_as_they_stand_in_subtitles(english: str, spanish: str, catalan: str | None) -> None:
    mark = [("Mark", "male")]
    assert versions([english], names=mark) == {0: spanish}
    if catalan:
        assert versions([english], "ca", names=mark) == {0: catalan}


@pytest.mark.parametrize("target", ["es", "ca"])
@pytest.mark.parametrize(
    ("english", "kept"),
    [
        ("Visit www.example.org for more.", ["www.example.org"]),
        ("Write to user@example.org.", ["user@example.org"]),
        (
            "See https://example.com/a?b=1 and first.last@host.co.uk, please.",
            ["https://example.com/a?b=1", "first.last@host.co.uk"],
        ),
        ("We meet at 3:45 p.m.", ["3:45 p.m."]),
        ("It is 5 a.m. now.", ["5 a.m. a"]),
    ],
)
def test_addresses_and_abbreviations_pass_whole(english: str, kept: list[str], target: str) -> None:
    translated = versions([english], target)[0]
    assert [words for words in kept if words not in translated] == []
    assert len(sentences(translated)) == 1


def test_names_of_the_glossary_survive_and_agree() -> None:
    found = versions(
        ["Rose is tired.", "Sintel, this is Will Smith.", "I will smith a blade."],
        terms=[Term("Sintel", "person"), Term("Will Smith", "person")],
        names=[("Rose", "female")],
    )
    assert found[0] == "Rose está cansada."
    assert "Sintel" in found[1]
    assert "Will Smith" in found[1]
    assert "Will" not in found[2]


def test_terms_of_the_glossary_are_taken() -> None:
    land = Term("gatekeepers", "term", {"es": "guardianes"})
    place = Term("Winterfell", "place", {"es": "Invernalia"})
    found = versions(["The gatekeepers are here.", "I am in Winterfell."], terms=[land, place])
    assert "guardianes" in found[0]
    assert "Invernalia" in found[1]


def test_signs_of_the_stream_pass_through() -> None:
    text = "It costs $5 [really] {yes} <b> x/y \\ ^z @ home * (2 > 1)."
    found = versions([text])[0]
    assert all(sign in found for sign in "$5 [ ] { } < > / \\ ^ @ ( )".split())
    assert "*" not in found


def test_words_in_no_dictionary_are_counted_and_unmarked() -> None:
    with ApertiumTranslator() as engine:
        drafts = engine.draft(batch(["The blorgh is in the house of the fnord."]))
        assert engine.unknown_words == 2
    assert "blorgh" in drafts[0].versions[0]
    assert "*" not in drafts[0].versions[0]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "empty_translation"),
        ("♪ ♪", "empty_translation"),
        ("...", "empty_translation"),
        ("Blorgh fnord quux zork.", "untranslated"),
        ("Wo ist denn mein Schlüssel geblieben?", "untranslated"),
    ],
)
def test_a_line_that_cannot_be_translated_names_its_reason(text: str, fault: str) -> None:
    with ApertiumTranslator() as engine:
        drafts = engine.draft(batch(["A dragon.", text, "A house."]))
        assert [draft.fault for draft in drafts] == [None, fault, None]
        assert [bool(draft.versions) for draft in drafts] == [True, False, True]


@pytest.mark.parametrize("text", ["Sintel!", "No!", "Hmm...", "Radio."])
def test_names_and_interjections_may_stay_as_they_are(text: str) -> None:
    assert 0 in versions([text])


def test_fillers_and_calls_make_a_shorter_version() -> None:
    with ApertiumTranslator() as engine:
        (draft,) = engine.draft(
            batch(["Well, what is that on the table, Mark?"], names=[("Mark", "male")])
        )
    short, full = draft.versions
    assert full.endswith("Mark?")
    assert "Mark" not in short
    assert full.casefold().count("qué") == short.casefold().count("qué") == 1


@given(st.text(alphabet="ab ^$@[]{}<>/\\*#.\n", max_size=30))
def test_the_stream_gives_back_what_it_was_given(text: str) -> None:
    assert read_stream(to_stream(text)) == (text.strip(), 0)


def test_a_long_line_does_not_block_the_pipes() -> None:
    long = "This blade has a dark past and the dragon is very old, " * 3000 + "yes."
    found = versions([long])[0]
    assert found.count("pasado oscuro") == 3000


def test_an_exchange_larger_than_every_pipe_comes_back_whole() -> None:
    pipeline = ProgramPipeline([CAT, CAT, CAT], 20)
    try:
        text = os.urandom(300_000).replace(b"\0", b" ") * 4
        assert pipeline.exchange(text) == text
        assert pipeline.exchange(b"") == b""
    finally:
        pipeline.close()


def test_a_program_that_does_not_answer_is_given_up() -> None:
    pipeline = ProgramPipeline([CAT, SLEEP], 0.2)
    with pytest.raises(EngineError, match=r"no answer in 0\.2 s"):
        pipeline.exchange(b"hello")
    ids = pipeline.process_ids
    pipeline.close()
    assert not any(Path(f"/proc/{number}").exists() for number in ids)


def test_a_program_that_ends_is_reported_with_its_last_words() -> None:
    pipeline = ProgramPipeline([CAT, ["/bin/ls", "/nowhere at all"]], 5)
    try:
        with pytest.raises(EngineError, match=r"ended.*/nowhere at all"):
            pipeline.exchange(b"hello")
    finally:
        pipeline.close()


def test_a_missing_program_is_a_requirement() -> None:
    with pytest.raises(MissingRequirement, match="no-such-program is not installed"):
        ProgramPipeline([CAT, ["no-such-program"]], 5)


def test_programs_that_were_killed_are_started_again() -> None:
    with ApertiumTranslator() as engine:
        first = engine.draft(batch(["A dragon."]))
        (pipeline,) = engine._pipelines.values()
        for number in pipeline.process_ids:
            os.kill(number, signal.SIGKILL)
        assert engine.draft(batch(["A dragon."])) == first


def test_programs_that_die_on_every_line_are_an_error_with_a_cure(tmp_path: Path) -> None:
    (tmp_path / "eng-spa.mode").write_text("/bin/ls /nowhere | /bin/cat")
    lines = ["A dragon.", "A house.", "A blade."]
    with ApertiumTranslator(options=ApertiumOptions(tmp_path, 5)) as engine:
        assert {draft.fault for draft in engine.draft(batch(lines[:2]))} == {"translator_died"}
        with pytest.raises(EngineError, match="apt-get install apertium apertium-eng-spa"):
            engine.draft(batch(lines))


def test_unloading_ends_every_program() -> None:
    engine = ApertiumTranslator()
    engine.draft(batch(["A dragon."]))
    ids = [number for p in engine._pipelines.values() for number in p.process_ids]
    assert len(ids) > 5
    engine.unload()
    assert not any(Path(f"/proc/{number}").exists() for number in ids)


def test_programs_end_when_we_are_killed() -> None:
    code = (
        "from dubarr_pipeline.engines.translation.apertium import ApertiumTranslator as A\n"
        "from dubarr_pipeline_tests.fixtures.translation_batches import batch\n"
        "a = A(); a.draft(batch(['A dragon.']))\n"
        "print(*[n for p in a._pipelines.values() for n in p.process_ids], flush=True)\n"
        "import time; time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        ids = child.stdout.readline().split()
        assert len(ids) > 5
        child.kill()
    deadline = time.monotonic() + 20
    while any(_lives(int(number)) for number in ids) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(_lives(int(number)) for number in ids)


def _lives(number: int) -> bool:
    try:
        state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"
