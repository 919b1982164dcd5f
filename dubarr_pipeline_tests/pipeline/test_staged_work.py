"""One film by two machines that share no folder: by a store of work folders alone."""

from __future__ import annotations

import json
import shutil
import time
from collections import Counter
from pathlib import Path

import dagster as dg
import pytest

from dubarr_pipeline.config.settings import user_settings
from dubarr_pipeline.defs.code_location import build_definitions
from dubarr_pipeline.defs.runtime.records import add_video, last_materialization, stage_key
from dubarr_pipeline.defs.runtime.runs import open_instance
from dubarr_pipeline.defs.stages import STAGE_NAMES
from dubarr_pipeline.library.admission import register
from dubarr_pipeline.library.series.memory import remembered
from dubarr_pipeline.library.series.names import CAST_FILE, CASTS
from dubarr_pipeline.library.source import inspect_source
from dubarr_pipeline.library.staging.folders import take_in
from dubarr_pipeline.library.staging.manifest import FilmObjects
from dubarr_pipeline.workdir.layout import WorkDir
from dubarr_pipeline_tests.fixtures.bench import contents, stats, streams, write_config
from dubarr_pipeline_tests.fixtures.forked_command import forking
from dubarr_pipeline_tests.fixtures.killed_segments import child, staged_child
from dubarr_pipeline_tests.segments.test_kill import outcome

KEY = "a-film-0123abcd"


def run_stages(work_dir: Path, config: Path, key: str, stages: tuple[str, ...]) -> dict[str, bool]:
    """Run stages of a film in a work folder; which of them were reused, by name."""
    definitions = build_definitions(
        work_dir=work_dir, config=config, executor=dg.in_process_executor
    )
    with open_instance(work_dir) as instance:
        add_video(instance, key)
        made = definitions.resolve_job_def("dub").execute_in_process(
            instance=instance,
            partition_key=key,
            asset_selection=[stage_key(stage) for stage in stages],
        )
        assert made.success
        results = {stage: last_materialization(instance, stage, key) for stage in stages}
        return {stage: bool(each and each.reused) for stage, each in results.items()}


def test_a_film_moves_between_machines_without_a_shared_folder(
    tiny_film, dubbed_once, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "home").mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "home"))
    store = f"file://{tmp_path}/shelf"
    config = write_config(tmp_path / "dubarr.toml", {"workers": {"work_store": store}})
    head = user_settings(config, tmp_path / "head")
    languages = ("es", "ca")
    # An episode, so that the memory of its series is handed on as well.
    season = tmp_path / "The Boat (2020)" / "Season 01"
    shutil.copytree(tiny_film.parent, season)
    film = season / tiny_film.name
    video = register(inspect_source(film, head, languages), languages, head)

    a, b = tmp_path / "a", tmp_path / "b"
    first, rest = STAGE_NAMES[:5], STAGE_NAMES[5:]
    assert not any(run_stages(a, config, video.key, first).values())
    assert not any(run_stages(b, config, video.key, rest).values())
    work = WorkDir(b / video.key)
    assert streams(work.muxed) == streams(dubbed_once.work.muxed)
    assert stats(work)["spoken"] == stats(dubbed_once.work)["spoken"]
    assert not (a / video.key / "final_muxed.mkv").exists()

    # A third one, with nothing, finds that nothing is to be made.
    assert all(run_stages(tmp_path / "c", config, video.key, ("segments", "mux")).values())
    take_in(video.key, head, whole=True)
    assert streams(video.work(head.work_dir).muxed) == streams(work.muxed)
    objects = FilmObjects(store, video.key).read()
    assert objects.files.keys() <= {*contents(video.work(head.work_dir).root)}
    memories = [
        (each / CASTS / series / CAST_FILE).read_bytes()
        for each in (b, tmp_path / "c")
        for series in remembered(each)
    ]
    assert len(memories) == 2
    assert memories[0] == memories[1]


def test_lines_of_a_killed_machine_are_not_made_again_by_another(tmp_path: Path):
    context = forking()
    child(tmp_path / "whole", tmp_path / "whole.log", 0.0)
    asked = Counter((tmp_path / "whole.log").read_text().splitlines())
    url, log = f"file://{tmp_path}/shelf", tmp_path / "spoken.log"
    arguments = (tmp_path / "a" / KEY, url, log, 0.1)
    process = context.Process(target=staged_child, args=arguments)
    process.start()
    objects = FilmObjects(url, KEY)
    while process.is_alive() and stored_sounds(objects, tmp_path) < 8:
        time.sleep(0.05)
    process.kill()
    process.join()
    before, stored = log.read_text().splitlines(), stored_sounds(objects, tmp_path)
    assert 8 <= stored <= len(before) < len(asked)

    staged_child(tmp_path / "b" / KEY, url, log, 0.0)
    assert outcome(tmp_path / "b" / KEY) == outcome(tmp_path / "whole")
    spoken = Counter(log.read_text().splitlines())
    assert spoken.keys() == asked.keys()
    assert sum(spoken.values()) - len(asked) <= len(before) - stored
    # The killed machine comes back to a finished film.
    staged_child(tmp_path / "a" / KEY, url, log, 0.0)
    assert Counter(log.read_text().splitlines()) == spoken
    assert outcome(tmp_path / "a" / KEY) == outcome(tmp_path / "whole")


def stored_sounds(objects: FilmObjects, scratch: Path) -> int:
    """How many sounds the journal in the store names, those that measure a voice included."""
    file = objects.read().files.get("segments.journal")
    if file is None:
        return 0
    objects.get(file, scratch / "journal")
    entries = map(json.loads, (scratch / "journal").read_text().splitlines())
    return sum(each["kind"] in ("take", "measured") for each in entries)
