"""The asset `published`, its job, and the sensor that asks for the films that are due.

No stage of dubbing: it holds no device, and its result lies outside of the work folder. So its
record is the publication's own (``published.json``), and every run compares it with the wish.
"""

import datetime
import hashlib
import json
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

import dagster as dg
from dagster._core.definitions.unresolved_asset_job_definition import UnresolvedAssetJobDefinition
from dagster._core.storage.tags import PRIORITY_TAG
from pydantic import TypeAdapter, ValidationError

from dubarr_pipeline.config.options import ONE_MACHINE, WorkerOptions
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs import gate
from dubarr_pipeline.defs.distributed.exchange import exchanged
from dubarr_pipeline.defs.distributed.leases import film_lease
from dubarr_pipeline.defs.distributed.step_tags import step_tags
from dubarr_pipeline.defs.library_names import PUBLISH, LibraryNames
from dubarr_pipeline.defs.library_sensor import library_sensor
from dubarr_pipeline.defs.resources import resource_of
from dubarr_pipeline.defs.runtime.liveness import ON_ITS_WAY, is_dead
from dubarr_pipeline.defs.runtime.records import (
    PARTITION_TAG,
    film_tags,
    last_materialization,
    last_materializations,
    record_metadata,
)
from dubarr_pipeline.defs.runtime.stage_run import OWNERS, check_spec
from dubarr_pipeline.defs.runtime.status import failing_once
from dubarr_pipeline.defs.stages import PUBLISHED
from dubarr_pipeline.defs.tables.results import Materialization
from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.files import fenced
from dubarr_pipeline.library.gate import note_held
from dubarr_pipeline.library.publishing.media_servers import tell_waiting
from dubarr_pipeline.library.publishing.publish import (
    Published,
    fulfil_wish,
    held_at_gate,
    is_to_be_taken_back,
    no_wish,
    publishing_fault,
)
from dubarr_pipeline.library.publishing.records import Publication, read_publication
from dubarr_pipeline.library.staging.folders import staged_film
from dubarr_pipeline.library.videos import Video, load_video, superseded_by
from dubarr_pipeline.workdir.checkpoints import Record

CHECK = "lies_in_its_place"
_SHOWN = ("segments", "mux", "report")
"""Stages whose files are published, or tell whether they may be."""
_AT_ONCE = 500
"""Finished films that one tick looks at: a second or two of its time."""
_FETCHED_AT_ONCE = 5
"""The same where a film is fetched from the store of work folders first."""
_TICK_S = 20.0
_PRIORITY = "-1"
"""Behind what a person starts, before all dubbing."""


class PublishConfig(dg.Config):
    """Configuration of the publishing of one video."""

    asked: bool = False
    """A person asks for it, also after `dubarr restore`."""


def published_asset(
    names: LibraryNames,
    workers: WorkerOptions = ONE_MACHINE,
    retries: dg.RetryPolicy | None = None,
) -> dg.AssetsDefinition:
    """Return the asset of a library's published films."""
    key = names.key(PUBLISHED)
    checks = {
        CHECK: "The film lies where its library wants it, by its digest.",
        gate.CHECK: "No track is beyond a bound of the gate, or a person approved it.",
    }

    @dg.asset(
        key=key,
        deps=[names.key("report")],
        partitions_def=names.videos,
        group_name=names.group,
        owners=OWNERS,
        kinds={"file"},
        code_version="1",
        op_tags=step_tags(None, workers),
        retry_policy=retries,
        check_specs=[check_spec(name, key, text, names) for name, text in checks.items()],
        required_resource_keys={names.resource},
    )
    def published(context: dg.AssetExecutionContext, config: PublishConfig) -> dg.MaterializeResult:
        """Put the finished film where its library wants it, and tell its media servers.

        What was published under an earlier name, mode or label is taken back. A film of no
        library, or of one that publishes nothing, says so.
        """
        settings, key = resource_of(context, names).settings(), context.partition_key
        lease_s = float(settings.workers.lease_s)
        with (
            failing_once(),
            film_lease(context.instance, names.film(key), context.run.run_id, lease_s) as lease,
            fenced(settings.work_dir / key, lease.check),
            staged_film(key, settings, PUBLISHED, _SHOWN, claims=False),
        ):
            return _publish(context, config, settings, names)

    return published


def _publish(
    context: dg.AssetExecutionContext,
    config: PublishConfig,
    settings: Settings,
    names: LibraryNames,
) -> dg.MaterializeResult:
    key = context.partition_key
    video = load_video(key, settings.work_dir)
    report = last_materialization(context.instance, "report", key, names)
    if no_wish(video, settings) is None:
        _check_finished(context.instance, video, report, names)
    made = fulfil_wish(video, settings, asked=config.asked)
    for fault in made.untold:
        context.log.warning(fault)
    note_held(key, made.held, settings, time.time())
    _note_superseded(context.instance, video, settings, names)
    # Publishing in place of its source gives a film another path.
    video = load_video(key, settings.work_dir)
    proven = [_proof(made.publication), gate.gate_check(video, settings)]
    metadata = {
        **_figures(made),
        **_as_record(video, settings, report.record.production if report else ""),
    }
    if made.held:
        metadata |= gate.how_to_decide(video, settings, names)
    return dg.MaterializeResult(
        metadata=metadata,
        data_version=dg.DataVersion(_digest(made.publication.places if made.publication else ())),
        check_results=proven,
    )


def publish_job(names: LibraryNames) -> UnresolvedAssetJobDefinition:
    """Return the job that publishes a film."""
    return dg.define_asset_job(
        names.prefixed(PUBLISH),
        selection=dg.AssetSelection.assets(names.key(PUBLISHED)),
        description="Publish a finished film as its library wants; it is not dubbed.",
    )


def _check_finished(
    instance: dg.DagsterInstance,
    video: Video,
    report: Materialization | None,
    names: LibraryNames,
) -> None:
    """Check that the last mux is one that the report stands for. Raises `ArtifactError`."""
    mux = last_materialization(instance, "mux", video.key, names)
    # Results that were recorded before there was a store to ask are taken as they are.
    if mux and (report is None or report.record.inputs.get("mux") != mux.record.production):
        raise ArtifactError(
            f"{video.key} is muxed, but has no report of that: its report names why, or dub it"
        )


def _note_superseded(
    instance: dg.DagsterInstance, video: Video, settings: Settings, names: LibraryNames
) -> None:
    """Record of the films whose place this one took that they are not published any more."""
    old = superseded_by(video, settings.work_dir)
    known = last_materializations(instance, PUBLISHED, old, names) if old else {}
    for key, last in known.items():
        before = load_video(key, settings.work_dir)
        reason = no_wish(before, settings)
        if reason and not _says_nothing(last):
            about = _as_record(before, settings, last.record.inputs.get("report", ""))
            about |= _figures(Published(None, reason))
            asset = names.key(PUBLISHED)
            event = dg.AssetMaterialization(asset, partition=key, metadata=about)
            instance.report_runless_asset_event(event)


def _says_nothing(last: Materialization) -> bool:
    return str(last.value("published")).startswith("nothing")


def _proof(publication: Publication | None) -> dg.AssetCheckResult:
    files = publication.files if publication else ()
    wrong = [str(file.path) for file in files if not file.proven()]
    figures = {"files": len(files), "objects": len(publication.objects) if publication else 0}
    named = {"not_as_published": "; ".join(wrong)} if wrong else {}
    return dg.AssetCheckResult(check_name=CHECK, passed=not wrong, metadata={**figures, **named})


def _figures(made: Published) -> Mapping[str, Any]:
    """Return the metadata for people."""
    publication = made.publication
    if publication is None:
        # What an earlier result left in its place stays there.
        return {"published": f"nothing{' new' if made.held else ''}: {made.reason}"}
    size = sum(f.version[0] if f.version else 0 for f in publication.files)
    size += sum(each.size for each in publication.objects)
    figures: dict[str, Any] = {
        "published": publication.mode,
        "places": dg.MetadataValue.md("\n".join(f"- `{each}`" for each in publication.places)),
        "megabytes": round(size / 1e6, 2),
    }
    if publication.original:
        until_s = publication.keep_until_s
        until = datetime.date.fromtimestamp(until_s).isoformat() if until_s else "for ever"
        figures["original"] = dg.MetadataValue.path(str(publication.original))
        figures["original_kept_until"] = until
    if made.untold:
        figures["told_later"] = "; ".join(made.untold)[:500]
    return figures


def _as_record(video: Video, settings: Settings, production: str) -> dict[str, Any]:
    """Return the metadata by which the sensor knows what was wished when it was published."""
    wish = wish_of(video, settings, production)
    return record_metadata(Record(wish, uuid.uuid4().hex, "", {"report": production}))


def wish_of(video: Video, settings: Settings, production: str) -> str:
    """Return a digest of what decides what lies where: the film as finished, its name, the wish."""
    library = settings.libraries.get(video.library or "")
    publication = read_publication(video.work(settings.work_dir))
    replaced = publication and publication.mode == "replace"
    source = publication.source if publication and replaced else video.source
    # A film that is let through is due again.
    held = ("held",) if held_at_gate(video, settings) else ()
    return _digest((production, source, library and (library.path, library.publish), *held))


def _digest(facts: object) -> str:
    words = repr(facts).encode("utf-8", "surrogateescape")
    return hashlib.blake2b(words, digest_size=8).hexdigest()


@dataclass(frozen=True, slots=True)
class _PublishingState:
    """State of the sensor between two ticks.

    Attributes:
        since: storage id of the last report that was looked at.
        wishes: digest of all libraries' wishes; when it changes, every film is looked at.
        turn: counts those changes, so that an earlier wish can be asked for again.
        later: films in a run, to look at again.
    """

    since: int = 0
    wishes: str = ""
    turn: int = 0
    later: tuple[str, ...] = ()


_STATE = TypeAdapter(_PublishingState)


def publishing_sensor(names: LibraryNames) -> dg.SensorDefinition:
    """Return the sensor of a library's finished films."""
    return library_sensor(publishing, names, PUBLISH, 30, is_on=True)


def publishing(
    context: dg.SensorEvaluationContext, settings: Settings, names: LibraryNames
) -> dg.SensorResult:
    """Ask for every finished film that does not lie where its library wants it.

    However it was finished: by a run of the queue, `dubarr dub`, a backfill or the UI. What an
    earlier version published counts as published. Media servers that were away are told again,
    and people once of a film that its gate holds.
    """
    instance, end_s = context.instance, time.monotonic() + _TICK_S
    try:
        state = _STATE.validate_json(context.cursor or "{}")
    # An earlier version was another kind of sensor.
    except ValidationError:
        state = _PublishingState()
    wishes = _digest([(n, x.path, x.publish, x.gate) for n, x in settings.libraries.items()])
    if wishes != state.wishes:
        state = _PublishingState(0, wishes, state.turn + 1)
    # What is approved here is found below, with its report.
    for key, fault in gate.approve_overdue(instance, settings, end_s, names):
        if fault:
            context.log.warning(f"{key} was held for long enough, and is approved later: {fault}")
        else:
            context.log.info(f"{key} was held for long enough: approved")
    reports = dg.AssetRecordsFilter(names.key("report"), after_storage_id=state.since)
    limit = _FETCHED_AT_ONCE if settings.workers.work_store else _AT_ONCE
    found = instance.fetch_materializations(reports, limit=limit, ascending=True).records
    since = found[-1].storage_id if found else state.since
    keys = dict.fromkeys([*state.later, *(each.partition_key or "" for each in found)])
    for fault in exchanged(instance, [*keys], settings, names, end_s):
        context.log.warning(fault)
    due, later = _due(instance, [key for key in keys if key], settings, names)
    for fault in (*gate.tell_held(settings), *tell_waiting(settings, end_s, time.time())):
        context.log.warning(fault)
    requests = [
        dg.RunRequest(
            run_key=f"publish/{video.key}/{wish}/{state.turn}",
            partition_key=video.key,
            tags={**film_tags(video), "dubarr/launcher": "publishing", PRIORITY_TAG: _PRIORITY},
        )
        for video, wish in due
    ]
    after = _PublishingState(since, wishes, state.turn, tuple(later))
    return dg.SensorResult(run_requests=requests, cursor=json.dumps(asdict(after)))


def _due(
    instance: dg.DagsterInstance, keys: Sequence[str], settings: Settings, names: LibraryNames
) -> tuple[list[tuple[Video, str]], list[str]]:
    """Return the films that a run is due for, with their wishes, and those in a run by now."""
    if not keys:
        return [], []
    reports = last_materializations(instance, "report", keys, names)
    made = last_materializations(instance, PUBLISHED, keys, names)
    known = {*instance.get_dynamic_partitions(str(names.videos.name))}
    busy = _busy(instance, keys, names)
    due: list[tuple[Video, str]] = []
    later: list[str] = []
    for key, report in reports.items():
        if key not in known:
            continue
        # A damaged request or record is named by `dubarr status`.
        with suppress(ArtifactError):
            video = load_video(key, settings.work_dir)
            wish = wish_of(video, settings, report.record.production)
            if not _is_due(video, wish, made.get(key), settings):
                continue
            if key in busy:
                later.append(key)
            elif publishing_fault(video, settings) or no_wish(video, settings):
                due.append((video, wish))
            else:
                _take_over(instance, video, settings, report.record.production, names)
    return due, later


def _is_due(video: Video, wish: str, last: Materialization | None, settings: Settings) -> bool:
    """Return whether the last publishing was for another wish, and there was or is one."""
    if last and last.record.fingerprint == wish:
        return False
    if no_wish(video, settings) is None or is_to_be_taken_back(video, settings):
        return True
    # The asset says of what was taken back that it is not published any more.
    return last is not None and not _says_nothing(last)


def _busy(instance: dg.DagsterInstance, keys: Sequence[str], names: LibraryNames) -> set[str]:
    """Return the videos that a run works on, or is about to."""
    found: set[str] = set()
    for start in range(0, len(keys), 200):
        tags = {PARTITION_TAG: list(keys[start : start + 200])}
        for run in instance.get_runs(dg.RunsFilter(statuses=ON_ITS_WAY, tags=tags)):
            if names.has(run) and not is_dead(run, instance):
                found.add(run.tags[PARTITION_TAG])
    return found


def _take_over(
    instance: dg.DagsterInstance,
    video: Video,
    settings: Settings,
    production: str,
    names: LibraryNames,
) -> None:
    """Record a film as published that was published before this asset was there."""
    publication = read_publication(video.work(settings.work_dir))
    metadata = {**_figures(Published(publication)), **_as_record(video, settings, production)}
    instance.report_runless_asset_event(
        dg.AssetMaterialization(names.key(PUBLISHED), partition=video.key, metadata=metadata)
    )
