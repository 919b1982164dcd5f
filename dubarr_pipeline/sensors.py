"""What starts runs by itself: folders of videos that are watched. Off until switched on."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace

import dagster as dg

from dubarr_pipeline.errors import DubbingError, MissingRequirement, WorkspaceError
from dubarr_pipeline.jobs import dub
from dubarr_pipeline.library import crew
from dubarr_pipeline.library.intake import take_in
from dubarr_pipeline.library.libraries import Library
from dubarr_pipeline.library.videos import Video
from dubarr_pipeline.library.watch import Look, Memory, look
from dubarr_pipeline.partitions import videos
from dubarr_pipeline.resources import Workshop
from dubarr_pipeline.settings import Settings

_INTERVAL_S = 30
_TAKING_IN_S = 20.0
"""Taking in reads a film to its end for its digest, and Dagster ends a tick after 60 s."""


@dataclass(frozen=True, slots=True)
class _Taken:
    """What became of a video that lay ready: it, or why it was refused."""

    signature: str
    video: Video | None = None


@dg.sensor(
    job=dub,
    minimum_interval_seconds=_INTERVAL_S,
    default_status=dg.DefaultSensorStatus.STOPPED,
)
def media_folder(context: dg.SensorEvaluationContext, workshop: Workshop) -> dg.SensorResult:
    """Dub what appears in the folders of `[libraries.NAME]`, once it has lain still for two looks.

    A video that cannot be dubbed is named in the log of the tick, and tried again when it or the
    subtitles beside it have changed.
    """
    settings, known = workshop.settings(), json.loads(context.cursor or "{}")
    end = time.monotonic() + _TAKING_IN_S
    cursor: dict[str, tuple[str, str]] = {}
    requests: list[dg.RunRequest] = []
    for name in settings.libraries:
        library = _library(settings, name)
        seen = look(library, Memory.parse(*known.get(name, ("", ""))), settings.work_dir)
        for fault in (seen.gone,) if seen.gone else seen.gaps:
            context.log.warning("library %s (%s): %s", name, library.path, fault)
        wished = replace(settings, profile=library.profile)
        taken = list(_take_in(context, seen, (name, library), wished, end))
        requests += [_request(each.video) for each in taken if each.video]
        cursor[name] = seen.after(each.signature for each in taken).text()
    keys = sorted({str(request.partition_key) for request in requests})
    return dg.SensorResult(
        run_requests=requests,
        dynamic_partitions_requests=[videos.build_add_request(keys)] if keys else [],
        cursor=json.dumps(cursor),
    )


def _library(settings: Settings, name: str) -> Library:
    """A library with the profile that counts for it."""
    library: Library = settings.library(name)
    return replace(library, profile=library.profile or settings.profile)


def _take_in(
    context: dg.SensorEvaluationContext,
    seen: Look,
    library: tuple[str, Library],
    settings: Settings,
    end: float,
) -> Iterator[_Taken]:
    """Register the videos that lie ready, at least one; what the time does not suffice for waits.

    Raises:
        MissingRequirement, WorkspaceError: what is no fault of a video stops the tick.
    """
    name, wishes = library
    if seen.ready:
        crew.check_needs(settings)
    for count, (signature, path) in enumerate(seen.ready):
        if count and time.monotonic() > end:
            context.log.info("library %s: %d more at the next look", name, len(seen.ready) - count)
            return
        try:
            video = take_in(path, wishes.target_langs, settings, library=name)
        except (MissingRequirement, WorkspaceError):
            raise
        except DubbingError as error:
            context.log.warning("library %s: not dubbed: %s", name, error)
            yield _Taken(signature)
        else:
            yield _Taken(signature, video)


def _request(video: Video) -> dg.RunRequest:
    """One run per content and wish, however often and under whatever names it is found."""
    wish = f"{video.key}/{','.join(video.target_langs)}/{video.profile}"
    return dg.RunRequest(
        run_key=wish,
        partition_key=video.key,
        tags={"dubarr/launcher": "media_folder", "dubarr/library": video.library or ""},
    )
