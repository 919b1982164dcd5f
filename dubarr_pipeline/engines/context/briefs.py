"""Briefs for translators into one language: style, forms of address, and the glossary's words.

A brief is written with the first lines of its language, so that the analysis of the script does not
depend on the target languages: a new one gets its own brief and leaves the others as they are.
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from pydantic import BaseModel

from dubarr_pipeline.engines.context import prompts
from dubarr_pipeline.engines.context.asking import Check, Interview
from dubarr_pipeline.engines.context.replies import RenderedTerms, StyleNotes
from dubarr_pipeline.engines.interfaces import ScriptAnalysis
from dubarr_pipeline.errors import ContextTooLong
from dubarr_pipeline.script.model import Address, LanguageBrief, Relation, Term
from dubarr_pipeline.services.http_client import ChatMessage

_log = logging.getLogger(__name__)

_T = TypeVar("_T")
_F = TypeVar("_F", bound=BaseModel)

_AT_ONCE = 40
"""Terms or relations in one question: the answer must fit into the reply, too."""
_TOKENS_PER_PAIR = 200
"""Tokens for the profiles of a relation's two speakers, besides the relation itself."""
_TOKENS_PER_TERM = 24
_SPLITS = 2
"""Number of times that terms without a right answer are asked for in halves."""


@dataclass(frozen=True, slots=True)
class BriefWriter:
    """Asks a language model for everything about one target language, after the source."""

    interview: Interview
    question_tokens: int
    languages: tuple[str, str]
    gaps: list[str] = field(default_factory=list[str])

    def write(self, reading: ScriptAnalysis) -> LanguageBrief:
        """Return the brief; missing parts are named in its gaps."""
        context = reading.context
        room = self.question_tokens // 4
        film = {"synopsis": prompts.clip_tokens(context.synopsis, room), "tone": context.tone[:500]}
        styles = self._styles(reading, film)
        target, guides = self.languages[1], context.style_guides
        # Without an answer, the guide that `plain` has counted for the language.
        guide = guides.get(target) or guides.get(target.partition("-")[0]) or ""
        # The form of every requested pair, the first where one is given twice.
        forms = {
            (n.speaker, n.to): n.form.strip() for s in reversed(styles) for n in s.addresses[::-1]
        }
        pairs = [(relation.speaker, relation.to) for relation in context.relations]
        term_groups = self._groups(
            context.glossary, lambda term: prompts.estimate_tokens(term.source) + _TOKENS_PER_TERM
        )
        brief = LanguageBrief(
            language=target,
            style_guide=styles[0].style_guide.strip() if styles else guide,
            addresses=tuple(Address(*pair, forms[pair]) for pair in pairs if forms.get(pair)),
            terms=tuple(t for group in term_groups for t in self._rendered(group, film, _SPLITS)),
            gaps=tuple(self.gaps),
        )
        counts = (len(brief.terms), len(brief.addresses), len(brief.gaps))
        _log.info("brief for %s: %d terms, %d forms of address, %d gaps", brief.language, *counts)
        return brief

    def _styles(self, reading: ScriptAnalysis, film: Mapping[str, str]) -> list[StyleNotes]:
        styles: list[StyleNotes] = []
        groups = self._groups(
            reading.context.relations,
            lambda relation: prompts.estimate_tokens(relation.relation) + _TOKENS_PER_PAIR,
        )

        def missing(group: Sequence[Relation], answer: StyleNotes) -> str | None:
            answered = {(note.speaker, note.to) for note in answer.addresses}
            left = [f"{r.speaker} to {r.to}" for r in group if (r.speaker, r.to) not in answered]
            return f"no form of address for {', '.join(left[:5])}" if left else None

        for group in groups or [()]:
            wanted = {speaker for r in group for speaker in (r.speaker, r.to)}
            speakers = [profile for profile in reading.speakers if profile.speaker in wanted]
            messages = prompts.style_messages(self.languages, film, speakers, group)
            answer = self._ask(messages, StyleNotes, partial(missing, group))
            if isinstance(answer, StyleNotes):
                styles.append(answer)
            else:
                self.gaps.append(f"style and address of {len(group)} relations: {answer}")
        return styles

    def _rendered(
        self, group: Sequence[Term], film: Mapping[str, str], splits: int
    ) -> tuple[Term, ...]:
        listed = {term.source: term.kind for term in group}
        messages = prompts.terms_messages(self.languages, film, listed)
        answer = self._ask(messages, RenderedTerms, partial(_wrong_terms, listed))
        if isinstance(answer, RenderedTerms):
            target, terms = self.languages[1], list[Term]()
            for note in answer.terms:
                if note.source in listed:
                    rendering, say = note.rendering.strip(), note.say.strip()
                    spoken = {target: say} if say and say != rendering else {}
                    kind = listed[note.source]
                    terms.append(Term(note.source, kind, {target: rendering}, spoken))
            return tuple(terms)
        if splits and len(group) > 1:
            half = len(group) // 2
            first = self._rendered(group[:half], film, splits - 1)
            return (*first, *self._rendered(group[half:], film, splits - 1))
        self.gaps.append(f"no rendering of {', '.join(listed)}: {answer}")
        return ()

    def _groups(self, items: Sequence[_T], weigh: Callable[[_T], int]) -> list[tuple[_T, ...]]:
        """Return groups of items for one question each, limited in tokens and in number."""
        most = self.question_tokens // 2
        return list(prompts.cut(items, lambda item: max(weigh(item), most // _AT_ONCE), most))

    def _ask(self, messages: list[ChatMessage], form: type[_F], check: Check[_F]) -> _F | str:
        try:
            return self.interview.ask(messages, form, check)
        except ContextTooLong as error:
            return str(error)


def _wrong_terms(listed: Mapping[str, str], answer: RenderedTerms) -> str | None:
    answered = Counter(note.source for note in answer.terms)
    missing = [source for source in listed if not answered[source]]
    twice = [source for source in listed if answered[source] > 1]
    empty = [n.source for n in answer.terms if not any(sign.isalnum() for sign in n.rendering)]
    named = {"no rendering of": missing, "more than one of": twice, "an empty one of": empty}
    faults = [f"{fault} {', '.join(terms[:5])}" for fault, terms in named.items() if terms]
    return "; ".join(faults) or None
