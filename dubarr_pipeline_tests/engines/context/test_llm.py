from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dubarr_pipeline.engines.interfaces import ScriptAnalysis
from dubarr_pipeline.errors import MissingRequirement, ServiceUnavailable
from dubarr_pipeline.progress import Progress
from dubarr_pipeline.script.edits import edited
from dubarr_pipeline.script.model import Context, Relation, SpeakerProfile, Term
from dubarr_pipeline.services.http_client import ChatMessage
from dubarr_pipeline_tests.fakes.simulated_reader import answer as pretended
from dubarr_pipeline_tests.fakes.simulated_services import SimulatedServer
from dubarr_pipeline_tests.fixtures.context_scripts import (
    ScriptedService,
    reader,
    script,
    scripted,
    silence,
    turns,
)

LINES = tuple(f"This is what they say to Martha in line number {n}, sir." for n in range(120))


@pytest.fixture
def server() -> Iterator[SimulatedServer]:
    with SimulatedServer() as running:
        yield running


def read(engine: Any, transcript: Any, **more: Any) -> ScriptAnalysis:
    return engine.read(transcript, turns(transcript), silence(transcript), **more)


def honest(messages: list[ChatMessage], _: type) -> str:
    return json.dumps(pretended(json.loads(messages[-1].content))[1])


def read_lines(server: SimulatedServer) -> list[int]:
    """The lines that the server was given to read, in order of their parts."""
    parts = sorted(
        tuple(map(int, what.removeprefix("part ").split("-")))
        for what in server.record.order
        if what.startswith("part ")
    )
    return [n for first, last in parts for n in range(first, last + 1)]


def test_a_script_longer_than_the_window_is_read_in_parts_every_line_once(
    server: SimulatedServer,
) -> None:
    steps: list[Progress] = []
    with reader(server) as engine:
        reading = read(engine, script(LINES), on_progress=steps.append)
    assert read_lines(server) == list(range(120))
    parts = sum(what.startswith("part ") for what in server.record.order)
    assert parts > 2
    assert any(what.startswith("reduce ") for what in server.record.order)
    assert "Lines 0 to" in reading.context.synopsis
    assert not reading.context.gaps
    assert {t.source for t in reading.context.glossary} == {"Martha"}
    assert [p.role for p in reading.speakers] == ["role of SPEAKER_00", "role of SPEAKER_01"]
    assert [p.gender for p in reading.speakers] == ["male", "female"]
    assert reading.context.relations == (
        Relation("SPEAKER_00", "SPEAKER_01", "they talk", "polite"),
        Relation("SPEAKER_01", "SPEAKER_00", "they talk", "polite"),
    )
    assert reading.usage.tokens > 0
    shares = [step.done / step.total for step in steps]
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_the_same_script_is_read_alike(server: SimulatedServer) -> None:
    with reader(server) as engine:
        engine.try_out(("es",))
        first = read(engine, script(LINES))
    with reader(server) as engine:
        again = read(engine, script(LINES))
    assert (first.context, first.speakers) == (again.context, again.speakers)


def test_a_reading_that_was_broken_off_goes_on_where_it_stood(tmp_path: Path) -> None:
    answered = 0

    def dies(messages: list[ChatMessage], form: type) -> str:
        nonlocal answered
        if answered == 3:
            raise ServiceUnavailable("gone")
        answered += 1
        return honest(messages, form)

    with pytest.raises(ServiceUnavailable):
        read(scripted(dies, concurrency=1), script(LINES), memory=tmp_path)
    assert len(list(tmp_path.glob("*.json"))) == 3
    engine = scripted(honest)
    whole = read(engine, script(LINES), memory=tmp_path)
    service = engine._service
    assert isinstance(service, ScriptedService)
    unbroken = scripted(honest)
    assert read(unbroken, script(LINES)).context == whole.context
    assert len(service.asked) == len(unbroken._service.asked) - 3  # type: ignore[union-attr]


def test_another_model_or_a_damaged_answer_is_not_taken_up(tmp_path: Path) -> None:
    read(scripted(honest), script(LINES[:3]), memory=tmp_path)
    (kept,) = tmp_path.glob("*.json")
    kept.write_text("{")
    engine = scripted(honest)
    read(engine, script(LINES[:3]), memory=tmp_path)
    assert len(engine._service.asked) == 1  # type: ignore[union-attr]
    other = scripted(honest, model="another")
    read(other, script(LINES[:3]), memory=tmp_path)
    assert len(other._service.asked) == 1  # type: ignore[union-attr]
    assert len(list(tmp_path.glob("*.json"))) == 1


def test_whoever_watches_can_call_it_off(tmp_path: Path) -> None:
    class Enough(Exception):
        pass

    def stop(_: Progress) -> None:
        raise Enough

    engine = scripted(honest, concurrency=1)
    with pytest.raises(Enough):
        read(engine, script(LINES * 4), on_progress=stop, memory=tmp_path)
    assert len(engine._service.asked) < 6  # type: ignore[union-attr]


def test_a_part_that_cannot_be_had_is_a_gap_and_plain_speaks_for_it() -> None:
    def partly(messages: list[ChatMessage], form: type) -> str:
        first = str(json.loads(messages[-1].content).get("lines", [""])[0])
        return "I am sorry." if first.startswith("0|") else honest(messages, form)

    texts = ("He met Bertram there.", *LINES)
    reading = read(scripted(partly, answers=2), script(texts))
    assert len(reading.context.gaps) == 1
    assert reading.context.gaps[0].startswith("lines 0-")
    assert "not read" in reading.context.gaps[0]
    assert {"Bertram", "Martha"} <= {t.source for t in reading.context.glossary}
    assert "Lines" in reading.context.synopsis


def test_a_model_that_never_answers_right_leaves_plains_reading_and_says_so() -> None:
    transcript = script(LINES[:4])
    reading = read(scripted(lambda *_: "Sure! Here you are."), transcript)
    from dubarr_pipeline.engines.context.plain import PlainScriptAnalyzer

    plain = PlainScriptAnalyzer().read(transcript, turns(transcript), silence(transcript))
    assert reading.context.synopsis == plain.context.synopsis
    assert reading.speakers == plain.speakers
    assert [gap.split(" not read")[0] for gap in reading.context.gaps] == ["lines 0-1", "lines 2-3"]


def test_a_fault_is_named_when_it_is_asked_again() -> None:
    engine = scripted(lambda *_: '{"synopsis": "x"}', answers=2)
    read(engine, script(LINES[:1]))
    asked = [json.loads(m[-1].content) for m in engine._service.asked]  # type: ignore[union-attr]
    assert "fault_of_your_last_answer" not in asked[0]
    assert "tone" in asked[1]["fault_of_your_last_answer"]


def test_a_line_longer_than_the_window_is_read_in_part_and_named() -> None:
    reading = read(scripted(honest), script(("word " * 4000, "Short.")))
    assert reading.context.gaps == (
        "line 0 is longer than the model's window: only its beginning was read",
    )


def test_an_empty_script_needs_no_model() -> None:
    reading = read(scripted(lambda *_: "nothing"), script(()))
    assert reading.context.synopsis == "Nobody speaks."
    assert not reading.context.gaps


def test_mishearings_are_recorded_and_applied_where_they_may_be() -> None:
    def edits(messages: list[ChatMessage], _: type) -> str:
        told = json.loads(messages[-1].content)
        notes = pretended(told)[1]
        notes["edits"] = [
            {"id": 0, "text": "I saw the ship.", "reason": "sheep", "confidence": "high"},
            {"id": 1, "text": "Something else entirely!", "reason": "", "confidence": "high"},
            {"id": 2, "text": "We go now?", "reason": "asks", "confidence": "low"},
            {"id": 3, "text": "It is fine.", "reason": "same", "confidence": "high"},
            {"id": 99, "text": "Nowhere.", "reason": "", "confidence": "high"},
        ]
        return json.dumps(notes)

    heard = script(("I saw the sheep.", "Look out.", "We go now.", "It is fine."))
    context = read(scripted(edits), heard).context
    assert [(e.index, e.applied) for e in context.edits] == [(0, True), (1, False), (2, False)]
    assert context.edits[0].before == "I saw the sheep."
    assert all(e.note for e in context.edits if not e.applied)
    assert [s.text for s in edited(heard, context.edits).segments][:2] == [
        "I saw the ship.",
        "Look out.",
    ]
    assert edited(heard, context.edits, {0: "I saw the cheap."}).segments[0].text.endswith("cheap.")
    assert heard.segments[0].text == "I saw the sheep."
    written = script([s.text for s in heard.segments], heard=False)
    assert not any(e.applied for e in read(scripted(edits), written).context.edits)


def test_speakers_that_do_not_exist_are_left_out_and_known_names_stay() -> None:
    def lies(messages: list[ChatMessage], _: type) -> str:
        notes = pretended(json.loads(messages[-1].content))[1]
        notes["people"] += [{"speaker": "SPEAKER_77", "name": "Nobody"}]
        notes["people"][0]["name"] = "Guess"
        notes["relations"] += [{"speaker": "SPEAKER_00", "to": "SPEAKER_77", "relation": "x"}]
        notes["terms"] += [{"source": "Atlantis", "kind": "place"}]
        return json.dumps(notes)

    transcript = script(LINES[:3])
    engine = scripted(lies)
    named = turns(transcript, {"SPEAKER_00": "Ann"})
    reading = engine.read(transcript, named, silence(transcript))
    assert [p.speaker for p in reading.speakers] == ["SPEAKER_00", "SPEAKER_01"]
    assert [p.name for p in reading.speakers] == ["Ann", None]
    assert {r.to for r in reading.context.relations} == {"SPEAKER_00", "SPEAKER_01"}
    assert "Atlantis" not in {t.source for t in reading.context.glossary}


def test_a_digest_that_forgets_people_gets_them_back() -> None:
    def forgets(messages: list[ChatMessage], form: type) -> str:
        if form.__name__ == "Digest":
            return '{"synopsis": "All of it.", "tone": "dry", "people": []}'
        return honest(messages, form)

    reading = read(scripted(forgets), script(LINES))
    assert reading.context.synopsis == "All of it."
    assert [p.role for p in reading.speakers] == ["role of SPEAKER_00", "role of SPEAKER_01"]


READING = ScriptAnalysis(
    Context(
        "They meet.",
        "dry",
        glossary=tuple(Term(f"Name{n}", "name") for n in range(50)),
        style_guides={"es": "plain's own"},
        relations=(Relation("SPEAKER_00", "SPEAKER_01", "boss", "polite"),),
    ),
    (SpeakerProfile("SPEAKER_00"), SpeakerProfile("SPEAKER_01")),
)


def test_a_brief_says_style_address_and_every_term(server: SimulatedServer, tmp_path: Path) -> None:
    with reader(server) as engine:
        brief = engine.brief(READING, "en", "es", tmp_path)
        asked = len(server.record.order)
        assert engine.brief(READING, "en", "es", tmp_path) == brief
        assert len(server.record.order) == asked
        french = engine.brief(READING, "en", "fr", tmp_path / "fr")
    assert (brief.style_guide, brief.gaps) == ("Speak plain es.", ())
    assert [(a.speaker, a.to, a.form) for a in brief.addresses] == [
        ("SPEAKER_00", "SPEAKER_01", "usted")
    ]
    assert [a.form for a in french.addresses] == ["vous"]
    briefed = READING.context.with_brief(brief)
    assert len(brief.terms) == 50
    assert briefed.glossary[7].translations == {"es": "Name7"}
    assert briefed.glossary[7].pronunciations == {"es": "es-say"}
    assert briefed.addresses["es"] == brief.addresses
    both = briefed.with_brief(french)
    assert both.style_guides["es"] == "Speak plain es."
    assert both.glossary[7].translations == {"es": "Name7", "fr": "Name7"}


def test_a_brief_that_cannot_be_had_names_its_gaps_and_keeps_plains_guide() -> None:
    brief = scripted(lambda *_: "no").brief(READING, "en", "es")
    assert brief.style_guide == "plain's own"
    assert any("address" in gap for gap in brief.gaps)
    missing = " ".join(brief.gaps)
    assert all(f"Name{n}" in missing for n in range(50))


def test_terms_that_are_forgotten_once_are_asked_for_again() -> None:
    def forgets(messages: list[ChatMessage], form: type) -> str:
        told = json.loads(messages[-1].content)
        reply = pretended(told)[1]
        if "terms" in reply and "fault_of_your_last_answer" not in told:
            reply["terms"] = reply["terms"][1:]
        return json.dumps(reply)

    brief = scripted(forgets).brief(READING, "en", "de")
    assert [t.source for t in brief.terms] == [f"Name{n}" for n in range(50)]
    assert not brief.gaps


def test_a_dead_server_is_an_error_not_a_gap(server: SimulatedServer) -> None:
    server.die()
    with reader(server) as engine:
        assert not engine.needs()[0].present
        with pytest.raises(MissingRequirement, match=r"llm\.url"):
            engine.try_out(("es",))
        with pytest.raises(ServiceUnavailable):
            read(engine, script(LINES[:2]))
