from __future__ import annotations

import errno
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.compute.oom_fallback import (
    EngineConfiguration,
    OomFallback,
    StepDown,
    fallback_steps,
    is_out_of_memory,
    recording_steps,
)
from dubarr_pipeline.errors import EngineError, OutOfMemory

FIRST = EngineConfiguration("cuda:0", 8, "float32", 7.8)


class OutOfMemoryError(RuntimeError):
    """Named as ``torch.OutOfMemoryError`` is."""


def caused_by(cause: Exception) -> EngineError:
    error = EngineError("the model failed")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OutOfMemory("its process was killed"),
        OutOfMemoryError("Tried to allocate 20.00 MiB"),
        RuntimeError("CUDA failed with error out of memory"),  # CTranslate2
        RuntimeError("CUDA error: out of memory"),
        RuntimeError("MPS backend out of memory (MPS allocated: 5.2 GB)"),
        RuntimeError(
            "[enforce fail at alloc_cpu.cpp:117] DefaultCPUAllocator: can't allocate memory"
        ),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("std::bad_alloc"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        caused_by(MemoryError()),
    ],
)
def test_a_lack_of_memory_is_recognised(error: Exception):
    assert is_out_of_memory(error)


@pytest.mark.parametrize(
    "error",
    [
        None,
        RuntimeError("CUDA error: device-side assert triggered"),
        ValueError("'out of memory' is no name of a device"),
        OSError(errno.ENOSPC, "No space left on device"),
        EngineError("the model is damaged"),
    ],
)
def test_other_errors_are_not_taken_for_it(error: Exception | None):
    assert not is_out_of_memory(error)


def test_the_configurations_lead_down_in_order():
    configurations = fallback_steps(
        FIRST,
        precisions=("float32", "float16", "int8"),
        windows_s=(7.8, 3.9, 1.9),
        allow_cpu=True,
    )
    assert [str(configuration) for configuration in configurations] == [
        "cuda:0, batch 8, float32, windows of 7.8 s",
        "cuda:0, batch 4, float32, windows of 7.8 s",
        "cuda:0, batch 2, float32, windows of 7.8 s",
        "cuda:0, batch 1, float32, windows of 7.8 s",
        "cuda:0, batch 1, float16, windows of 7.8 s",
        "cuda:0, batch 1, int8, windows of 7.8 s",
        "cuda:0, batch 1, int8, windows of 3.9 s",
        "cuda:0, batch 1, int8, windows of 1.9 s",
        "cpu, batch 1, float32, windows of 7.8 s",
    ]


def test_the_cpu_is_no_fallback_unless_allowed_and_not_twice():
    assert [r.device for r in fallback_steps(FIRST)] == ["cuda:0"] * 4
    assert fallback_steps(EngineConfiguration("cpu"), allow_cpu=True) == (
        EngineConfiguration("cpu"),
    )


def test_precisions_begin_below_the_first():
    configurations = fallback_steps(
        EngineConfiguration("cpu", 1, "float16"), precisions=("float32", "float16", "int8")
    )
    assert [r.precision for r in configurations] == ["float16", "int8"]


@given(st.integers(1, 500), st.booleans(), st.lists(st.floats(0.1, 30), max_size=4))
def test_no_configuration_takes_on_more_than_the_one_above(
    batch: int, cpu: bool, windows: list[float]
):
    first = EngineConfiguration("cuda:0", batch, "float32", 7.8)
    configurations = fallback_steps(first, windows_s=sorted(windows, reverse=True), allow_cpu=cpu)
    assert configurations[0] == first
    assert all(a.batch >= b.batch >= 1 for a, b in pairwise(configurations))
    on_gpu = [r for r in configurations if r.device != "cpu"]
    assert on_gpu[-1].batch == 1
    assert all(a.window_s >= b.window_s for a, b in pairwise(on_gpu))


def hungry(fits: int):
    """Work that needs a batch of no more than `fits`."""

    def work(configuration: EngineConfiguration) -> int:
        if configuration.batch > fits:
            raise OutOfMemoryError(f"CUDA out of memory with {configuration.batch}")
        return configuration.batch

    return work


@pytest.mark.parametrize(("fits", "steps"), [(9, 0), (8, 0), (7, 1), (4, 1), (3, 2), (1, 3)])
def test_it_steps_down_until_the_work_fits(fits: int, steps: int):
    fallback = OomFallback("demucs", fallback_steps(FIRST))
    assert fallback.run(hungry(fits)) == 8 >> steps
    assert len(fallback.steps) == steps


def test_it_stays_down_for_the_work_that_follows():
    fallback = OomFallback("demucs", fallback_steps(FIRST))
    fallback.run(hungry(2))
    assert fallback.run(hungry(8)) == 2
    assert fallback.configuration.batch == 2


def test_every_step_is_logged_and_recorded(caplog: pytest.LogCaptureFixture):
    with recording_steps() as steps:
        OomFallback("demucs", fallback_steps(FIRST)).run(hungry(4))
    assert steps == [
        StepDown(
            "demucs",
            "cuda:0, batch 8, float32, windows of 7.8 s",
            "cuda:0, batch 4, float32, windows of 7.8 s",
            "CUDA out of memory with 8",
        )
    ]
    assert "demucs ran out of memory with cuda:0, batch 8" in caplog.text


def test_without_a_lower_configuration_the_error_says_what_may_help():
    fallback = OomFallback("demucs", fallback_steps(FIRST))
    with pytest.raises(OutOfMemory, match=r"even with cuda:0, batch 1(.|\n)*smaller model"):
        fallback.run(hungry(0))
    assert len(fallback.steps) == 3


def test_another_error_ends_the_work_at_once():
    fallback = OomFallback("demucs", fallback_steps(FIRST))
    with pytest.raises(ZeroDivisionError):
        fallback.run(lambda configuration: configuration.batch // 0)
    assert not fallback.steps
