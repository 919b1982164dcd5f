"""What starts runs by itself: folders of videos that are watched. Off until switched on."""

import datetime
import hashlib
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from dubarr_pipeline.errors import ArtifactError, DiskFull, SourceError
from dubarr_pipeline.jobs import dub, publish
from dubarr_pipeline.library import crew
from dubarr_pipeline.library.arrivals import arrive
from dubarr_pipeline.library.digests import Digests
from dubarr_pipeline.library.disk_budget import check_video
from dubarr_pipeline.library.inbox import Inbox, Message
from dubarr_pipeline.library.libraries import Library
from dubarr_pipeline.library.quiet_hours import is_quiet
from dubarr_pipeline.library.videos import Video, load_video
from dubarr_pipeline.library.watch import Look, Memory, left_out, look
from dubarr_pipeline.partitions import videos
from dubarr_pipeline.plans import plan
from dubarr_pipeline.queueing import request_tags
from dubarr_pipeline.records import stage_key
from dubarr_pipeline.resources import Workshop
from dubarr_pipeline.settings import Settings
from dubarr_pipeline.workers import LIVE, is_dead

_INTERVAL_S = 30
_TAKING_IN_S = 20.0
"""Dagster ends a tick after 60 s. What takes longer to read is read beside it (`Digests`)."""
_APPEARS_S = 600.0
"""So long may a file that was told of take to appear: network folders are slow to show it."""
_ON_ITS_WAY = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.QUEUED, *LIVE]
_digests = Digests()


@dataclass(frozen=True, slots=True)
class _Taken:
    """What became of a video that lay ready: it, or why it was refused."""

    signature: str
    video: Video | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    """A video that somebody wants dubbed, and what told of it: a file as it lies, or a message."""

    video: Video
    told_by: str


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
    found: list[_Found] = []
    for name in settings.libraries:
        library = settings.library(name)
        seen = look(library, Memory.parse(*known.get(name, ("", ""))), settings.work_dir)
        for fault in (seen.gone,) if seen.gone else seen.gaps:
            context.log.warning("library %s (%s): %s", name, library.path, fault)
        taken = list(_take_in(context, seen, name, settings, end))
        found += [_Found(each.video, each.signature) for each in taken if each.video]
        cursor[name] = seen.after(each.signature for each in taken).text()
    return _ask_for(found, settings, context.instance, json.dumps(cursor))


def _take_in(
    context: dg.SensorEvaluationContext, seen: Look, name: str, settings: Settings, end: float
) -> Iterator[_Taken]:
    """Register the videos that lie ready; what the time does not suffice for waits.

    Raises:
        MissingRequirement, WorkspaceError: what is no fault of a video stops the tick.
    """
    library: Library = settings.library(name)
    if not seen.ready:
        return
    if is_quiet(library.quiet_hours, datetime.datetime.now().time()):
        context.log.info("library %s: %d wait for the quiet hours' end", name, len(seen.ready))
        return
    crew.check_needs(settings.for_video(library.profile or settings.profile, library.overrides))
    promised = 0
    for count, (signature, path) in enumerate(seen.ready):
        try:
            promised += check_video(path, len(library.target_langs), settings, None, promised)
            identity = _digests.ask(path, end - time.monotonic())
        except SourceError as error:
            context.log.warning("library %s: not dubbed: %s", name, error)
            yield _Taken(signature)
            continue
        except DiskFull as error:
            left = len(seen.ready) - count
            context.log.warning("library %s: %d wait for room on the disk: %s", name, left, error)
            return
        if identity is None:
            left = len(seen.ready) - count
            context.log.info("library %s: reading %r; %d more after it", name, str(path), left - 1)
            return
        came = arrive(path, name, library, settings, identity)
        if isinstance(came, Video):
            yield _Taken(signature, came)
        else:
            context.log.warning("library %s: %r is not dubbed: %s", name, str(path), came)
            yield _Taken(signature)


@dg.sensor(job=dub, minimum_interval_seconds=10, default_status=dg.DefaultSensorStatus.STOPPED)
def webhook_inbox(context: dg.SensorEvaluationContext, workshop: Workshop) -> dg.SensorResult:
    """Dub what Radarr, Sonarr and others told of: `dubarr serve webhooks` receives it.

    A message leaves the inbox one tick after it was worked, when Dagster has recorded what came
    of it.
    """
    settings = workshop.settings()
    inbox = Inbox(settings.work_dir)
    inbox.drop(json.loads(context.cursor or "[]"))
    end = time.monotonic() + _TAKING_IN_S
    worked: list[str] = []
    found: list[_Found] = []
    for name in inbox.names():
        try:
            came = _work(inbox.read(name), settings, end)
        except DiskFull as error:
            context.log.warning("message %s waits for room on the disk: %s", name, error)
            came = None
        except (ArtifactError, SourceError) as error:
            came = str(error)
        if isinstance(came, Video):
            found.append(_Found(came, name))
        elif came:
            context.log.warning("message %s: %s", name, came)
        if came is not None:
            worked.append(name)
    return _ask_for(found, settings, context.instance, json.dumps(worked))


def _work(message: Message, settings: Settings, end: float) -> Video | str | None:
    """What comes of a message: a video, why none, or None while it has to wait.

    Raises:
        ArtifactError, SourceError: what only this message is to blame for.
        DiskFull: it has to wait for room.
        MissingRequirement, WorkspaceError: what is no fault of a video stops the tick.
    """
    if message.library not in settings.libraries:
        return f"there is no library {message.library!r} any more"
    library: Library = settings.library(message.library)
    path = Path(message.event.path)
    if message.event.kind == "deleted":
        return f"{str(path)!r} was deleted; what was made of it is kept"
    if is_quiet(library.quiet_hours, datetime.datetime.now().time()):
        return None
    if not path.is_file():
        waited_s = time.time() - message.received_s
        return None if waited_s < _APPEARS_S else f"{str(path)!r} did not appear: check the mount"
    reason = left_out(library, path)
    if reason:
        return f"{str(path)!r} is not dubbed: {reason}"
    crew.check_needs(settings.for_video(library.profile or settings.profile, library.overrides))
    check_video(path, len(library.target_langs), settings)
    identity = _digests.ask(path, end - time.monotonic())
    return arrive(path, message.library, library, settings, identity) if identity else None


def _ask_for(
    found: list[_Found], settings: Settings, instance: dg.DagsterInstance, cursor: str
) -> dg.SensorResult:
    """What a tick asks of Dagster: partitions for the videos, and runs where there is work."""
    keys = sorted({each.video.key for each in found})
    return dg.SensorResult(
        run_requests=_requests(found, settings, instance),
        dynamic_partitions_requests=[videos.build_add_request(keys)] if keys else [],
        cursor=cursor,
    )


def _requests(
    found: list[_Found], settings: Settings, instance: dg.DagsterInstance
) -> list[dg.RunRequest]:
    """One run per content and wish under whatever names it is found, where there is work to do.

    The run key is the same when a tick is repeated, and another one when a file or a wish has
    changed, changed back, or come back.
    """
    due = {
        f"{each.video.key}/{','.join(each.video.target_langs)}/{each.video.profile}": each
        for each in found
        if _is_due(instance, each.video, settings)
    }
    tags = request_tags(instance, [each.video for each in due.values()], settings)
    return [
        dg.RunRequest(
            run_key=f"{wish}/{_occasion(each, settings)}",
            partition_key=each.video.key,
            tags=marks,
        )
        for (wish, each), marks in zip(due.items(), tags, strict=True)
    ]


def _is_due(instance: dg.DagsterInstance, video: Video, settings: Settings) -> bool:
    """Whether a run would make anything, or fail, and none that knows the wish is on its way."""
    mine = dg.RunsFilter(statuses=_ON_ITS_WAY, tags={"dagster/partition": video.key})
    asked_s = video.work(settings.work_dir).video.stat().st_mtime
    for record in instance.get_run_records(mine):
        if record.create_timestamp.timestamp() > asked_s and not is_dead(
            record.dagster_run, instance
        ):
            return False
    planned = plan(instance, video, settings)
    return planned.fault is not None or any(step.redo for step in planned.steps)


def _occasion(found: _Found, settings: Settings) -> str:
    """Short name of what told of a video, and of when it was last asked something else."""
    asked = found.video.work(settings.work_dir).video.stat().st_mtime_ns
    told = f"{found.told_by} {asked}"
    return hashlib.blake2b(told.encode(), digest_size=6).hexdigest()


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    request_job=publish,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def publishing(
    context: dg.RunStatusSensorContext, workshop: Workshop
) -> dg.RunRequest | dg.SkipReason:
    """Publish what has been dubbed, where its library says where to.

    Every job counts: the runs of a backfill are no runs of `dub`.
    """
    settings, key = workshop.settings(), context.dagster_run.tags.get("dagster/partition", "")
    asked = context.dagster_run.asset_selection
    if not key or (asked is not None and stage_key("report") not in asked):
        return dg.SkipReason("the run finished no film")
    try:
        video = load_video(key, settings.work_dir)
    except ArtifactError as error:
        return dg.SkipReason(str(error))
    known = video.library in settings.libraries
    if not known or settings.library(str(video.library)).publish.mode == "none":
        return dg.SkipReason(f"{key}: nothing says where it goes")
    return dg.RunRequest(
        run_key=f"publish/{context.dagster_run.run_id}",
        run_config={"ops": {"put_in_place": {"config": {"key": key}}}},
        tags={"dubarr/launcher": "publishing", "dubarr/video": key},
    )
