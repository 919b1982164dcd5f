"""A film in a cluster: its run and each of its stages a job, and a pod that is killed."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import kubernetes
import pytest
import yaml
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster_k8s import k8s_job_executor

from dubarr_pipeline.defs.code_location import build_definitions
from dubarr_pipeline.defs.stages import STAGE_NAMES
from dubarr_pipeline.workdir.layout import WorkDir
from dubarr_pipeline_tests.fixtures.bench import write_config
from dubarr_pipeline_tests.fixtures.dagster_server import ROOT
from dubarr_pipeline_tests.fixtures.film_shelf import made_again, register

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
VALUES: dict[str, Any] = yaml.safe_load((ROOT / "deploy/kubernetes/values.yaml").read_text())
HALT_AT = 2
"""Each of the two lines is spoken twice: at its natural rate, and in the time that it has."""
ORIGIN = RepositoryPythonOrigin(
    sys.executable, ModuleCodePointer("dubarr_pipeline.definitions", "defs"), "dubarr", ["dagster"]
)


@contextmanager
def cluster(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Have a node; yields the configuration by which clients find it, and the lines it spoke."""
    port, spoken, log = folder / "port", folder / "spoken", folder / "node.log"
    command = [sys.executable, "-m", "dubarr_pipeline_tests.fakes.cluster", port, spoken]
    with log.open("wb") as out:
        node = subprocess.Popen(
            [*command, str(HALT_AT)], cwd=ROOT, stdout=out, stderr=out, start_new_session=True
        )
    try:
        wait(lambda: port.exists() and port.read_text(), node)
        address = f"http://127.0.0.1:{port.read_text()}"
        found = folder / "kubeconfig"
        document = {
            "current-context": "node",
            "contexts": [{"name": "node", "context": {"cluster": "node", "user": "node"}}],
            "clusters": [{"name": "node", "cluster": {"server": address}}],
            "users": [{"name": "node", "user": {}}],
        }
        found.write_text(yaml.safe_dump(document))
        yield found, spoken
    finally:
        os.killpg(node.pid, signal.SIGKILL)
        node.wait()


def wait(happened: Callable[[], object], node: subprocess.Popen[bytes] | None = None) -> None:
    """Wait until something has happened."""
    while not happened():
        assert node is None or node.poll() is None, "the node ended"
        time.sleep(0.1)


def write_instance(home: Path, kubeconfig: Path, variables: dict[str, str]) -> None:
    """Set the store up as the chart does, with the launcher of the values."""
    given = {
        re.sub("(?=[A-Z])", "_", name).lower(): value
        for name, value in VALUES["runLauncher"]["config"]["k8sRunLauncher"].items()
    }
    own = {
        "load_incluster_config": False,
        "kubeconfig_file": str(kubeconfig),
        "service_account_name": "dagster",
        "instance_config_map": "dagster-instance",
        "dagster_home": str(home),
        "env_vars": [f"{name}={value}" for name, value in variables.items()],
    }
    launcher = {"module": "dagster_k8s", "class": "K8sRunLauncher", "config": {**given, **own}}
    document = {"run_launcher": launcher, **VALUES["additionalInstanceConfig"]}
    home.mkdir()
    (home / "dagster.yaml").write_text(yaml.safe_dump(document))


def test_a_killed_pod_is_tried_again_in_the_same_run(
    tmp_path: Path, tiny_film: Path, monkeypatch: pytest.MonkeyPatch
):
    config = write_config(
        tmp_path / "dubarr.toml",
        {
            "workers": {"steps": "kubernetes", "lease_s": 4},
            "segments": {"tts_concurrency": 1, "threads": 1},
        },
    )
    work, home = tmp_path / "work", tmp_path / "home"
    variables = {"DUBARR_CONFIG": str(config), "DUBARR_WORK_DIR": str(work)}
    for name, value in {**variables, "DAGSTER_HOME": str(home)}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("DAGSTER_STEP_DELEGATING_EXECUTOR_SLEEP_SECONDS", "0.2")
    monkeypatch.setattr(kubernetes.client.Configuration, "_default", None)
    dub = build_definitions(executor=k8s_job_executor).resolve_job_def("dub")
    with cluster(tmp_path) as (kubeconfig, log):
        write_instance(home, kubeconfig, variables)
        (key,) = register([tiny_film], work, config)
        with dg.DagsterInstance.from_config(str(home)) as store:
            tags = {"dagster/partition": key}
            run = store.create_run_for_job(
                dub, tags=tags, job_code_origin=JobPythonOrigin("dub", ORIGIN)
            )
            store.launch_run(run.run_id, workspace=None)  # pyright: ignore[reportArgumentType]
            wait(lambda: log.exists() and log.read_text().count("\n") > HALT_AT)
            killed = int(log.read_text().splitlines()[HALT_AT].partition("|")[0])
            os.kill(killed, signal.SIGKILL)

            def ended() -> bool:
                found = store.get_run_by_id(run.run_id)
                return bool(found and found.is_finished)

            wait(ended)
            (ended_run,) = store.get_runs()
            assert ended_run.status == dg.DagsterRunStatus.SUCCESS
            steps = {each.step_key: each.attempts for each in store.get_run_step_stats(run.run_id)}
            assert steps == {
                f"dub__{name}": 2 if name == "segments" else 1
                for name in (*STAGE_NAMES, "published")
            }
            assert made_again(store) == 0
    requests = [line.partition("|")[2] for line in log.read_text().splitlines()]
    # What was finished before the kill is kept; the line in the middle is spoken again.
    assert requests[HALT_AT + 1] == requests[HALT_AT]
    assert len(requests) == len(set(requests)) + 1 == 5
    found = WorkDir(work / key)
    stats = json.loads(found.segments_report.read_text())["stats"]
    assert (stats["reused"], stats["spoken"]) == (1, 1)
    assert found.muxed.is_file()
