"""From chosen takes to final sounds: placed over the whole film, at their tempo, to the sample."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from dubarr_pipeline.engines.interfaces import Samples
from dubarr_pipeline.media.stretch import stretch
from dubarr_pipeline.media.waveform import write_wave
from dubarr_pipeline.production.journal import digest
from dubarr_pipeline.production.memory import Memory
from dubarr_pipeline.production.results import FAILED, PLACED, LineResult, ProducedLine, Take
from dubarr_pipeline.production.tasks import CODE_VERSION, LineTask
from dubarr_pipeline.timeline.placement import Placed, PlacementOptions, TakeToPlace, place
from dubarr_pipeline.workdir import WorkDir

_THREADS = 2


@dataclass(frozen=True, slots=True)
class Stage:
    """Where final sounds go, and on which clock."""

    work: WorkDir
    memory: Memory
    rate: int
    options: PlacementOptions


def place_language(
    tasks: Sequence[LineTask], results: Mapping[int, LineResult], stage: Stage
) -> tuple[ProducedLine, ...]:
    """Place all lines of one language and write their final sounds; lines in the order of tasks.

    The result depends on the chosen takes alone.

    Args:
        tasks: all lines of the language.
        results: what was made of them, by position.
        stage: where the sounds go.
    """
    takes = [
        TakeToPlace(task.window, clock_length(take, stage.rate))
        for task in tasks
        if (take := results[task.position].take) is not None
    ]
    placement = place(takes, stage.rate, stage.options)
    placed = {found.index: found for found in placement.placed}
    failed = {found.index: found.failure for found in placement.failed}

    def produce(task: LineTask) -> ProducedLine:
        result = results[task.position]
        if task.index in placed:
            return _render(task, result, placed[task.index], stage)
        name = result.failure or failed[task.index]
        stage.work.take(task.language, task.index).unlink(missing_ok=True)
        return replace(_line(task, result), outcome=f"{FAILED}{name}")

    with ThreadPoolExecutor(_THREADS, "dubarr-render") as workers:
        return tuple(workers.map(produce, tasks))


def clock_length(take: Take, rate: int) -> int:
    """Samples of the clock that a take fills at its own tempo."""
    return max(1, round(take.duration_s * rate))


def _line(task: LineTask, result: LineResult) -> ProducedLine:
    take = result.take or (result.takes[-1] if result.takes else None)
    return ProducedLine(
        language=task.language,
        index=task.index,
        speaker=task.segment.speaker,
        source=task.segment.span,
        window=task.window.reach,
        outcome=FAILED,
        text=take.text if take else "",
        budget_s=task.budget_s,
        predicted_s=take.predicted_s if take else 0.0,
        takes=result.takes,
        chosen=result.chosen,
        message=result.message,
        timings=result.timings,
    )


def _render(task: LineTask, result: LineResult, found: Placed, stage: Stage) -> ProducedLine:
    """Write the final sound of a line, unless it is there already."""
    path = stage.work.take(task.language, task.index)
    take = result.take
    assert take is not None

    def render(temporary: Path) -> None:
        samples, rate = stage.memory.sound(take)
        write_wave(temporary, at_clock(samples, rate, found, stage.rate), stage.rate)

    key = digest(CODE_VERSION, take.sound, found.natural, found.length, stage.rate)
    stage.memory.final(task, key, path, render)
    return replace(
        _line(task, result),
        outcome=PLACED,
        path=path,
        start=found.start,
        length=found.length,
        tempo=found.tempo,
    )


def at_clock(samples: Samples, rate: int, found: Placed, clock_rate: int) -> Samples:
    """A take at the clock's rate and at the tempo of its placement: exactly `found.length` samples.

    Args:
        samples: mono ``(samples,)`` at `rate` Hz.
        rate: the take's own rate.
        found: where it was placed.
        clock_rate: samples per second of the clock.
    """
    resampled = _resampled(samples, rate, clock_rate)
    natural = np.zeros(found.natural, dtype=np.float32)
    kept = min(found.natural, resampled.size)
    natural[:kept] = resampled[:kept]
    return natural if found.length == found.natural else stretch(natural, clock_rate, found.length)


def _resampled(samples: Samples, rate: int, wanted: int) -> Samples:
    if rate == wanted or not samples.size:
        return samples
    # Not at the top: it brings scipy.stats, 0.6 s that every process would pay.
    from scipy.signal import resample_poly

    divisor = math.gcd(rate, wanted)
    return resample_poly(samples, wanted // divisor, rate // divisor).astype(np.float32)
