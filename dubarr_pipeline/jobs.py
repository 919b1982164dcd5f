"""What can be launched: the whole way of a video, or parts of it."""

import dagster as dg

from dubarr_pipeline.errors import DubbingError
from dubarr_pipeline.library.arrivals import publish_video
from dubarr_pipeline.library.failures import TRANSIENT
from dubarr_pipeline.library.rescans import rescan
from dubarr_pipeline.library.videos import load_video
from dubarr_pipeline.records import stage_key
from dubarr_pipeline.resources import Workshop

STAGES: tuple[str, ...] = (
    "vocals",
    "diarization",
    "transcript",
    "context",
    "refs",
    "segments",
    "mix",
    "mux",
    "report",
)
"""The stages, in the order in which a video passes them."""

dub = dg.define_asset_job(
    "dub",
    selection=dg.AssetSelection.assets(*(stage_key(stage) for stage in STAGES)),
    description="Dub a video: every stage, keeping what stands.",
)


class PublishConfig(dg.Config):
    """Which video is published."""

    key: str


@dg.op(
    retry_policy=dg.RetryPolicy(max_retries=3, delay=60, backoff=dg.Backoff.EXPONENTIAL),
)
def put_in_place(context: dg.OpExecutionContext, config: PublishConfig, workshop: Workshop) -> None:
    """Put the finished film where its library wants it, and tell the servers that are to know."""
    settings = workshop.settings()
    try:
        found = publish_video(load_video(config.key, settings.work_dir), settings)
        for name in settings.rescans:
            for placed in found.files:
                rescan(settings.rescan(name), placed.path)
    except DubbingError as error:
        name = type(error).__name__
        raise dg.Failure(
            description=str(error), metadata={"error": name}, allow_retries=name in TRANSIENT
        ) from error
    context.log.info("published: %s", ", ".join(str(placed.path) for placed in found.files))


@dg.job(executor_def=dg.in_process_executor)
def publish() -> None:
    """Put a finished film where its library wants it: the last step, apart from dubbing."""
    put_in_place()
