"""What every reader of the script promises. A new engine is one more row in ENGINES."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dubarr_pipeline.engines.context.plain import PlainScriptAnalyzer
from dubarr_pipeline.engines.interfaces import ScriptAnalysis, ScriptAnalyzer
from dubarr_pipeline.progress import Progress
from dubarr_pipeline.script.model import Transcript
from dubarr_pipeline_tests.fakes.simulated_services import SimulatedServer
from dubarr_pipeline_tests.fixtures.context_scripts import reader, script, silence, turns

ENGINES: dict[str, Callable[[SimulatedServer], ScriptAnalyzer]] = {
    "plain": lambda _: PlainScriptAnalyzer(),
    "llm": reader,
}
TALK = script([f"I told Martha about line {n}, sir." for n in range(60)], speakers=3)


@pytest.fixture(scope="module")
def server() -> Iterator[SimulatedServer]:
    with SimulatedServer() as running:
        yield running


@pytest.fixture(params=sorted(ENGINES))
def engine(request: pytest.FixtureRequest, server: SimulatedServer) -> Iterator[ScriptAnalyzer]:
    with ENGINES[request.param](server) as loaded:
        yield loaded


def read(
    engine: ScriptAnalyzer, transcript: Transcript, memory: Path | None = None
) -> ScriptAnalysis:
    return engine.read(transcript, turns(transcript), silence(transcript), memory=memory)


def test_every_speaker_has_one_profile_in_order(engine: ScriptAnalyzer) -> None:
    found = [profile.speaker for profile in read(engine, TALK).speakers]
    assert found == ["SPEAKER_00", "SPEAKER_01", "SPEAKER_02"]


def test_the_context_says_something_and_lacks_nothing(engine: ScriptAnalyzer) -> None:
    context = read(engine, TALK).context
    assert context.synopsis
    assert context.tone
    assert "Martha" in {term.source for term in context.glossary}
    assert len({term.source for term in context.glossary}) == len(context.glossary)
    assert context.style_guides["es"]
    assert not context.gaps


def test_two_loads_read_alike(engine: ScriptAnalyzer, tmp_path: Path) -> None:
    first = read(engine, TALK)
    engine.unload()
    engine.load()
    again = read(engine, TALK, tmp_path)
    assert (first.context, first.speakers) == (again.context, again.speakers)
    assert replace(read(engine, TALK, tmp_path), usage=again.usage) == again


def test_nobody_speaks(engine: ScriptAnalyzer) -> None:
    reading = read(engine, script([]))
    assert reading.context.synopsis
    assert reading.speakers == ()


def test_songs_and_sounds_are_read_too(engine: ScriptAnalyzer) -> None:
    sung = replace(TALK, segments=tuple(replace(s, kind="song") for s in TALK.segments))
    assert len(read(engine, sung).speakers) == 3


def test_progress_grows_to_its_end(engine: ScriptAnalyzer) -> None:
    steps: list[Progress] = []
    engine.read(TALK, turns(TALK), silence(TALK), steps.append)
    shares = [step.done / step.total for step in steps]
    assert shares == sorted(shares)
    assert shares[-1] == 1


def test_identity_needs_and_unload_work_unloaded(engine: ScriptAnalyzer) -> None:
    engine.unload()
    engine.unload()
    assert engine.name in engine.identity()
    assert all(need.present for need in engine.needs())


def test_briefs_are_promised_or_refused(engine: ScriptAnalyzer) -> None:
    reading = read(engine, TALK)
    if engine.briefs:
        assert engine.brief(reading, "en", "fr").language == "fr"
    else:
        with pytest.raises(NotImplementedError, match=engine.name):
            engine.brief(reading, "en", "fr")
