"""The pool: all lines of all languages in one list, worked by threads that each carry one line.

One thread per language drafts, batch after batch; a line may be taken up as soon as its draft is
there. Threads take up the earliest line of the film that can be begun. What is urgent is settled
where it is scarce, in the queues before the services: refinement first, then by position.

No starvation: lines are begun only from drafts that are there, so refinements can stand before a
draft only until those are used up. Bounded memory: a sound lives only in its thread, and drafting
pauses while `ready_lines` of its language wait.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass

from dubarr_pipeline.production.desk import Desk
from dubarr_pipeline.production.drafting import Drafted, drafts
from dubarr_pipeline.production.results import LineResult
from dubarr_pipeline.production.sync_loop import make_line
from dubarr_pipeline.production.tasks import LineTask
from dubarr_pipeline.services.queueing import Cancelled, QueueLoad

_TICK_S = 0.25
_GRACE_S = 10.0
"""After a cancellation, calls that are under way may take this long to end."""


@dataclass(frozen=True, slots=True)
class PoolState:
    """How far the pool has come: finished lines per language, takes, and both services' queues."""

    done: int
    total: int
    per_language: dict[str, tuple[int, int]]
    takes: int
    spoken_lines: int
    llm: QueueLoad
    tts: QueueLoad


class Pool:
    """Works one list of tasks once.

    Args:
        tasks: all lines of all languages.
        desk: what they are made with.
        cancel: set by anybody to stop the pool; what is finished stays in the journal.
    """

    def __init__(self, tasks: Sequence[LineTask], desk: Desk, cancel: threading.Event) -> None:
        self._tasks, self._desk, self._cancel = tasks, desk, cancel
        self._changed = threading.Condition()
        self._ready: list[tuple[int, int, Drafted]] = []
        self._parked: defaultdict[str, list[tuple[int, int, Drafted]]] = defaultdict(list)
        self._waiting: Counter[str] = Counter()
        self._results: dict[int, LineResult] = {}
        self._stopped = False
        self._languages = tuple(dict.fromkeys(task.language for task in tasks))

    def run(self, on_tick: Callable[[PoolState], None]) -> list[LineResult]:
        """Work all tasks, and return their results in the order of the tasks.

        Raises:
            Cancelled: if it was stopped.
        """
        self._take_over()
        threads = self._threads()
        workers = ThreadPoolExecutor(threads + len(self._languages), "dubarr-line")
        try:
            futures = [workers.submit(self._draft, language) for language in self._languages]
            futures += [workers.submit(self._work) for _ in range(threads)]
            self._watch(futures, on_tick)
        finally:
            self._stop()
            workers.shutdown(wait=False, cancel_futures=True)
        return [self._results[task.position] for task in self._tasks]

    def state(self) -> PoolState:
        """How far it has come."""
        with self._changed:
            results = list(self._results.values())
        done = Counter(result.language for result in results)
        total = Counter(task.language for task in self._tasks)
        spoken = [result for result in results if result.takes]
        return PoolState(
            done=len(results),
            total=len(self._tasks),
            per_language={name: (done[name], total[name]) for name in self._languages},
            takes=sum(len(result.takes) for result in spoken),
            spoken_lines=len(spoken),
            llm=self._desk.llm.load(),
            tts=self._desk.tts.load(),
        )

    def _threads(self) -> int:
        """Enough that both services have a call running and one waiting per slot."""
        slots = self._desk.llm.concurrency + self._desk.tts.concurrency
        return min(self._desk.options.threads or 2 * slots + 2, max(1, len(self._tasks)))

    def _take_over(self) -> None:
        """Count the lines that earlier runs have finished."""
        for task in self._tasks:
            known = self._desk.memory.finished(task)
            if known is not None:
                self._desk.lengths.settle(task, known.natural)
                self._results[task.position] = known

    def _watch(self, futures: Sequence[Future[None]], on_tick: Callable[[PoolState], None]) -> None:
        pending: set[Future[None]] = set(futures)
        while pending:
            done, pending = wait(pending, timeout=_TICK_S, return_when=FIRST_EXCEPTION)
            for future in done:
                future.result()
            if self._cancel.is_set():
                self._stop()
                wait(pending, timeout=_GRACE_S)
                raise Cancelled(
                    "stopped; what is finished is kept, and a new run goes on from there"
                )
            on_tick(self.state())

    def _stop(self) -> None:
        self._desk.llm.close()
        self._desk.tts.close()
        self._desk.asr.close()
        with self._changed:
            self._stopped = True
            self._changed.notify_all()

    # drafting

    def _draft(self, language: str) -> None:
        """Draft one language from its first line to its last, never far ahead of the voices."""
        tasks = [task for task in self._tasks if task.language == language]
        for batch in drafts(tasks, self._desk):
            for drafted in batch:
                self._enter(drafted)
            if not self._may_go_on(language):
                return

    def _enter(self, drafted: Drafted) -> None:
        """Let a line into the pool, or its failure into the results."""
        task = drafted.task
        if task.position in self._results:
            return
        if drafted.failure:
            failed = LineResult(
                task.language, task.index, failure=drafted.failure, message=drafted.message
            )
            self._finish(task, failed)
            return
        with self._changed:
            self._waiting[task.language] += 1
            entry = (task.position, task.index, drafted)
            heapq.heappush(self._parked[task.language], entry)
            self._unpark(task.language)

    def _may_go_on(self, language: str) -> bool:
        """Wait until few enough lines wait to be spoken; False if the pool was stopped."""
        limit = self._desk.options.ready_lines
        with self._changed:
            self._changed.wait_for(lambda: self._stopped or self._waiting[language] < limit)
            return not self._stopped

    # speaking

    def _work(self) -> None:
        """Carry one line after the other until there is none left."""
        while (drafted := self._next()) is not None:
            self._finish(drafted.task, self._make(drafted))

    def _next(self) -> Drafted | None:
        """The earliest line that can be begun; waits for one. None: all are done, or stopped."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._ready or self._stopped or len(self._results) == len(self._tasks)
            )
            if self._stopped or not self._ready:
                return None
            drafted = heapq.heappop(self._ready)[2]
            self._waiting[drafted.task.language] -= 1
            self._changed.notify_all()
            return drafted

    def _make(self, drafted: Drafted) -> LineResult:
        result = make_line(drafted.task, self._desk, drafted.versions, self._settled)
        self._desk.memory.keep_line(drafted.task, result)
        return result

    def _finish(self, task: LineTask, result: LineResult) -> None:
        self._desk.lengths.settle(task, result.natural)
        with self._changed:
            self._results[task.position] = result
            self._unpark(task.language)
            self._changed.notify_all()

    def _settled(self, task: LineTask) -> None:
        """A line has its first take: lines that waited for what it teaches may begin."""
        with self._changed:
            self._unpark(task.language)

    def _unpark(self, language: str) -> None:
        parked = self._parked[language]
        while parked and self._desk.lengths.ready(parked[0][2].task):
            heapq.heappush(self._ready, heapq.heappop(parked))
            self._changed.notify()


class Pace:
    """Turns the pool's state into words, and guesses when it will be done."""

    def __init__(self) -> None:
        self._began: tuple[float, int] | None = None

    def words(self, state: PoolState) -> str:
        """Lines done per language, takes per line, both queues' depths, and the time left."""
        if self._began is None:
            self._began = (time.monotonic(), state.done)
        languages = ", ".join(f"{name} {d}/{n}" for name, (d, n) in state.per_language.items())
        takes = f"{state.takes / state.spoken_lines:.2f} takes/line" if state.spoken_lines else ""
        queues = f"waiting: llm {state.llm.waiting}, tts {state.tts.waiting}"
        return "; ".join(part for part in (languages, takes, queues, self._left(state)) if part)

    def _left(self, state: PoolState) -> str:
        assert self._began is not None
        since, done = self._began
        if state.done == done or state.done == state.total:
            return ""
        each_s = (time.monotonic() - since) / (state.done - done)
        minutes, seconds = divmod(round(each_s * (state.total - state.done)), 60)
        return f"{minutes}:{seconds:02d} left"
