"""What a finished video's report says: durations, quality, and every failure by name."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dubarr_pipeline.library.videos import Video
from dubarr_pipeline.workdir import WorkDir, write_json, write_text


@dataclass(frozen=True, slots=True)
class StageTime:
    """How long a stage took to make, and whether its result was kept this time."""

    stage: str
    seconds: float | None
    reused: bool


@dataclass(frozen=True, slots=True)
class Report:
    """The report; `summary` is a few short lines for a terminal."""

    stages: tuple[StageTime, ...]
    summary: tuple[str, ...]


def make_report(video: Video, work: WorkDir, stages: Sequence[StageTime]) -> Report:
    """Gather the report of a video from its artifacts."""
    total = sum(stage.seconds or 0 for stage in stages)
    return Report(tuple(stages), (f"{', '.join(video.target_langs)}: made in {total:.0f} s",))


def write_report(report: Report, work: WorkDir) -> None:
    """Write ``report.json`` and ``report.html``."""
    write_json(work.report, {"summary": report.summary})
    write_text(work.report_page, "<!doctype html><title>report</title>")
