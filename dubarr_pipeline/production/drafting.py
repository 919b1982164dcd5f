"""The drafts of one language, batch after batch, so that each can build on those before it."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dubarr_pipeline.engines.interfaces import Draft
from dubarr_pipeline.production.desk import Desk
from dubarr_pipeline.production.failures import LINE_FAILURES, failure_name
from dubarr_pipeline.production.tasks import LineTask
from dubarr_pipeline.services.queueing import DRAFTING, Priority

_log = logging.getLogger(__name__)

_EARLIER_LINES = 4


@dataclass(frozen=True, slots=True)
class Drafted:
    """A line that can be spoken, or that failed before it could be."""

    task: LineTask
    versions: tuple[str, ...] = ()
    failure: str | None = None
    message: str = ""


def drafts(tasks: Sequence[LineTask], desk: Desk) -> Iterator[tuple[Drafted, ...]]:
    """Yield the lines of one language in their order, a batch at a time, translated or failed.

    Batches are cut by the lines' places, whatever is known of them already, so that a run that
    takes up where another was killed asks the same questions.
    """
    earlier: tuple[tuple[str, str], ...] = ()
    for batch in batches(tasks, desk.options.batch_lines):
        drafted = _batch(batch, desk, earlier)
        yield drafted
        told = [
            (d.task.segment.text, d.versions[len(d.versions) // 2]) for d in drafted if d.versions
        ]
        earlier = (*earlier, *told)[-_EARLIER_LINES:]


def batches(tasks: Sequence[LineTask], size: int) -> Iterator[Sequence[LineTask]]:
    """Cut the lines into batches; the first ones small, so that the voices can begin at once."""
    start, length = 0, min(2, size)
    while start < len(tasks):
        yield tasks[start : start + length]
        start, length = start + length, min(2 * length, size)


def _batch(
    tasks: Sequence[LineTask], desk: Desk, earlier: tuple[tuple[str, str], ...]
) -> tuple[Drafted, ...]:
    known = {task.index: known for task in tasks if (known := _known(task, desk)) is not None}
    missing = [task for task in tasks if task.index not in known]
    if missing:
        known |= {drafted.task.index: drafted for drafted in _ask(missing, desk, earlier)}
    return tuple(known[task.index] for task in tasks)


def _known(task: LineTask, desk: Desk) -> Drafted | None:
    """What needs no translator: a person's wording, or what an earlier run was told."""
    if task.edit is not None:
        return Drafted(task, (task.edit,))
    draft = desk.memory.draft(task)
    return Drafted(task, draft.versions) if draft else None


def _ask(
    tasks: Sequence[LineTask], desk: Desk, earlier: tuple[tuple[str, str], ...]
) -> list[Drafted]:
    """Have lines translated in one call; lines that get no answer fail by name."""
    batch = desk.batch(*tasks, earlier=earlier)
    priority = Priority(DRAFTING, tasks[0].position)
    try:
        found = desk.llm.call(priority, lambda: desk.translator.draft(batch))
    except LINE_FAILURES as error:
        _log.warning("%s and %d more: %s", tasks[0].name, len(tasks) - 1, error)
        return [
            Drafted(task, failure=failure_name(error, "llm"), message=str(error)) for task in tasks
        ]
    drafts_by_index = {draft.index: draft for draft in found}
    desk.memory.keep_drafts(
        [
            (task, drafts_by_index[task.index])
            for task in tasks
            if task.index in drafts_by_index and drafts_by_index[task.index].versions
        ]
    )
    return [_told(task, drafts_by_index.get(task.index)) for task in tasks]


def _told(task: LineTask, draft: Draft | None) -> Drafted:
    if draft is not None and draft.versions:
        return Drafted(task, draft.versions)
    fault = (draft and draft.fault) or "untranslated"
    return Drafted(task, failure=fault, message=f"{task.name} could not be translated ({fault})")
