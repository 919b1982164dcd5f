"""A run without Dagster's store: every stage once, nothing recorded, nothing reused but lines."""

import logging
import time
import uuid
from collections.abc import Iterator

import dagster as dg

from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.runtime.stage_run import StageContext, Watcher
from dubarr_pipeline.defs.stages import STAGES
from dubarr_pipeline.defs.tables.results import Materialization
from dubarr_pipeline.files import named_disk_errors
from dubarr_pipeline.library.disk_space import check_stage
from dubarr_pipeline.library.videos import Video
from dubarr_pipeline.progress import Progress
from dubarr_pipeline.workdir.checkpoints import Record

_log = logging.getLogger(__name__)


def run_unrecorded(
    video: Video, settings: Settings, on_progress: Watcher
) -> Iterator[tuple[str, float]]:
    """Pass a video through every stage; yield each stage's name and seconds as it ends.

    The caller holds the lock on the work folder, and may change corrections between the stages.

    Raises:
        DubbingError: by the stage that fails.
    """
    work = video.work(settings.work_dir)
    own = settings.for_video(video.profile, video.overrides)
    made: dict[str, Materialization] = {}
    for stage in STAGES:

        def report(progress: Progress, name: str = stage.name) -> None:
            on_progress(name, progress)

        inputs = {name: made[name] for name in stage.inputs}
        context = StageContext(stage, video, work, own, report, inputs)
        started = time.monotonic()
        check_stage(stage.name, video, own)
        with named_disk_errors(work.root):
            stage.module.make(context)
        seconds = time.monotonic() - started
        report(Progress(1, 1, "done"))
        figures = {"seconds": dg.MetadataValue.float(round(seconds, 3))}
        made[stage.name] = Materialization(
            Record("", uuid.uuid4().hex, ""), figures, time.time(), ""
        )
        _log.info("%s of %s: %.1f s", stage.name, video.key, seconds)
        yield stage.name, seconds
