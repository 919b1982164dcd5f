"""Films over Celery's workers: two against one, and what kills leave; real Redis and PostgreSQL.

Every film takes its stated time in each stage besides its own work, as if models worked elsewhere,
so that two cores suffice.

- `--scenario one`, `two`: the time from the first stage's begin to the last one's end.
- `--scenario kills`: two workers; a worker with its step, Redis (back in 5 s) and the daemon are
  killed in the middle.

    python benchmarks/workers.py [--quick] [--json] [--films 20] [--scenario one|two|kills|all]
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from figures import Row, show

from dubarr_pipeline.defs.runtime.status import task_table
from dubarr_pipeline.defs.stages import STAGE_NAMES
from dubarr_pipeline_tests.fakes import waiting_stages
from dubarr_pipeline_tests.fakes.waiting_stages import worked
from dubarr_pipeline_tests.fixtures import dagster_server
from dubarr_pipeline_tests.fixtures.bench import write_config
from dubarr_pipeline_tests.fixtures.dagster_server import Server
from dubarr_pipeline_tests.fixtures.film_shelf import made_again, make_shelf, register
from dubarr_pipeline_tests.fixtures.postgres import Postgres
from dubarr_pipeline_tests.fixtures.workers import WAITING, Redis, Worker

WAITS_S = {"vocals": 4.0, "transcript": 4.0, "segments": 8.0, "mix": 3.0, "mux": 3.0}
_REDIS_AWAY_S = 5.0
_SLOTS_EACH = 2
"""A worker takes one step at a time, so it is its GPU's lock; the second one waits in its queue."""
_MORE_IN_FLIGHT = 3
"""Films in flight beyond the workers, so that their CPU stages fill the gaps."""


@dataclass(frozen=True)
class Outcome:
    """What became of the films of a scenario.

    Attributes:
        took_s: from the first stage's begin to the last one's end.
        lost_lines: lines of the scripts without an outcome.
        twice: stages that were made again although their end was recorded.
        left: processes after the end.
    """

    films: int
    took_s: float
    done: int
    runs: Mapping[str, int]
    lost_lines: int
    twice: int
    tried_again: int
    left: int


@dataclass
class Studio:
    """A head machine with its server, and workers, all on loopback."""

    server: Server
    redis: Redis
    folder: Path
    keys: list[str]
    workers: list[Worker]
    log: Path

    def add_worker(self) -> None:
        name = f"worker-{len(self.workers)}"
        self.workers.append(Worker(name, {}, self.folder / name, include=[WAITING]))

    def ended(self) -> int:
        return sum(each.ended_s is not None for each in worked(self.log))


@contextmanager
def studio(films: int, workers: int) -> Iterator[Studio]:
    """Start everything, with all films in the queue; stop it at the end."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="dubarr-workers-")))
        redis, postgres = stack.enter_context(Redis()), stack.enter_context(Postgres())
        tables = {"workers": {"steps": "celery", "lease_s": 12, "resend_s": 30}}
        config, log = write_config(folder / "dubarr.toml", tables), folder / "worked"
        server = Server(folder / "work", config)
        postgres.configure(server.home)
        in_flight = workers + _MORE_IN_FLIGHT
        head = server.home / "dagster.yaml"
        text = head.read_text().replace(
            "max_concurrent_runs: 4", f"max_concurrent_runs: {in_flight}"
        )
        head.write_text(text.replace("        limit: 3", f"        limit: {in_flight}"))
        waits = {"seconds": WAITS_S, "log": str(log)}
        own = {**server.environment(), "CELERY_BROKER_URL": redis.url}
        os.environ.update({**own, waiting_stages.VARIABLE: json.dumps(waits)})
        shelf = make_shelf(folder / "films", [f"film-{number}" for number in range(films)])
        found = Studio(server, redis, folder, register(shelf, server.work_dir, config), [], log)
        try:
            server.start()
            server.limit_pool("gpu", _SLOTS_EACH * workers)
            for _ in range(workers):
                found.add_worker()
            server.backfill_all(found.keys, STAGE_NAMES)
            yield found
        finally:
            for worker in found.workers:
                worker.kill()
            server.kill()


def outcome(found: Studio, films: int) -> Outcome:
    """Wait until all is dubbed, and say what the store and the work folders hold."""
    server = found.server
    server.wait(lambda: _succeeded(server) >= films, "all films are dubbed")
    stages = worked(found.log)
    ended = [each.ended_s for each in stages if each.ended_s]
    with dg.DagsterInstance.from_config(str(server.home)) as store:
        rows = task_table(store, server.work_dir)
        runs = Counter(run.status.value for run in store.get_runs())
        twice = made_again(store)
    lost = 0
    for key in found.keys:
        report = json.loads((server.work_dir / key / "segments.json").read_text())
        script = json.loads((server.work_dir / key / "transcription.json").read_text())
        stats = report["stats"]
        told = stats["placed"] + stats["kept_original"] + sum(stats["failures"].values())
        lost += len(script["segments"]) - told
    for worker in found.workers:
        worker.kill()
    server.kill()
    return Outcome(
        films,
        max(ended) - min(each.began_s for each in stages),
        sum(row.status == "DONE" for row in rows),
        runs,
        lost,
        twice,
        len(stages) - len(ended),
        len(server.processes()),
    )


def timed(films: int, workers: int) -> Outcome:
    """Dub all films over so many workers, with nothing in the way."""
    with studio(films, workers) as found:
        return outcome(found, films)


def killed(films: int) -> Outcome:
    """Dub all films over two workers, of which one is killed, and Redis, and the daemon."""
    with studio(films, 2) as found:
        server = found.server
        part = films * len(STAGE_NAMES) // 5
        server.wait(lambda: found.ended() >= part, "a fifth is done")
        at_work = [each.pid for each in worked(found.log) if each.ended_s is None]
        found.workers[0].kill()
        found.add_worker()
        print(f"worker killed, {len(at_work)} stages at work", file=sys.stderr, flush=True)
        server.wait(lambda: found.ended() >= 2 * part, "two fifths are done")
        found.redis.kill()
        time.sleep(_REDIS_AWAY_S)
        found.redis.start()
        print("redis killed and started", file=sys.stderr, flush=True)
        server.wait(lambda: found.ended() >= 3 * part, "three fifths are done")
        for pid, command in server.processes().items():
            if "dagster._daemon" in command or "daemon run" in command:
                os.kill(pid, signal.SIGKILL)
                print(f"daemon {pid} killed", file=sys.stderr, flush=True)
        server.wait(_restarted(server), "the daemon is back")
        return outcome(found, films)


def _restarted(server: Server):
    def is_back() -> bool:
        # `dagster dev` ends with its daemon: whoever watches over it starts it again.
        if server.process is not None and server.process.poll() is not None:
            server.start()
        return True

    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and server.process and server.process.poll() is None:
        time.sleep(0.2)
    return is_back


def _succeeded(server: Server) -> int:
    if server.process is not None and server.process.poll() is not None:
        server.start()
    runs = server.ask(
        "{ runsOrError(limit: 500) { ... on Runs { results { status tags { key value } } } } }"
    )["runsOrError"]["results"]
    done = [run for run in runs if run["status"] == "SUCCESS"]
    tags = [{tag["key"]: tag["value"] for tag in run["tags"]} for run in done]
    return len({each.get("dagster/partition") for each in tags})


def rows(films: int, scenario: str) -> Iterator[Row]:
    """Yield the figures."""
    found: dict[str, Outcome] = {}
    if scenario in ("two", "all"):
        found["two"] = timed(films, 2)
        yield Row(f"{films} films", found["two"].took_s, "s, two workers")
    if scenario in ("one", "all"):
        found["one"] = timed(films, 1)
        yield Row(f"{films} films", found["one"].took_s, "s, one worker")
    if len(found) == 2:
        ratio = found["one"].took_s / found["two"].took_s
        yield Row("two workers against one", ratio, "x", 1.7, 1.9, "higher")
    if scenario in ("kills", "all"):
        each = killed(films)
        yield Row("kills: films DONE", each.done, f"of {films}", films, films, "higher")
        yield Row("kills: lines lost", each.lost_lines, "", 0)
        yield Row("kills: finished stages made twice", each.twice, "", 0)
        yield Row("kills: stages begun again", each.tried_again, "")
        yield Row("kills: runs that failed", each.runs.get("FAILURE", 0), "")
        yield Row("kills: processes left", each.left, "", 0)
        yield Row("kills: time", each.took_s, "s")


def main() -> None:
    # Everything that was started ends with this.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--films", type=int, default=20)
    parser.add_argument("--scenario", choices=["one", "two", "kills", "all"], default="all")
    parser.add_argument("--quick", action="store_true", help="three films")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    dagster_server.DEADLINE_S = 3600.0
    show(rows(3 if options.quick else options.films, options.scenario), as_json=options.json)


if __name__ == "__main__":
    main()
