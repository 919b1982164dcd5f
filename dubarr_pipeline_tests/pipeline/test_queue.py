"""Many videos in the queue of a real server: whose turn it is, at the GPU and in the queue."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path

import dagster as dg
import pytest

from dubarr_pipeline.config.settings import load_settings
from dubarr_pipeline.defs.runtime.run_queue import request_tags
from dubarr_pipeline.defs.stages import GPU_STAGES, PUBLISHED, STAGE_NAMES
from dubarr_pipeline.library.videos import load_video
from dubarr_pipeline_tests.fakes.simulated_services import SimulatedOptions, SimulatedServer
from dubarr_pipeline_tests.fixtures.bench import write_config
from dubarr_pipeline_tests.fixtures.dagster_server import Server
from dubarr_pipeline_tests.fixtures.film_shelf import (
    Interval,
    intervals,
    make_shelf,
    most_at_once,
    register,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
DRAFT_S = 2.5
NAMES = ("first", "second", "third", "person", "backfill", "sensor-a", "sensor-b", "sensor-c")
DEAF = """#!{python}
import sys, time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Deaf(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self):
        open({heard!r}, "w").close()
        time.sleep(3600)


port = int(sys.argv[sys.argv.index("--port") + 1])
ThreadingHTTPServer(("127.0.0.1", port), Deaf).serve_forever()
"""


class PatientModel(SimulatedServer):
    """A language model that answers nobody before it is told to."""

    def __init__(self, options: SimulatedOptions) -> None:
        super().__init__(options)
        self.may_answer = threading.Event()

    async def _answer(self, path: str, body: bytes) -> tuple[int, str, bytes]:
        while not self.may_answer.is_set():
            await asyncio.sleep(0.05)
        return await super()._answer(path, body)


@pytest.fixture(scope="module")
def model() -> Iterator[PatientModel]:
    with PatientModel(SimulatedOptions(draft_line_s=DRAFT_S, llm_slots=8)) as found:
        yield found


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory, model: PatientModel) -> Iterator[Server]:
    """A server whose language model takes its time, so that `segments` holds the GPU for long."""
    folder = tmp_path_factory.mktemp("queue")
    one, two = ({"path": str(folder / name), "target_langs": ["es"]} for name in ("one", "two"))
    config = write_config(
        folder / "dubarr.toml",
        {
            "translation": {"engine": "openai"},
            "llm": {"url": model.url},
            "libraries.one": one,
            "libraries.two": two,
        },
    )
    found = Server(folder / "work", config)
    found.start()
    yield found
    found.kill()


@pytest.fixture(scope="module", autouse=True)
def surroundings(server: Server) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment().items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def store(surroundings: None, server: Server) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.from_config(str(server.home)) as instance:
        yield instance


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("films")
    return dict(zip((*NAMES, "cancelled"), make_shelf(folder, (*NAMES, "cancelled")), strict=True))


@pytest.fixture(scope="module")
def worked(
    server: Server, store: dg.DagsterInstance, films: dict[str, Path], model: PatientModel
) -> tuple[dict[str, str], dict[str, str]]:
    """Eight videos through the queue; their keys and runs, by name.

    Three fill it. What waits behind them is asked for in the reverse order of its importance; once
    it waits, a second GPU is there.
    """
    libraries = {"sensor-a": "one", "sensor-b": "one", "sensor-c": "two"}
    keys = {
        name: register([films[name]], server.work_dir, server.config, library=libraries.get(name))[
            0
        ]
        for name in NAMES
    }
    runs = {name: server.launch(keys[name]) for name in NAMES[:3]}
    server.wait(lambda: _in_flight(store) == set(runs.values()), "the first three are in flight")
    settings = load_settings(server.config, server.work_dir)
    videos = [load_video(keys[name], server.work_dir) for name in libraries]
    tags = request_tags(store, videos, settings)
    for name, told in zip(libraries, tags, strict=True):
        runs[name] = server.launch(keys[name], ["vocals"], told)
    runs["backfill"] = server.backfill(keys["backfill"], STAGE_NAMES)
    runs["person"] = server.launch(keys["person"])
    model.may_answer.set()
    for name in NAMES[:3]:
        assert server.finish(runs[name])["status"] == "SUCCESS", server.words()
    server.limit_pool("gpu", 2)
    for run in runs.values():
        assert server.finish(run)["status"] == "SUCCESS", server.words()
    return keys, runs


def _in_flight(store: dg.DagsterInstance) -> set[str]:
    live = [dg.DagsterRunStatus.STARTING, dg.DagsterRunStatus.STARTED]
    return {run.run_id for run in store.get_runs(dg.RunsFilter(statuses=live))}


def _on_gpu(found: list[Interval]) -> list[Interval]:
    return [each for each in found if each.stage in GPU_STAGES]


def test_with_one_gpu_two_videos_never_hold_it_while_cpu_stages_go_on(worked, store):
    keys, runs = worked
    first = [i for i in intervals(store) if i.key in {keys[name] for name in NAMES[:3]}]
    assert len(first) == 3 * len((*STAGE_NAMES, PUBLISHED))
    gpu = _on_gpu(first)
    for one, other in combinations(gpu, 2):
        assert not one.meets(other), (one, other)
    beside = [
        (cpu, each)
        for cpu in first
        if cpu.stage not in GPU_STAGES
        for each in gpu
        if each.key != cpu.key and each.meets(cpu)
    ]
    assert beside, "no CPU stage went on beside the GPU stage of another video"
    assert all(store.get_run_by_id(run).tags["dubarr/gpu"] == "yes" for run in runs.values())


def test_with_two_gpus_two_videos_hold_them(worked, store):
    keys, _ = worked
    later = [i for i in intervals(store) if i.key in {keys[name] for name in NAMES[3:]}]
    assert most_at_once(_on_gpu(later)) == 2


def test_a_person_goes_before_a_backfill_before_the_sensors_in_turns(worked, store):
    _, runs = worked
    launched = {name: store.get_run_stats(runs[name]).launch_time for name in NAMES[3:]}
    order = sorted(launched, key=lambda name: launched[name])
    assert order == ["person", "backfill", "sensor-a", "sensor-c", "sensor-b"]


def test_a_cancelled_run_takes_its_service_along_and_frees_the_gpu(server, worked, store, films):
    folder = films["cancelled"].parent
    program, heard, model = folder / "vllm", folder / "heard", folder / "model"
    program.write_text(DEAF.format(python=sys.executable, heard=str(heard)))
    program.chmod(0o755)
    model.mkdir()
    (model / "config.json").write_text("{}")
    wishes = {"llm.serve": "vllm", "llm.executable": str(program), "llm.model": str(model)}
    (key,) = register([films["cancelled"]], server.work_dir, server.config, overrides=wishes)
    before = server.processes()
    run = server.launch(key)
    server.wait(heard.exists, "the service of the run is asked")
    assert any(str(program) in each for each in server.processes().values())
    server.terminate(run)
    assert server.finish(run)["status"] == "CANCELED"
    server.wait(
        lambda: not any(str(program) in each for each in server.processes().values()),
        "the service of the cancelled run has ended",
    )
    assert heard.exists()
    server.limit_pool("gpu", 1)
    again = server.launch(worked[0]["sensor-a"], STAGE_NAMES[:2])
    assert server.finish(again)["status"] == "SUCCESS"
    server.wait(
        lambda: set(server.processes()) <= set(before), "no process of a run is left behind"
    )
