"""The script as people have it: texts, speakers, splits, merges, additions and removals applied."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from dubarr_pipeline.edits.base import LastingIds
from dubarr_pipeline.edits.history import in_effect
from dubarr_pipeline.edits.model import (
    FIELDS,
    AddValue,
    EditsDocument,
    Fact,
    LockValue,
    MergeValue,
    Orphan,
    SplitValue,
)
from dubarr_pipeline.edits.words import HALF
from dubarr_pipeline.script.model import Segment, Transcript
from dubarr_pipeline.spans import Span, to_samples

STRUCTURAL = ("split", "merge", "add")
"""Fields whose facts make lines with ids and indices of their own."""


@dataclass(slots=True)
class EditedScript:
    """A script while facts are put into it.

    Attributes:
        lines: id -> line, those that are in the script.
        hidden: id -> line, those that were divided, merged or removed.
        removed: ids of the hidden ones that nothing takes the place of.
        parents: id of a piece -> id of the line that it was made from.
        names: speaker -> name.
        merged: speaker -> the one whose lines theirs are now.
        orphans: facts that have lost their line or speaker, in order of their targets.
    """

    transcript: Transcript
    lasting: LastingIds
    lines: dict[str, Segment]
    hidden: dict[str, Segment] = field(default_factory=dict[str, Segment])
    removed: set[str] = field(default_factory=set[str])
    parents: dict[str, str] = field(default_factory=dict[str, str])
    names: dict[str, str] = field(default_factory=dict[str, str])
    merged: dict[str, str] = field(default_factory=dict[str, str])
    orphans: dict[tuple[str, str], Orphan] = field(default_factory=dict[tuple[str, str], Orphan])

    def script(self) -> Transcript:
        """Return the script in order of its starts."""
        spoken = (replace(each, speaker=self.whose(each.speaker)) for each in self.lines.values())
        ordered = sorted(spoken, key=lambda each: (each.span.start, each.index))
        return replace(self.transcript, segments=tuple(ordered))

    def ids(self) -> dict[int, str]:
        """Return index -> id of the lines that are in the script."""
        return {line.index: name for name, line in self.lines.items()}

    def whose(self, speaker: str) -> str:
        """Return the speaker whose lines a speaker's are now."""
        seen = {speaker}
        while (other := self.merged.get(speaker)) is not None and other not in seen:
            seen.add(other)
            speaker = other
        return speaker

    def knows(self, name: str) -> bool:
        """Return whether there is, or was before an edit that is in effect, a line of that id."""
        return name in self.lines or name in self.hidden

    def lose(self, fact: Fact) -> None:
        """Note that a fact has lost its target."""
        key = (fact.target, fact.target_id)
        known = self.orphans.get(key)
        if known:
            self.orphans[key] = replace(known, facts=(*known.facts, fact.id))
            return
        reason, anchor, candidate = "gone", fact.anchor, None
        if fact.target == "line":
            reason, old, candidate = self.lasting.lost(fact.target_id)
            anchor = anchor or old
            if anchor and not old:
                # A piece of a line whose split or merge is undone.
                reason = "recut"
                candidate = self.lasting.candidate(anchor, self.lasting.map_from(fact.at))
            candidate = candidate if candidate in self.lines else None
        self.orphans[key] = Orphan(
            fact.target, fact.target_id, (fact.id,), reason, anchor, candidate
        )


def edited_script(
    transcript: Transcript, lasting: LastingIds, document: EditsDocument
) -> EditedScript:
    """Put the facts of the source language into the script, in the order of their statement."""
    lines = {lasting.ids[line.index]: line for line in transcript.segments}
    found = EditedScript(transcript, lasting, lines)
    first = max((line.index for line in transcript.segments), default=-1) + 1
    # Also those that are undone count, so that an undo renumbers no other piece.
    makers = [fact.id for fact in document.facts if fact.field in STRUCTURAL]
    number = {fact: first + 2 * at for at, fact in enumerate(makers)}
    for (target, _, name), fact in in_effect(document.facts).items():
        value = FIELDS[name].value.validate_python(fact.value)
        if any(found.knows(piece) for piece in piece_ids(fact.id, name)):
            found.lose(fact)
        elif target == "speaker":
            _put_speaker(found, fact, value)
        elif name == "add":
            _add(found, fact, value, number[fact.id])
        elif target == "line" and fact.target_id in found.lines:
            _put_line(found, fact, value, number.get(fact.id, 0))
        elif target == "line" and fact.target_id not in found.hidden:
            found.lose(fact)
    return found


def piece_ids(fact_id: str, field_name: str) -> tuple[str, ...]:
    """Return the ids of the lines that a fact makes."""
    stem = "L" + fact_id.replace("-", "").lower()[:12]
    return {"split": (f"{stem}a", f"{stem}b"), "merge": (f"{stem}m",), "add": (f"{stem}n",)}.get(
        field_name, ()
    )


def _put_line(found: EditedScript, fact: Fact, value: object, index: int) -> None:
    name, line = fact.target_id, found.lines[fact.target_id]
    match value:
        case SplitValue():
            _split(found, fact, value, index)
        case MergeValue():
            _merge(found, fact, value, index)
        case LockValue(text=str(text)):
            found.lines[name] = replace(line, text=text)
        case True if fact.field == "remove":
            found.hidden[name] = found.lines.pop(name)
            found.removed.add(name)
        case str() if fact.field == "text":
            found.lines[name] = replace(line, text=value)
        case str() if fact.field == "speaker":
            way = found.lasting.map_from(fact.at)
            now = way.speaker(value) if way else value
            if now is None:
                found.lose(fact)
            else:
                found.lines[name] = replace(line, speaker=now)
        case _:
            pass


def _split(found: EditedScript, fact: Fact, value: SplitValue, index: int) -> None:
    line, rate = found.lines[fact.target_id], found.transcript.rate
    moved_s = line.span.start / rate - fact.anchor.start_s if fact.anchor else 0.0
    at = to_samples(value.at_s + moved_s, rate)
    at = min(max(at, line.span.start + 1), line.span.end - 1)
    spans = Span(line.span.start, at), Span(at, line.span.end)
    found.hidden[fact.target_id] = found.lines.pop(fact.target_id)
    pieces = zip(piece_ids(fact.id, "split"), spans, value.texts, strict=True)
    for step, (name, span, text) in enumerate(pieces):
        first = step == 0
        words = tuple(word for word in line.words if (word.span.start < at) == first)
        piece = replace(line, index=index + step, span=span, text=text, words=words)
        found.lines[name], found.parents[name] = piece, fact.target_id


def _merge(found: EditedScript, fact: Fact, value: MergeValue, index: int) -> None:
    names = tuple(dict.fromkeys((fact.target_id, *value.others)))
    if any(name not in found.lines for name in names):
        if not all(found.knows(name) for name in names):
            found.lose(fact)
        return
    parts = sorted((found.lines[name] for name in names), key=lambda each: each.span.start)
    whole = replace(
        found.lines[fact.target_id],
        index=index,
        span=Span(parts[0].span.start, max(each.span.end for each in parts)),
        text=value.text or " ".join(each.text for each in parts),
        words=tuple(word for each in parts for word in each.words),
    )
    for name in names:
        found.hidden[name] = found.lines.pop(name)
    (name,) = piece_ids(fact.id, "merge")
    found.lines[name], found.parents[name] = whole, fact.target_id


def _add(found: EditedScript, fact: Fact, value: AddValue, index: int) -> None:
    """Add a line where it was heard; one that the machine hears now as well is not said twice."""
    way, rate = found.lasting.map_from(fact.at), found.transcript.rate
    shift = way.found.shift_at(value.start_s) if way else 0.0
    speaker = way.speaker(value.speaker) if way else value.speaker
    start = to_samples(max(0.0, value.start_s + (shift or 0.0)), rate)
    span = Span(start, start + max(1, to_samples(value.end_s - value.start_s, rate)))
    heard = way and any(
        span.overlap(new) >= HALF * min(span.length, new.length) for new in _unknown(found)
    )
    if shift is None or speaker is None or heard or span.start >= found.transcript.samples:
        found.lose(fact)
        return
    (name,) = piece_ids(fact.id, "add")
    span = Span(span.start, min(span.end, max(span.start + 1, found.transcript.samples)))
    found.lines[name] = Segment(index, span, speaker, value.text)


def _unknown(found: EditedScript) -> Iterator[Span]:
    """Yield the spans of the lines that no older script has."""
    older = {line.id for script in found.lasting.scripts for line in script.lines}
    for segment in found.transcript.segments:
        if found.lasting.ids[segment.index] not in older:
            yield segment.span


def _put_speaker(found: EditedScript, fact: Fact, value: object) -> None:
    way = found.lasting.map_from(fact.at)
    names = [fact.target_id, *(value.others if isinstance(value, MergeValue) else ())]
    now = [way.speaker(name) if way else name for name in names]
    if None in now:
        found.lose(fact)
        return
    here, *others = map(str, now)
    if isinstance(value, MergeValue):
        here = found.whose(here)
        found.merged |= {other: here for other in others if other != here}
    elif fact.field == "name":
        found.names[here] = str(value)


def speaker_now(lasting: LastingIds, fact: Fact) -> str | None:
    """Return who the speaker that a fact names is in the present script."""
    way = lasting.map_from(fact.at)
    return way.speaker(fact.target_id) if way else fact.target_id
