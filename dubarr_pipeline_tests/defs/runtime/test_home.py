"""The `dagster.yaml` of an older store: our part follows the version, a user's values stay."""

from __future__ import annotations

import logging
import os
import re
import shlex
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml

from dubarr_pipeline.defs.runtime.home import VERSION, bring_up_to_date, dagster_home
from dubarr_pipeline.errors import SettingsError

ROOT = Path(__file__).resolve().parents[3]
EARLIER = sorted((Path(__file__).parent / "earlier_dagster_yaml").glob("*.yaml"))
SHIPPED = files("dubarr_pipeline.defs.runtime").joinpath("dagster.yaml").read_text("utf-8")
STORAGE = (
    files("dubarr_pipeline.defs.runtime")
    .joinpath("dagster.postgres.yaml")
    .read_text("utf-8")
    .replace("PASSWORD", "0123abcd")
    .replace("PORT", "5433")
)
LIMIT = {"key": "dagster/partition", "value": {"applyLimitPerUniqueValue": True}, "limit": 1}


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    folder = tmp_path / "work" / ".dagster"
    folder.mkdir(parents=True)
    return folder


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def after(home: Path, text: str) -> dict[str, Any]:
    (home / "dagster.yaml").write_text(text)
    assert dagster_home(home.parent) == home
    return yaml.safe_load((home / "dagster.yaml").read_text())


def test_the_shipped_file_carries_its_version() -> None:
    assert f"# Version {VERSION} of dubarr's part" in SHIPPED


@pytest.mark.parametrize("name", ["50%41", "what?", "%C3%A9"])
def test_a_path_that_the_stores_address_cannot_carry_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    work = tmp_path / name / "work"
    with pytest.raises(SettingsError, match="choose another work folder"):
        dagster_home(work)
    assert not work.exists()
    # A store in PostgreSQL has no such address.
    (work / ".dagster").mkdir(parents=True)
    (work / ".dagster" / "dagster.yaml").write_text(SHIPPED + STORAGE)
    assert dagster_home(work) == work / ".dagster"


@pytest.mark.parametrize("name", ["100%", "#1", "a b;c", "%zz"])
def test_other_odd_paths_hold_a_store(tmp_path: Path, name: str) -> None:
    home = dagster_home(tmp_path / name)
    with dg.DagsterInstance.from_config(str(home)) as store:
        store.add_dynamic_partitions("videos", ["film"])
        assert list(store.get_dynamic_partitions("videos")) == ["film"]


def test_the_file_at_the_top_is_the_shipped_one() -> None:
    top = ROOT / "dagster.yaml"
    # A plain file: a link became a text of one path where a checkout carried no links.
    assert not top.is_symlink()
    assert top.read_text() == SHIPPED, "cp dubarr_pipeline/defs/runtime/dagster.yaml ."


@pytest.mark.parametrize("path", EARLIER, ids=lambda path: path.stem)
def test_an_unchanged_file_of_an_earlier_version_becomes_todays(home: Path, path: Path) -> None:
    assert LIMIT in after(home, path.read_text())["concurrency"]["runs"]["tag_concurrency_limits"]
    assert (home / "dagster.yaml").read_text() == SHIPPED
    assert names(home) == ["dagster.yaml"]


@pytest.mark.parametrize("path", EARLIER, ids=lambda path: path.stem)
def test_a_postgres_block_behind_it_stays_as_it_is(home: Path, path: Path) -> None:
    after(home, path.read_text() + STORAGE)
    assert (home / "dagster.yaml").read_text() == SHIPPED + STORAGE


@pytest.mark.parametrize("path", EARLIER, ids=lambda path: path.stem)
def test_a_users_own_values_stay(home: Path, path: Path, caplog: pytest.LogCaptureFixture) -> None:
    text = path.read_text().replace("max_concurrent_runs: 3", "max_concurrent_runs: 1") + STORAGE
    text += "\nsensors:\n  use_threads: true\n"
    with caplog.at_level(logging.WARNING):
        found = after(home, text)
    expected = yaml.safe_load(SHIPPED + STORAGE)
    expected["concurrency"]["runs"]["max_concurrent_runs"] = 1
    assert found == {**expected, "sensors": {"use_threads": True}}
    assert (home / "dagster.yaml.bak").read_text() == text
    (line,) = [each.message for each in caplog.records if "dagster.yaml" in each.message]
    assert "brought up to date" in line
    before = (home / "dagster.yaml").read_bytes()
    caplog.clear()
    dagster_home(home.parent)
    assert (home / "dagster.yaml").read_bytes() == before
    assert not caplog.records


def test_a_limit_and_a_launcher_of_the_users_own_stay(home: Path) -> None:
    own = {"module": "dagster_docker", "class": "DockerRunLauncher", "config": {"network": "n"}}
    document = yaml.safe_load(EARLIER[-2].read_text())
    document["run_launcher"] = own
    document["concurrency"]["runs"]["tag_concurrency_limits"] = [
        {"key": "dubarr/gpu", "limit": 5},
        {"key": "mine", "limit": 2},
    ]
    found = after(home, yaml.safe_dump(document))
    assert found["run_launcher"] == own
    assert found["concurrency"]["runs"]["tag_concurrency_limits"] == [
        {"key": "dubarr/gpu", "limit": 5},
        {"key": "mine", "limit": 2},
        LIMIT,
    ]


def test_a_file_of_this_version_is_the_users_to_change(home: Path) -> None:
    document = yaml.safe_load(SHIPPED)
    del document["nux"]
    document["run_retries"]["max_retries"] = 0
    text = f"# Version {VERSION} of dubarr's part\n{yaml.safe_dump(document)}"
    assert after(home, text) == document
    assert names(home) == ["dagster.yaml"]


@pytest.mark.parametrize("text", ["concurrency: [1\n", "- 1\n", "a: b: c\n", "\tx: 1\n"])
def test_a_broken_file_is_named_with_its_cure(home: Path, text: str) -> None:
    with pytest.raises(SettingsError, match=r"dagster\.yaml is not .*correct it, or delete it"):
        after(home, text)
    assert (home / "dagster.yaml").read_text() == text


def test_a_file_that_is_not_utf_8_is_named(home: Path) -> None:
    (home / "dagster.yaml").write_bytes(b"a: \xff\n")
    with pytest.raises(SettingsError, match="is not UTF-8"):
        bring_up_to_date(home / "dagster.yaml")


def test_an_instance_of_the_users_own_is_never_touched(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = tmp_path / "instance"
    other.mkdir()
    (other / "dagster.yaml").write_text(EARLIER[0].read_text())
    monkeypatch.setenv("DAGSTER_HOME", str(other))
    assert dagster_home(home.parent) == other
    assert (other / "dagster.yaml").read_text() == EARLIER[0].read_text()
    assert names(home) == []


def test_our_own_instance_is_ours_also_where_the_environment_names_it(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DAGSTER_HOME", str(home))
    after(home, EARLIER[0].read_text())
    assert (home / "dagster.yaml").read_text() == SHIPPED


def test_make_ui_goes_the_same_way(home: Path) -> None:
    (home / "dagster.yaml").write_text(EARLIER[0].read_text())
    (code,) = re.findall(r'bin/python" -c "(from pathlib.*?)"', (ROOT / "Makefile").read_text())
    subprocess.run([sys.executable, "-c", code], cwd=home, check=True)
    assert (home / "dagster.yaml").read_text() == SHIPPED


def test_a_postgres_store_in_use_is_not_begun_anew(home: Path, tmp_path: Path) -> None:
    """`make postgres` writes its file once; dubarr goes on bringing the store's up to date."""
    folder = tmp_path / "postgres"
    folder.mkdir()
    (folder / "dagster.yaml").write_text(EARLIER[0].read_text() + STORAGE)
    use = shlex.join([str(ROOT / "scripts" / "postgres"), "use", str(folder), str(home)])
    for _ in range(2):
        # The script looks for PostgreSQL's programs first, which this step does not need.
        subprocess.run(["bash", "-c", use], check=True, env=_with_initdb(tmp_path))
        dagster_home(home.parent)
        assert (home / "dagster.yaml").read_text() == SHIPPED + STORAGE
    assert names(home) == ["dagster.yaml"]


def _with_initdb(folder: Path) -> dict[str, str]:
    initdb = folder / "initdb"
    initdb.write_text("#!/bin/sh\n")
    initdb.chmod(0o755)
    return {**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.mark.parametrize("section", ["run_coordinator", "run_launcher"])
@pytest.mark.parametrize("path", [*EARLIER, None], ids=lambda path: path.stem if path else "now")
def test_our_classes_that_a_file_on_a_users_disk_names_can_be_imported(
    section: str, path: Path | None
) -> None:
    named = yaml.safe_load(path.read_text() if path else SHIPPED).get(section)
    if named and named["module"].startswith("dubarr_pipeline."):
        module = __import__(named["module"], fromlist=[named["class"]])
        assert getattr(module, named["class"]).__name__ == named["class"]


def test_the_paths_in_users_files_lead_to_the_classes_that_run() -> None:
    from dubarr_pipeline.defs.runtime.liveness import WatchedRunLauncher
    from dubarr_pipeline.defs.runtime.run_queue import FairRunCoordinator

    shipped = yaml.safe_load(SHIPPED)
    for section, expected in (
        ("run_coordinator", FairRunCoordinator),
        ("run_launcher", WatchedRunLauncher),
    ):
        module = __import__(shipped[section]["module"], fromlist=["_"])
        assert getattr(module, shipped[section]["class"]) is expected
    # Files of earlier versions name these very paths: they hold also where the modules have moved.
    for path in ("dubarr_pipeline.queueing", "dubarr_pipeline.launcher"):
        __import__(path)
