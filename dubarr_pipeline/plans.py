"""What a run would do, before it does it: which stages would be made anew, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import dagster as dg

from dubarr_pipeline import checkpoints
from dubarr_pipeline.assets.context import STAGE as CONTEXT
from dubarr_pipeline.assets.diarization import STAGE as DIARIZATION
from dubarr_pipeline.assets.mix import STAGE as MIX
from dubarr_pipeline.assets.mux import STAGE as MUX
from dubarr_pipeline.assets.refs import STAGE as REFS
from dubarr_pipeline.assets.report import STAGE as REPORT
from dubarr_pipeline.assets.segments import STAGE as SEGMENTS
from dubarr_pipeline.assets.stage import Bench, Stage, wanted_result
from dubarr_pipeline.assets.transcript import STAGE as TRANSCRIPT
from dubarr_pipeline.assets.vocals import STAGE as VOCALS
from dubarr_pipeline.engines.interfaces import ignore_progress
from dubarr_pipeline.errors import DubbingError
from dubarr_pipeline.library.videos import Video, check_source
from dubarr_pipeline.records import (
    Materialization,
    last_materialization,
    last_materializations,
)
from dubarr_pipeline.settings import Settings

STAGES: tuple[Stage, ...] = (
    VOCALS,
    DIARIZATION,
    TRANSCRIPT,
    CONTEXT,
    REFS,
    SEGMENTS,
    MIX,
    MUX,
    REPORT,
)
_Last = Callable[[str], Materialization | None]
"""Tells a stage's last result for a video."""


@dataclass(frozen=True, slots=True)
class Step:
    """What would become of one stage.

    Attributes:
        redo: whether it would be made (anew).
        reason: in words for people.
        seconds: how long it took the last time, where it was made before.
    """

    stage: str
    redo: bool
    reason: str
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class VideoPlan:
    """What a run would do to a video; `fault` says why it would fail at once, or is None."""

    video: Video
    steps: tuple[Step, ...]
    fault: str | None = None


def plan(instance: dg.DagsterInstance, video: Video, settings: Settings) -> VideoPlan:
    """Say what a run would do to a video as it and the settings stand. Changes nothing.

    A stage whose input would be made anew counts as one to redo: what its own result will depend
    on is known only then, and it may turn out the same.
    """
    return _plan(video, settings, lambda stage: last_materialization(instance, stage, video.key))


def plan_all(
    instance: dg.DagsterInstance, asked: Sequence[Video], settings: Settings
) -> Iterator[VideoPlan]:
    """Say the same of many videos, in few questions to the store."""
    keys = [video.key for video in asked]
    made = {stage.name: last_materializations(instance, stage.name, keys) for stage in STAGES}
    for video in asked:
        yield _plan(video, settings, lambda stage, key=video.key: made[stage].get(key))


def _plan(video: Video, settings: Settings, last: _Last) -> VideoPlan:
    own = settings.for_video(video.profile, video.overrides)
    bench = Bench(video, video.work(settings.work_dir), own, ignore_progress)
    try:
        check_source(video)
        return VideoPlan(video, tuple(_steps(last, bench)))
    except DubbingError as error:
        return VideoPlan(video, (), str(error))


def _steps(last_of: _Last, bench: Bench) -> Iterator[Step]:
    standing: dict[str, Materialization] = {}
    for stage in STAGES:
        last = last_of(stage.name)
        changed = [name for name in stage.inputs if name not in standing]
        if last is None:
            yield Step(stage.name, True, "not made yet")
        elif changed:
            yield Step(stage.name, True, f"{changed[0]} is made anew", last.number("seconds"))
        else:
            decision = _decide(stage, bench, {n: standing[n] for n in stage.inputs}, last)
            yield Step(stage.name, not decision.keep, decision.reason, last.number("seconds"))
            if decision.keep:
                standing[stage.name] = last


def _decide(
    stage: Stage, bench: Bench, inputs: Mapping[str, Materialization], last: Materialization
) -> checkpoints.Decision:
    """The very decision that the stage itself would come to."""
    bench = replace(bench, inputs={name: made.record for name, made in inputs.items()})
    productions = {name: made.record.production for name, made in inputs.items()}
    wanted = wanted_result(stage, bench, inputs)
    return checkpoints.decide(bench.work, stage.name, wanted, productions, last.record)
