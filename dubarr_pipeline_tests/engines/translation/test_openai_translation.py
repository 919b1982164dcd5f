from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from dubarr_pipeline.engines.interfaces import DraftBatch, LineToDraft, RewriteRequest
from dubarr_pipeline.engines.translation.openai import OpenAIOptions, OpenAITranslator
from dubarr_pipeline.errors import LineError, MissingRequirement, ServiceTimeout, ServiceUnavailable
from dubarr_pipeline.script.model import Context, Segment, Term
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fakes.simulated_services import Fault, SimulatedOptions, SimulatedServer


@pytest.fixture
def server() -> Iterator[SimulatedServer]:
    with SimulatedServer(SimulatedOptions(llm_slots=2)) as running:
        yield running


def translator(server: SimulatedServer, **options: Any) -> OpenAITranslator:
    facts = {"url": server.url, "timeout_s": 0.3, "attempts": 2, "backoff_s": 0.001, **options}
    return OpenAITranslator(OpenAIOptions(**facts))


def batch(lines: int = 4, target: str = "es") -> DraftBatch:
    found = [
        LineToDraft(
            Segment(n, Span(0, 8000), "SPEAKER_00", f"This is the line of number {n}."), 1.5
        )
        for n in range(lines)
    ]
    return DraftBatch("en", target, tuple(found), Context("A film.", "dry"))


def rewording(tried: tuple[str, ...] = ()) -> RewriteRequest:
    whole = batch(1)
    return RewriteRequest(whole, whole.lines[0], "La casa de la noche.", 3.0, 1.5, -5, tried)


def test_every_line_comes_in_three_lengths(server: SimulatedServer) -> None:
    with translator(server) as engine:
        found = engine.draft(batch())
        assert engine.usage().tokens > 0
    assert [draft.index for draft in found] == [0, 1, 2, 3]
    for draft in found:
        assert len(draft.versions) == 3
        assert sorted(draft.versions, key=len) == list(draft.versions)


def test_a_fault_is_told_after_an_answer_only(server: SimulatedServer) -> None:
    asked: list[str] = []
    with translator(server) as engine:
        ask = engine._llm().ask
        engine._llm().ask = lambda messages, *rest, **more: (  # pyright: ignore[reportAttributeAccessIssue]
            asked.append(messages[-1].content) or ask(messages, *rest, **more)
        )
        server.misbehave("llm", "missing_id")
        engine.draft(batch())
    assert "fault_of_your_last_answer" not in asked[0]
    assert "missing_id" in asked[1]


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        ("garbage", "bad_reply"),
        ("missing_id", "missing_id"),
        ("duplicate_id", "duplicate_id"),
        ("echo", "echo"),
        ("wrong_language", "wrong_language"),
        ("wrong_script", "wrong_script"),
        ("empty", "empty"),
    ],
)
def test_a_server_that_always_lies_fails_lines_by_name(
    server: SimulatedServer, fault: Fault, name: str
) -> None:
    server.misbehave("llm", fault)
    with translator(server) as engine:
        found = engine.draft(batch())
    wrong = [draft for draft in found if draft.fault == name]
    assert wrong
    assert all(not draft.versions for draft in wrong)
    assert all(draft.versions for draft in found if draft.fault is None)
    assert 3 <= len(server.record.order) <= 2 + 4


@pytest.mark.parametrize("fault", ["garbage", "missing_id", "echo", "wrong_language", "error"])
def test_a_server_that_lies_at_times_gets_all_lines_done(
    server: SimulatedServer, fault: Fault
) -> None:
    server.misbehave("llm", fault, share=0.3)
    with translator(server, answers=6, attempts=5) as engine:
        for target in ("es", "ca", "fr"):
            assert all(draft.versions for draft in engine.draft(batch(6, target)))


def test_a_hanging_or_dead_server_is_named(server: SimulatedServer) -> None:
    with translator(server) as engine:
        server.misbehave("llm", "hang")
        with pytest.raises(ServiceTimeout):
            engine.draft(batch())
        server.misbehave("llm", "error")
        with pytest.raises(ServiceUnavailable):
            engine.draft(batch())
        server.die()
        with pytest.raises(ServiceUnavailable):
            engine.draft(batch())
        assert not engine.needs()[0].present


def test_a_rewording_goes_in_the_direction_that_was_asked(server: SimulatedServer) -> None:
    with translator(server) as engine:
        shorter = engine.rewrite(rewording())
    assert 0 < len(shorter) < len("La casa de la noche.")


@pytest.mark.parametrize(("fault", "name"), [("echo", "echo"), ("garbage", "bad_reply")])
def test_a_rewording_that_stays_wrong_fails_by_name(
    server: SimulatedServer, fault: Fault, name: str
) -> None:
    server.misbehave("llm", fault)
    with translator(server) as engine, pytest.raises(LineError) as caught:
        engine.rewrite(rewording())
    assert caught.value.failure == name
    assert len(server.record.order) == 3


def test_a_wording_that_was_tried_is_not_taken_again(server: SimulatedServer) -> None:
    with translator(server) as engine:
        first = engine.rewrite(rewording(("a",)))
        with pytest.raises(LineError) as caught:
            engine.rewrite(rewording((first,)))
    assert caught.value.failure == "repeated"


def questions_to(server: SimulatedServer) -> list[dict[str, Any]]:
    """The questions that the server is asked from now on."""
    asked: list[dict[str, Any]] = []
    original = server._answer

    async def listen(path: str, body: bytes) -> tuple[int, str, bytes]:
        asked.append(json.loads(body))
        return await original(path, body)

    server._answer = listen  # type: ignore[method-assign]
    return asked


def test_the_schema_names_the_lines_and_their_number(server: SimulatedServer) -> None:
    asked = questions_to(server)
    with translator(server) as engine:
        engine.draft(batch(3))
    schema = asked[0]["response_format"]["json_schema"]["schema"]["properties"]["lines"]
    assert (schema["minItems"], schema["maxItems"]) == (3, 3)
    assert schema["items"]["properties"]["id"]["enum"] == [0, 1, 2]


@pytest.mark.parametrize("seed", [None, 7])
def test_the_same_question_is_asked_again_warmer_and_by_another_seed(
    server: SimulatedServer, seed: int | None
) -> None:
    asked = questions_to(server)
    server.misbehave("llm", "garbage")
    with translator(server, temperature=0.7, seed=seed) as engine, pytest.raises(LineError):
        engine.rewrite(rewording())
    assert [question["temperature"] for question in asked] == pytest.approx([0.7, 0.9, 1.0])
    first = seed or 0
    assert [question.get("seed") for question in asked] == [seed, first + 1, first + 2]


def test_a_line_that_lacks_no_more_than_a_glossary_term_is_drafted(server: SimulatedServer) -> None:
    whole = batch(2)
    glossary = (Term("number", "term", {"es": "cifra"}),)
    asked = questions_to(server)
    with translator(server) as engine:
        found = engine.draft(replace(whole, context=replace(whole.context, glossary=glossary)))
    assert all(draft.versions and draft.fault is None for draft in found)
    assert len(asked) > 1


def test_the_server_is_told_priorities_only_where_it_knows_them(server: SimulatedServer) -> None:
    told: list[object] = []
    original = server._answer

    async def listen(path: str, body: bytes) -> tuple[int, str, bytes]:
        told.append(json.loads(body).get("priority"))
        return await original(path, body)

    server._answer = listen  # type: ignore[method-assign]
    with translator(server) as engine:
        engine.draft(batch())
    with translator(server, server_priority=True) as engine:
        engine.draft(batch())
        engine.rewrite(rewording())
    assert told[0] is None
    assert isinstance(told[1], int)
    assert isinstance(told[2], int)
    assert told[2] < told[1]


def test_it_serves_what_it_was_told_and_never_the_source(server: SimulatedServer) -> None:
    anything, named = translator(server), translator(server, languages=("es", "pt-BR"))
    assert anything.serves("en", "fr")
    assert not anything.serves("en", "en-GB")
    assert named.serves("en", "pt-BR")
    assert not named.serves("en", "fr")
    assert named.targets("es") == ("pt-BR",)
    with pytest.raises(MissingRequirement):
        anything.draft(batch())
