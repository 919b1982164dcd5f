from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from dubarr_pipeline.compute.devices import Device
from dubarr_pipeline.compute.gpu_sharing import Slot
from dubarr_pipeline.compute.service_process import ServiceProcess
from dubarr_pipeline.compute.subreaper import descendants
from dubarr_pipeline.config import profile_engines
from dubarr_pipeline.config.settings import Settings, parse_settings
from dubarr_pipeline.errors import MissingRequirement, OutOfMemory
from dubarr_pipeline.segments.gpu_services import service_hosts
from dubarr_pipeline.services.llm_client import LanguageModelOptions, try_llm
from dubarr_pipeline.services.llm_process import (
    llm_process,
    missing_program,
    open_llm,
)
from dubarr_pipeline_tests.fakes import fake_vllm

GB = 10**9


@pytest.fixture
def vllm(tmp_path: Path) -> LanguageModelOptions:
    """A pretended vLLM in an environment of its own, and a folder for a model."""
    program = tmp_path / "vllm env" / "bin" / "vllm"
    program.parent.mkdir(parents=True)
    program.write_text(f"#!{sys.executable}\n" + Path(fake_vllm.__file__).read_text())
    program.chmod(0o755)
    model = tmp_path / "model"
    model.mkdir()
    return LanguageModelOptions(
        "vllm", model=str(model), executable=str(program), arguments=("--dtype", "half")
    )


def told(options: LanguageModelOptions) -> tuple[list[str], Mapping[str, str]]:
    arguments, environment = json.loads(Path(f"{options.executable}.told").read_text())
    return arguments, environment


def test_vllm_is_started_with_priorities_a_token_and_sleep(
    vllm: LanguageModelOptions, tmp_path: Path
):
    options = replace(vllm, device="cuda:1", context_tokens=16384, memory_share=0.75)
    before = set(descendants(os.getpid()))
    with open_llm(options, tmp_path / "logs") as service:
        assert set(descendants(os.getpid())) <= before
        try_llm(service)
        service_tokens = service.tokens
    assert set(descendants(os.getpid())) <= before
    assert service_tokens == 5
    arguments, environment = told(options)
    assert arguments[:2] == ["serve", options.model]
    said = dict(pairwise(arguments))
    assert said["--host"] == "127.0.0.1"
    assert said["--served-model-name"] == options.model
    assert said["--scheduling-policy"] == "priority"
    assert said["--max-model-len"] == "16384"
    assert said["--gpu-memory-utilization"] == "0.750"
    assert said["--dtype"] == "half"
    assert "--enable-sleep-mode" in arguments
    assert environment["VLLM_SERVER_DEV_MODE"] == "1"
    assert environment["CUDA_VISIBLE_DEVICES"] == "1"
    assert environment["VLLM_API_KEY"] not in " ".join(arguments)
    asked = json.loads(Path(f"{options.executable}.asked").read_text())
    assert asked["priority"] == 0
    assert asked["response_format"]["type"] == "json_schema"


def test_vllm_without_sleep_is_told_nothing_of_it(vllm: LanguageModelOptions, tmp_path: Path):
    process = llm_process(replace(vllm, sleep=False), tmp_path)
    with process.serving():
        assert not process.post("/sleep?level=1")
    process.close()
    arguments, environment = told(vllm)
    assert "--enable-sleep-mode" not in arguments
    assert "VLLM_SERVER_DEV_MODE" not in environment


def test_a_program_that_is_not_here_is_named(vllm: LanguageModelOptions, tmp_path: Path):
    options = replace(vllm, executable="/nowhere/vllm")
    assert missing_program(options) == "/nowhere/vllm"
    with pytest.raises(MissingRequirement, match=r"llm\.executable"), open_llm(options, tmp_path):
        pass


def test_an_answer_as_long_as_the_window_cannot_be_meant():
    with pytest.raises(ValueError, match="less than context_tokens"):
        LanguageModelOptions(max_tokens=8192)


def settings(vllm: LanguageModelOptions, folder: Path, memory_gb: float) -> Settings:
    voice = folder / "voice"
    voice.mkdir(exist_ok=True)
    llm = {"serve": "vllm", "model": vllm.model, "executable": vllm.executable}
    return parse_settings(
        {
            "llm": {**llm, "memory_gb": memory_gb},
            "models": {"accept_licences": ["CPML"]},
            "translation": {"engine": "openai"},
            "synthesis": {"engine": "xtts", "model": str(voice)},
        },
        folder,
    )


def gpus(*free_gb: float) -> list[Device]:
    return [
        Device(f"cuda:{n}", f"GPU-{n}", "A", 100 * GB, 0, round(free * GB))
        for n, free in enumerate(free_gb)
    ]


@pytest.mark.parametrize(
    ("free", "kind", "share"),
    [
        ([80.0], ServiceProcess, "0.750"),
        ([20.5], Slot, "0.195"),
        ([80.0, 80.0], ServiceProcess, "0.760"),
    ],
)
def test_the_llm_gets_what_the_voice_leaves(
    vllm: LanguageModelOptions, tmp_path: Path, free: list[float], kind: type, share: str
):
    """A voice without weights is taken to need 1 GB."""
    chosen = settings(vllm, tmp_path, memory_gb=19.0)
    with service_hosts(chosen, tmp_path, lambda: gpus(*free)) as hosts:
        assert {type(host) for host in hosts.values()} == {kind}
        translator = profile_engines.translator(chosen, hosts=hosts)
        process = getattr(hosts["translation"], "process", hosts["translation"])
        command = process.launch.command
        assert command[command.index("--gpu-memory-utilization") + 1] == share
        assert translator.concurrency
    with (
        pytest.raises(OutOfMemory, match="llm service needs 19"),
        service_hosts(chosen, tmp_path, lambda: gpus(10)),
    ):
        pass


def test_without_a_gpu_every_engine_starts_its_own(vllm: LanguageModelOptions, tmp_path: Path):
    with service_hosts(settings(vllm, tmp_path, 19.0), tmp_path, list) as hosts:
        assert hosts == {}
    with service_hosts(parse_settings({}, tmp_path), tmp_path, lambda: gpus(80)) as hosts:
        assert hosts == {}
