"""Stages as jobs of a cluster, rendered without one, and the manifests of `deploy/kubernetes`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import dagster as dg
import kubernetes
import pytest
import yaml
from dagster._config import validate_config
from dagster._core.instance.config import dagster_instance_config_schema
from dagster_k8s import K8sRunLauncher, k8s_job_executor
from dagster_k8s.container_context import K8sContainerContext
from dagster_k8s.job import construct_dagster_k8s_job, get_user_defined_k8s_config

from dubarr_pipeline.config.settings import load_settings, parse_settings
from dubarr_pipeline.defs.code_location import (
    build_definitions,
    chosen_executor,
    faultless_settings,
)
from dubarr_pipeline.defs.stages import GPU, GPU_STAGES, STAGE_NAMES
from dubarr_pipeline.errors import SettingsError

FOLDER = Path(__file__).parents[3] / "deploy" / "kubernetes"
VALUES: dict[str, Any] = yaml.safe_load((FOLDER / "values.yaml").read_text())
MANIFESTS = list(yaml.safe_load_all((FOLDER / "dubarr.yaml").read_text()))
(CODE,) = VALUES["dagster-user-deployments"]["deployments"]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The settings of the cluster, with a device for the stages that load models."""
    path = tmp_path_factory.mktemp("config") / "dubarr.toml"
    path.write_text(MANIFESTS[0]["data"]["dubarr.toml"].replace("gpus = 0", "gpus = 1"))
    return path


@pytest.fixture
def launcher(monkeypatch: pytest.MonkeyPatch) -> K8sRunLauncher:
    """The launcher that the values ask for, without a cluster behind it."""
    monkeypatch.setattr(kubernetes.config, "load_incluster_config", lambda: None)
    given = {
        re.sub("(?=[A-Z])", "_", name).lower(): value
        for name, value in VALUES["runLauncher"]["config"]["k8sRunLauncher"].items()
    }
    common = {
        "service_account_name": "dagster",
        "instance_config_map": "dagster-instance",
        "dagster_home": "/opt/dagster/dagster_home",
        "postgres_password_secret": VALUES["global"]["postgresqlSecretName"],
    }
    valid = validate_config(dg.Shape(K8sRunLauncher.config_type()), {**given, **common})
    assert valid.success, valid.errors
    return K8sRunLauncher(**given, **common)


@pytest.fixture(scope="module")
def definitions(config: Path) -> dg.Definitions:
    return build_definitions(config=config, executor=k8s_job_executor)


@pytest.fixture(scope="module")
def dub(definitions: dg.Definitions) -> dg.JobDefinition:
    return definitions.resolve_job_def("dub")


def step(name: str, dub: dg.JobDefinition, launcher: K8sRunLauncher) -> dict[str, Any]:
    """The job of a stage, as the executor would send it."""
    tags = dub.node_def_named(f"dub__{name}").tags
    context = K8sContainerContext(
        env_vars=[f"{each['name']}={each['value']}" for each in CODE["env"]],
        volumes=CODE["volumes"],
        volume_mounts=CODE["volumeMounts"],
    )
    context = context.merge(K8sContainerContext(run_k8s_config=get_user_defined_k8s_config(tags)))
    job = construct_dagster_k8s_job(
        context.get_k8s_job_config("REGISTRY/dubarr:latest", launcher),
        ["dagster", "api", "execute_step"],
        f"dagster-step-{name}",
        user_defined_k8s_config=context.run_k8s_config,
        component="step_worker",
    )
    return kubernetes.client.ApiClient().sanitize_for_serialization(job)


@pytest.mark.parametrize("name", [*STAGE_NAMES, "published"])
def test_a_stage_asks_for_its_room(name: str, dub: dg.JobDefinition, launcher: K8sRunLauncher):
    job = step(name, dub, launcher)
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    expected: dict[str, Any] = {
        "requests": {"cpu": "2000m", "memory": "4000M"},
        "limits": {"memory": "4000M"},
    }
    if name in GPU_STAGES:
        expected["requests"]["memory"] = expected["limits"]["memory"] = "8000M"
        expected["limits"]["nvidia.com/gpu"] = "1"
    assert container["resources"] == expected
    # Dagster tries a lost step again; the cluster must not, behind its back.
    assert (job["spec"]["backoffLimit"], pod["restartPolicy"]) == (0, "Never")
    assert {each["mountPath"] for each in container["volumeMounts"]} >= {"/work", "/media"}
    assert {"name": "DUBARR_WORK_DIR", "value": "/work"} in container["env"]


def test_a_run_asks_for_its_own_room_and_a_server_for_its_secret(launcher: K8sRunLauncher):
    """The chart gives runs what it gives the code server, resources before all others."""
    assert "resources" not in CODE
    assert launcher.resources["requests"] == {"cpu": "100m", "memory": "300M"}
    secret = VALUES["global"]["postgresqlSecretName"]
    assert VALUES["postgresql"]["existingSecret"] == secret


def test_our_pods_begin_with_the_entry_of_the_image():
    for each in MANIFESTS:
        if each["kind"] == "Deployment":
            (container,) = each["spec"]["template"]["spec"]["containers"]
            assert "command" not in container
            assert container["args"][:2] == ["dubarr", "serve"]


def test_a_lost_step_is_tried_again_by_its_own_policy(dub: dg.JobDefinition):
    """The run's retries look at lost runs only: ``retry_on_asset_or_op_failure`` is false."""
    for name in (*STAGE_NAMES, "published"):
        policy = dub.node_def_named(f"dub__{name}").retry_policy
        assert policy
        assert policy.max_retries == 2


def test_runs_of_a_cluster_bear_no_mark_of_ours(definitions: dg.Definitions):
    assert type((definitions.resources or {})["dubarr"]).__name__ == "DubarrResource"


def test_the_settings_choose_the_executor(config: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DUBARR_CONFIG", str(config))
    assert chosen_executor(faultless_settings()) is k8s_job_executor
    monkeypatch.setitem(__import__("sys").modules, "dagster_k8s", None)
    with pytest.raises(SettingsError, match=r"dubarr-pipeline\[k8s\]"):
        chosen_executor(faultless_settings())


def test_other_executors_see_no_pod():
    dub = build_definitions(executor=dg.in_process_executor).resolve_job_def("dub")
    assert not any("dagster-k8s/config" in node.tags for node in dub.all_node_defs)


def test_room_out_of_range_is_refused():
    for table in ({"cpus": 0}, {"gpus": -1}, {"memory_gb": -1}):
        with pytest.raises(SettingsError, match="must be"):
            parse_settings({"workers": {"gpu_step": table}})


@pytest.mark.parametrize("number", range(len(MANIFESTS)))
def test_manifests_have_only_what_kubernetes_knows(number: int):
    given = MANIFESTS[number]
    version = given["apiVersion"].rpartition("/")[2]
    kind = f"{version.capitalize()}{given['kind']}"
    api = kubernetes.client.ApiClient()
    read = api._ApiClient__deserialize(given, kind)
    # What the client does not know it drops.
    assert api.sanitize_for_serialization(read) == given


def test_manifests_and_values_name_the_same_things(config: Path):
    named = {(each["kind"], each["metadata"]["name"]) for each in MANIFESTS}
    for volume in CODE["volumes"]:
        if claim := volume.get("persistentVolumeClaim"):
            assert ("PersistentVolumeClaim", claim["claimName"]) in named
        else:
            assert ("ConfigMap", volume["configMap"]["name"]) in named
    review = next(each for each in MANIFESTS if each["metadata"]["name"] == "dubarr-review")
    mounted = {v["name"]: v for v in review["spec"]["template"]["spec"]["volumes"]}
    named_by_the_chart = f"{VALUES['global']['fullnameOverride']}-instance"
    assert mounted["dagster-instance"]["configMap"]["name"] == named_by_the_chart
    settings = load_settings(config)
    ports = {
        each["metadata"]["name"]: each["spec"]["ports"][0]["port"]
        for each in MANIFESTS
        if each["kind"] == "Service"
    }
    assert ports == {
        "dubarr-webhooks": settings.webhooks.port,
        "dubarr-review": settings.review.port,
    }


def test_the_instance_of_the_chart_is_one_that_dagster_takes():
    coordinator = VALUES["dagsterDaemon"]["runCoordinator"]["config"]["customRunCoordinator"]
    given = {**VALUES["additionalInstanceConfig"], "run_coordinator": coordinator}
    valid = validate_config(dagster_instance_config_schema(), given)
    assert valid.success, valid.errors
    assert set(given["concurrency"]["pools"]) == {
        "default_limit",
        "granularity",
        "op_granularity_run_buffer",
    }
    assert GPU == "gpu"
