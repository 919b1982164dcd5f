"""Sensors that start runs: watched folders, the webhook inbox, publishing."""

import datetime
import hashlib
import json
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg

from dubarr_pipeline.config import profile_engines
from dubarr_pipeline.config.libraries import is_quiet
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.jobs import dub, publish
from dubarr_pipeline.defs.resources import DubarrResource
from dubarr_pipeline.defs.runtime.liveness import LIVE, is_dead
from dubarr_pipeline.defs.runtime.plan import plan
from dubarr_pipeline.defs.runtime.records import stage_key, videos
from dubarr_pipeline.defs.runtime.run_queue import request_tags
from dubarr_pipeline.errors import ArtifactError, DiskFull, SourceError
from dubarr_pipeline.library.admission import admit
from dubarr_pipeline.library.disk_space import check_video
from dubarr_pipeline.library.scan import Scan, ScanState, left_out, scan
from dubarr_pipeline.library.source import BackgroundHasher
from dubarr_pipeline.library.videos import Video, load_video
from dubarr_pipeline.library.webhooks.inbox import Inbox, Message

_INTERVAL_S = 30
_TAKING_IN_S = 20.0
"""Dagster ends a tick after 60 s. `BackgroundHasher` goes on reading what takes longer."""
_APPEARS_S = 600.0
"""Longest wait for a reported file to appear: network folders are slow to show it."""
_ON_ITS_WAY = [dg.DagsterRunStatus.NOT_STARTED, dg.DagsterRunStatus.QUEUED, *LIVE]
_hasher = BackgroundHasher()


@dg.sensor(
    job=dub, minimum_interval_seconds=_INTERVAL_S, default_status=dg.DefaultSensorStatus.STOPPED
)
def media_folder(context: dg.SensorEvaluationContext, dubarr: DubarrResource) -> dg.SensorResult:
    """Dub new files in the folders of `[libraries.NAME]` that are unchanged for two scans.

    A video that cannot be dubbed is named in the log of the tick, and tried again when it or its
    sidecar subtitles have changed.
    """
    settings, known = dubarr.settings(), json.loads(context.cursor or "{}")
    end = time.monotonic() + _TAKING_IN_S
    cursor: dict[str, tuple[str, str]] = {}
    found: list[tuple[Video, str]] = []
    for name in settings.libraries:
        library = settings.library(name)
        before = ScanState.parse(*known.get(name, ("", "")))
        inner = settings.inner_libraries(name)
        seen = scan(library, before, settings.work_dir, inner=inner)
        for fault in (seen.gone,) if seen.gone else seen.gaps:
            context.log.warning("library %s (%s): %s", name, library.path, fault)
        taken = list(_take_in(context, seen, name, settings, end))
        found += [(video, signature) for signature, video in taken if video]
        cursor[name] = seen.after(signature for signature, _ in taken).text()
    return _tick_result(found, settings, context.instance, json.dumps(cursor))


def _take_in(
    context: dg.SensorEvaluationContext, seen: Scan, name: str, settings: Settings, end: float
) -> Iterator[tuple[str, Video | None]]:
    """Register settled videos; those beyond the time limit wait. Yield each signature and video.

    A refused one has no video. Faults of the installation stop the tick.
    """
    library = settings.library(name)
    if not seen.ready:
        return
    if is_quiet(library.quiet_hours, datetime.datetime.now().time()):
        context.log.info("library %s: %d deferred until quiet hours end", name, len(seen.ready))
        return
    profile_engines.check_needs(settings.for_library(library))
    promised = 0
    for count, (signature, path) in enumerate(seen.ready):
        try:
            promised += check_video(path, len(library.target_langs), settings, None, promised)
            identity = _hasher.identify(path, end - time.monotonic())
        except SourceError as error:
            context.log.warning("library %s: not dubbed: %s", name, error)
            yield signature, None
            continue
        except DiskFull as error:
            left = len(seen.ready) - count
            context.log.warning("library %s: %d wait for disk space: %s", name, left, error)
            return
        if identity is None:
            left = len(seen.ready) - count
            context.log.info("library %s: reading %r; %d more after it", name, str(path), left - 1)
            return
        came = admit(path, name, library, settings, identity)
        if isinstance(came, str):
            context.log.warning("library %s: %r is not dubbed: %s", name, str(path), came)
        yield signature, None if isinstance(came, str) else came


@dg.sensor(job=dub, minimum_interval_seconds=10, default_status=dg.DefaultSensorStatus.STOPPED)
def webhook_inbox(context: dg.SensorEvaluationContext, dubarr: DubarrResource) -> dg.SensorResult:
    """Process the events of Radarr, Sonarr and scripts that `dubarr serve webhooks` received.

    A message leaves the inbox one tick after it was processed, once Dagster has its result.
    """
    settings = dubarr.settings()
    inbox = Inbox(settings.work_dir)
    inbox.drop(json.loads(context.cursor or "[]"))
    end = time.monotonic() + _TAKING_IN_S
    worked: list[str] = []
    found: list[tuple[Video, str]] = []
    for name in inbox.names():
        try:
            message = inbox.read(name)
            try:
                came = _admit_told(message, settings, end)
            # No other message waits for a path that cannot be read.
            except OSError as error:
                waits = time.time() - message.received_s < _APPEARS_S
                came = None if waits else str(error)
        except DiskFull as error:
            context.log.warning("message %s waits for room on the disk: %s", name, error)
            came = None
        except (ArtifactError, SourceError) as error:
            came = str(error)
        if isinstance(came, Video):
            found.append((came, name))
        elif came:
            context.log.warning("message %s: %s", name, came)
        if came is not None:
            worked.append(name)
    return _tick_result(found, settings, context.instance, json.dumps(worked))


def _admit_told(message: Message, settings: Settings, end: float) -> Video | str | None:
    """Admit what a message tells of; return its video, the reason for none, or None while it waits.

    Raises:
        ArtifactError, SourceError: faults of this message alone.
        DiskFull: if it has to wait for room.
        MissingRequirement, WorkspaceError: faults of the installation, which stop the tick.
    """
    if message.library not in settings.libraries:
        return f"there is no library {message.library!r} any more"
    library = settings.library(message.library)
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
    profile_engines.check_needs(settings.for_library(library))
    check_video(path, len(library.target_langs), settings)
    identity = _hasher.identify(path, end - time.monotonic())
    return admit(path, message.library, library, settings, identity) if identity else None


def _tick_result(
    found: list[tuple[Video, str]], settings: Settings, instance: dg.DagsterInstance, cursor: str
) -> dg.SensorResult:
    """Return a tick's result: partitions for the videos, and runs where there is work.

    Each video comes with its occasion: the signature of its file, or the name of a message. There
    is one run request per content and request, under whatever names the file appears. The run key
    is the same when a tick is repeated, and another one when a file or a request has changed,
    changed back, or come back.
    """
    keys = sorted({video.key for video, _ in found})
    due = {
        f"{video.key}/{','.join(video.target_langs)}/{video.profile}": (video, occasion)
        for video, occasion in found
        if _is_due(instance, video, settings)
    }
    tags = request_tags(instance, [video for video, _ in due.values()], settings)
    requests: list[dg.RunRequest] = []
    for (request, (video, occasion)), marks in zip(due.items(), tags, strict=True):
        changed_ns = video.work(settings.work_dir).video.stat().st_mtime_ns
        facts = f"{occasion} {changed_ns}".encode()
        run_key = f"{request}/{hashlib.blake2b(facts, digest_size=6).hexdigest()}"
        requests.append(dg.RunRequest(run_key=run_key, partition_key=video.key, tags=marks))
    return dg.SensorResult(
        run_requests=requests,
        dynamic_partitions_requests=[videos.build_add_request(keys)] if keys else [],
        cursor=cursor,
    )


def _is_due(instance: dg.DagsterInstance, video: Video, settings: Settings) -> bool:
    """Return whether a run would make anything, or fail, and none for the request is on its way."""
    mine = dg.RunsFilter(statuses=_ON_ITS_WAY, tags={"dagster/partition": video.key})
    asked_s = video.work(settings.work_dir).video.stat().st_mtime
    for record in instance.get_run_records(mine):
        lives = not is_dead(record.dagster_run, instance)
        if record.create_timestamp.timestamp() > asked_s and lives:
            return False
    planned = plan(instance, video, settings)
    return planned.fault is not None or any(step.rerun for step in planned.steps)


@dg.run_status_sensor(
    run_status=dg.DagsterRunStatus.SUCCESS,
    request_job=publish,
    default_status=dg.DefaultSensorStatus.RUNNING,
)
def publishing(
    context: dg.RunStatusSensorContext, dubarr: DubarrResource
) -> dg.RunRequest | dg.SkipReason:
    """Publish dubbed videos whose library has a destination.

    Every job counts: a backfill's runs are not runs of `dub`.
    """
    settings, key = dubarr.settings(), context.dagster_run.tags.get("dagster/partition", "")
    asked = context.dagster_run.asset_selection
    if not key or (asked is not None and stage_key("report") not in asked):
        return dg.SkipReason("the run finished no film")
    try:
        video = load_video(key, settings.work_dir)
    except ArtifactError as error:
        return dg.SkipReason(str(error))
    known = video.library in settings.libraries
    if not known or settings.library(str(video.library)).publish.mode == "none":
        return dg.SkipReason(f"{key}: its library has no publish destination")
    return dg.RunRequest(
        run_key=f"publish/{context.dagster_run.run_id}",
        run_config={"ops": {"put_in_place": {"config": {"key": key}}}},
        tags={"dubarr/launcher": "publishing", "dubarr/video": key},
    )
