"""What a large library costs: ticks, videos that are finished, runs, the UI, SQLite and PostgreSQL.

- A tick of the sensor over 1,000, 10,000 and 100,000 videos with nothing new, CPU.
- A backfill relaunched over 1,000 finished videos: one tiny film is dubbed for real, the others are
  its copies (film, work folder, and what the store says of them). All of them are planned,
  which is the very decision that a run comes to; some are run, which tells what a run costs beyond
  its stages. Both must be linear: the last ones cost what the first ones did.
- `dubarr library list` over 5,000 finished videos.
- The asset page of a real webserver with 10,000 partitions: what its GraphQL queries take.
- The same store in SQLite and in PostgreSQL: events written and checkpoints read per second.

    python benchmarks/library.py [--quick] [--json]
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import dagster as dg
import sqlalchemy
from dagster._core.storage.event_log.schema import SqlEventLogStorageTable

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from figures import Row, show

from dubarr_pipeline.config.settings import Settings, load_settings
from dubarr_pipeline.definitions import defs
from dubarr_pipeline.defs.library_names import PLAIN
from dubarr_pipeline.defs.resources import DubarrResource
from dubarr_pipeline.defs.runtime.plan import plan
from dubarr_pipeline.defs.runtime.records import last_materialization, stage_key
from dubarr_pipeline.defs.runtime.runs import dub_video
from dubarr_pipeline.defs.runtime.tick_state import TickState
from dubarr_pipeline.defs.sensors import media_folder_sensor
from dubarr_pipeline.defs.stages import STAGE_NAMES, STAGES
from dubarr_pipeline.files import read_json
from dubarr_pipeline.library.scan import ScanState, scan
from dubarr_pipeline.library.videos import Video, load_video, registered, save_video
from dubarr_pipeline.media.container.probe import version
from dubarr_pipeline.workdir.checkpoints import fingerprint
from dubarr_pipeline.workdir.identity import FileIdentity
from dubarr_pipeline_tests.fixtures.bench import write_config
from dubarr_pipeline_tests.fixtures.dagster_server import ROOT, Server
from dubarr_pipeline_tests.fixtures.film_shelf import make_shelf, register
from dubarr_pipeline_tests.fixtures.postgres import Postgres

media_folder = media_folder_sensor(PLAIN)

_EVENTS = 50
_LISTED = 5_000
_PAGE = """query ($asset: AssetKeyInput!) {
  assetNodeOrError(assetKey: $asset) {
    ... on AssetNode {
      partitionStats { numMaterialized numPartitions }
      assetPartitionStatuses {
        ... on DefaultPartitionStatuses { materializedPartitions unmaterializedPartitions }
      }
      assetMaterializations(limit: 100) { partition timestamp }
    }
  }
}"""


def cpu_s() -> float:
    """Our own CPU time and all children's."""
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in both)


def measure_ticks(folder: Path, counts: list[int]) -> Iterator[Row]:
    """A look, and the whole tick, over so many videos that are all known."""
    films = folder / "shows"
    made = 0
    for count in counts:
        for number in range(made, count):
            place = films / f"Show {number // 100:04}" / f"Season {number % 100 // 10}"
            place.mkdir(parents=True, exist_ok=True)
            (place / f"Episode {number}.mkv").touch()
        made = count
        config = write_config(
            folder / "ticks.toml", {"libraries.shows": {"path": str(films), "target_langs": ["es"]}}
        )
        settings = load_settings(config, folder / "tick work")
        before = cpu_s()
        seen = scan(settings.library("shows"), ScanState(), settings.work_dir)
        took = cpu_s() - before
        memory = TickState(settings.work_dir, "media_folder")
        cursor = memory.save({"shows": seen.after(seen.videos).text()}, None)
        yield Row(f"scan of {count:,} videos", took, "s", None, None, "lower", "CPU")
        must, target = (2.0, 0.3) if count == 10_000 else (None, None)
        took = min(tick(config, folder, cursor) for _ in range(3))
        name = f"tick over {count:,} videos, nothing new"
        yield Row(name, took, "s", must, target, "lower", "CPU, best of 3")


def tick(config: Path, folder: Path, cursor: str) -> float:
    """The CPU of one tick of the sensor; it must find nothing."""
    dubarr = DubarrResource(config_file=str(config), work_dir=str(folder / "tick work"))
    with (
        dg.DagsterInstance.ephemeral() as instance,
        dg.build_sensor_context(
            instance=instance, cursor=cursor, resources={"dubarr": dubarr}
        ) as context,
    ):
        before = cpu_s()
        result = media_folder(context)
        took = cpu_s() - before
    assert isinstance(result, dg.SensorResult)
    assert not result.run_requests
    assert result.cursor == cursor
    return took


@contextlib.contextmanager
def finished(home: Path, work_dir: Path, count: int) -> Iterator[dg.DagsterInstance]:
    """A store with so many finished videos."""
    os.environ.update(DAGSTER_HOME=str(home), DUBARR_WORK_DIR=str(work_dir))
    os.environ.pop("DUBARR_CONFIG", None)
    home.mkdir(parents=True, exist_ok=True)
    if not (home / "dagster.yaml").exists():
        shutil.copy(ROOT / "dagster.yaml", home)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        (film,) = make_shelf(work_dir.parent / "film", ["A film"])
        (key,) = register([film], work_dir, None)
        settings = load_settings(None, work_dir)
        first = load_video(key, work_dir)
        outcome = dub_video(defs, instance, first, settings)
        assert outcome.succeeded, outcome
        copies(instance, first, settings, [f"copy-{number:08x}" for number in range(count - 1)])
        yield instance


def copies(instance: dg.DagsterInstance, first: Video, settings: Settings, keys: list[str]) -> None:
    """Give the store more finished videos like the first one, each of a film of its own.

    Files keep their content and have dates of their own, which their records know: of a finished
    film nothing is due, and nothing is read again.
    """
    changes = {key: _copy(first, settings.work_dir, key) for key in keys}
    repeat_events(instance, first.key, changes)


def _copy(first: Video, work_dir: Path, key: str) -> dict[str, str]:
    """Copy a film and its work; return the digests that its records have in place of others."""
    film = work_dir.parent / "films" / key / first.source.name
    shutil.copytree(first.source.parent, film.parent)
    known = version(film.stat())
    shutil.copytree(first.work(work_dir).root, work_dir / key)
    (work_dir / key / "video.json").unlink()
    identity = FileIdentity(*known, first.identity.digest)
    copied = replace(first, key=key, source=film, identity=identity)
    save_video(copied, work_dir)
    work = copied.work(work_dir)
    answer = read_json(work.probed)
    write_plain(work.probed, {**answer, "film": known})
    changes: dict[str, str] = {}
    for stage in STAGES:
        path = work.checkpoints / f"{stage.name}.json"
        manifest, former = read_json(path), sha256(path)
        for name, each in manifest["files"].items():
            own = FileIdentity(*version((work.root / name).stat()), each["digest"])
            manifest["files"][name] = asdict(own)
        if stage.name == "report":
            # Its facts name the film's place.
            facts = {**manifest["facts"], "source": str(film)}
            asked = {name: value for name, value in facts.items() if name != "code version"}
            made_for = fingerprint(stage.name, stage.version, asked)
            changes[manifest["fingerprint"]] = made_for
            manifest |= {"facts": facts, "fingerprint": made_for}
        write_plain(path, manifest)
        changes[former] = sha256(path)
    return changes


def write_plain(path: Path, document: dict[str, Any]) -> None:
    """Write as `write_json` does, without waiting for the disk a thousand times."""
    path.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", "utf-8")


def sha256(path: Path) -> str:
    """Return the digest by which a record knows a manifest."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:32]


def repeat_events(
    instance: dg.DagsterInstance, known: str, keys: Mapping[str, Mapping[str, str]]
) -> None:
    """Have the store say of other partitions what it says of one: 10,000 videos in a second.

    `keys` are theirs, each with the texts that its events have in place of others.
    """
    table = SqlEventLogStorageTable
    with instance.event_log_storage.index_connection() as store:  # type: ignore[attr-defined]
        rows = store.execute(sqlalchemy.select(table).where(table.c.partition == known))
        events = [{k: v for k, v in row.items() if k != "id"} for row in rows.mappings()]
        made = [
            {**row, "partition": key, "event": _changed(row["event"], {known: key, **changes})}
            for key, changes in keys.items()
            for row in events
            if row["dagster_event_type"] == "ASSET_MATERIALIZATION"
        ]
        store.execute(table.insert(), made)
        store.commit()
    instance.add_dynamic_partitions("videos", list(keys))


def _changed(text: str, changes: Mapping[str, str]) -> str:
    for before, after in changes.items():
        text = text.replace(before, after)
    return text


def measure_finished(instance: dg.DagsterInstance, settings: Settings, runs: int) -> Iterator[Row]:
    """Plan every finished video, and run some of the first and of the last."""
    keys = list(registered(settings.work_dir))
    planned: list[float] = []
    redone = 0
    for key in keys:
        before = cpu_s()
        found = plan(instance, load_video(key, settings.work_dir), settings)
        planned.append(cpu_s() - before)
        redone += sum(step.rerun for step in found.steps) + bool(found.fault)
    tenth = max(1, len(keys) // 10)
    each = sum(planned) / len(planned)
    yield Row(
        f"stages made again, of {len(keys):,} finished videos", redone, "", 0, 0, "lower", "plan"
    )
    yield Row("a finished video in a backfill", each, "s", 0.5, None, "lower", "CPU, its decision")
    slope = sum(planned[-tenth:]) / sum(planned[:tenth])
    yield Row("the last tenth of them against the first", slope, "x", 2.0, 1.1, "lower", "CPU")
    took: list[float] = []
    for key in (*keys[:runs], *keys[-runs:]):
        before = cpu_s()
        outcome = dub_video(defs, instance, load_video(key, settings.work_dir), settings)
        took.append(cpu_s() - before)
        assert outcome.succeeded, outcome
        assert not outcome.made, outcome
    middle = sorted(took)[len(took) // 2]
    yield Row("a run beyond its stages, in this process", middle, "s", None, 0.5, "lower", "CPU")
    last, first = sum(took[runs:]), sum(took[:runs])
    yield Row("the last runs against the first", last / first, "x", 2.0, 1.1, "lower", "CPU")


def measure_store(name: str, instance: dg.DagsterInstance, settings: Settings) -> Iterator[Row]:
    """What one kind of store gives."""
    keys = list(registered(settings.work_dir))[:50]
    last = last_materialization(instance, "mux", keys[0])
    assert last
    told = {n: v for n, v in last.metadata.items() if not n.startswith("dagster/")}
    started = time.monotonic()
    for number in range(_EVENTS):
        made = dg.AssetMaterialization("written", partition=f"{number}", metadata=told)
        instance.report_runless_asset_event(made)
    events = _EVENTS / (time.monotonic() - started)
    started = time.monotonic()
    for key in keys:
        for stage in STAGE_NAMES:
            assert last_materialization(instance, stage, key)
    reads = len(keys) * len(STAGE_NAMES) / (time.monotonic() - started)
    yield Row(f"{name}: checkpoints written", events, "/s", None, None, "higher", "one writer")
    yield Row(f"{name}: checkpoints read", reads, "/s", None, None, "higher", "one reader")


def measure_start(work_dir: Path, home: Path) -> Row:
    """A command of its own on a finished video."""
    key = next(iter(registered(work_dir)))
    source = load_video(key, work_dir).source
    found = {**os.environ, "DAGSTER_HOME": str(home), "DUBARR_WORK_DIR": str(work_dir)}
    before = cpu_s()
    program = Path(sys.executable).with_name("dubarr")
    command = [program, "dub", "--to", "es", source]
    subprocess.run(command, env=found, check=True, capture_output=True)
    name = "a run beyond its stages, `dubarr dub`"
    return Row(name, cpu_s() - before, "s", None, None, "lower", "CPU, process and all")


def measure_list(folder: Path, count: int) -> Row:
    """`dubarr library list` over finished videos: what a person waits for."""
    films, work_dir = folder / "films", folder / "work"
    library = {"path": str(films), "target_langs": ["es"]}
    folder.mkdir(parents=True, exist_ok=True)
    config = write_config(folder / "list.toml", {"libraries.films": library})
    home = work_dir / ".dagster"
    home.mkdir(parents=True)
    shutil.copy(ROOT / "dagster.yaml", home)
    keys: list[str] = []
    for number in range(count):
        film = films / f"Film {number}" / f"Film {number}.mkv"
        film.parent.mkdir(parents=True)
        film.write_bytes(b"%d" % number)
        key = f"film-{number}-{number:08x}"
        identity = FileIdentity(*version(film.stat()), f"{number:08x}")
        save_video(Video(key, film, identity, ("es",), "lite", library="films"), work_dir)
        checkpoints = work_dir / key / ".checkpoints"
        checkpoints.mkdir()
        for stage in STAGE_NAMES:
            (checkpoints / f"{stage}.json").touch()
        keys.append(key)
    with dg.DagsterInstance.from_config(str(home)) as instance:
        for stage in STAGE_NAMES:
            made = dg.AssetMaterialization(stage_key(stage), partition=keys[0])
            instance.report_runless_asset_event(made)
        repeat_events(instance, keys[0], {key: {} for key in keys[1:]})
    program = Path(sys.executable).with_name("dubarr")
    command = [program, "library", "list", "--json", "--config", config, "--work-dir", work_dir]
    found = {name: value for name, value in os.environ.items() if name != "DAGSTER_HOME"}
    before = cpu_s()
    answer = subprocess.run(command, env=found, check=True, capture_output=True)
    took = cpu_s() - before
    assert json.loads(answer.stdout)[0]["videos"] == {"DONE": count}, answer.stdout
    name = f"`dubarr library list`, {count:,} finished videos"
    return Row(name, took, "s", 3.0 if count == _LISTED else None, None, "lower", "CPU, all of it")


def measure_page(folder: Path, partitions: int) -> Iterator[Row]:
    """What the asset page asks a real webserver, with so many videos, half of them made."""
    server = Server(folder / "page")
    with dg.DagsterInstance.from_config(str(server.home)) as instance:
        keys = [f"video-{number:08x}" for number in range(partitions)]
        made = dg.AssetMaterialization(stage_key("segments"), partition=keys[0])
        instance.report_runless_asset_event(made)
        repeat_events(instance, keys[0], {key: {} for key in keys[2::2]})
        instance.add_dynamic_partitions("videos", keys)
    server.start()
    try:
        took = [_ask(server, partitions) for _ in range(3)]
    finally:
        server.kill()
    name = f"the asset page's GraphQL, {partitions:,} partitions"
    yield Row(f"{name}, at first", took[0], "s", None, 2.0, "lower", "wall time")
    yield Row(f"{name}, again", min(took[1:]), "s", None, 1.0, "lower", "wall time")


def _ask(server: Server, partitions: int) -> float:
    started = time.monotonic()
    found = server.ask(_PAGE, asset={"path": ["dub", "segments"]})["assetNodeOrError"]
    took = time.monotonic() - started
    assert found["partitionStats"]["numPartitions"] == partitions
    assert found["partitionStats"]["numMaterialized"] == (partitions + 1) // 2
    return took


def measure(folder: Path, *, quick: bool) -> list[Row]:
    """Every figure."""
    rows = list(measure_ticks(folder, [1_000, 10_000] if quick else [1_000, 10_000, 100_000]))
    count, runs = (12, 1) if quick else (1_000, 10)
    work, home = folder / "sqlite" / "work", folder / "sqlite" / "home"
    settings = load_settings(None, work)
    with finished(home, work, count) as instance:
        rows += measure_finished(instance, settings, runs)
        rows += measure_store("SQLite", instance, settings)
        rows.append(measure_start(work, home))
    with Postgres() as postgres:
        work, home = folder / "postgres" / "work", folder / "postgres" / "home"
        postgres.configure(home)
        settings = load_settings(None, work)
        with finished(home, work, 6 if quick else 200) as instance:
            rows += measure_store("PostgreSQL", instance, settings)
    rows.append(measure_list(folder / "list", 100 if quick else _LISTED))
    return [*rows, *measure_page(folder, 200 if quick else 10_000)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller libraries")
    parser.add_argument("--json", action="store_true", help="one JSON object for machines")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        rows = measure(Path(name), quick=options.quick)
    show(rows, as_json=options.json)


if __name__ == "__main__":
    main()
