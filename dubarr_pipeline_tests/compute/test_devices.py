from __future__ import annotations

import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest

from dubarr_pipeline.compute import devices as module
from dubarr_pipeline.compute.devices import choose_device, devices, lease_device
from dubarr_pipeline.errors import SettingsError
from dubarr_pipeline_tests.fakes.graphics_cards import BIG, FREE, SMALL, build_torch, show

LESSEE = "dubarr_pipeline_tests.fixtures.device_holder"


@pytest.fixture
def three(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    show(monkeypatch, tmp_path / "driver", BIG, SMALL, FREE)
    build_torch(monkeypatch, tmp_path / "packages")
    (tmp_path / "locks").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "locks"))
    monkeypatch.setattr(tempfile, "tempdir", None)


@pytest.fixture
def no_driver(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    build_torch(monkeypatch, tmp_path / "packages")
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("PATH", str(tmp_path / "empty"))


def test_gpus_are_listed_with_their_memory(three: None):
    first, second, _ = devices()
    assert (first.name, first.model) == ("cuda:0", "NVIDIA H200")
    assert first.free_bytes == 43771 << 20
    assert second.uuid == "GPU-bbbb2222-0000-0000-0000-000000000002"
    assert str(second) == (
        "cuda:1 (NVIDIA RTX A4000, GPU-bbbb2222-0000-0000-0000-000000000002, 16.8 of 17.2 GB free)"
    )


@pytest.mark.parametrize(
    ("asked", "device"),
    [
        ("auto", "cuda:2"),  # most memory free
        ("cuda", "cuda:2"),
        ("cuda:0", "cuda:0"),
        ("cuda:1", "cuda:1"),
        ("GPU-aaaa1111-0000-0000-0000-000000000001", "cuda:0"),
        ("GPU-BBBB2222", "cuda:1"),
        ("cpu", "cpu"),
    ],
)
def test_a_device_is_chosen(three: None, asked: str, device: str):
    assert choose_device(asked) == device


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("cuda:3", r"'cuda:3': there is no such GPU; available: cuda:0 \(NVIDIA H200.*, cpu"),
        ("GPU-cccc", "there is no such GPU"),
        ("GPU-bbbb", "several GPUs have that prefix"),
        ("mps", "needs a Mac with Apple silicon"),
        ("gpu", "unknown device 'gpu'; choose one of: auto, cuda, cuda:N, GPU-<uuid>, mps, cpu"),
        ("cuda:", "unknown device"),
        ("", "unknown device ''"),
        ("CPU", "unknown device"),
    ],
)
def test_a_device_that_is_not_here_is_refused_with_the_choices(three: None, asked: str, words: str):
    with pytest.raises(SettingsError, match=words):
        choose_device(asked)


def test_without_a_driver_auto_is_the_cpu_and_cuda_an_error(no_driver: None):
    assert devices() == ()
    assert choose_device("auto") == "cpu"
    with pytest.raises(SettingsError, match="nvidia-smi is not installed"):
        choose_device("cuda")


def test_a_driver_that_fails_shows_no_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    show(monkeypatch, tmp_path / "driver", "NVIDIA-SMI has failed", code=9)
    build_torch(monkeypatch, tmp_path / "packages")
    assert devices() == ()
    with pytest.raises(SettingsError, match="shows no GPU"):
        choose_device("cuda:0")


def test_a_pytorch_for_the_cpu_alone_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    show(monkeypatch, tmp_path / "driver", BIG)
    build_torch(monkeypatch, tmp_path / "packages", cuda="None")
    assert choose_device("auto") == "cpu"
    with pytest.raises(SettingsError, match="built for the CPU alone"):
        choose_device("cuda")
    # CTranslate2 brings CUDA of its own.
    assert choose_device("auto", torch=False) == "cuda:0"


@pytest.mark.parametrize(
    ("variable", "uuids"),
    [
        ("2,0", ["GPU-bbbb3333", "GPU-aaaa1111"]),
        ("1", ["GPU-bbbb2222"]),
        ("GPU-bbbb2222,GPU-aaaa1111", ["GPU-bbbb2222", "GPU-aaaa1111"]),
        ("0,7,1", ["GPU-aaaa1111"]),
        ("0,0", ["GPU-aaaa1111"]),
        ("-1", []),
        ("", []),
        ("MIG-99", ["MIG-99"]),
    ],
)
def test_hidden_gpus_are_not_counted(
    three: None, monkeypatch: pytest.MonkeyPatch, variable: str, uuids: list[str]
):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", variable)
    found = devices()
    assert [d.uuid[:12] for d in found] == uuids
    assert [d.name for d in found] == [f"cuda:{i}" for i in range(len(uuids))]


def test_an_error_says_that_the_gpus_are_hidden(three: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert choose_device("auto") == "cpu"
    with pytest.raises(SettingsError, match="CUDA_VISIBLE_DEVICES='' hides every GPU"):
        choose_device("cuda")


def lessee(asked: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", LESSEE, asked],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def told(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def test_runs_take_different_gpus_side_by_side(three: None):
    first = lessee("auto")
    assert told(first) == "cuda:2"
    with lease_device("auto", torch=False) as lease:
        assert lease.device == "cuda:0"
        assert len(lease.held) == 1
        second = lessee("cuda")
        assert told(second) == "cuda:1"
    for process in (first, second):
        process.communicate()


def test_a_run_waits_for_the_gpu_that_it_asked_for(three: None, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "_POLL_S", 0.02)
    first = lessee("cuda:1")
    assert told(first) == "cuda:1"
    waited: list[str] = []
    leased: list[str] = []

    def wait() -> None:
        with lease_device("cuda:1", torch=False, on_wait=waited.append) as lease:
            leased.append(lease.device)

    waiter = threading.Thread(target=wait)
    waiter.start()
    waiter.join(0.3)
    assert waited == ["waiting for cuda:1: another run works there"]
    assert not leased
    first.kill()
    first.communicate()
    waiter.join(10)
    assert leased == ["cuda:1"]


def test_a_child_that_holds_the_lease_keeps_the_gpu_taken(three: None):
    with lease_device("cuda:0", torch=False) as lease:
        child = subprocess.Popen(["sleep", "600"], pass_fds=lease.held)
    assert module._take_one([("cuda:0", devices()[0].uuid)]) is None
    child.kill()
    child.wait()
    with lease_device("cuda:0", torch=False) as lease:
        assert lease.device == "cuda:0"


def test_engines_of_one_process_share_their_gpu(three: None):
    with lease_device("auto", torch=False) as first:
        with lease_device("auto", torch=False) as second:
            assert first == second
        assert module._leases
        process = lessee("cuda")
        assert told(process) != first.device
        process.communicate()
    assert not module._leases


def test_nothing_is_leased_for_the_cpu(three: None):
    with lease_device("cpu") as lease:
        assert lease == module.DeviceLease("cpu")
    assert not list(Path(tempfile.gettempdir()).iterdir())
