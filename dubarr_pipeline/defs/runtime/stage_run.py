"""One run of a stage: see whether its result is still valid, work if not, and record.

The table of stages (`defs.stages`) says what a stage's result depends on (`facts`) and how it is
made (`make`); this module asks `checkpoints` and talks to Dagster.
"""

import contextlib
import inspect
import logging
import sqlite3
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, TypeVar, cast

import dagster as dg
from dagster_shared.utils.warnings import PreviewWarning
from sqlalchemy.exc import OperationalError

from dubarr_pipeline.compute.memory import measured
from dubarr_pipeline.config.engine_answers import Question, engine_answer
from dubarr_pipeline.config.options import ONE_MACHINE, WorkerOptions
from dubarr_pipeline.config.settings import Settings
from dubarr_pipeline.defs.assets import checks
from dubarr_pipeline.defs.distributed.exchange import shared_memories
from dubarr_pipeline.defs.distributed.leases import film_lease
from dubarr_pipeline.defs.distributed.step_tags import step_tags
from dubarr_pipeline.defs.library_names import PLAIN, LibraryNames
from dubarr_pipeline.defs.resources import resource_of
from dubarr_pipeline.defs.runtime.records import (
    last_materialization,
    memory_metadata,
    memory_of,
    record_metadata,
    rounded,
)
from dubarr_pipeline.defs.runtime.series_records import memory_dep, record_cast
from dubarr_pipeline.defs.runtime.status import failing_once
from dubarr_pipeline.defs.stages import GPU, STAGE_NAMES, Stage, direct_inputs
from dubarr_pipeline.defs.tables.results import Materialization
from dubarr_pipeline.edits.document import settle_lines
from dubarr_pipeline.edits.people import mark_people
from dubarr_pipeline.engines.registry import PROFILES, Kind
from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.files import fenced, named_disk_errors
from dubarr_pipeline.library.disk_space import check_stage
from dubarr_pipeline.library.series.names import series_of
from dubarr_pipeline.library.source import Source, inspect_source
from dubarr_pipeline.library.staging.folders import staged_film
from dubarr_pipeline.library.videos import (
    KEY_PATTERN,
    Video,
    check_source,
    find_source,
    load_video,
)
from dubarr_pipeline.media.container.probe import keep_answer
from dubarr_pipeline.progress import OnProgress, Progress
from dubarr_pipeline.workdir import checkpoints, corrections
from dubarr_pipeline.workdir.checkpoints import Decision, Record, Wanted
from dubarr_pipeline.workdir.layout import WorkDir, exclusive
from dubarr_pipeline.workdir.run_progress import forget_progress, note_progress

_log = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")

OWNERS = ["team:dubarr"]
LOST_STEPS = dg.RetryPolicy(max_retries=2)
"""For steps whose worker was lost; a stage that fails is not tried again (`failing_once`). Not for
steps in the run's own process: Dagster would try again what a person interrupts.
"""
_EVENT_EVERY_S = 5.0
"""Progress events per stage: one writer manages 110-323 events a second for all runs together."""
_NOTE_EVERY_S = 0.5
_STORE_TRIES, _STORE_WAIT_S = 12, 5
"""A PostgreSQL server that is restarted is away for seconds."""


class StageConfig(dg.Config):
    """Configuration of one launch of a stage."""

    force: bool = False
    """Rerun the stage even if its result is valid."""


@dataclass(frozen=True, slots=True)
class StageContext:
    """Everything a stage may use while it runs.

    Attributes:
        on_progress: reports progress to the terminal and to Dagster.
        inputs: the results of its input stages, by stage.
        force: rerun everything, parts that are still valid included.
        names: those of the library that the results are recorded under.
        asked: answers of engines, which all films of a plan with the same settings share.
        seen: what was found out about the film, which all its stages in a plan share.
        questions: the answers of engines on which the plan of the film depends.
    """

    stage: Stage
    video: Video
    work: WorkDir
    settings: Settings
    on_progress: OnProgress
    inputs: Mapping[str, Materialization] = field(default_factory=dict[str, Materialization])
    force: bool = False
    names: LibraryNames = PLAIN
    asked: dict[Question, Any] = field(default_factory=dict[Question, Any])
    seen: dict[object, Any] = field(default_factory=dict[object, Any])
    questions: dict[Question, Any] = field(default_factory=dict[Question, Any])

    def source(self) -> Source:
        """Return the film as it lies there, looked at once. Raises as `inspect_source`."""
        targets, probed = self.video.target_langs, self.work.probed
        look = partial(inspect_source, self.video.source, self.settings, targets, probed)
        return _once(self.seen, "source", look)

    def ask(self, question: Question) -> Any:
        """Return the answer of an engine, for whose question the plan of a film is remembered."""
        find = partial(engine_answer, self.settings, question)
        return _once(self.questions, question, partial(_once, self.asked, question, find))


def _once(known: dict[Any, Any], question: object, answer: Callable[[], _Answer]) -> _Answer:
    """Return what is known as the answer to a question, or find it out."""
    if question not in known:
        known[question] = answer()
    return known[question]


@dataclass(frozen=True, slots=True)
class Outcome:
    """Files that a stage leaves, and metadata worth looking at in the UI."""

    files: Sequence[Path]
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])


def stage_asset(
    stage: Stage,
    engines: Mapping[Kind, str] = PROFILES["lite"],
    names: LibraryNames = PLAIN,
    workers: WorkerOptions = ONE_MACHINE,
    retries: dg.RetryPolicy | None = None,
) -> dg.AssetsDefinition:
    """Return the partitioned asset of a stage, with the badges of the chosen engines."""
    described = dict(stage.checks)
    if stage.pool == GPU:
        described[checks.MEMORY] = "The stage gave back all memory of the system and of the GPUs."
    key = names.key(stage.name)

    @dg.asset(
        key=key,
        deps=[
            *(names.key(name) for name in direct_inputs(stage)),
            *(memory_dep(name, names) for name in stage.memories),
        ],
        description=inspect.getdoc(stage.module.make),
        partitions_def=names.videos,
        group_name=names.group,
        owners=OWNERS,
        kinds=set(stage.badges(engines)),
        code_version=stage.version,
        pool=names.pool if stage.pool == GPU else None,
        op_tags=step_tags(stage.pool, workers),
        retry_policy=retries,
        check_specs=[check_spec(name, key, text, names) for name, text in described.items()],
        required_resource_keys={names.resource},
    )
    def run(context: dg.AssetExecutionContext, config: StageConfig) -> dg.MaterializeResult:
        return run_stage(stage, context, config, names)

    return run


def check_spec(
    name: str, asset: dg.AssetKey, description: str, names: LibraryNames
) -> dg.AssetCheckSpec:
    """Return a check of each video's result.

    With partitions, a film's red stays until that film is made again; without, Dagster compares the
    newest check of any film with the newest result of any other.
    """
    with warnings.catch_warnings():
        # Previewed in Dagster 1.13; what it does there is tested.
        warnings.simplefilter("ignore", PreviewWarning)
        return dg.AssetCheckSpec(
            name, asset=asset, description=description, partitions_def=names.videos
        )


Watcher = Callable[[str, Progress], None]
_watcher: ContextVar[Watcher | None] = ContextVar("dubarr_watcher", default=None)


@contextlib.contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Report the progress of all stages of this context to `watcher` (stage, progress)."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def run_stage(
    stage: Stage, execution: dg.AssetExecutionContext, config: StageConfig, names: LibraryNames
) -> dg.MaterializeResult:
    """Reuse or remake a stage's result for the run's partition, and record it in the store."""
    with failing_once():
        try:
            return _run_alone(stage, execution, config, names)
        # A database server that does not answer is waited for.
        except OperationalError as error:
            if isinstance(error.orig, sqlite3.Error):
                raise
            raise dg.RetryRequested(_STORE_TRIES, _STORE_WAIT_S) from error


def _run_alone(
    stage: Stage, execution: dg.AssetExecutionContext, config: StageConfig, names: LibraryNames
) -> dg.MaterializeResult:
    """Reuse or remake a stage's result while no other process can, here or elsewhere."""
    settings, instance = resource_of(execution, names).settings(), execution.instance
    key = execution.partition_key
    if not KEY_PATTERN.fullmatch(key):
        # It names no film, and no lease: this says so.
        load_video(key, settings.work_dir)
    root = WorkDir(settings.work_dir / key).root
    with (
        film_lease(
            instance, names.film(key), execution.run.run_id, settings.workers.lease_s
        ) as lease,
        fenced(root, lease.check),
        staged_film(key, settings, stage.name, stage.inputs),
        shared_memories(instance, settings, names) if stage.memories else contextlib.nullcontext(),
    ):
        return _run_leased(stage, execution, config, names)


def _run_leased(
    stage: Stage, execution: dg.AssetExecutionContext, config: StageConfig, names: LibraryNames
) -> dg.MaterializeResult:
    settings, instance = resource_of(execution, names).settings(), execution.instance
    video = load_video(execution.partition_key, settings.work_dir)
    work = video.work(settings.work_dir)
    context = StageContext(
        stage,
        video,
        work,
        settings.for_video(video.profile, video.overrides),
        _progress_reporter(stage.name, execution, work),
        force=config.force,
        names=names,
    )
    check_source(video)
    with exclusive(work):
        for words in corrections.take_over(work, stage.name):
            _log.warning("%s: %s", video.key, words)
        inputs = _input_results(context, instance)
        last = last_materialization(instance, stage.name, video.key, names)
        try:
            result = _reuse_or_make(replace(context, inputs=inputs), last)
        finally:
            forget_progress(work)
    if stage.memories and (series := series_of(video, settings.work_dir)):
        record_cast(instance, series.key, settings.work_dir, names)
    return result


def required(context: StageContext) -> Wanted:
    """Return everything that the stage's result must depend on now."""
    stage = context.stage
    depends = {name: result.record.fingerprint for name, result in context.inputs.items()}
    facts = {**stage.module.facts(context), "inputs": depends}
    return checkpoints.wanted(stage.name, stage.version, facts)


def decide(context: StageContext, wanted: Wanted, last: Materialization | None) -> Decision:
    """Return whether the last result is valid for what it must depend on now."""
    record = last.record if last else None
    inputs = _productions(context)
    if last and (unserved := last.number("unserved")):
        return Decision(False, f"a service was away for {unserved:g} lines")
    return checkpoints.decide(context.work, context.stage.name, wanted, inputs, record)


def _productions(context: StageContext) -> dict[str, str]:
    return {name: result.record.production for name, result in context.inputs.items()}


def _reuse_or_make(context: StageContext, last: Materialization | None) -> dg.MaterializeResult:
    stage, key = context.stage.name, context.video.key
    if stage == STAGE_NAMES[0]:
        keep_answer(find_source(context.video.source), context.work.probed)
    wanted = required(context)
    decision = decide(context, wanted, last)
    if decision.keep and last and not context.force:
        _log.info("%s of %s: reused, %s", stage, key, decision.reason)
        context.on_progress(Progress(1, 1, "reused"))
        corrections.keep_made(context.work, stage)
        own = ("dagster/", "dubarr/")
        shown = {name: value for name, value in last.metadata.items() if not name.startswith(own)}
        return _result(context, last.record, {**shown, "reused": True})
    _log.info("%s of %s: %s", stage, key, "forced" if context.force else decision.reason)
    started = time.monotonic()
    check_stage(stage, context.video, context.settings)
    if stage == "transcript":
        settle_lines(context.work)
        mark_people(context.work)
    with named_disk_errors(context.work.root):
        outcome, memory = measured(lambda: context.stage.module.make(context))
        check_source(context.video)
        corrections.keep_made(context.work, stage)
        record = checkpoints.write_record(
            context.work, stage, wanted, _productions(context), outcome.files
        )
    context.on_progress(Progress(1, 1, "done"))
    seconds = round(time.monotonic() - started, 3)
    run = {"seconds": seconds, "reused": False, "reason": decision.reason}
    if used := [context.settings.engines[cast("Kind", kind)] for kind in context.stage.engines]:
        run["engines"] = ", ".join(used)
    figures = rounded({**outcome.metadata, **run})
    return _result(context, record, {**figures, **memory_metadata(memory)})


def _input_results(
    context: StageContext, instance: dg.DagsterInstance
) -> dict[str, Materialization]:
    """Return the results that the stage works from; each must be there and whole."""
    results: dict[str, Materialization] = {}
    for name in context.stage.inputs:
        fault = "not made yet"
        if result := last_materialization(instance, name, context.video.key, context.names):
            fault = checkpoints.damage(context.work, name, result.record.manifest)
            results[name] = result
        if fault:
            raise ArtifactError(
                f"{context.stage.name} of {context.video.key} needs {name}, and {fault}: "
                f"materialize {name} first, or the whole video"
            )
    return results


def _result(
    context: StageContext, record: Record, metadata: Mapping[str, Any]
) -> dg.MaterializeResult:
    results = checks.results_of(context)
    if context.stage.pool == GPU:
        results.append(checks.of_memory(memory_of(metadata)))
    page = context.settings.review.link(context.video.key)
    link = {"review": dg.MetadataValue.url(page)} if page else {}
    return dg.MaterializeResult(
        asset_key=context.names.key(context.stage.name),
        metadata={**metadata, **link, **record_metadata(record)},
        data_version=dg.DataVersion(record.fingerprint),
        check_results=results,
    )


def _progress_reporter(
    stage: str, execution: dg.AssetExecutionContext, work: WorkDir
) -> OnProgress:
    """Return a callback that reports every step to the watcher, some to other processes.

    Dagster is told of a few.
    """
    watcher = _watcher.get()
    last_event, last_note = time.monotonic(), 0.0

    def report(progress: Progress) -> None:
        nonlocal last_event, last_note
        if watcher:
            watcher(stage, progress)
        now = time.monotonic()
        if now - last_note >= _NOTE_EVERY_S:
            last_note = now
            note_progress(work, stage, progress)
        if now - last_event >= _EVENT_EVERY_S and progress.total:
            last_event = now
            share = 100 * progress.done / progress.total
            execution.log.info(f"{stage}: {share:.0f} % {progress.note}".rstrip())

    return report


def as_document(report: Any) -> Any:
    """Return a report as JSON-able values, all of its fields included."""
    if is_dataclass(report) and not isinstance(report, type):
        report = asdict(report)
    if isinstance(report, Mapping):
        return {str(name): as_document(value) for name, value in report.items()}
    if isinstance(report, set | frozenset | tuple | list):
        values = [as_document(value) for value in report]
        return sorted(values) if isinstance(report, set | frozenset) else values
    return report if isinstance(report, str | int | float | bool | None) else str(report)
