"""The pool: all lines of all languages in one list, worked on by threads, one line each.

One thread per language drafts, batch after batch; a line may be begun as soon as its draft is
there. Threads begin the earliest line of the film that can be begun. Priority is settled in the
queues before the services: refinement first, then by position.

No starvation: lines are begun only from drafts that are there, so refinements can stand before a
draft only until those are used up. Bounded memory: a sound lives only in its thread, and drafting
pauses while `ready_lines` of its language wait.
"""

import heapq
import logging
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import replace

from dubarr_pipeline.engines.interfaces import Draft
from dubarr_pipeline.progress import OnProgress, Progress
from dubarr_pipeline.segments.deps import LineDeps
from dubarr_pipeline.segments.lengths import VoiceName
from dubarr_pipeline.segments.line import make_line
from dubarr_pipeline.segments.measuring import measured
from dubarr_pipeline.segments.results import FAILED, LINE_FAILURES, LineResult, failure_name
from dubarr_pipeline.segments.tasks import LineTask
from dubarr_pipeline.segments.wishes.settled import by_person
from dubarr_pipeline.services.call_queue import DRAFTING, Cancelled, Priority

_TICK_S = 0.25
_GRACE_S = 10.0
"""After a cancellation, calls that are under way may take this long to end."""


class Pool:
    """Workers for one list of tasks, worked through once, or until another thread sets `cancel`."""

    def __init__(self, tasks: Sequence[LineTask], deps: LineDeps, cancel: threading.Event) -> None:
        self._tasks, self._deps, self._cancel = tasks, deps, cancel
        self._changed = threading.Condition()
        self._ready: list[tuple[int, LineTask, Draft]] = []
        self._parked: defaultdict[str, list[tuple[int, LineTask, Draft]]] = defaultdict(list)
        self._waiting: Counter[str] = Counter()
        self._results: dict[int, LineResult] = {}
        self._wanted, self._done = Counter(task.language for task in tasks), Counter[str]()
        self._spoken = self._takes = 0
        self._stopped = False
        self._languages = tuple(dict.fromkeys(task.language for task in tasks))

    def run(self, on_progress: OnProgress) -> list[LineResult]:
        """Work through all tasks; return results in their order. Raises `Cancelled` if stopped."""
        # Lines that earlier runs finished count as done before the first thread starts.
        for task in self._tasks:
            finished = by_person(task, self._deps.cache.finished(task))
            if finished is not None:
                self._deps.lengths.settle(task, finished.natural)
                self._keep(task, finished)
        began_s, before = time.monotonic(), len(self._results)
        # Enough threads for a call running and one waiting in every slot of both services.
        slots = self._deps.llm.concurrency + self._deps.tts.concurrency
        threads = min(self._deps.options.threads or 2 * slots + 2, max(1, len(self._tasks)))
        workers = ThreadPoolExecutor(threads + len(self._languages), "dubarr-line")
        try:
            futures = [workers.submit(self._draft, language) for language in self._languages]
            voices = self._deps.unmeasured.items()
            futures += [workers.submit(self._measure, *voice) for voice in voices]
            futures += [workers.submit(self._work) for _ in range(threads)]
            pending: set[Future[None]] = set(futures)
            while pending:
                done, pending = wait(pending, timeout=_TICK_S, return_when=FIRST_EXCEPTION)
                for future in done:
                    future.result()
                if self._cancel.is_set():
                    self._stop()
                    # Calls in progress may end and be written down: they are paid for.
                    wait(pending, timeout=_GRACE_S)
                    raise Cancelled(
                        "stopped: finished lines are kept, and a new run resumes from there"
                    )
                on_progress(self._progress(began_s, before))
        finally:
            self._stop()
            # A call that hangs must not hold up the end of the run.
            workers.shutdown(wait=False, cancel_futures=True)
        return [self._results[task.position] for task in self._tasks]

    def _progress(self, began_s: float, before: int) -> Progress:
        """Return lines done per language, takes per line, both queues' depths, and time left.

        `before` lines were done when it began.
        """
        # Counted as lines end, not here: that would be all lines, four times a second.
        with self._changed:
            done, total = len(self._results), len(self._tasks)
            ended = (f"{name} {self._done[name]}/{count}" for name, count in self._wanted.items())
            notes = [", ".join(ended)]
            if self._spoken:
                notes.append(f"{self._takes / self._spoken:.2f} takes/line")
        llm, tts = self._deps.llm.load(), self._deps.tts.load()
        notes.append(f"waiting: llm {llm.waiting}, tts {tts.waiting}")
        if before < done < total:
            each_s = (time.monotonic() - began_s) / (done - before)
            minutes, seconds = divmod(round(each_s * (total - done)), 60)
            notes.append(f"{minutes}:{seconds:02d} left")
        return Progress(done, total, "; ".join(notes))

    def _stop(self) -> None:
        self._deps.llm.close()
        self._deps.tts.close()
        self._deps.asr.close()
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    def _draft(self, language: str) -> None:
        """Draft one language from its first line to its last, never far ahead of the voices."""
        tasks = [task for task in self._tasks if task.language == language]
        limit = self._deps.options.ready_lines
        for batch in drafts(tasks, self._deps):
            for task, draft in batch:
                if task.position in self._results:
                    continue
                if not draft.versions:
                    outcome = f"{FAILED}{draft.fault}"
                    failed = replace(task.unspoken, outcome=outcome, message=draft.message)
                    self._finish(task, failed)
                    continue
                with self._changed:
                    self._waiting[language] += 1
                    # Positions are unique, so that tasks and drafts are never compared.
                    heapq.heappush(self._parked[language], (task.position, task, draft))
                    self._unpark(language)
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or self._waiting[language] < limit)
                if self._stopped:
                    return

    def _measure(self, voice: VoiceName, task: LineTask) -> None:
        """Let a new voice say its measuring sentences; the lines of its language wait for that."""
        deps = self._deps
        deps.lengths.settle_voice(voice, measured(task, deps))
        self._unpark(task.language)

    def _work(self) -> None:
        """Make one line after the other, the earliest that can be begun, until none is left."""
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._ready or self._stopped or len(self._results) == len(self._tasks)
                )
                if self._stopped or not self._ready:
                    return
                _, task, draft = heapq.heappop(self._ready)
                self._waiting[task.language] -= 1
                self._changed.notify_all()
            # Its first take may let lines begin that waited for what it teaches.
            result = make_line(
                task, self._deps, draft.versions, lambda done: self._unpark(done.language)
            )
            self._deps.cache.keep_line(task, result)
            self._finish(task, result)

    def _finish(self, task: LineTask, result: LineResult) -> None:
        self._deps.lengths.settle(task, result.natural)
        with self._changed:
            self._keep(task, result)
            self._unpark(task.language)
            self._changed.notify_all()

    def _keep(self, task: LineTask, result: LineResult) -> None:
        self._results[task.position] = result
        self._done[task.language] += 1
        self._spoken += bool(result.takes)
        self._takes += len(result.takes)

    def _unpark(self, language: str) -> None:
        with self._changed:
            parked = self._parked[language]
            while parked and self._deps.lengths.ready(parked[0][1]):
                heapq.heappush(self._ready, heapq.heappop(parked))
                self._changed.notify()


_log = logging.getLogger(__name__)

_EARLIER_LINES = 4

Drafted = tuple[LineTask, Draft]
"""A line and its draft: versions to speak, or the fault that left it without any."""


def drafts(tasks: Sequence[LineTask], deps: LineDeps) -> Iterator[list[Drafted]]:
    """Yield the lines of one language in their order, a batch at a time, translated or failed.

    Batches are cut by the lines' places, whatever the journal holds already, so that a run that
    resumes another asks the same questions.
    """
    earlier: tuple[tuple[str, str], ...] = ()
    # The first batches are small, so that the voices can begin at once.
    start, size = 0, min(2, deps.options.batch_lines)
    while start < len(tasks):
        batch = tasks[start : start + size]
        start, size = start + size, min(2 * size, deps.options.batch_lines)
        known: dict[int, Draft] = {}
        for task in batch:
            draft = _known(task, deps)
            if draft is not None:
                known[task.index] = draft
        missing = [task for task in batch if task.index not in known]
        if missing:
            known |= _translate(missing, deps, earlier)
        drafted = [(task, known[task.index]) for task in batch]
        yield drafted
        spoken = [
            (task.segment.text, draft.versions[len(draft.versions) // 2])
            for task, draft in drafted
            if draft.versions
        ]
        earlier = (*earlier, *spoken)[-_EARLIER_LINES:]


def _known(task: LineTask, deps: LineDeps) -> Draft | None:
    """Return a line's draft without asking for one, or None."""
    if task.fixed is not None:
        return Draft(task.index, (task.fixed.text,))
    if task.edit is not None:
        return Draft(task.index, (task.edit,))
    draft = deps.cache.draft(task)
    return Draft(task.index, ()) if draft is None and task.edits.keep_original else draft


def _translate(
    tasks: Sequence[LineTask], deps: LineDeps, earlier: tuple[tuple[str, str], ...]
) -> Mapping[int, Draft]:
    """Have lines translated in one call; lines that get no answer fail by name."""
    batch = deps.batch(*tasks, earlier=earlier)
    priority = Priority(DRAFTING, tasks[0].position)
    try:
        answers = deps.llm.call(priority, lambda: deps.translator.draft(batch))
    except LINE_FAILURES as error:
        _log.warning("%s and %d more: %s", tasks[0].name, len(tasks) - 1, error)
        failure = failure_name(error, "llm")
        return {task.index: Draft(task.index, (), failure, str(error)) for task in tasks}
    drafts = {draft.index: draft for draft in answers}
    known = [(task, drafts[task.index]) for task in tasks if task.index in drafts]
    deps.cache.keep_drafts([(task, draft) for task, draft in known if draft.versions])
    for task in tasks:
        draft = drafts.get(task.index) or Draft(task.index, ())
        if not draft.versions:
            fault = draft.fault or "untranslated"
            message = f"{task.name} could not be translated ({fault})"
            drafts[task.index] = Draft(task.index, (), fault, message)
    return drafts
