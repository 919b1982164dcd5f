"""What every stage does alike: look whether its result stands, work if not, and record.

A stage module says what its result depends on (`facts`) and how it is made (`produce`); this one
asks `checkpoints` and talks to Dagster.
"""

from __future__ import annotations

import contextlib
import logging
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import asdict, dataclass, field, is_dataclass, replace
from pathlib import Path
from typing import Any

import dagster as dg
from sqlalchemy.exc import OperationalError

from dubarr_pipeline import checkpoints
from dubarr_pipeline.assets.stage_memory import (
    memory_results,
    memory_specs,
    note_metadata,
    note_of,
)
from dubarr_pipeline.checkpoints import Record, Wanted
from dubarr_pipeline.engines.interfaces import OnProgress, Progress
from dubarr_pipeline.engines.memory_note import MemoryNote, measured
from dubarr_pipeline.errors import ArtifactError, DubbingError
from dubarr_pipeline.library.disk_budget import check_stage
from dubarr_pipeline.library.videos import Video, check_source, load_video
from dubarr_pipeline.partitions import videos
from dubarr_pipeline.records import (
    Materialization,
    last_materialization,
    record_metadata,
    stage_key,
)
from dubarr_pipeline.resources import Workshop
from dubarr_pipeline.settings import Settings
from dubarr_pipeline.workdir import WorkDir, exclusive, named_disk_errors

_log = logging.getLogger(__name__)

GROUP = "dubbing"
OWNERS = ["team:dubarr"]
_EVENT_EVERY_S = 5.0
"""Progress events per stage: one writer manages 110-323 events a second for all runs together."""
_STORE_TRIES, _STORE_WAIT_S = 12, 5
"""A PostgreSQL server that is restarted is away for seconds."""


class StageConfig(dg.Config):
    """What one launch of a stage may be told."""

    force: bool = False
    """Make it anew even if its result stands."""


@dataclass(frozen=True, slots=True)
class Bench:
    """What a stage finds on its bench: the video, its folder, the settings, and who watches.

    Attributes:
        inputs: the records of the results that it works from.
        seconds, reused: how long each of them took to make, and whether it was kept just now.
        memory: what was measured when each of them was made.
        force: make everything anew, parts that stand included.
    """

    video: Video
    work: WorkDir
    settings: Settings
    on_progress: OnProgress
    inputs: Mapping[str, Record] = field(default_factory=dict[str, Record])
    seconds: Mapping[str, float | None] = field(default_factory=dict[str, float | None])
    reused: Mapping[str, bool] = field(default_factory=dict[str, bool])
    memory: Mapping[str, MemoryNote | None] = field(default_factory=dict[str, MemoryNote | None])
    force: bool = False

    def options(self, section: str) -> Any:
        """The options of a settings section."""
        return self.settings.options(section)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a stage made: the files it leaves, and what is worth looking at in the UI."""

    files: Sequence[Path]
    metadata: Mapping[str, Any] = field(default_factory=dict[str, Any])


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage, as plain functions around Dagster.

    Attributes:
        name: the asset's short name.
        inputs: the stages whose artifacts it reads.
        code_version: raised whenever its code would make another result.
        facts: all else that the result depends on, JSON-able.
        produce: does the work.
        checks: what a listener would complain of, told from the artifacts.
    """

    name: str
    inputs: tuple[str, ...]
    code_version: str
    facts: Callable[[Bench], Mapping[str, Any]]
    produce: Callable[[Bench], Outcome]
    checks: Callable[[Bench], Sequence[dg.AssetCheckResult]] | None = None


def stage_asset(
    stage: Stage,
    kinds: set[str],
    pool: str | None = None,
    check_specs: Sequence[dg.AssetCheckSpec] = (),
) -> Callable[[Callable[..., dg.MaterializeResult]], dg.AssetsDefinition]:
    """Declare a stage as a partitioned asset; its docstring becomes the description.

    Args:
        stage: what it is.
        kinds: the badges that the UI shows.
        pool: ``"gpu"`` where the studio's engines hold the device.
        check_specs: the checks that the stage's result carries.
    """
    return dg.asset(
        name=stage.name,
        key_prefix=["dub"],
        deps=[stage_key(name) for name in stage.inputs],
        partitions_def=videos,
        group_name=GROUP,
        owners=OWNERS,
        kinds=kinds,
        code_version=stage.code_version,
        pool=pool,
        check_specs=[*check_specs, *memory_specs(stage.name)],
    )


Watcher = Callable[[str, Progress], None]
_watcher: ContextVar[Watcher | None] = ContextVar("dubarr_watcher", default=None)


@contextlib.contextmanager
def watching(watcher: Watcher) -> Iterator[None]:
    """Have the progress of all stages of this context told to `watcher` (stage, progress)."""
    token = _watcher.set(watcher)
    try:
        yield
    finally:
        _watcher.reset(token)


def run_stage(
    stage: Stage, context: dg.AssetExecutionContext, config: StageConfig, workshop: Workshop
) -> dg.MaterializeResult:
    """Keep or make a stage's result for the partition, and say so to the store."""
    with _named_failures():
        bench = open_bench(stage, context, workshop)
        check_source(bench.video)
        with exclusive(bench.work):
            return _keep_or_make(stage, bench, context, config.force)


def open_bench(stage: Stage, context: dg.AssetExecutionContext, workshop: Workshop) -> Bench:
    """Lay out what the stage needs for the partition of the run."""
    settings = workshop.settings()
    video = load_video(context.partition_key, settings.work_dir)
    settings = settings.for_video(video.profile, video.overrides)
    return Bench(
        video, video.work(settings.work_dir), settings, _progress_teller(stage.name, context)
    )


def wanted_result(stage: Stage, bench: Bench, inputs: Mapping[str, Materialization]) -> Wanted:
    """What the stage's result must depend on now."""
    depends = {name: made.record.fingerprint for name, made in inputs.items()}
    return checkpoints.wanted(
        stage.name, stage.code_version, {**stage.facts(bench), "inputs": depends}
    )


def _keep_or_make(
    stage: Stage, bench: Bench, context: dg.AssetExecutionContext, force: bool
) -> dg.MaterializeResult:
    inputs = _input_results(stage, bench, context.instance)
    bench = replace(
        bench,
        inputs={name: made.record for name, made in inputs.items()},
        seconds={name: made.number("seconds") for name, made in inputs.items()},
        reused={name: made.reused for name, made in inputs.items()},
        memory={name: note_of(made.metadata) for name, made in inputs.items()},
        force=force,
    )
    productions = {name: record.production for name, record in bench.inputs.items()}
    wanted = wanted_result(stage, bench, inputs)
    last = last_materialization(context.instance, stage.name, bench.video.key)
    decision = checkpoints.decide(
        bench.work, stage.name, wanted, productions, last.record if last else None
    )
    if decision.keep and last and not force:
        _log.info("%s of %s: kept, %s", stage.name, bench.video.key, decision.reason)
        bench.on_progress(Progress(1, 1, "kept"))
        return _result(stage, bench, last.record, {**_carried(last), "reused": True})
    _log.info("%s of %s: %s", stage.name, bench.video.key, "forced" if force else decision.reason)
    started = time.monotonic()
    check_stage(stage.name, bench.video, bench.settings)
    with named_disk_errors(bench.work.root):
        outcome, memory = measured(lambda: stage.produce(bench))
        check_source(bench.video)
        record = checkpoints.seal(bench.work, stage.name, wanted, productions, outcome.files)
    bench.on_progress(Progress(1, 1, "done"))
    seconds = round(time.monotonic() - started, 3)
    made = {**outcome.metadata, "seconds": seconds, "reused": False, "reason": decision.reason}
    return _result(stage, bench, record, {**made, **note_metadata(memory)})


def _input_results(
    stage: Stage, bench: Bench, instance: dg.DagsterInstance
) -> dict[str, Materialization]:
    """The results that the stage works from; each must be there and whole."""
    found: dict[str, Materialization] = {}
    for name in stage.inputs:
        made = last_materialization(instance, name, bench.video.key)
        fault = "not made yet" if made is None else None
        if made is not None:
            fault = checkpoints.damage(bench.work, name, made.record.manifest)
            found[name] = made
        if fault:
            raise ArtifactError(
                f"{stage.name} of {bench.video.key} needs {name}, and {fault}: "
                f"materialize {name} first, or the whole video"
            )
    return found


def _result(
    stage: Stage, bench: Bench, record: Record, metadata: Mapping[str, Any]
) -> dg.MaterializeResult:
    checks = stage.checks(bench) if stage.checks else []
    return dg.MaterializeResult(
        asset_key=stage_key(stage.name),
        metadata={**metadata, **record_metadata(record)},
        data_version=dg.DataVersion(record.fingerprint),
        check_results=[*checks, *memory_results(stage.name, metadata)],
    )


def _carried(last: Materialization) -> dict[str, Any]:
    """What the earlier materialization showed, to be shown again."""
    own = ("dagster/", "dubarr/")
    return {name: value for name, value in last.metadata.items() if not name.startswith(own)}


def _progress_teller(stage: str, context: dg.AssetExecutionContext) -> OnProgress:
    """Tell the watcher of every step, and Dagster at most every five seconds."""
    watcher = _watcher.get()
    last_told = time.monotonic()

    def tell(progress: Progress) -> None:
        nonlocal last_told
        if watcher:
            watcher(stage, progress)
        now = time.monotonic()
        if now - last_told >= _EVENT_EVERY_S and progress.total:
            last_told = now
            share = 100 * progress.done / progress.total
            context.log.info(f"{stage}: {share:.0f} % {progress.note}".rstrip())

    return tell


@contextlib.contextmanager
def _named_failures() -> Iterator[None]:
    """Show our own errors in the UI by their message, without a page of Dagster's frames.

    While a database server does not answer, the stage waits for it.
    """
    try:
        yield
    except OperationalError as error:
        if isinstance(error.orig, sqlite3.Error):
            raise
        raise dg.RetryRequested(_STORE_TRIES, _STORE_WAIT_S) from error
    except DubbingError as error:
        raise dg.Failure(
            description=str(error), metadata={"error": type(error).__name__}, allow_retries=False
        ) from error


def as_facts(options: Any) -> Any:
    """Options as JSON-able facts for a fingerprint."""
    if is_dataclass(options) and not isinstance(options, type):
        return {name: as_facts(value) for name, value in asdict(options).items()}
    if isinstance(options, Mapping):
        return {str(name): as_facts(value) for name, value in options.items()}
    if isinstance(options, set | frozenset):
        return sorted(as_facts(value) for value in options)
    if isinstance(options, tuple | list):
        return [as_facts(value) for value in options]
    return options if isinstance(options, str | int | float | bool | None) else str(options)
