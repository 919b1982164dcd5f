"""The gate in Dagster: its check, the job `approve`, and what the publishing sensor does for it."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Literal

import dagster as dg

from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.distributed.leases import hold_film
from dubarr_pipeline.defs.library_names import APPROVE, LibraryNames, names_of
from dubarr_pipeline.defs.resources import resource_of
from dubarr_pipeline.defs.runtime.records import last_materialization, record_metadata
from dubarr_pipeline.defs.runtime.status import as_failure
from dubarr_pipeline.errors import (
    ArtifactError,
    DubbingError,
    ServiceUnavailable,
    SettingsError,
    VideoBusy,
)
from dubarr_pipeline.files import read_json, write_json
from dubarr_pipeline.library.failures import notify
from dubarr_pipeline.library.gate import (
    Gate,
    HeldFilm,
    decide,
    gate_document,
    gate_of,
    held_films,
    note_held,
    options_for,
    read_figures,
    remember,
)
from dubarr_pipeline.library.publishing.publish import held_at_gate
from dubarr_pipeline.library.videos import Video, load_video
from dubarr_pipeline.workdir import checkpoints
from dubarr_pipeline.workdir.layout import exclusive

CHECK = "passes_the_gate"
BY_ITSELF = "dubarr"
"""Author of approvals that time alone gave."""
_DAY_S = 86_400.0
_TOLD_AT_ONCE = 50


class ApproveConfig(dg.Config):
    """Configuration of an approval: who approves, and why."""

    by: str = "Dagster's UI"
    note: str = ""


def approve_job(names: LibraryNames) -> dg.JobDefinition:
    """Return the job that approves a film."""

    @dg.op(name=names.prefixed("approve_film"), required_resource_keys={names.resource})
    def approve_film(context: dg.OpExecutionContext, config: ApproveConfig) -> None:
        """Approve the film of the run's partition; the sensor `publishing` publishes it."""
        try:
            settings = resource_of(context, names).settings()
            video = load_video(context.partition_key, settings.work_dir)
            gate = record_decision(
                context.instance, video, settings, "approve", config.by, config.note, names
            )
        except DubbingError as error:
            raise as_failure(error) from error
        context.log.info(f"{video.key} is {gate.state}: {'; '.join(gate.reasons) or 'no reasons'}")

    @dg.job(name=names.prefixed(APPROVE), partitions_def=names.videos)
    def approve() -> None:
        """Let a held film through its gate: choose it as the partition."""
        approve_film()

    return approve


def record_decision(
    instance: dg.DagsterInstance,
    video: Video,
    settings: Settings,
    action: Literal["approve", "hold"],
    by: str,
    note: str = "",
    names: LibraryNames | None = None,
) -> Gate:
    """Store a decision on a film, and have its report tell it; return the state after it.

    The report counts as new, so that the sensor `publishing` looks at the film again. A run that
    works on the film just now writes its own, with the decision.

    Raises:
        DubbingError: if the decision cannot be stored.
    """
    names = names or names_of(settings.work_dir)
    work, options = video.work(settings.work_dir), options_for(video, settings)
    decide(work, options, action, by, note)
    gate = gate_of(work, options)
    with (
        contextlib.suppress(VideoBusy),
        hold_film(instance, video.key, settings, names),
        exclusive(work),
    ):
        last = last_materialization(instance, "report", video.key, names)
        if last and checkpoints.damage(work, "report", last.record.manifest) is None:
            told = {**read_json(work.report), "gate": gate_document(gate, read_figures(work))}
            told.pop("schema")
            write_json(work.report, told)
            record = checkpoints.replace_file(work, "report", last.record, work.report)
            own = ("dagster/", "dubarr/")
            shown = {n: value for n, value in last.metadata.items() if not n.startswith(own)}
            event = dg.AssetMaterialization(
                names.key("report"),
                partition=video.key,
                metadata={**shown, **record_metadata(record)},
            )
            instance.report_runless_asset_event(event)
    return gate


def gate_check(video: Video, settings: Settings) -> dg.AssetCheckResult:
    """Return the check of a film's gate. Raises `ArtifactError` if a record is damaged."""
    gate = gate_of(video.work(settings.work_dir), options_for(video, settings))
    figures: dict[str, Any] = {"state": gate.state, "reasons": "; ".join(gate.reasons) or "none"}
    if gate.decision:
        figures["decision"] = gate.decision.words()
    return dg.AssetCheckResult(
        check_name=CHECK,
        passed=gate.state != "held",
        metadata={**figures, **_review(video, settings)},
    )


def how_to_decide(
    video: Video, settings: Settings, names: LibraryNames
) -> dict[str, dg.MetadataValue]:
    """Return the metadata by which a person learns how to let a held film through."""
    words = (
        f"Run the job `{names.prefixed(APPROVE)}` on the partition `{video.key}`, or "
        f"`dubarr approve {video.key}`; "
        f"`dubarr qc {video.key}` writes a page with the sounds of the lines in doubt."
    )
    return {"held": dg.MetadataValue.md(words), **_review(video, settings)}


def _review(video: Video, settings: Settings) -> dict[str, dg.MetadataValue]:
    address = settings.review.link(video.key)
    return {"review": dg.MetadataValue.url(address)} if address else {}


def tell_held(settings: Settings) -> Iterator[str]:
    """Tell people once of each film that its gate holds; yield what kept it from being told."""
    untold = [film for film in held_films(settings) if not film.told][:_TOLD_AT_ONCE]
    if not untold:
        return
    try:
        title = "dubarr: a finished film waits for your approval"
        text = "\n\n".join(_message(film, settings) for film in untold)
        notify(settings.failures.notify, title, text)
    except ServiceUnavailable as error:
        yield f"held films are told later: {error}"
        return
    except SettingsError as error:
        yield f"message on held films dropped: {error}"
    for film in untold:
        remember(replace(film, told=True), settings)


def _message(film: HeldFilm, settings: Settings) -> str:
    page = settings.work_dir / film.key / "report.html"
    where = settings.review.link(film.key) or str(page)
    reasons = "\n".join(f"- {reason}" for reason in film.reasons)
    return f"{film.key} is held:\n{reasons}\n{where}\n`dubarr approve {film.key}` publishes it."


def approve_overdue(
    instance: dg.DagsterInstance, settings: Settings, end_s: float, names: LibraryNames
) -> Iterator[tuple[str, str]]:
    """Approve films that waited for as long as their library allows, until `end_s` (monotonic).

    Yield the key of each, and of each that could not be approved, with the reason; that of others
    is empty. A film that a person holds is none of them; one that is held no more, or is purged,
    is forgotten.
    """
    for film in held_films(settings):
        if time.monotonic() >= end_s:
            break
        try:
            if _approve_if_overdue(instance, film, settings, names):
                yield film.key, ""
        except ArtifactError:
            continue  # a damaged record is named by `dubarr status`
        # A full disk, for example: the others have their turn, and this one in the next tick.
        except (DubbingError, OSError) as error:
            yield film.key, str(error)


def _approve_if_overdue(
    instance: dg.DagsterInstance, film: HeldFilm, settings: Settings, names: LibraryNames
) -> bool:
    """Approve a held film if it waited long enough; return whether it did."""
    if not (settings.work_dir / film.key / "video.json").exists():
        note_held(film.key, None, settings, time.time())
        return False
    video = load_video(film.key, settings.work_dir)
    gate = held_at_gate(video, settings)
    if gate is None:
        note_held(film.key, None, settings, time.time())
        return False
    days = float(options_for(video, settings).approve_after_days)
    if not days or gate.by_person or time.time() - film.since_s < days * _DAY_S:
        return False
    note = f"nobody decided for {days:g} days"
    record_decision(instance, video, settings, "approve", BY_ITSELF, note, names)
    return True
