"""A whole production: all lines of all languages drafted, spoken, fitted, placed and written."""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from dubarr_pipeline.engines.interfaces import (
    DraftBatch,
    OnProgress,
    Progress,
    ignore_progress,
)
from dubarr_pipeline.errors import LanguageError
from dubarr_pipeline.production.desk import Desk
from dubarr_pipeline.production.journal import Journal
from dubarr_pipeline.production.lengths import Lengths
from dubarr_pipeline.production.memory import Memory
from dubarr_pipeline.production.placing import Stage, place_language
from dubarr_pipeline.production.pool import Pace, Pool, PoolState
from dubarr_pipeline.production.results import (
    FAILED,
    KEPT_ORIGINAL,
    LineResult,
    ProducedLine,
    Production,
    ProductionStats,
)
from dubarr_pipeline.production.segments_file import write_segments
from dubarr_pipeline.production.tasks import LineTask, ProductionOrder, line_tasks
from dubarr_pipeline.services.queueing import ServiceQueue
from dubarr_pipeline.timeline.script import Segment

_log = logging.getLogger(__name__)


def produce(order: ProductionOrder, on_progress: OnProgress = ignore_progress) -> Production:
    """Make every line of every language, and write its sounds, the journal and ``segments.json``.

    The engines of the order are loaded. A line that cannot be made fails by name; the others go on.
    Whatever an earlier run has finished is taken from the journal.

    Raises:
        LanguageError: if an engine does not serve a target language.
        Cancelled: if it was called off; what is finished is kept.
        DiskFull, NotWritable: if the work folder refuses.
    """
    _check_languages(order)
    began = time.monotonic()
    tasks = line_tasks(order)
    with Journal(order.work.journal, fresh=order.force) as journal:
        memory = Memory(order.work, journal)
        desk = desk_for(order, tasks, memory)
        results = _make(tasks, desk, order, on_progress)
        production = _place(order, tasks, results, memory)
        memory.sweep(list(results.values()))
    stats = _stats(order, production, results, time.monotonic() - began)
    made = Production(order.transcript.rate, production, stats, desk.lengths.learned())
    _sweep_finals(order, made)
    write_segments(order.work, made, engines=_engines(order))
    _log.info(
        "%d lines: %d placed, %d kept original, failed: %s; %d takes spoken, %d lines reused",
        stats.lines,
        stats.placed,
        stats.kept_original,
        dict(stats.failures) or "none",
        stats.spoken,
        stats.reused,
    )
    return made


def _check_languages(order: ProductionOrder) -> None:
    source = order.transcript.language
    for target in order.targets:
        if not order.translator.serves(source, target):
            choices = ", ".join(order.translator.targets(source)) or "none"
            raise LanguageError(
                f"translator {order.translator.name!r} does not translate {source} to {target} "
                f"(it serves: {choices})"
            )
        if not order.synthesizer.serves(target):
            raise LanguageError(f"synthesizer {order.synthesizer.name!r} does not speak {target}")


def desk_for(order: ProductionOrder, tasks: Sequence[LineTask], memory: Memory) -> Desk:
    """What the lines of an order are made with: its engines behind queues, and its memory."""
    options = order.options
    llm = options.llm_concurrency or order.translator.concurrency
    tts = options.tts_concurrency or order.synthesizer.concurrency
    return Desk(
        memory=memory,
        translator=order.translator,
        synthesizer=order.synthesizer,
        listener=order.listener,
        llm=ServiceQueue("llm", llm, options.dead_after),
        tts=ServiceQueue("tts", tts, options.dead_after),
        asr=ServiceQueue("asr", order.listener.concurrency if order.listener else 1),
        lengths=Lengths(tasks, memory.prior(order.lengths), order.phonemes),
        options=options,
        rate=order.transcript.rate,
        film=DraftBatch(order.transcript.language, "", (), order.context, order.speakers),
    )


def _make(
    tasks: Sequence[LineTask], desk: Desk, order: ProductionOrder, on_progress: OnProgress
) -> dict[int, LineResult]:
    if not tasks:
        return {}
    pace = Pace()

    def tick(state: PoolState) -> None:
        on_progress(Progress(state.done, state.total, pace.words(state)))

    results = Pool(tasks, desk, order.cancel).run(tick)
    return {task.position: result for task, result in zip(tasks, results, strict=True)}


def _place(
    order: ProductionOrder,
    tasks: Sequence[LineTask],
    results: Mapping[int, LineResult],
    memory: Memory,
) -> dict[str, tuple[ProducedLine, ...]]:
    stage = Stage(order.work, memory, order.transcript.rate, order.options.placement)
    kept = [segment for segment in order.transcript.segments if segment.kind != "speech"]
    placed: dict[str, tuple[ProducedLine, ...]] = {}
    for language in order.targets:
        mine = [task for task in tasks if task.language == language]
        lines = [*place_language(mine, results, stage), *(_kept(s, language) for s in kept)]
        placed[language] = tuple(sorted(lines, key=lambda line: line.index))
    return placed


def _kept(segment: Segment, language: str) -> ProducedLine:
    return ProducedLine(
        language, segment.index, segment.speaker, segment.span, segment.span, KEPT_ORIGINAL
    )


def _stats(
    order: ProductionOrder,
    lines: Mapping[str, Sequence[ProducedLine]],
    results: Mapping[int, LineResult],
    wall_s: float,
) -> ProductionStats:
    every = [line for found in lines.values() for line in found]
    spoken = [result for result in results.values() if result.takes]
    names = Counter(
        line.outcome.removeprefix(FAILED) for line in every if line.outcome.startswith(FAILED)
    )
    errors = [
        abs(take.predicted_s / result.natural[1] - 1)
        for result in spoken
        if result.natural and (take := result.takes[0]).spoken == result.natural[0]
    ]
    usage = order.translator.usage()
    return ProductionStats(
        lines=len(every),
        placed=sum(1 for line in every if line.placed),
        kept_original=sum(1 for line in every if line.outcome == KEPT_ORIGINAL),
        failures=dict(sorted(names.items())),
        spoken=sum(result.spoken_now for result in results.values()),
        reused=sum(1 for result in results.values() if result.reused),
        takes_per_line=fmean(len(result.takes) for result in spoken) if spoken else 0.0,
        tokens=usage.tokens,
        tokens_per_s=usage.tokens / usage.busy_s if usage.busy_s else 0.0,
        prediction_error=fmean(errors) if errors else None,
        wall_s=round(wall_s, 3),
    )


def _engines(order: ProductionOrder) -> dict[str, Any]:
    return {
        "listener": order.listener.identity() if order.listener else None,
        "translator": order.translator.identity(),
        "synthesizer": order.synthesizer.identity(),
    }


def _sweep_finals(order: ProductionOrder, production: Production) -> None:
    """Remove sounds of lines and languages that are gone, and what a killed run half wrote."""
    wanted = {line.path for lines in production.languages.values() for line in lines}
    folder = order.work.segments
    gone = [path for path in folder.glob("final_*.wav") if path not in wanted]
    half = [*folder.glob(".final_*"), *order.work.root.glob(".segments.part.*")]
    for path in [*gone, *half]:
        path.unlink(missing_ok=True)
