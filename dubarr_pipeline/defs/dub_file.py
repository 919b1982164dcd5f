"""The job `dub_file`: a file that is no partition yet is registered, and its run queued.

For the UI's launchpad: its config says which file, and into which languages.
"""

import dagster as dg

from dubarr_pipeline.defs.library_names import DUB_FILE, LibraryNames
from dubarr_pipeline.defs.resources import resource_of
from dubarr_pipeline.defs.runtime.person_runs import daemon_is_away, queue_request
from dubarr_pipeline.defs.runtime.records import film_tags
from dubarr_pipeline.defs.runtime.status import as_failure
from dubarr_pipeline.errors import DubbingError
from dubarr_pipeline.library.dub_requests import read_request


class DubRequestConfig(dg.Config):
    """A request: this file, into these languages; fields as in `library.dub_requests`."""

    path: str
    """Absolute path of the video, ours or as a library's path_mappings know it."""
    target_langs: list[str]
    """Target languages, BCP-47."""
    spoken_language: str = ""
    """BCP-47 of what is spoken; empty: what the file names."""
    library: str = ""
    """Library that it belongs to; empty: the deepest that holds it, if any."""
    profile: str = ""
    """Engine profile; empty: the library's, else that of the settings."""
    priority: int = 0
    """-100 to 100; runs of a higher one start first."""
    force: bool = False
    """Rerun every stage."""


def dub_file_job(names: LibraryNames) -> dg.JobDefinition:
    """Return the job that queues the run of any file."""

    @dg.op(
        name=names.prefixed("request"),
        out=dg.Out(str, description="The video's partition."),
        required_resource_keys={names.resource},
    )
    def request(context: dg.OpExecutionContext, config: DubRequestConfig) -> dg.Output[str]:
        """Register the file, and queue the run of its partition, unless one is on its way."""
        instance = context.instance
        try:
            settings = resource_of(context, names).settings()
            asked = read_request(config.model_dump())
            video, backfill = queue_request(instance, asked, settings, names)
        except DubbingError as error:
            raise as_failure(error) from error
        instance.add_run_tags(context.run_id, film_tags(video))
        if away := daemon_is_away(instance):
            context.log.warning(away)
        queued = backfill or "a run for it is on its way already"
        figures = {"languages": ", ".join(video.target_langs), "queued": queued}
        return dg.Output(video.key, metadata={"video": video.key, **figures})

    @dg.job(
        name=names.prefixed(DUB_FILE),
        description="Dub a file that is no partition yet: name it in the launchpad's config.",
    )
    def dub_file() -> None:
        """Register a file, and queue its run."""
        request()

    return dub_file
