"""A dubbing library in a Dagster project that is somebody else's."""

from __future__ import annotations

import importlib.metadata
import os
import runpy
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING

import dagster as dg
import pytest

from dubarr_pipeline import build_definitions
from dubarr_pipeline.defs.library_names import PLAIN, LibraryNames
from dubarr_pipeline.defs.runtime.liveness import PROCESS_TAG, is_dead
from dubarr_pipeline.defs.runtime.records import add_video
from dubarr_pipeline.defs.runtime.status import task_table
from dubarr_pipeline.defs.stages import CAST, PUBLISHED, STAGE_NAMES
from dubarr_pipeline.errors import SettingsError
from dubarr_pipeline_tests.fixtures.film_shelf import register

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
    (key,) = register([film], work, None)
    with dg.instance_for_test() as instance:
        add_video(instance, key, CINEMA)
        with dg.execute_job(
            dg.reconstructable(strangers_dub),
            instance,
            tags={"dagster/partition": key},
            raise_on_error=False,
        ) as ran:
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
        assert task_table(instance, work, [key])[0].status == "QUEUED"


def test_two_libraries_and_a_stranger_share_a_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FILM_WORK", str(tmp_path / "cinema"))
    kids = build_definitions(work_dir=tmp_path / "kids", key_prefix=["home", "kids"], pool="small")
    both = dg.Definitions.merge(stranger(), kids, build_definitions(work_dir=tmp_path / "plain"))
    repository = both.get_repository_def()
    plain = named(build_definitions().get_repository_def())
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


def test_what_dagster_would_refuse_is_refused_by_name() -> None:
    with pytest.raises(SettingsError, match="'my-films' is no name for Dagster"):
        build_definitions(key_prefix=["my-films"])


def test_nothing_is_fixed_that_a_project_decides() -> None:
    ours = build_definitions(partitions=dg.DynamicPartitionsDefinition(name="films"))
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
