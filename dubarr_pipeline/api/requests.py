"""Requests that are queued instead of worked on here, and the state of videos for other programs.

The same request comes by the job `dub_file` of the UI and by REST; one function takes all.
"""

import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from dubarr_pipeline.api.profiles import read_settings
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.runtime.person_runs import queue_request
from dubarr_pipeline.defs.runtime.runs import open_instance
from dubarr_pipeline.defs.runtime.status import task_table
from dubarr_pipeline.defs.tables.rows import Task
from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.files import check_writable
from dubarr_pipeline.library.dub_requests import read_request
from dubarr_pipeline.library.publishing.records import read_publication
from dubarr_pipeline.library.videos import load_video, registered
from dubarr_pipeline.library.webhooks.rest import (
    StageState,
    VideoLookup,
    VideoPage,
    VideoState,
)


def request(
    path: str | os.PathLike[str],
    to: Sequence[str],
    *,
    spoken_language: str = "",
    library: str = "",
    profile: str = "",
    priority: int = 0,
    force: bool = False,
    work_dir: str | os.PathLike[str] | None = None,
    config: str | os.PathLike[str] | None = None,
) -> VideoState:
    """Queue a video for dubbing, and return its state; the same request again changes nothing.

    Dagster's daemon starts the run, under `dubarr serve library` or ``dagster dev``.

    Args:
        path: the video file, or its path as a library's path_mappings know it.
        to: target languages, BCP-47.
        spoken_language: BCP-47 of what is spoken; default: what the file names.
        library: the library that it belongs to; default: the deepest that holds it, if any.
        profile: the engine profile; default: the library's, else that of the settings.
        priority: -100 to 100; runs of a higher one start first.
        force: rerun every stage.
        work_dir: as for `dub`.
        config: as for `dub`.

    Raises:
        DubbingError: if it cannot be dubbed; see `dubarr_pipeline.errors` for the tree.
    """
    settings = read_settings(work_dir, config)
    fields = {"spoken_language": spoken_language, "library": library, "profile": profile}
    asked = read_request(
        {
            "path": os.path.abspath(path) if os.path.exists(path) else os.fspath(path),  # noqa: PTH100, PTH110
            "target_langs": [*to],
            "priority": priority,
            "force": force,
            **fields,
        }
    )
    check_writable(settings.work_dir)
    with open_instance(settings.work_dir) as instance:
        video, _ = queue_request(instance, asked, settings)
    return find_video(video.key, settings)


def find_video(key: str, settings: Settings) -> VideoState:
    """Return the state of a video by its key. Raises `ArtifactError` if there is none."""
    load_video(key, settings.work_dir)
    with open_instance(settings.work_dir) as instance:
        (task,) = task_table(instance, settings.work_dir, [key], settings)
    return _state(task, settings)


def page_of_videos(start: int, count: int, settings: Settings) -> VideoPage:
    """Return so many videos by key, from a number on."""
    keys = list(registered(settings.work_dir))
    some = keys[start : start + count]
    if not some:
        return VideoPage(len(keys), ())
    with open_instance(settings.work_dir) as instance:
        tasks = task_table(instance, settings.work_dir, some, settings)
    return VideoPage(len(keys), tuple(_state(task, settings) for task in tasks))


LOOKUP = VideoLookup(find_video, page_of_videos)
"""For the REST interface, which knows nothing of Dagster."""


def _state(task: Task, settings: Settings) -> VideoState:
    video, publication = task.video, None
    # A damaged record is named by the task.
    with suppress(ArtifactError):
        publication = read_publication(video.work(settings.work_dir))
    return VideoState(
        key=video.key,
        title=Path(video.source).stem,
        path=str(video.source),
        state=task.status,
        languages=video.target_langs,
        cause=task.cause,
        library=video.library,
        profile=video.profile,
        stages=tuple(
            StageState(s.stage, s.recorded_at is not None, s.reused, s.seconds, s.recorded_at)
            for s in task.steps
        ),
        published=publication.places if publication and not publication.is_taken_back else (),
    )
