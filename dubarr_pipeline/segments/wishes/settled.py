"""Lines that a person has settled: a take chosen or locked, or the original voice kept."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.segments.cache import AnswerCache
from dubarr_pipeline.segments.results import BY_PERSON, KEPT_ORIGINAL, LineResult, read_segments
from dubarr_pipeline.segments.tasks import LineTask
from dubarr_pipeline.workdir.layout import WorkDir

_log = logging.getLogger(__name__)


def with_chosen_takes(
    tasks: Sequence[LineTask], cache: AnswerCache, work: WorkDir
) -> tuple[LineTask, ...]:
    """Return the tasks with the takes that people chose or locked.

    A take that is gone is refused by name, and its line is the machine's again.
    """
    if not any(task.edits.take or task.edits.locked for task in tasks):
        return tuple(tasks)
    earlier = _Earlier(work)
    return tuple(_with_take(task, cache, earlier) for task in tasks)


def _with_take(task: LineTask, cache: AnswerCache, earlier: _Earlier) -> LineTask:
    line, sound = earlier.line(task), task.edits.take
    if sound is not None:
        known = line.takes if line else ()
        found = next((take for take in known if take.sound == sound and cache.is_whole(take)), None)
        if found := found or cache.take(task.language, sound):
            return replace(task, fixed=found)
        _log.warning("%s: its take %s is gone", task.name, sound, extra={"line": task.index})
        refused = (*task.refused, f"take: {sound} is gone, or was never spoken")
        return replace(task, edits=replace(task.edits, take=None), refused=refused)
    take = line.take if line and task.edits.locked else None
    if take is None or not cache.is_whole(take) or task.edits.text not in (None, take.text):
        return task
    return replace(task, fixed=take)


class _Earlier:
    """The lines of the last finished run, found by their lasting ids, else by their numbers."""

    def __init__(self, work: WorkDir) -> None:
        try:
            languages = read_segments(work).languages
        except ArtifactError:
            languages = {}
        lines = [line for each in languages.values() for line in each]
        self._by_id = {(line.language, line.id): line for line in lines if line.id}
        self._by_index = {(line.language, line.index): line for line in lines if not line.id}

    def line(self, task: LineTask) -> LineResult | None:
        """Return the line as it was, or None."""
        known = self._by_id.get((task.language, task.id))
        return known or self._by_index.get((task.language, task.index))


def by_person(task: LineTask, finished: LineResult | None) -> LineResult | None:
    """Return a line as a person has settled it, or as an earlier run finished it, if either did."""
    line = finished or task.unspoken
    if task.edits.keep_original:
        line = replace(line, outcome=KEPT_ORIGINAL, chosen=None, message=BY_PERSON)
    elif task.fixed is not None:
        takes = line.takes if task.fixed in line.takes else (*line.takes, task.fixed)
        line = line.with_takes(takes, takes.index(task.fixed))
    else:
        return finished
    return replace(line, reused=True)
