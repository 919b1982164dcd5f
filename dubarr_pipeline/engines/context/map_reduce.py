"""The whole script through a model's window: notes on every part, then digests of digests."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field

from dubarr_pipeline.engines.context.asking import Interview, any_answer
from dubarr_pipeline.engines.context.forms import Digest, PartNotes
from dubarr_pipeline.engines.context.merging import completed, digest_of, joined
from dubarr_pipeline.engines.context.prompts import part_document, part_messages, reduce_messages
from dubarr_pipeline.errors import ContextTooLong
from dubarr_pipeline.services.wire import ChatMessage
from dubarr_pipeline.timeline.script import Segment
from dubarr_pipeline.timeline.script_parts import (
    clip_tokens,
    cut,
    estimate_tokens,
    script_line,
    script_parts,
)

_log = logging.getLogger(__name__)

_BEFORE = 3
"""Segments of the part before that are shown for sense."""
_MARGIN = 64
"""Tokens that a chat template puts around the messages."""

Tick = Callable[[int, int], None]
"""Told how many parts are read, of how many; what it raises ends the reading."""


@dataclass(frozen=True, slots=True)
class PartRead:
    """A part of the script: the model's notes, or why there are none."""

    segments: tuple[Segment, ...]
    notes: PartNotes | None
    gaps: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MapReduce:
    """Reads a script with a model whose window is smaller.

    Attributes:
        question_tokens: what a question may hold at most, its instructions included.
        concurrency: questions asked at once.
    """

    interview: Interview
    question_tokens: int
    concurrency: int = 1
    gaps: list[str] = field(default_factory=list[str])

    def read(self, segments: Sequence[Segment], tick: Tick) -> tuple[PartRead, ...]:
        """Return notes on every part, in order; each segment is in exactly one of them.

        Raises:
            ServiceTimeout, ServiceUnavailable: if the model's server does not answer.
        """
        parts = script_parts(segments, self._room())
        befores = [parts[at - 1][-_BEFORE:] if at else () for at in range(len(parts))]
        pool = ThreadPoolExecutor(self.concurrency, thread_name_prefix="reader")
        try:
            asked = [
                pool.submit(self._part, part, before, 1)
                for part, before in zip(parts, befores, strict=True)
            ]
            _watch(asked, tick)
            return tuple(read for found in asked for read in found.result())
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _room(self) -> int:
        """Tokens that the lines of a part may take: what the instructions and the rest leave."""
        return max(
            1, self.question_tokens - _tokens(part_messages([], ())) - _MARGIN - _BEFORE * 140
        )

    def _part(
        self, segments: tuple[Segment, ...], before: Sequence[Segment], splits: int
    ) -> tuple[PartRead, ...]:
        """Ask for notes on a part; where none can be had, on its halves."""
        lines = [script_line(segment) for segment in segments]
        clipped = [clip_tokens(line, self._room()) for line in lines]
        gaps = tuple(
            f"line {s.index} is longer than the model's window: only its beginning was read"
            for s, line, short in zip(segments, lines, clipped, strict=True)
            if len(short) < len(line)
        )
        try:
            messages = part_messages(clipped, before)
            notes = self.interview.ask(messages, PartNotes, any_answer, segments[0].index)
        except ContextTooLong as error:
            notes, splits = str(error), max(splits, 1)
        if isinstance(notes, PartNotes):
            return (PartRead(segments, notes, gaps),)
        if len(segments) == 1 or not splits:
            return (PartRead(segments, None, (f"{_lines(segments)} not read: {notes}",)),)
        _log.warning("%s: %s; asked for in two halves", _lines(segments), notes)
        half = len(segments) // 2
        first = self._part(segments[:half], before, splits - 1)
        return (*first, *self._part(segments[half:], segments[:half][-_BEFORE:], splits - 1))

    def reduce(self, parts: Sequence[PartRead], speakers: frozenset[str]) -> Digest | None:
        """Condense the notes of all parts into one digest, level by level; None without notes.

        What a model leaves out of a digest is put back; where it gives none, the parts' own are
        joined, and `gaps` says so.
        """
        digests = [digest_of(part.notes, speakers) for part in parts if part.notes]
        while len(digests) > 1:
            groups = list(cut(digests, _digest_tokens, self._reduce_room()))
            if len(groups) == len(digests):
                groups = list(cut(digests, lambda _: 1, 2))
            digests = [self._reduced(group) for group in groups]
        return digests[0] if digests else None

    def _reduce_room(self) -> int:
        return max(1, self.question_tokens - _tokens(reduce_messages([])) - _MARGIN)

    def _reduced(self, group: Sequence[Digest]) -> Digest:
        if len(group) == 1:
            return group[0]
        try:
            answer = self.interview.ask(reduce_messages(group), Digest, any_answer)
        except ContextTooLong as error:
            answer = str(error)
        if isinstance(answer, Digest):
            return completed(answer, group)
        self.gaps.append(f"the synopses of {len(group)} parts are joined, not condensed: {answer}")
        return joined(group)


def _watch(asked: Sequence[Future[tuple[PartRead, ...]]], tick: Tick) -> None:
    """Tell of every part as it is read; the first that fails ends the reading."""
    waiting = set(asked)
    while waiting:
        done, waiting = wait(waiting, return_when=FIRST_COMPLETED)
        for found in done:
            found.result()
        tick(len(asked) - len(waiting), len(asked))


def _lines(segments: Sequence[Segment]) -> str:
    first, last = segments[0].index, segments[-1].index
    return f"line {first}" if first == last else f"lines {first}-{last}"


def _tokens(messages: Sequence[ChatMessage]) -> int:
    return sum(estimate_tokens(message.content) for message in messages)


def _digest_tokens(part: Digest) -> int:
    return estimate_tokens(str(part_document(part))) + 8
