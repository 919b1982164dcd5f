#!/usr/bin/env bash
# In dagster-k8s the room (requests of processor and memory) that a code server asks for replaces, in
# the pods of its runs, the room that the run launcher is configured to ask for. With Dagster's Helm
# chart and its includeConfigInLaunchedRuns, whoever gives their code server resources gives every run
# the same ones, and those in runLauncher count for nothing; variables and volumes of both are joined.
# Versions: dagster-k8s 0.29.27 (dagster 1.13.27).
# Seen: a launcher of 100m and 300M, a code server of 500m and 1G: a run's pod asks for 500m and 1G,
# and has the variables of both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet dagster==1.13.27 dagster-k8s==0.29.27
cat > "$folder/kubeconfig" <<'YAML'
apiVersion: v1
kind: Config
current-context: none
contexts: [{name: none, context: {cluster: none, user: none}}]
clusters: [{name: none, cluster: {server: "http://127.0.0.1:1"}}]
users: [{name: none, user: {}}]
YAML
FOLDER="$folder" "$folder/venv/bin/python" - <<'PYTHON'
import os
import sys
from importlib.metadata import version

from dagster import DagsterRun
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.code_pointer import ModuleCodePointer
from dagster_k8s import K8sRunLauncher
from dagster_k8s.container_context import K8sContainerContext


def room(cpu: str, memory: str) -> dict[str, dict[str, str]]:
    return {"requests": {"cpu": cpu, "memory": memory}}


launcher = K8sRunLauncher(
    service_account_name="dagster",
    instance_config_map="instance",
    dagster_home="/opt/dagster",
    job_image="image",
    load_incluster_config=False,
    kubeconfig_file=os.path.join(os.environ["FOLDER"], "kubeconfig"),
    env_vars=["OF_LAUNCHER=1"],
    resources=room("100m", "300M"),
)
code_server = {"k8s": {"env_vars": ["OF_SERVER=1"], "resources": room("500m", "1G")}}
origin = JobPythonOrigin(
    "film",
    RepositoryPythonOrigin(
        sys.executable, ModuleCodePointer("films", "defs"), container_context=code_server
    ),
)
run = DagsterRun("film", job_code_origin=origin)
pod = K8sContainerContext.create_for_run(run, launcher, include_run_tags=False).run_k8s_config
found = pod.container_config["resources"]["requests"]
variables = sorted(each["name"] for each in pod.container_config["env"])
print(f"dagster-k8s {version('dagster-k8s')}")
print(f"launcher 100m, 300M; code server 500m, 1G; a run's pod: {found['cpu']}, {found['memory']}")
print(f"variables of the pod: {', '.join(variables)}")
assert found == {"cpu": "500m", "memory": "1G"}, "the launcher's room counts now"
assert variables == ["OF_LAUNCHER", "OF_SERVER"], "variables are not joined any more"
PYTHON
