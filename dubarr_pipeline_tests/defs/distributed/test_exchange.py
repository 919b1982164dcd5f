"""What machines without a shared folder hand each other beside the stages: nothing is lost."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from dubarr_pipeline.api.videos import prune, purge
from dubarr_pipeline.config.settings import Settings, load_settings, parse_settings
from dubarr_pipeline.defs.distributed.exchange import exchanged, shared_memories
from dubarr_pipeline.defs.library_names import PLAIN
from dubarr_pipeline.errors import ServiceUnavailable
from dubarr_pipeline.files import read_json, write_json
from dubarr_pipeline.library.series.memory import CastMemory, Character, SeriesFolder
from dubarr_pipeline.library.series.names import CAST_FILE, CASTS
from dubarr_pipeline.library.staging.manifest import FilmObjects
from dubarr_pipeline_tests.fixtures.film_shelf import register

SERIES = "a-series-0123abcd"


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    home = tmp_path_factory.mktemp("home")
    with dg.DagsterInstance.from_config(str(home)) as found:
        yield found


def machine(folder: Path) -> Settings:
    return parse_settings({"workers": {"work_store": f"file://{folder.parent}/shelf"}}, folder)


def add(instance: dg.DagsterInstance, settings: Settings, names: list[str]) -> None:
    """Add people to the series, as a stage does."""
    folder = SeriesFolder.of(SERIES, settings.work_dir)
    with shared_memories(instance, settings):
        for name in names:
            with folder.alone():
                memory = folder.read() or CastMemory(SERIES, "A Series")
                folder.references.mkdir(exist_ok=True)
                (folder.references / f"{name}.wav").write_text(name)
                folder.write(
                    replace(memory, characters={**memory.characters, name: Character(name)})
                )


def test_no_machine_loses_what_another_remembers(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    machines = [machine(tmp_path / name) for name in "ab"]
    wishes = [[f"{each.work_dir.name}{number}" for number in range(4)] for each in machines]
    at_work = [
        threading.Thread(target=add, args=(instance, each, names))
        for each, names in zip(machines, wishes, strict=True)
    ]
    for thread in at_work:
        thread.start()
    for thread in at_work:
        thread.join()
    everybody = {name for names in wishes for name in names}
    # Who said which other names mean the series tells the others at the next tick.
    write_json(machines[0].work_dir / CASTS / "series.json", {"same": {"tvdb-1": SERIES}})
    third = machine(tmp_path / "c")
    for each in (*machines, third):
        assert [*exchanged(instance, [], each, PLAIN, 0.0)] == []
        folder = SeriesFolder.of(SERIES, each.work_dir)
        memory = folder.read()
        assert memory
        assert memory.characters.keys() == everybody
        assert {path.stem for path in folder.references.iterdir()} == everybody
        assert read_json(each.work_dir / CASTS / "series.json")["same"] == {"tvdb-1": SERIES}


def test_a_memory_from_before_the_store_is_kept_beside_that_of_the_store(
    instance: dg.DagsterInstance, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    first, second = (machine(tmp_path / name) for name in "ab")
    add(instance, first, ["Ada"])
    alone = replace(second, workers=replace(second.workers, work_store=""))
    add(instance, alone, ["Bob"])
    assert not (tmp_path / "b" / ".staging").exists()
    add(instance, second, ["Eve"])
    folder = SeriesFolder.of(SERIES, second.work_dir)
    memory = folder.read()
    assert memory
    assert memory.characters.keys() == {"Ada", "Eve"}
    kept = (folder.root / f"{CAST_FILE}.bak").read_text("utf-8")
    assert '"Bob"' in kept
    assert "was changed here and elsewhere" in caplog.text


def test_a_store_that_is_away_is_named_and_the_next_tick_tries_again(
    instance: dg.DagsterInstance, tmp_path: Path
) -> None:
    away = machine(tmp_path / "a")
    away = replace(away, workers=replace(away.workers, work_store="nonsense://x"))
    (fault,) = exchanged(instance, [], away, PLAIN, 0.0)
    assert fault.startswith("the memories of series are exchanged later: ")


def test_what_a_purge_could_not_remove_from_the_store_goes_with_the_next_prune(
    film: Path, tmp_path: Path
) -> None:
    config, store = tmp_path / "dubarr.toml", tmp_path / "shelf"
    config.write_text(f'[workers]\nwork_store = "file://{store}"\n')
    settings = load_settings(config, tmp_path / "work")
    (key,) = register([film], settings.work_dir, config)
    objects = FilmObjects(settings.workers.work_store, key)
    assert {*objects.read().files} == {"video.json"}

    def away(*_: object) -> None:
        raise ServiceUnavailable("the store is away")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(FilmObjects, "clear", away)
        with pytest.raises(ServiceUnavailable):
            purge(key, None, settings)
    assert not (settings.work_dir / key).exists()
    assert [*(store / key / "objects").iterdir()]
    prune(settings, dry_run=True)
    assert [*(store / key / "objects").iterdir()]
    prune(settings, dry_run=False)
    assert [*(store / key / "objects").iterdir()] == []
    assert {*objects.read().files} == set()
