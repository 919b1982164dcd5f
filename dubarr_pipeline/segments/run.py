"""A whole run: all lines of all languages drafted, spoken, fitted, placed and written."""

import logging
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import numpy as np

from dubarr_pipeline.engines.interfaces import DraftBatch, Samples
from dubarr_pipeline.engines.translation.reply_checks import keeps_term, terms_in
from dubarr_pipeline.errors import LanguageError
from dubarr_pipeline.media.audio.resample import resample
from dubarr_pipeline.media.audio.stretch import stretch
from dubarr_pipeline.media.audio.wav import write_wave
from dubarr_pipeline.progress import OnProgress, ignore_progress
from dubarr_pipeline.script.model import Context
from dubarr_pipeline.segments.cache import AnswerCache
from dubarr_pipeline.segments.deps import LineDeps
from dubarr_pipeline.segments.journal import Journal, digest
from dubarr_pipeline.segments.lengths import Lengths
from dubarr_pipeline.segments.measuring import voices_to_measure
from dubarr_pipeline.segments.pool import Pool
from dubarr_pipeline.segments.results import (
    FAILED,
    KEPT_ORIGINAL,
    PLACED,
    LineResult,
    SegmentsResult,
    SegmentsStats,
    write_segments,
)
from dubarr_pipeline.segments.tasks import LineTask, SegmentsRequest, line_tasks
from dubarr_pipeline.segments.wishes.corrections import pin
from dubarr_pipeline.segments.wishes.settled import with_chosen_takes
from dubarr_pipeline.services.call_queue import ServiceQueue
from dubarr_pipeline.text.languages import display_name, same_language
from dubarr_pipeline.timing.placement import TimedTake, place

_log = logging.getLogger(__name__)


def run(request: SegmentsRequest, on_progress: OnProgress = ignore_progress) -> SegmentsResult:
    """Make every line of every language, and write its sounds, the journal and ``segments.json``.

    The engines of the request are loaded. A line that cannot be made fails by name; the others go
    on. Finished work of earlier runs is read from the journal.

    Raises:
        LanguageError: if an engine does not serve a target language.
        Cancelled: if it was cancelled; finished lines are kept.
        DiskFull, NotWritable: if the work folder refuses.
    """
    _check_languages(request)
    began = time.monotonic()
    tasks = line_tasks(request)
    with Journal(request.work.journal, fresh=request.force) as journal:
        cache = AnswerCache(request.work, journal, tasks)
        tasks = with_chosen_takes(tasks, cache, request.work)
        deps = line_deps(request, tasks, cache)
        spoken = Pool(tasks, deps, request.cancel).run(on_progress) if tasks else []
        lines = _place(request, tasks, spoken, cache)
        # An edit may be undone: a film with edits keeps every take.
        if not request.revisions:
            cache.sweep(spoken)
    stats = _stats(request, lines, spoken, time.monotonic() - began)
    learned, revisions = deps.lengths.learned(), dict(request.revisions)
    facts = (request.transcript.rate, lines, stats, learned, revisions, request.refused)
    result = SegmentsResult(*facts)
    # Sounds of lines and languages that are gone, and half-written files.
    wanted = {line.path for each in lines.values() for line in each}
    folder, root = request.work.segments, request.work.root
    gone = [path for path in folder.glob("final_*.wav") if path not in wanted]
    gone += request.work.trials.glob("*")
    for path in [*gone, *folder.glob(".final_*"), *root.glob(".segments.part.*")]:
        path.unlink(missing_ok=True)
    engines = {
        "listener": request.listener.identity() if request.listener else None,
        "translator": request.translator.identity(),
        "synthesizer": request.synthesizer.identity(),
    }
    write_segments(request.work, result, engines=engines)
    _log.info(
        "%d lines: %d placed, %d kept original, failed: %s; %d takes spoken, %d lines reused",
        *(stats.lines, stats.placed, stats.kept_original, dict(stats.failures) or "none"),
        *(stats.spoken, stats.reused),
    )
    return result


def _check_languages(request: SegmentsRequest) -> None:
    source = request.transcript.language
    for target in request.targets:
        if same_language(source, target):
            raise LanguageError(
                f"the film is spoken in {display_name(source)}, whatever its label says: remove "
                f"{target!r} from the target languages"
            )
        request.translator.check(source, target)
        if not request.synthesizer.serves(target):
            raise LanguageError(f"synthesizer {request.synthesizer.name!r} does not speak {target}")


def line_deps(request: SegmentsRequest, tasks: Sequence[LineTask], cache: AnswerCache) -> LineDeps:
    """Return the dependencies of the lines: the request's engines behind queues, and answers."""
    options, listener = request.options, request.listener
    llm = options.llm_concurrency or request.translator.concurrency
    tts = options.tts_concurrency or request.synthesizer.concurrency
    language, prior = request.transcript.language, cache.prior(request.lengths)
    new = voices_to_measure(tasks, request.synthesizer, cache, prior)
    return LineDeps(
        cache=cache,
        translator=request.translator,
        synthesizer=request.synthesizer,
        listener=listener,
        llm=ServiceQueue("llm", llm, options.dead_after),
        tts=ServiceQueue("tts", tts, options.dead_after),
        asr=ServiceQueue("asr", listener.concurrency if listener else 1),
        lengths=Lengths(tasks, prior, request.phonemes, new.voices, new.known),
        unmeasured=new.voices,
        options=options,
        rate=request.transcript.rate,
        film=DraftBatch(language, "", (), request.context, request.speakers),
        contexts={target: request.context_in(target) for target in request.targets},
    )


def _place(
    request: SegmentsRequest,
    tasks: Sequence[LineTask],
    spoken: Sequence[LineResult],
    cache: AnswerCache,
) -> dict[str, tuple[LineResult, ...]]:
    """Place the lines of every language, and add those that keep the original voice."""
    results = {task.position: result for task, result in zip(tasks, spoken, strict=True)}
    lines: dict[str, tuple[LineResult, ...]] = {}
    for language in request.targets:
        mine = [task for task in tasks if task.language == language]
        original = [
            LineResult(
                *(language, s.index, s.speaker, s.span, s.span, KEPT_ORIGINAL),
                id=request.ids.get(s.index, ""),
            )
            for s in request.transcript.segments
            if s.kind != "speech"
        ]
        context = request.context_in(language)
        made = place_language(mine, results, request, cache)
        placed = [
            _flagged(line, task.segment.text, context)
            for task, line in zip(mine, made, strict=True)
        ]
        all_lines = [*placed, *original]
        lines[language] = tuple(sorted(all_lines, key=lambda line: line.index))
    return lines


def _flagged(line: LineResult, original: str, context: Context) -> LineResult:
    """Return a placed line with the doubts about it."""
    if not line.placed or line.take is None:
        return line
    terms = terms_in(original, context)
    kept = all(keeps_term(line.text, term, line.language) for term in terms)
    return replace(line, flags=(*line.take.faults, *(() if kept else ("missing_term",))))


def _stats(
    request: SegmentsRequest,
    languages: Mapping[str, Sequence[LineResult]],
    results: Sequence[LineResult],
    wall_s: float,
) -> SegmentsStats:
    lines = [line for each in languages.values() for line in each]
    spoken = [result for result in results if result.takes]
    # Only first takes at the natural rate: later ones were corrected by what went before.
    errors = [
        abs(take.predicted_s / result.natural[1] - 1)
        for result in spoken
        if result.natural
        and (take := result.takes[0]).spoken == result.natural[0]
        # What an engine foresaw and nobody heard is no prediction that was tested.
        and not (take.asked_s is not None and take.predicted_s == result.natural[1])
    ]
    usage = request.translator.usage()
    return SegmentsStats(
        lines=len(lines),
        placed=sum(1 for line in lines if line.placed),
        kept_original=sum(1 for line in lines if line.outcome == KEPT_ORIGINAL),
        failures=dict(sorted(Counter(line.failure for line in lines if line.failure).items())),
        spoken=sum(result.spoken_now for result in results),
        reused=sum(1 for result in results if result.reused),
        takes_per_line=fmean(len(result.takes) for result in spoken) if spoken else 0.0,
        tokens=usage.tokens,
        tokens_per_s=usage.tokens / usage.busy_s if usage.busy_s else 0.0,
        prediction_error=fmean(errors) if errors else None,
        wall_s=round(wall_s, 3),
        edited=sum(1 for line in lines if line.edits),
        refused=sum(len(line.refused) for line in lines) + len(request.refused),
    )


_THREADS = 2
_SOUND_VERSION = "3"
"""Raised whenever the final sound of the same take would come out otherwise (3: soxr)."""


def place_language(
    tasks: Sequence[LineTask],
    results: Mapping[int, LineResult],
    request: SegmentsRequest,
    cache: AnswerCache,
) -> tuple[LineResult, ...]:
    """Place all lines of one language and write their final sounds; lines in the order of tasks.

    The result depends on the chosen takes alone; `results` has them by position.
    """
    rate, options = request.transcript.rate, request.options
    takes = [
        TimedTake.untouched(task.window, natural, pin(task.edits, natural, rate))
        for task in tasks
        if (take := results[task.position].take) is not None
        for natural in [max(1, round(take.duration_s * rate))]
    ]
    placement = place(takes, rate, options.placement, options.tempo)
    placed = {take.index: take for take in placement.placed}
    failed = {line.index: line.failure for line in placement.failed}

    def finish(task: LineTask) -> LineResult:
        result, path = results[task.position], request.work.take(task.language, task.index)
        take, timed = result.take, placed.get(task.index)
        if take is None or timed is None:
            path.unlink(missing_ok=True)
            if result.outcome == KEPT_ORIGINAL:
                return result
            return replace(result, outcome=FAILED + (result.failure or failed[task.index]))

        def render(temporary: Path) -> None:
            samples, own_rate = cache.sound(take)
            write_wave(temporary, at_clock(samples, own_rate, timed, rate), rate)

        key = digest(_SOUND_VERSION, take.sound, timed.natural, timed.length, rate)
        cache.final(task, key, path, render)
        line = replace(result, outcome=PLACED, path=path, tempo=timed.tempo)
        return replace(line, start=timed.start, length=timed.length)

    # NumPy and the disk release the interpreter lock, so that two threads overlap.
    with ThreadPoolExecutor(_THREADS, "dubarr-render") as workers:
        return tuple(workers.map(finish, tasks))


def at_clock(samples: Samples, rate: int, placed: TimedTake, clock_rate: int) -> Samples:
    """Return a mono take at the clock's rate, with its placement's tempo and length."""
    resampled = resample(samples, rate, clock_rate)
    # Resampling may miss the placement's length by a sample.
    natural = np.zeros(placed.natural, dtype=np.float32)
    size = min(placed.natural, resampled.size)
    natural[:size] = resampled[:size]
    return (
        natural if placed.length == placed.natural else stretch(natural, clock_rate, placed.length)
    )
