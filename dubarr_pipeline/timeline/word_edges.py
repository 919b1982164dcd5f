"""Words of a recogniser brought back to the speech that they were stretched beyond.

Recognisers let each word end where the next one begins, so that a word beside a pause fills it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dubarr_pipeline.timeline.cue_alignment import SpeechMap
from dubarr_pipeline.timeline.script import Word
from dubarr_pipeline.timeline.sentences import ends_sentence
from dubarr_pipeline.timeline.spans import Span

_CLAUSE_ENDS = (",", ";", ":")


def on_speech(words: Sequence[Word], speech: SpeechMap) -> tuple[Word, ...]:
    """Return the words, none longer than the one stretch of speech in which it is said.

    A word that reaches over a pause is said after it if the word before ends a sentence or clause,
    before it if it ends one itself, else where more of it lies. Words beside all speech stay.
    """
    found: list[Word] = []
    for number, word in enumerate(words):
        pieces = speech.within(word.span)
        before = words[number - 1].text.strip() if number else "."
        chosen = _chosen(word, before, pieces) if pieces else word.span
        found.append(replace(word, span=chosen))
    return tuple(found)


def _chosen(word: Word, before: str, pieces: Sequence[Span]) -> Span:
    if len(pieces) == 1:
        return pieces[0]
    if _ends(before):
        return pieces[-1]
    if _ends(word.text.strip()):
        return pieces[0]
    return max(pieces, key=lambda piece: piece.length)


def _ends(text: str) -> bool:
    return ends_sentence(text) or text.endswith(_CLAUSE_ENDS)
