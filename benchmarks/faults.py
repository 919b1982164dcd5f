"""What a library loses while everything around it is killed: nothing, unattended.

Short films (2.6 s, one line) are dropped into a folder that a real `dagster dev` watches. While
they are dubbed, processes are killed with `kill -9` at random: run workers, the daemon, the code
server, the service that a run has started (a pretended language model in a process of its own).
The disk of the work folders, a tmpfs of its own, is filled to the last byte for a while; the
library is taken away and brought back; two films are dated 1970 and 2099; the clock of all of them
jumps hours ahead, and a minute back; with --postgres the store is a PostgreSQL server of its
own, which is restarted at once in the middle. A server that ended is started again, as systemd
would do it. Faults are spread over the progress of the work, not over time, so that a slow machine
sees the same ones. What a machine does not permit (to mount, to compile) is told and left out.

With --serve it is `dubarr serve library` instead of `dagster dev`; nothing is started again from
outside then.

    python benchmarks/faults.py [--quick] [--json] [--postgres] [--serve] [--films N] [--seed N]
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import dagster as dg

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from fault_injection import FULL, QUICK, Fault, Scene, Watched, possible
from figures import Row, show
from jumping_clock import JumpingClock

from dubarr_pipeline.defs.failure_sensor import ATTEMPT_TAG
from dubarr_pipeline.defs.runtime.liveness import LIVE
from dubarr_pipeline.defs.runtime.status import failure_of
from dubarr_pipeline.defs.stages import STAGE_NAMES
from dubarr_pipeline.library.videos import registered
from dubarr_pipeline.workdir.layout import WorkDir
from dubarr_pipeline_tests.fixtures.bench import write_config
from dubarr_pipeline_tests.fixtures.film_shelf import made_again, make_shelf
from dubarr_pipeline_tests.fixtures.postgres import Postgres

ROOT = Path(__file__).resolve().parents[1]
DEADLINE_S = 2400.0
PATIENCE_S = 600.0
"""A video that failed by name and that nobody has taken up for so long is asked for again; sensors
look every half minute, and rest while their code server is away."""
DISK = "500m"
DEVICES = 3
"""So many stages of the pool at once, so that whatever is killed is in the midst of something."""
MODEL = """#!{python}
import sys
sys.path.insert(0, {root!r})
from dubarr_pipeline_tests.fakes.simulated_services import SimulatedOptions, SimulatedServer


class Model(SimulatedServer):
    async def _answer(self, path, body):
        if path.endswith("/health"):
            return 200, "text/plain", b""
        return await super()._answer(path, body)


port = int(sys.argv[sys.argv.index("--port") + 1])
with Model(SimulatedOptions(draft_line_s=1.0), port) as model:
    model._thread.join()
"""


def dub_unattended(scene: Scene, count: int, faults: Sequence[Fault]) -> list[str]:
    """Wait until all videos are dubbed, with faults on the way; returns what is not."""
    end = time.monotonic() + DEADLINE_S
    faults = possible(scene, faults)
    waiting = list(faults)
    due = [len(STAGE_NAMES) * count * (n + 1) / (len(faults) + 2) for n in range(len(faults))]
    lonely: dict[str, float] = {}
    while time.monotonic() < end:
        scene.supervise()
        if waiting and scene.progress() >= due[len(faults) - len(waiting)] and waiting[0](scene):
            waiting.pop(0)
        unfinished = missing(scene, count)
        if not unfinished:
            return []
        ask_again(scene, unfinished, lonely)
        time.sleep(2.0)
    return missing(scene, count)


def missing(scene: Scene, count: int) -> list[str]:
    """The videos whose report is not recorded by a run that succeeded."""
    keys = list(registered(scene.server.work_dir))
    succeeded = dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS], job_name="dub")
    done = {run.tags["dagster/partition"] for run in scene.store.get_runs(succeeded)}
    unseen = [f"unseen {n}" for n in range(count - len(keys))]
    return [key for key in keys if key not in done] + unseen


def ask_again(scene: Scene, keys: list[str], lonely: dict[str, float]) -> None:
    """Launch what failed by name and what nobody has taken up, as a person would."""
    live = [*LIVE, dg.DagsterRunStatus.QUEUED, dg.DagsterRunStatus.NOT_STARTED]
    found = scene.store.get_runs(dg.RunsFilter(statuses=live))
    busy = {run.tags.get("dagster/partition") for run in found}
    now = time.monotonic()
    for key in keys:
        since = lonely.setdefault(key, now)
        if key in busy or key.startswith("unseen"):
            lonely[key] = now
        elif now - since > PATIENCE_S:
            scene.forgotten.append(story(scene, key))
            # Who asks a server that is down asks again later.
            with contextlib.suppress(OSError, AssertionError):
                scene.server.launch(key)
            lonely[key] = now


def story(scene: Scene, key: str) -> str:
    """The runs of a video that nobody took up, newest first: how each ended, and of what."""
    told = [
        f"{run.tags.get(ATTEMPT_TAG, 1)}. {run.status.value} "
        f"{run.tags.get('dagster/will_retry', '')} {failure_of(scene.store, run.run_id)}"
        for run in scene.store.get_runs(dg.RunsFilter(tags={"dagster/partition": key}))
    ]
    return f"{key}: {'; '.join(told) or 'no run'}"


def outcomes(scene: Scene) -> Counter[str]:
    """What became of every line of every video."""
    found: Counter[str] = Counter()
    for key in registered(scene.server.work_dir):
        report = WorkDir(scene.server.work_dir / key).segments_report
        languages = json.loads(report.read_text())["languages"] if report.exists() else {}
        found.update(line["outcome"] for lines in languages.values() for line in lines)
    return found


def digests(films: Path) -> dict[str, str]:
    """What every file of the library holds, and its date."""
    return {
        path.name: f"{hashlib.sha256(path.read_bytes()).hexdigest()} {path.stat().st_mtime_ns}"
        for path in films.iterdir()
    }


def orphans(scene: Scene) -> list[str]:
    """The processes that outlive their server."""
    scene.server.interrupt()
    end = time.monotonic() + 60
    while (left := scene.server.processes()) and time.monotonic() < end:
        time.sleep(0.5)
    return list(left.values())


@contextlib.contextmanager
def small_disk(folder: Path) -> Iterator[Path | None]:
    """A disk of its own for the work folders, where mounting is permitted."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "tmpfs", str(folder)]
    mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield folder if mounted else None
    finally:
        if mounted:
            subprocess.run(["umount", "-l", folder], check=True)


def settings(folder: Path, films: Path) -> Path:
    """The library, and a language model that every run serves itself."""
    program, model = folder / "vllm", folder / "model"
    program.write_text(MODEL.format(python=sys.executable, root=str(ROOT)))
    program.chmod(0o755)
    model.mkdir()
    (model / "config.json").write_text("{}")
    return write_config(
        folder / "dubarr.toml",
        {
            "translation": {"engine": "openai"},
            "llm": {"serve": "vllm", "executable": str(program), "model": str(model)},
            # Faults of weeks come within minutes: a film meets several.
            "failures": {"first_pause_minutes": 0.2, "retries": 10, "longest_pause_minutes": 1.0},
            "libraries.films": {"path": str(films), "target_langs": ["es"]},
        },
    )


def measure(folder: Path, options: argparse.Namespace) -> tuple[list[Row], Counter[str], list[str]]:
    """Dub the library under fire, and count what came of it."""
    films, shelf = folder / "films", folder / "shelf"
    films.mkdir()
    shelf.mkdir()
    made = make_shelf(shelf, [f"Film {n:02}" for n in range(options.films)])
    os.utime(made[0], (0, 0))
    os.utime(made[-1], (4_070_908_800, 4_070_908_800))
    with contextlib.ExitStack() as stack:
        disk = stack.enter_context(small_disk(folder / "disk"))
        server = Watched(folder / "work", settings(folder, films), supervised=options.serve)
        with contextlib.suppress(FileNotFoundError):
            server.clock = JumpingClock(folder / "clock")
        server.work_dir = disk or folder / "work"
        postgres = stack.enter_context(Postgres()) if options.postgres else None
        if postgres:
            postgres.configure(server.home)
        stack.callback(server.kill)
        store = stack.enter_context(dg.DagsterInstance.from_config(str(server.home)))
        scene = Scene(server, films, disk, postgres, store, random.Random(options.seed))
        server.start()
        server.limit_pool("gpu", DEVICES)
        server.switch_on("media_folder")
        for path in sorted(shelf.iterdir()):
            shutil.move(path, films)
        before, started = digests(films), time.monotonic()
        left = dub_unattended(scene, options.films, QUICK if options.quick else FULL)
        seconds = time.monotonic() - started
        rows = count_up(scene, options.films, len(left), before == digests(films))
        rows.append(Row("from the drop to the last", seconds, "s", floor="wall time"))
    return rows, scene.suffered, left


def count_up(scene: Scene, count: int, left: int, same: bool) -> list[Row]:
    """The figures that the issue asks for."""
    told = ", ".join(f"{n} {what}" for what, n in sorted(scene.suffered.items()))
    again = made_again(scene.store)
    lines, forgotten = outcomes(scene), scene.forgotten
    stories = " | ".join(forgotten) or "videos"
    ends = ", ".join(f"{n} {what}" for what, n in lines.items())
    changed = 0 if same else 1
    return [
        Row("videos DONE", count - left, "", count, count, "higher", told),
        Row("lines lost", count - lines.total(), "", 0, 0, "lower", ends),
        Row("lines placed", lines["placed"], "", None, count, "higher", f"of {count}"),
        Row("stages made again after they were finished", again, "", 0, 0, "lower", "event log"),
        Row("sources changed (a byte or a date)", changed, "", 0, 0, "lower", "SHA-256"),
        Row("processes left behind", len(orphans(scene)), "", 0, 0, "lower", "/proc"),
        Row("videos asked for again by hand", len(forgotten), "", 0, 0, "lower", stories),
        Row("servers started again", scene.restarts, "", None, None, "lower", "by a supervisor"),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few films and faults")
    parser.add_argument("--json", action="store_true", help="one JSON object for machines")
    parser.add_argument("--postgres", action="store_true", help="the store is a PostgreSQL server")
    parser.add_argument("--serve", action="store_true", help="`dubarr serve library` serves it")
    parser.add_argument("--films", type=int, default=0, help="how many; default 30, quick 6")
    parser.add_argument("--seed", type=int, default=6)
    parser.add_argument("--folder", type=Path, help="where all of it lies for the time")
    options = parser.parse_args()
    options.films = options.films or (6 if options.quick else 30)
    with tempfile.TemporaryDirectory(dir=options.folder, ignore_cleanup_errors=True) as name:
        rows, _, left = measure(Path(name), options)
    show(rows, as_json=options.json)
    sys.exit(1 if left else 0)


if __name__ == "__main__":
    main()
