"""Stage 9: the report on quality and time; then the temporary files are removed."""

import logging
import shutil
from collections.abc import Mapping
from typing import Any

import dagster as dg

from dubarr_pipeline.config.options import GateOptions
from dubarr_pipeline.defs.runtime.records import memory_of, report_address
from dubarr_pipeline.defs.runtime.stage_run import Outcome, StageContext
from dubarr_pipeline.library.gate import options_for
from dubarr_pipeline.segments.results import no_dub

_log = logging.getLogger(__name__)


def facts(context: StageContext) -> Mapping[str, Any]:
    """Return the facts on which the result depends, beside its inputs."""
    bounds = options_for(context.video, context.settings)
    judged = {"gate": bounds} if bounds != GateOptions() else {}
    return {"source": str(context.video.source), "profile": context.settings.profile, **judged}


def make(context: StageContext) -> Outcome:
    """Report durations, quality and every failure by name, clean up; the video is DONE."""
    from dubarr_pipeline.reports.report import StageTime, make_report, write_report

    work = context.work
    stages = [
        StageTime(name, result.number("seconds"), result.reused, memory_of(result.metadata))
        for name, result in context.inputs.items()
    ]
    bounds = options_for(context.video, context.settings)
    report = make_report(context.video, work, stages, bounds)
    write_report(report, work, context.settings.review.link(context.video.key))
    floor = context.settings.segments.least_placed
    if failed := report.evidence.production.failed_languages(floor):
        # The others are finished, and the report shows why; but the film is not what was asked for.
        raise no_dub(failed, floor)
    if not context.settings.debug_mode:
        shutil.rmtree(work.temporary, ignore_errors=True)
    for line in report.summary:
        _log.info("%s: %s", context.video.key, line)
    return Outcome(
        files=[work.report, work.report_page, work.gate],
        metadata={
            "status": "DONE",
            "languages": ",".join(context.video.target_langs),
            "open": dg.MetadataValue.url(report_address(context.video.key)),
            "page": dg.MetadataValue.path(work.report_page),
            "summary": dg.MetadataValue.md("\n".join(f"- {line}" for line in report.summary)),
        },
    )
