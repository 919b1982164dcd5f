"""A dubbing library in a Dagster project that is somebody else's."""

from __future__ import annotations

import importlib.metadata
import os
import runpy
import subprocess
import sys
import tomllib
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from dubarr_pipeline import build_definitions
from dubarr_pipeline.api.dubbing import DubResult, Watch, dub_registered
from dubarr_pipeline.api.planning import plan_videos
from dubarr_pipeline.api.review import ReviewRuns
from dubarr_pipeline.api.tasks import list_tasks
from dubarr_pipeline.api.videos import prune, purge
from dubarr_pipeline.config.live_settings import LiveSettings
from dubarr_pipeline.config.settings import Settings, load_settings
from dubarr_pipeline.defs.library_names import PLAIN, LibraryNames, keep_names, names_of
from dubarr_pipeline.defs.operations.figures import Figures
from dubarr_pipeline.defs.runtime.liveness import PROCESS_TAG, is_dead
from dubarr_pipeline.defs.runtime.records import last_materialization
from dubarr_pipeline.defs.runtime.runs import open_instance
from dubarr_pipeline.defs.runtime.status import task_table
from dubarr_pipeline.defs.stages import CAST, PUBLISHED, STAGE_NAMES
from dubarr_pipeline.errors import ArtifactError, SettingsError
from dubarr_pipeline.review.answers.film_answers import GateWish
from dubarr_pipeline_tests.fixtures.film_shelf import register
from dubarr_pipeline_tests.fixtures.forked_command import without_server

if TYPE_CHECKING:
    from dagster._core.definitions.repository_definition import RepositoryDefinition

ROOT = Path(__file__).parents[2]
STRANGER = ROOT / "examples" / "stranger" / "definitions.py"
CINEMA = LibraryNames(("cinema",))
GROUP = "dagster_dg_cli.registry_modules"


def stranger() -> dg.Definitions:
    return runpy.run_path(str(STRANGER))["defs"]


def strangers_dub() -> dg.JobDefinition:
    """The job as a step's process finds it again."""
    return stranger().resolve_job_def("cinema_dub")


def named(repository: RepositoryDefinition) -> set[str]:
    found = [*repository.get_all_jobs(), *repository.sensor_defs, *repository.schedule_defs]
    return {each.name for each in found if not each.name.startswith("__")}


def test_a_project_of_twenty_lines_dubs_a_film_with_its_own_executor(
    film: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert len(STRANGER.read_text("utf-8").splitlines()) <= 26
    work = tmp_path / "work"
    monkeypatch.setenv("FILM_WORK", str(work))
    # The project was loaded; from then on the work folder knows its names.
    stranger()
    (key,) = register([film], work, None)
    with open_instance(work) as instance:
        with (
            without_server(),
            dg.execute_job(
                dg.reconstructable(strangers_dub),
                instance,
                tags={"dagster/partition": key},
                raise_on_error=False,
            ) as ran,
        ):
            assert ran.success
        (run,) = instance.get_runs()
        said = [each.message for each in instance.all_logs(run.run_id)]
        assert any("multiprocess executor" in each for each in said)
        # Its steps' processes have all ended, and nobody takes it for dead.
        assert PROCESS_TAG not in run.tags
        assert not is_dead(run, instance)
        assert CINEMA.has(run)
        assert not PLAIN.has(run)
        made = {each for each in instance.all_asset_keys() if instance.has_asset_key(each)}
        assert {CINEMA.key(stage) for stage in (*STAGE_NAMES, PUBLISHED)} <= made
        (row,) = task_table(instance, work, [key], names=CINEMA)
        assert row.status == "DONE"
        assert (work / key / "final_muxed.mkv").is_file()
        # The stranger's own `videos` know nothing of the film.
        assert instance.get_dynamic_partitions("videos") == []
        assert task_table(instance, work, [key], names=PLAIN)[0].status == "QUEUED"
    commands_know_the_film(key, load_settings(None, work))


def commands_know_the_film(key: str, settings: Settings) -> None:
    """All that reads and writes records outside Dagster's processes, with no word of a prefix."""
    (row,) = list_tasks(settings)
    assert row.status == "DONE"
    assert all(step.recorded_at for step in row.steps)
    (planned,) = plan_videos([], (), settings)
    assert (planned.fault, [step.stage for step in planned.steps if step.rerun]) == (None, [])
    said = Figures(LiveSettings(settings)).text().decode()
    assert 'dubarr_films{state="done"} 1.0' in said
    assert 'dubarr_stage_seconds_count{stage="mux"} 1.0' in said
    with closing(ReviewRuns(settings)) as runs:
        assert runs.states([key]) == {key: "DONE"}
        assert not runs.is_running(key)
        runs.decide(key, GateWish("hold", "too loud", "Ada"))
        assert runs.gate(key).state == "held"
        runs.decide(key, GateWish("approve", "", "Ada"))
        assert runs.gate(key).state == "approved"
    with open_instance(settings.work_dir) as instance:
        told = last_materialization(instance, "report", key, CINEMA)
        assert told
        assert told.run_id == ""
    # A run on the terminal is the project's, too.
    purge(key, "report", settings)
    (again,) = dub_registered([key], settings, Watch())
    assert isinstance(again, DubResult)
    assert [name for name, stage in again.stages.items() if not stage.reused] == ["report"]
    with open_instance(settings.work_dir) as instance:
        assert instance.get_runs(limit=1)[0].job_name == "cinema_dub"
        assert last_materialization(instance, "report", key, PLAIN) is None
    prune(settings, dry_run=False)
    assert list_tasks(settings)[0].status == "DONE"
    purge(key, None, settings)
    with open_instance(settings.work_dir) as instance:
        assert instance.get_dynamic_partitions("cinema_videos") == []


def test_a_damaged_file_of_names_is_named_and_written_anew(tmp_path: Path) -> None:
    keep_names(PLAIN, tmp_path)
    assert [*tmp_path.iterdir()] == []
    keep_names(CINEMA, tmp_path)
    (path,) = tmp_path.iterdir()
    assert names_of(tmp_path) == CINEMA
    path.write_text('{"schema": 1}')
    with pytest.raises(ArtifactError, match="names no library"):
        names_of(tmp_path)
    build_definitions(work_dir=tmp_path, key_prefix=["cinema"])
    assert names_of(tmp_path) == CINEMA
    # A project without a prefix now has the folder.
    build_definitions(work_dir=tmp_path)
    assert names_of(tmp_path) == PLAIN


def test_definitions_load_where_the_names_cannot_be_kept(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "work").write_text("no folder")
    build_definitions(work_dir=tmp_path / "work", key_prefix=["cinema"])
    assert "will not find this library's records" in caplog.text


def test_two_libraries_and_a_stranger_share_a_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FILM_WORK", str(tmp_path / "cinema"))
    kids = build_definitions(work_dir=tmp_path / "kids", key_prefix=["home", "kids"], pool="small")
    both = dg.Definitions.merge(stranger(), kids, build_definitions(work_dir=tmp_path / "plain"))
    repository = both.get_repository_def()
    plain = named(build_definitions(work_dir=tmp_path / "plain").get_repository_def())
    assert named(repository) == {
        *plain,
        *(f"cinema_{name}" for name in plain),
        *(f"home_kids_{name}" for name in plain),
    }
    keys = repository.assets_defs_by_key.keys()
    prefixes = ((), ("cinema",), ("home", "kids"))
    for prefix in prefixes:
        assert {LibraryNames(prefix).key(each) for each in (*STAGE_NAMES, PUBLISHED, CAST)} <= {
            *keys
        }
    vocals = both.resolve_assets_def(dg.AssetKey(["home", "kids", "dub", "vocals"]))
    assert vocals.op.pool == "small"
    assert vocals.partitions_def == dg.DynamicPartitionsDefinition(name="home_kids_videos")
    assert {*(both.resources or {})} == {"workshop", "dubarr", "cinema_dubarr", "home_kids_dubarr"}


def test_what_dagster_would_refuse_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="'my-films' is no name for Dagster"):
        build_definitions(work_dir=tmp_path, key_prefix=["my-films"])


def test_nothing_is_fixed_that_a_project_decides(tmp_path: Path) -> None:
    films = dg.DynamicPartitionsDefinition(name="films")
    ours = build_definitions(work_dir=tmp_path, partitions=films)
    assert (ours.executor, ours.loggers) == (None, None)
    assert "io_manager" not in (ours.resources or {})
    assert ours.resolve_assets_def(PLAIN.key("mux")).partitions_def == (
        dg.DynamicPartitionsDefinition(name="films")
    )


@pytest.mark.slow
def test_dg_lists_scaffolds_and_checks_the_component(tmp_path: Path) -> None:
    project = tmp_path / "host"
    (project / "src" / "host" / "defs").mkdir(parents=True)
    for folder in (project / "src" / "host", project / "src" / "host" / "defs"):
        (folder / "__init__.py").write_text("")
    (project / "pyproject.toml").write_text(
        '[project]\nname = "host"\nversion = "0"\n[tool.dg]\ndirectory_type = "project"\n'
        '[tool.dg.project]\nroot_module = "host"\n'
    )
    known = tmp_path / "known"
    entry = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    groups = entry["project"]["entry-points"]
    (module,) = groups[GROUP].values()
    # The package may be run where it lies, without being installed.
    if module not in {each.value for each in importlib.metadata.entry_points(group=GROUP)}:
        meta = known / "dubarr_where_it_lies-0.dist-info"
        meta.mkdir(parents=True)
        (meta / "METADATA").write_text("Name: dubarr-where-it-lies\nVersion: 0\n")
        (meta / "entry_points.txt").write_text(f"[{GROUP}]\ndubarr = {module}\n")
    paths = (known, project / "src", ROOT)

    def dg_cli(*arguments: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "dagster_dg_cli.cli", *arguments],
            cwd=project,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(map(str, paths)),
                "DG_CLI_CONFIG": str(tmp_path / "dg.toml"),
                "DAGSTER_HOME": "",
            },
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    component = f"{module}.DubbingLibrary"
    assert component in dg_cli("list", "components", "--json")
    dg_cli("scaffold", "defs", component, "films", "--work-dir", "work")
    written = (project / "src" / "host" / "defs" / "films" / "defs.yaml").read_text("utf-8")
    assert "work_dir: work" in written
    dg_cli("check", "yaml")
