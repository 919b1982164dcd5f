"""Runs that a person asked for: their tags and config, and a queue entry that needs no sensor."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import dagster as dg
from dagster._core.definitions.assets.graph.asset_graph import AssetGraph
from dagster._core.execution.backfill import (
    BulkActionsFilter,
    BulkActionStatus,
    PartitionBackfill,
)
from dagster._core.storage.tags import PRIORITY_TAG
from dagster._core.utils import make_new_backfill_id

from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.library_names import PLAIN, LibraryNames, names_of
from dubarr_pipeline.defs.publishing import published_asset
from dubarr_pipeline.defs.runtime.liveness import ON_ITS_WAY, is_dead
from dubarr_pipeline.defs.runtime.records import PARTITION_TAG, add_video, film_tags
from dubarr_pipeline.defs.runtime.stage_run import stage_asset
from dubarr_pipeline.defs.stages import PUBLISHED, STAGE_NAMES, STAGES
from dubarr_pipeline.library.dub_requests import DubRequest, accept_request
from dubarr_pipeline.library.videos import Video

_FORCED, _VIDEO = "dubarr/forced", "dubarr/video"


def person_tags(request: DubRequest) -> dict[str, str]:
    """Return the tags of a run for a request: it is queued with those that the UI starts."""
    marks = {"dubarr/launcher": "request", PRIORITY_TAG: str(request.priority)}
    return {**marks, _FORCED: "yes"} if request.force else marks


def person_config(request: DubRequest, names: LibraryNames = PLAIN) -> dict[str, Any]:
    """Return the config of a run for a request."""
    forced = {names.op(stage): {"config": {"force": True}} for stage in STAGE_NAMES}
    return {"ops": forced} if request.force else {}


def is_on_its_way(
    instance: dg.DagsterInstance,
    video: Video,
    settings: Settings,
    forced: bool = False,
    names: LibraryNames | None = None,
) -> bool:
    """Return whether a run for a video's present request is queued or works."""
    names = names or names_of(settings.work_dir)
    tags = {PARTITION_TAG: video.key, **({_FORCED: "yes"} if forced else {})}
    asked_s = video.work(settings.work_dir).video.stat().st_mtime
    for record in instance.get_run_records(dg.RunsFilter(statuses=ON_ITS_WAY, tags=tags)):
        run = record.dagster_run
        lives = names.has(run) and not is_dead(run, instance)
        if record.create_timestamp.timestamp() > asked_s and lives:
            return True
    return False


def queue_request(
    instance: dg.DagsterInstance,
    request: DubRequest,
    settings: Settings,
    names: LibraryNames | None = None,
) -> tuple[Video, str | None]:
    """Register the film of a request and queue its run; return it, and the backfill's id.

    The id is None where a run for the same request is on its way already. Raises as
    `accept_request`.
    """
    video = accept_request(request, settings)
    names = names or names_of(settings.work_dir)
    add_video(instance, video.key, names)
    waiting = BulkActionsFilter(
        statuses=[BulkActionStatus.REQUESTED],
        tags={_VIDEO: video.key, **({_FORCED: "yes"} if request.force else {})},
    )
    asked_s = video.work(settings.work_dir).video.stat().st_mtime
    report = names.key("report")
    known = [
        each for each in instance.get_backfills(waiting) if report in (each.asset_selection or ())
    ]
    if any(each.backfill_timestamp > asked_s for each in known):
        return video, None
    if is_on_its_way(instance, video, settings, request.force, names):
        return video, None
    tags = {**film_tags(video), **person_tags(request), _VIDEO: video.key}
    words = f"request: {video.source.name} into {', '.join(video.target_langs)}"
    config = person_config(request, names)
    return video, queue_videos(instance, [video.key], tags, words, names, config)


def queue_videos(
    instance: dg.DagsterInstance,
    keys: Sequence[str],
    tags: Mapping[str, str],
    description: str,
    names: LibraryNames,
    run_config: Mapping[str, Any] | None = None,
) -> str:
    """Queue runs of videos as a Dagster backfill, which the UI shows and can cancel.

    Dagster's daemon starts them. Return the backfill's id.
    """
    for key in keys:
        add_video(instance, key, names)
    assets = [*(stage_asset(stage, names=names) for stage in STAGES), published_asset(names)]
    asked = PartitionBackfill.from_asset_partitions(
        backfill_id=make_new_backfill_id(),
        asset_graph=AssetGraph.from_assets(assets),
        partition_names=keys,
        asset_selection=[names.key(stage) for stage in (*STAGE_NAMES, PUBLISHED)],
        backfill_timestamp=time.time(),
        tags=tags,
        dynamic_partitions_store=instance,
        all_partitions=False,
        title=None,
        description=description,
        run_config=run_config or None,
    )
    instance.add_backfill(asked)
    return asked.backfill_id


def daemon_is_away(instance: dg.DagsterInstance) -> str | None:
    """Return words for people where nothing starts what is queued, else None."""
    daemon = instance.get_daemon_statuses(["BACKFILL"]).get("BACKFILL")
    if daemon and daemon.healthy:
        return None
    return "no daemon is running: start `dubarr serve library`"
