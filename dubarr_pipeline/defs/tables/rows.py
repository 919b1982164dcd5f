"""Rows of the table of videos, by their results and files; read without Dagster.

What a run has to do with a row is told by `defs.runtime.status`.
"""

import contextlib
import os
from collections.abc import Mapping, Set
from dataclasses import dataclass, replace
from typing import Literal

from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.stages import PUBLISHED, STAGE_NAMES
from dubarr_pipeline.defs.tables.results import Materialization
from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.library.publishing.publish import held_at_gate, publishing_fault
from dubarr_pipeline.library.videos import Video
from dubarr_pipeline.workdir.layout import WorkDir

Status = Literal["QUEUED", "PROCESSING", "DONE", "DONE, not published", "HELD", "ERROR"]


@dataclass(frozen=True, slots=True)
class StageStatus:
    """Last record of one stage of one video: its time, duration and results."""

    stage: str
    recorded_at: float | None = None
    seconds: float | None = None
    reused: bool = False
    results: Mapping[str, str | float | int] | None = None


@dataclass(frozen=True, slots=True)
class Task:
    """Row of the table."""

    video: Video
    status: Status
    steps: tuple[StageStatus, ...]
    cause: str | None = None
    failed_stage: str | None = None


def row_by_results(video: Video, made: Mapping[str, Materialization | None], work: WorkDir) -> Task:
    """Return a video's row by the last result of each stage alone: DONE, or QUEUED."""
    there = _manifests(work)
    steps = tuple(_step(stage, made[stage], there) for stage in STAGE_NAMES)
    return Task(video, "DONE" if _is_done(made, video, steps) else "QUEUED", steps)


def with_publication(row: Task, settings: Settings) -> Task:
    """Return the row of a dubbed video with the reason why it is not published, if it should be."""
    if row.status != "DONE":
        return row
    status, why = published_status(row.video, settings)
    stage = PUBLISHED if status == "DONE, not published" else None
    return replace(row, status=status, cause=why, failed_stage=stage)


def published_status(video: Video, settings: Settings) -> tuple[Status, str | None]:
    """Return the status of a dubbed video, and why it is not published, if it should be."""
    why = publishing_fault(video, settings)
    # Of thousands that lie in their places nothing more is read.
    if why is None and not video.work(settings.work_dir).decisions.exists():
        return "DONE", None
    try:
        gate = held_at_gate(video, settings)
    except ArtifactError as error:
        return "DONE, not published", str(error)
    if gate:
        return "HELD", "; ".join(gate.reasons)
    return ("DONE, not published" if why else "DONE"), why


def _manifests(work: WorkDir) -> Set[str]:
    """Return the names of the files among a video's checkpoints, by one look at their folder."""
    with contextlib.suppress(OSError), os.scandir(work.checkpoints) as found:
        return {each.name for each in found if each.is_file()}
    return frozenset()


def _step(stage: str, made: Materialization | None, there: Set[str]) -> StageStatus:
    if made is None or f"{stage}.json" not in there:
        return StageStatus(stage)
    return StageStatus(stage, made.timestamp, made.number("seconds"), made.reused, made.figures())


def _is_done(
    made: Mapping[str, Materialization | None], video: Video, steps: tuple[StageStatus, ...]
) -> bool:
    segments, mux, report = made["segments"], made["mux"], made["report"]
    if any(step.recorded_at is None for step in steps) or not (segments and mux and report):
        return False
    spoken = segments.value("languages")
    is_newest = report.record.inputs.get("mux") == mux.record.production
    return is_newest and spoken == ",".join(video.target_langs)
