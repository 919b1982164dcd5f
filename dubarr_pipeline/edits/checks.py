"""Checks of proposed facts: each is refused by name, and then none of those with it is stored."""

from __future__ import annotations

import uuid
from bisect import bisect_left, bisect_right
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import cast

from pydantic import ValidationError

from dubarr_pipeline.edits.base import LastingIds
from dubarr_pipeline.edits.history import undone
from dubarr_pipeline.edits.model import (
    FIELDS,
    AddValue,
    Anchor,
    EditsDocument,
    EditsRefused,
    Fact,
    FactError,
    Json,
    MergeValue,
    ProposedFact,
    SplitValue,
    Target,
)
from dubarr_pipeline.edits.structure import (
    STRUCTURAL,
    EditedScript,
    edited_script,
    piece_ids,
    speaker_now,
)
from dubarr_pipeline.script.model import Segment, Transcript
from dubarr_pipeline.spans import to_seconds

_LONGEST_NAME = 200
_LONGEST_ADDED_S = 60.0
"""Length of a line that a person adds."""


class FactChecker:
    """Takes proposed facts one by one, each on top of those before."""

    def __init__(
        self,
        transcript: Transcript,
        lasting: LastingIds,
        source: EditsDocument,
        document: EditsDocument,
        speakers: Collection[str] = (),
    ) -> None:
        self.document, self.errors = document, list[FactError]()
        self._transcript, self._lasting, self._source = transcript, lasting, source
        self._speakers = {*speakers, *(line.speaker for line in transcript.segments)}
        self._revision = document.revision + 1
        self._known = {fact.id: fact for fact in document.facts}
        self._edited: EditedScript | None = None
        self._ordered: list[Segment] | None = None

    def new_ones(self, proposed: Sequence[ProposedFact]) -> list[ProposedFact]:
        """Return the facts that are not there yet; one that is there otherwise is an error."""
        new: list[ProposedFact] = []
        for each in proposed:
            known = self._known.get(each.id)
            if known is None:
                new.append(each)
            elif _said(each) != _said(known):
                self.errors.append(FactError(each.id, "this id is another fact's: take a new one"))
        return new

    def accept(self, proposed: Sequence[ProposedFact], at: str, by: str) -> EditsDocument:
        """Return the document with all of the facts. Raises `EditsRefused` if one cannot be."""
        for each in proposed:
            self._take(each, at, by)
        if self.errors:
            raise EditsRefused(tuple(self.errors))
        return self.document

    def _take(self, each: ProposedFact, at: str, by: str) -> None:
        if message := self._fault(each, by):
            self.errors.append(FactError(each.id, message))
            return
        target, anchor = cast(Target, each.target), self._anchor(each)
        fact = Fact(
            each.id,
            self._revision,
            at,
            by,
            target,
            each.target_id,
            each.field,
            each.value,
            anchor,
            each.undoes,
        )
        self._known[fact.id] = fact
        facts = (*self.document.facts, fact)
        self.document = replace(self.document, revision=self._revision, facts=facts)
        if self._in_source and each.field in (*STRUCTURAL, "remove"):
            self._source, self._edited, self._ordered = self.document, None, None

    @property
    def _in_source(self) -> bool:
        return self.document.language == self._transcript.language

    @property
    def _script(self) -> EditedScript:
        """The script with the facts that were taken so far."""
        if self._edited is None:
            self._edited = edited_script(self._transcript, self._lasting, self._source)
        return self._edited

    def _fault(self, each: ProposedFact, by: str) -> str:
        """Return why a fact cannot be; empty if it can."""
        return (
            _fault_of_form(each, by, self._known)
            or self._fault_of_place(each)
            or (self._fault_of_undo(each, by) if each.undoes else self._fault_of_target(each))
            or self._fault_of_value(each)
        )

    def _fault_of_place(self, each: ProposedFact) -> str:
        where, spoken = FIELDS[each.field].where, self._transcript.language
        if where == "source" and not self._in_source:
            return f"{each.field} is said of the source: put it into the edits of {spoken!r}"
        if where == "dub" and self._in_source:
            return f"{each.field} is said of a dub: put it into the edits of its language"
        if any(self._script.knows(name) for name in piece_ids(each.id, each.field)):
            return "the id begins as another fact's: take a new one, of chance"
        return ""

    def _fault_of_undo(self, each: ProposedFact, by: str) -> str:
        last = self._known.get(each.undoes or "")
        if last is None:
            return f"there is no fact {each.undoes!r} to undo"
        if each.value is not None:
            return "a fact that undoes another has no value"
        if (each.target, each.target_id, each.field) != (last.target, last.target_id, last.field):
            return f"the undone fact is about {last.field} of {last.target} {last.target_id!r}"
        if last.by != by and not self._lost(last):
            return f"the fact is {last.by}'s: only they undo it; state another value instead"
        if last.id in undone(self.document.facts):
            return "the fact is undone already: see the facts since"
        return ""

    def _lost(self, fact: Fact) -> bool:
        """Return whether a fact is an orphan: anybody may put it elsewhere, or drop it."""
        if fact.target == "line":
            return not self._script.knows(fact.target_id)
        if fact.target == "speaker":
            return speaker_now(self._lasting, fact) is None
        return (fact.target, fact.target_id) in self._script.orphans

    def _fault_of_target(self, each: ProposedFact) -> str:
        name, script = each.target_id, self._script
        if each.target == "film":
            return "the film has no id: leave target_id empty" if name else ""
        if each.target == "term":
            fits = name.strip() and name.isprintable() and len(name) <= _LONGEST_NAME
            return "" if fits else "a term is a word or some, on one line"
        if each.target == "speaker":
            return self._fault_of_speaker(name)
        if name in script.lines:
            return ""
        if name in script.hidden:
            if each.value is None:
                return ""
            return f"line {name!r} was divided, merged or removed: undo that first"
        return f"there is no line {name!r} in the script as it is now: load the film again"

    def _fault_of_speaker(self, name: str) -> str:
        if name in self._speakers:
            return ""
        return f"there is no speaker {name!r}: choose one of {', '.join(sorted(self._speakers))}"

    def _fault_of_value(self, each: ProposedFact) -> str:
        if each.value is None:
            return ""
        if fault := fault_of_value(each.field, each.value):
            return fault
        value = FIELDS[each.field].value.validate_python(each.value)
        match value:
            case SplitValue():
                return self._fault_of_split(each, value)
            case MergeValue():
                return self._fault_of_merge(each, value)
            case AddValue():
                return self._fault_of_added(value)
            case str() if each.field == "speaker":
                return self._fault_of_speaker(value)
            case float() if each.field == "start_s" and value >= self._film_s:
                return f"start_s lies behind the end of the film at {self._film_s:.1f} s"
            case _:
                return ""

    @property
    def _film_s(self) -> float:
        return to_seconds(self._transcript.samples, self._transcript.rate)

    def _fault_of_split(self, each: ProposedFact, value: SplitValue) -> str:
        span, rate = self._script.lines[each.target_id].span, self._transcript.rate
        start, end = to_seconds(span.start, rate), to_seconds(span.end, rate)
        if start < value.at_s < end:
            return ""
        return f"a line from {start:.2f} to {end:.2f} s cannot be divided at {value.at_s:.2f} s"

    def _fault_of_merge(self, each: ProposedFact, value: MergeValue) -> str:
        if each.target_id in value.others or len({*value.others}) < len(value.others):
            return f"a {each.target} cannot be merged with itself"
        for name in value.others:
            if each.target == "speaker":
                if fault := self._fault_of_speaker(name):
                    return fault
            elif name not in self._script.lines:
                return f"there is no line {name!r} in the script as it is now: load the film again"
        return ""

    def _fault_of_added(self, value: AddValue) -> str:
        if not value.start_s < value.end_s <= self._film_s:
            return f"a line must end after it starts, and within the film's {self._film_s:.1f} s"
        if value.end_s - value.start_s > _LONGEST_ADDED_S:
            return f"a line is at most {_LONGEST_ADDED_S:.0f} s long: add several"
        return self._fault_of_speaker(value.speaker)

    def _anchor(self, each: ProposedFact) -> Anchor | None:
        """Return the line that a fact is about, as it is now."""
        script, rate = self._script, self._transcript.rate
        line = script.lines.get(each.target_id) or script.hidden.get(each.target_id)
        if each.target != "line" or line is None:
            return None
        if self._ordered is None:
            self._ordered = sorted(script.lines.values(), key=_place)
        before = bisect_left(self._ordered, _place(line), key=_place)
        after = bisect_right(self._ordered, _place(line), key=_place)
        return Anchor(
            round(to_seconds(line.span.start, rate), 3),
            round(to_seconds(line.span.end, rate), 3),
            line.text,
            line.speaker,
            self._ordered[before - 1].text if before else "",
            self._ordered[after].text if after < len(self._ordered) else "",
        )


def _place(line: Segment) -> tuple[int, int]:
    return line.span.start, line.index


def _said(fact: ProposedFact | Fact) -> tuple[object, ...]:
    return fact.target, fact.target_id, fact.field, fact.value, fact.undoes


def _fault_of_form(each: ProposedFact, by: str, known: dict[str, Fact]) -> str:
    try:
        uuid.UUID(each.id)
    except ValueError:
        return f"the id {each.id[:60]!r} is not a UUID"
    if each.id in known:
        return "this id occurs twice"
    if not by.strip() or len(by) > _LONGEST_NAME or not by.isprintable():
        return "nobody says who states it: give `by`, a name on one line"
    rule = FIELDS.get(each.field)
    if rule is None:
        return f"there is no field {each.field[:60]!r}: choose one of {', '.join(FIELDS)}"
    if each.target not in rule.targets:
        return f"{each.field} is said of a {' or '.join(rule.targets)}, not of {each.target[:60]!r}"
    return ""


def fault_of_value(name: str, value: Json) -> str:
    """Return why a field cannot have a value other than None; empty if it can."""
    try:
        FIELDS[name].value.validate_python(value)
    except ValidationError as error:
        if isinstance(value, str) and not value.strip():
            cure = ": to have no line, remove it or keep the original" if name == "text" else ""
            return f"{name} is empty{cure}"
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, (name, *first["loc"])))
        if first["type"] == "string_pattern_mismatch":
            return f"{where} has control characters, or is not written as it must be"
        return f"{where}: {first['msg']}"
    return ""
