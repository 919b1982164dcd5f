"""Stage 9: what was made, how well, how fast; then the temporary files go."""

import logging
import shutil
from collections.abc import Mapping
from typing import Any

import dagster as dg

from dubarr_pipeline.assets.stage import Bench, Outcome, Stage, StageConfig, run_stage, stage_asset
from dubarr_pipeline.reports.report import StageTime, make_report, write_report
from dubarr_pipeline.resources import Workshop

_log = logging.getLogger(__name__)
INPUTS = ("vocals", "diarization", "transcript", "context", "refs", "segments", "mix", "mux")


def _facts(bench: Bench) -> Mapping[str, Any]:
    return {"source": str(bench.video.source), "profile": bench.settings.profile}


def _produce(bench: Bench) -> Outcome:
    work = bench.work
    stages = [
        StageTime(
            name,
            bench.seconds.get(name),
            bench.reused.get(name, False),
            bench.memory.get(name),
        )
        for name in INPUTS
    ]
    report = make_report(bench.video, work, stages)
    write_report(report, work)
    if not bench.settings.debug_mode:
        shutil.rmtree(work.temporary, ignore_errors=True)
    for line in report.summary:
        _log.info("%s: %s", bench.video.key, line)
    return Outcome(
        files=[work.report, work.report_page],
        metadata={
            "status": "DONE",
            "languages": ",".join(bench.video.target_langs),
            "page": dg.MetadataValue.path(work.report_page),
            "summary": dg.MetadataValue.md("\n".join(f"- {line}" for line in report.summary)),
        },
    )


STAGE = Stage("report", INPUTS, "1", _facts, _produce)


@stage_asset(STAGE, kinds={"html"})
def report(
    context: dg.AssetExecutionContext, config: StageConfig, workshop: Workshop
) -> dg.MaterializeResult:
    """Report durations, quality and every failure by name, clean up; the video is DONE."""
    return run_stage(STAGE, context, config, workshop)
