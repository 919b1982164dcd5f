"""What translators into one language are told: style, forms of address, and the glossary's words.

A brief is written when lines of its language are first made, so that the reading of the script does
not depend on the languages: another one asks for its own brief and leaves the others as they are.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from pydantic import BaseModel

from dubarr_pipeline.engines.context.asking import Check, Interview
from dubarr_pipeline.engines.context.forms import RenderedTerm, RenderedTerms, StyleNotes
from dubarr_pipeline.engines.context.prompts import style_messages, terms_messages
from dubarr_pipeline.engines.interfaces import Reading
from dubarr_pipeline.errors import ContextTooLong
from dubarr_pipeline.services.wire import ChatMessage
from dubarr_pipeline.timeline.script import Address, Context, LanguageBrief, Relation, Term
from dubarr_pipeline.timeline.script_parts import clip_tokens, cut, estimate_tokens

_log = logging.getLogger(__name__)

_T = TypeVar("_T")
_F = TypeVar("_F", bound=BaseModel)

_AT_ONCE = 40
"""Terms or relations asked for at once: the answer must fit into the reply, too."""
_TOKENS_PER_PAIR = 200
"""What the profiles of a relation's two speakers take, besides the relation itself."""
_TOKENS_PER_TERM = 24
_SPLITS = 2
"""How often terms that got no right answer are asked for in halves."""


@dataclass(frozen=True, slots=True)
class BriefWriter:
    """Asks a language model for all that belongs to one language.

    Attributes:
        question_tokens: what a question may hold at most.
        languages: BCP-47 of the source and of the target.
    """

    interview: Interview
    question_tokens: int
    languages: tuple[str, str]
    gaps: list[str] = field(default_factory=list[str])

    def write(self, reading: Reading) -> LanguageBrief:
        """Return the brief; what could not be had is named in its gaps."""
        context = reading.context
        room = self.question_tokens // 4
        film = {"synopsis": clip_tokens(context.synopsis, room), "tone": context.tone[:500]}
        styles = self._styles(reading, film)
        guide = styles[0].style_guide.strip() if styles else self._plain_guide(context)
        brief = LanguageBrief(
            language=self.languages[1],
            style_guide=guide,
            addresses=_addresses(styles, context.relations),
            terms=self._terms(context, film),
            gaps=tuple(self.gaps),
        )
        _log.info(
            "brief for %s: %d terms, %d forms of address, %d gaps",
            brief.language,
            len(brief.terms),
            len(brief.addresses),
            len(brief.gaps),
        )
        return brief

    def _styles(self, reading: Reading, film: Mapping[str, str]) -> list[StyleNotes]:
        found: list[StyleNotes] = []
        for group in self._groups(reading.context.relations, _relation_tokens) or [()]:
            wanted = {speaker for r in group for speaker in (r.speaker, r.to)}
            speakers = [profile for profile in reading.speakers if profile.speaker in wanted]
            messages = style_messages(self.languages, film, speakers, group)
            answer = self._ask(messages, StyleNotes, partial(_missing_address, group))
            if isinstance(answer, StyleNotes):
                found.append(answer)
            else:
                self.gaps.append(f"style and address of {len(group)} relations: {answer}")
        return found

    def _terms(self, context: Context, film: Mapping[str, str]) -> tuple[Term, ...]:
        groups = self._groups(context.glossary, _term_tokens)
        return tuple(term for group in groups for term in self._rendered(group, film, _SPLITS))

    def _rendered(
        self, group: Sequence[Term], film: Mapping[str, str], splits: int
    ) -> tuple[Term, ...]:
        listed = {term.source: term.kind for term in group}
        messages = terms_messages(self.languages, film, listed)
        answer = self._ask(messages, RenderedTerms, partial(_wrong_terms, listed))
        if isinstance(answer, RenderedTerms):
            target = self.languages[1]
            return tuple(_term(n, listed, target) for n in answer.terms if n.source in listed)
        if splits and len(group) > 1:
            half = len(group) // 2
            first = self._rendered(group[:half], film, splits - 1)
            return (*first, *self._rendered(group[half:], film, splits - 1))
        self.gaps.append(f"no rendering of {', '.join(listed)}: {answer}")
        return ()

    def _groups(self, items: Sequence[_T], weigh: Callable[[_T], int]) -> list[tuple[_T, ...]]:
        """Items for one question each: so many tokens, and so many items, at most."""
        most = self.question_tokens // 2
        return list(cut(items, lambda item: max(weigh(item), most // _AT_ONCE), most))

    def _ask(self, messages: list[ChatMessage], form: type[_F], check: Check[_F]) -> _F | str:
        try:
            return self.interview.ask(messages, form, check)
        except ContextTooLong as error:
            return str(error)

    def _plain_guide(self, context: Context) -> str:
        """What plain says of the language, where the model says nothing."""
        target, guides = self.languages[1], context.style_guides
        return guides.get(target) or guides.get(target.partition("-")[0]) or ""


def _relation_tokens(relation: Relation) -> int:
    return estimate_tokens(relation.relation) + _TOKENS_PER_PAIR


def _term_tokens(term: Term) -> int:
    return estimate_tokens(term.source) + _TOKENS_PER_TERM


def _missing_address(group: Sequence[Relation], answer: StyleNotes) -> str | None:
    told = {(note.speaker, note.to) for note in answer.addresses}
    missing = [f"{r.speaker} to {r.to}" for r in group if (r.speaker, r.to) not in told]
    return f"no form of address for {', '.join(missing[:5])}" if missing else None


def _wrong_terms(listed: Mapping[str, str], answer: RenderedTerms) -> str | None:
    told = Counter(note.source for note in answer.terms)
    missing = [source for source in listed if not told[source]]
    twice = [source for source in listed if told[source] > 1]
    empty = [n.source for n in answer.terms if not any(sign.isalnum() for sign in n.rendering)]
    named = {"no rendering of": missing, "more than one of": twice, "an empty one of": empty}
    faults = [f"{fault} {', '.join(terms[:5])}" for fault, terms in named.items() if terms]
    return "; ".join(faults) or None


def _term(note: RenderedTerm, kinds: Mapping[str, str], target: str) -> Term:
    rendering, say = note.rendering.strip(), note.say.strip()
    spoken = {target: say} if say and say != rendering else {}
    return Term(note.source, kinds[note.source], {target: rendering}, spoken)


def _addresses(styles: Sequence[StyleNotes], relations: Sequence[Relation]) -> tuple[Address, ...]:
    """The form of every pair that was asked for, the first where one is told twice."""
    told = {(n.speaker, n.to): n.form.strip() for s in reversed(styles) for n in s.addresses[::-1]}
    pairs = [(relation.speaker, relation.to) for relation in relations]
    return tuple(Address(*pair, told[pair]) for pair in pairs if told.get(pair))
