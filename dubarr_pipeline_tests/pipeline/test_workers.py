"""Films over two of Celery's workers, with a real Redis: turns at the GPU, a killed worker."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg
import pytest

from dubarr_pipeline.defs.stages import GPU_STAGES, STAGE_NAMES
from dubarr_pipeline_tests.fakes import waiting_stages
from dubarr_pipeline_tests.fakes.waiting_stages import WorkedStage, worked
from dubarr_pipeline_tests.fixtures.bench import write_config
from dubarr_pipeline_tests.fixtures.dagster_server import Server
from dubarr_pipeline_tests.fixtures.film_shelf import (
    Interval,
    made_again,
    make_shelf,
    most_at_once,
    register,
)
from dubarr_pipeline_tests.fixtures.workers import WAITING, Redis, Worker

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not shutil.which("redis-server"), reason="no redis-server here"),
]
WAITS = {"vocals": 0.5, "segments": 2.0, "refs": 0.5, "mix": 2.0, "mux": 1.0}


@dataclass(frozen=True)
class Finished:
    """What the films' way over the workers left.

    Attributes:
        killed: the stage that was at work in the worker that was killed.
        teams: the processes of each of the two workers, before one was killed.
        left: processes of ours after the end.
    """

    server: Server
    keys: list[str]
    stages: list[WorkedStage]
    killed: WorkedStage
    teams: list[set[int]]
    left: int


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Finished]:
    folder = tmp_path_factory.mktemp("workers")
    config = write_config(
        folder / "dubarr.toml", {"workers": {"steps": "celery", "lease_s": 4, "resend_s": 30}}
    )
    server, log = Server(folder / "work", config), folder / "worked"
    films = make_shelf(folder / "films", ["one", "two", "three"])
    with Redis() as redis, pytest.MonkeyPatch.context() as patch:
        patch.setenv("CELERY_BROKER_URL", redis.url)
        table = {"seconds": WAITS, "log": str(log)}
        patch.setenv(waiting_stages.VARIABLE, json.dumps(table))
        for name, value in server.environment().items():
            patch.setenv(name, value)
        keys = register(films, server.work_dir, config)
        workers = [Worker(name, {}, folder / name, include=[WAITING]) for name in ("left", "right")]
        try:
            server.start()
            server.wait(lambda: all(each.is_ready() for each in workers), "both workers are ready")
            teams = [_children(each) for each in workers]
            server.backfill_all(keys, STAGE_NAMES)

            def at_work() -> WorkedStage | None:
                lines = worked(log)
                if not all(any(each.pid in team for each in lines) for team in teams):
                    return None
                return next((w for w in lines if w.stage == "segments" and not w.ended_s), None)

            killed = server.wait(at_work, "both workers have worked, and one speaks lines")
            lost = 0 if killed.pid in teams[0] else 1
            workers[lost].kill()
            workers[lost] = Worker("again", {}, folder / "again", include=[WAITING])
            server.wait(lambda: _done(server) >= len(keys), "all films are dubbed")
        finally:
            for worker in workers:
                worker.kill()
            server.kill()
        yield Finished(server, keys, worked(log), killed, teams, len(server.processes()))


def _children(worker: Worker) -> set[int]:
    found = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(worker.process.pid)], capture_output=True, text=True
    )
    return {int(each) for each in found.stdout.split()}


def _done(server: Server) -> int:
    return sum(run["status"] == "SUCCESS" for run in server.runs())


def test_every_film_is_dubbed_in_its_first_run(finished: Finished):
    with dg.DagsterInstance.from_config(str(finished.server.home)) as store:
        statuses = [run.status.value for run in store.get_runs()]
        assert statuses == ["SUCCESS"] * len(finished.keys)
        assert made_again(store) == 0
    assert finished.left == 0
    for key in finished.keys:
        segments = json.loads((finished.server.work_dir / key / "segments.json").read_text())
        assert segments
        assert (finished.server.work_dir / key / "final_muxed.mkv").is_file()


def test_only_what_was_lost_is_made_again(finished: Finished):
    ended = [(each.key, each.stage) for each in finished.stages if each.ended_s]
    assert sorted(ended) == sorted((key, stage) for key in finished.keys for stage in STAGE_NAMES)
    lost = [(each.key, each.stage) for each in finished.stages if not each.ended_s]
    assert lost == [(finished.killed.key, "segments")]


def test_the_gpu_goes_round_over_the_machines(finished: Finished):
    done = [
        Interval(each.key, each.stage, each.began_s, each.ended_s)
        for each in finished.stages
        if each.ended_s
    ]
    on_gpu = [each for each in done if each.stage in GPU_STAGES]
    assert most_at_once(on_gpu) == 1
    beside = [
        (cpu, gpu)
        for cpu in done
        for gpu in on_gpu
        if cpu.stage not in GPU_STAGES and cpu.key != gpu.key and cpu.meets(gpu)
    ]
    assert beside
    at_it = {each.pid for each in finished.stages}
    assert all(team & at_it for team in finished.teams)
