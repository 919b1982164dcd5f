from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dubarr_pipeline.compute import memory
from dubarr_pipeline.compute.devices import Device
from dubarr_pipeline.compute.memory import (
    CHILD_TOLERANCE_BYTES,
    RSS_TOLERANCE_BYTES,
    VRAM_TOLERANCE_BYTES,
    MemoryKept,
    MemoryReading,
    kept,
    measured,
    read_memory,
    rss_of,
)
from dubarr_pipeline.compute.subreaper import descendants
from dubarr_pipeline_tests.fakes.graphics_cards import BIG, SMALL, show

MIB = 1 << 20


def test_what_this_process_holds_is_measured():
    before = read_memory()
    held = np.ones(100 * MIB // 8)
    during = read_memory()
    assert held.nbytes * 0.95 < during.rss_bytes - before.rss_bytes < held.nbytes * 1.2
    del held
    assert read_memory().rss_bytes - before.rss_bytes < 20 * MIB
    assert 0 < during.free_ram_bytes < 1 << 50


def test_what_a_stage_freed_goes_back_to_the_system():
    before = read_memory().rss_bytes

    def work() -> bytes:
        return [b"x" * 100_000 for _ in range(1000)][-1]

    last, _ = measured(work)
    assert len(last) == 100_000
    assert read_memory().rss_bytes - before < 20 * MIB


@pytest.mark.parametrize("listed", [True, False])
def test_what_children_hold_is_measured_with_their_own(
    monkeypatch: pytest.MonkeyPatch, listed: bool
):
    if not listed:
        monkeypatch.setattr(memory.Path, "is_file", lambda _: False)
    script = "import subprocess, sys; subprocess.run(['sleep', '600'])"
    child = subprocess.Popen([sys.executable, "-c", script], start_new_session=True)
    while not (below := descendants(child.pid)):
        pass
    try:
        found = dict(read_memory().children)
        assert {child.pid, *below} <= set(found)
        assert found[child.pid] > 2 * MIB
    finally:
        os.killpg(child.pid, 9)
        child.wait()
    assert rss_of(child.pid) == 0
    assert child.pid not in dict(read_memory().children)


def test_the_memory_of_every_gpu_is_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    show(monkeypatch, tmp_path / "driver", BIG, SMALL)
    first, second = read_memory().vram
    assert (first.used_bytes, first.free_bytes) == (100_000 * MIB, 43_771 * MIB)
    assert second.uuid.startswith("GPU-bbbb2222")


def test_a_containers_limit_bounds_what_is_free(tmp_path: Path):
    (tmp_path / "memory.max").write_text("1000000\n")
    (tmp_path / "memory.current").write_text("700000\n")
    (tmp_path / "memory.stat").write_text("anon 500000\ninactive_file 150000\n")
    assert memory._left_in_group(tmp_path) == 450_000
    (tmp_path / "memory.max").write_text("max\n")
    assert memory._left_in_group(tmp_path) == 1 << 62
    assert memory._left_in_group(tmp_path / "no group") == 1 << 62


def reading(rss: int = 0, child: int | None = None, vram: int = 0) -> MemoryReading:
    children = () if child is None else ((4711, child),)
    return MemoryReading(rss, children, 0, (Device("cuda:0", "GPU-a", "", vram, vram, 0),))


@pytest.mark.parametrize(
    ("after", "faults"),
    [
        (reading(), 0),
        (reading(rss=RSS_TOLERANCE_BYTES), 0),
        (reading(rss=RSS_TOLERANCE_BYTES + 1), 1),
        (reading(child=CHILD_TOLERANCE_BYTES), 0),
        (reading(child=CHILD_TOLERANCE_BYTES + 1), 1),
        (reading(vram=VRAM_TOLERANCE_BYTES), 0),
        (reading(vram=VRAM_TOLERANCE_BYTES + 1), 1),
        (reading(1 << 30, 1 << 30, 1 << 30), 3),
    ],
)
def test_what_is_kept_beyond_the_tolerance_is_a_fault(after: MemoryReading, faults: int):
    assert len(kept(reading(), after).faults) == faults


def test_what_was_there_before_is_not_held_against_a_stage():
    before = reading(1 << 30, 1 << 30, 1 << 30)
    assert kept(before, before) == MemoryKept(0, 0, 0)
    assert kept(before, reading()) == MemoryKept(0, 0, 0)


def test_a_fault_tells_how_much():
    assert kept(reading(), reading(vram=1 << 30)).faults == (
        "GPU memory in use has grown by 1074 MB (tolerated: 268)",
    )


_ARENAS = """
import ctypes, threading
from dubarr_pipeline.compute.memory import measured

def work():
    meeting = threading.Barrier(12)
    def hold():
        held = [bytearray(4096) for _ in range(8)]
        meeting.wait()
        return held
    threads = [threading.Thread(target=hold) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

measured(work)
libc = ctypes.CDLL(None)
libc.malloc_info(0, ctypes.c_void_p.in_dll(libc, "stdout"))
libc.fflush(None)
"""


def test_threads_of_a_stage_share_one_reserve_of_the_c_library():
    told = subprocess.run(
        [sys.executable, "-c", _ARENAS], capture_output=True, text=True, check=True
    )
    assert told.stdout.count("<heap nr=") == 1
