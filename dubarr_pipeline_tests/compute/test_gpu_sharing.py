from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dubarr_pipeline.compute.devices import Device
from dubarr_pipeline.compute.gpu_sharing import GpuRequest, Slot, TimeSlicing, plan_share
from dubarr_pipeline.compute.service_process import PORT, Launch, ServiceProcess
from dubarr_pipeline.errors import OutOfMemory
from dubarr_pipeline.services.http_client import ServerOptions, ServiceClient
from dubarr_pipeline_tests.compute.test_service_process import POLICY
from dubarr_pipeline_tests.fakes import service_worker

GB = 10**9


def gpus(*free_gb: float) -> list[Device]:
    return [
        Device(f"cuda:{n}", f"GPU-{n}", "A", 80 * GB, 0, round(free * GB))
        for n, free in enumerate(free_gb)
    ]


def requests(
    llm: float, tts: float, llm_on: str = "auto", tts_on: str = "auto"
) -> list[GpuRequest]:
    return [GpuRequest("llm", llm_on, round(llm * GB)), GpuRequest("tts", tts_on, round(tts * GB))]


@pytest.mark.parametrize(
    ("asked", "free", "llm", "tts", "turns"),
    [
        (requests(20, 4), [80], "cuda:0", "cuda:0", False),
        (requests(15, 4), [20], "cuda:0", "cuda:0", False),
        (requests(15, 4.1), [20], "cuda:0", "cuda:0", True),
        (requests(20, 4), [24, 8], "cuda:0", "cuda:1", False),
        (requests(20, 4), [8, 24], "cuda:1", "cuda:0", False),
        (requests(20, 4), [80, 80], "cuda:0", "cuda:1", False),
        (requests(20, 4), [2, 80], "cuda:1", "cuda:1", False),
        (requests(20, 4, tts_on="cuda:0"), [80, 80], "cuda:1", "cuda:0", False),
        (requests(20, 4, "cuda:1", "GPU-1"), [80, 22], "cuda:1", "cuda:1", True),
        (requests(20, 4, tts_on="cpu"), [22], "cuda:0", "cpu", False),
        (requests(20, 4), [], "cpu", "cpu", False),
    ],
)
def test_who_goes_where(
    asked: list[GpuRequest], free: list[float], llm: str, tts: str, turns: bool
):
    plan = plan_share(asked, gpus(*free))
    assert (plan.places, plan.time_sliced) == ({"llm": llm, "tts": tts}, turns)


def test_what_does_not_fit_even_alone_is_named():
    with pytest.raises(OutOfMemory, match=r"llm service needs 20\.0 GB, and cuda:0 has 19\.0 GB"):
        plan_share(requests(20, 4), gpus(20))


class Gpu:
    """A pretended GPU: what awake processes hold is taken from its memory."""

    def __init__(self, folder: Path, total: int) -> None:
        self.folder, self.total, self.leak = folder, total, 0
        self.slots: list[Slot] = []

    def free(self) -> int:
        used = sum(slot.need_bytes for slot in self.slots if slot.runs)
        return self.total - used - self.leak


@pytest.fixture
def shared(tmp_path: Path) -> Iterator[Callable[..., tuple[TimeSlicing, Gpu, list[ServiceClient]]]]:
    made: list[ServiceProcess] = []
    clients: list[ServiceClient] = []

    def make(*sleeps: bool, slice_s: float = 0.2) -> tuple[TimeSlicing, Gpu, list[ServiceClient]]:
        gpu = Gpu(tmp_path, 10)
        slicing = TimeSlicing(gpu.free, slice_s=slice_s, release_wait_s=0.3)
        for name, can_sleep in zip(("llm", "tts"), sleeps, strict=True):
            folder = tmp_path / name
            folder.mkdir()
            command = (sys.executable, "-I", "-S", service_worker.__file__, PORT, str(folder))
            process = ServiceProcess(
                Launch(name, command, {}, "TOKEN", deadline_s=60), tmp_path, POLICY
            )
            made.append(process)
            gpu.slots.append(slicing.slot(process, 8, can_sleep))
            clients.append(
                ServiceClient(
                    ServerOptions(process.url, process.token, backoff_s=0.01), gpu.slots[-1]
                )
            )
        return slicing, gpu, clients

    yield make
    for process in made:
        process.close()
    for each in clients:
        each.close()


@pytest.mark.parametrize("sleeps", [True, False])
def test_services_that_do_not_fit_together_take_turns(shared, sleeps: bool):
    slicing, gpu, (llm, tts) = shared(sleeps, sleeps)
    overlaps: list[int] = []
    stop = threading.Event()

    def watch() -> None:
        while not stop.wait(0.005):
            overlaps.append(sum(slot.runs for slot in gpu.slots))

    watcher = threading.Thread(target=watch)
    watcher.start()
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda n: (llm, tts)[n % 2].post("x", {}).text, range(40)))
    stop.set()
    watcher.join()
    assert max(overlaps) == 1
    assert len(answers) == 40
    assert slicing.switches >= 1
    starts = [slot.process.starts for slot in gpu.slots]
    assert starts == [1, 1] if sleeps else sum(starts) == 1 + slicing.switches


def test_nobody_starves_while_another_is_always_busy(shared):
    slicing, _, (llm, tts) = shared(True, True, slice_s=0.1)
    stop = threading.Event()

    def draft() -> None:
        while not stop.is_set():
            llm.post("x", {})

    with ThreadPoolExecutor(4) as pool:
        busy = [pool.submit(draft) for _ in range(3)]
        time.sleep(0.3)
        for _ in range(3):
            assert tts.post("x", {}).is_success
        stop.set()
        for each in busy:
            each.result()
    assert slicing.switches >= 1


def test_memory_that_does_not_get_free_is_an_error_and_not_a_hope(shared):
    _, gpu, (llm, tts) = shared(True, True)
    assert llm.post("x", {}).is_success
    gpu.leak = 3
    with pytest.raises(OutOfMemory, match="the tts service needs"):
        tts.post("x", {})
    gpu.leak = 0
    assert tts.post("x", {}).is_success
