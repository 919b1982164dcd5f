"""What is told while lines are made: to whoever watches, and in Dagster's event log."""

import re
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from dubarr_pipeline.defs.runtime import stage_run
from dubarr_pipeline.engines.synthesis.openai import OpenAISpeechOptions, OpenAISynthesizer
from dubarr_pipeline.engines.translation.openai import OpenAIOptions, OpenAITranslator
from dubarr_pipeline.progress import OnProgress, Progress
from dubarr_pipeline.segments.run import run
from dubarr_pipeline.workdir.layout import WorkDir
from dubarr_pipeline_tests.fakes.simulated_services import SimulatedOptions, SimulatedServer
from dubarr_pipeline_tests.fixtures.small_scripts import order, transcript

NOTE = re.compile(
    r"es (?P<es>\d+)/14, ca (?P<ca>\d+)/14; (?:(?P<takes>\d\.\d\d) takes/line; )?"
    r"waiting: llm (?P<llm>\d+), tts (?P<tts>\d+)(?:; (?P<left>\d+:\d\d) left)?"
)


@pytest.fixture
def server() -> Iterator[SimulatedServer]:
    options = SimulatedOptions(
        llm_slots=1, tts_slots=1, draft_line_s=0.02, rewrite_s=0.02, take_s=0.08, misfit=0.3
    )
    with SimulatedServer(options) as running:
        yield running


def made(server: SimulatedServer, folder: Path, on_progress: OnProgress) -> None:
    translator = OpenAITranslator(OpenAIOptions(url=server.url, concurrency=1))
    synthesizer = OpenAISynthesizer(OpenAISpeechOptions(url=server.url, concurrency=1))
    with translator, synthesizer:
        run(order(folder, transcript(15), translator, synthesizer), on_progress)


def test_lines_takes_queues_and_the_time_left_are_told(
    server: SimulatedServer, tmp_path: Path
) -> None:
    told: list[Progress] = []
    made(server, tmp_path, told.append)
    notes = [NOTE.fullmatch(progress.note) for progress in told]
    assert all(notes)
    found = [note.groupdict() for note in notes if note]
    assert [int(n["es"]) + int(n["ca"]) for n in found] == [progress.done for progress in told]
    assert told[-1].done == told[-1].total == 28
    assert any(int(n["tts"]) > 0 for n in found)
    assert any(n["left"] for n in found)
    assert float(found[-1]["takes"]) >= 1.0
    assert found[-1]["left"] is None


def test_dagsters_event_log_has_them_too(
    server: SimulatedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stage_run, "_EVENT_EVERY_S", 0.3)

    def lines(context: dg.AssetExecutionContext) -> None:
        report = stage_run._progress_reporter("segments", context, WorkDir(tmp_path))
        made(server, tmp_path, report)

    with dg.DagsterInstance.ephemeral() as instance:
        run = dg.materialize([dg.asset(lines)], instance=instance)
        assert run.success
        messages = [entry.user_message for entry in instance.all_logs(run.run_id)]
    told = [message for message in messages if message.startswith("segments: ")]
    assert len(told) >= 2
    assert all(NOTE.search(message) for message in told)
