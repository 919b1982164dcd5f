"""Heard words for tests: texts laid out on a clock of 100 samples a second."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import strategies as st

from dubarr_pipeline.timeline.passages import Passage
from dubarr_pipeline.timeline.script import Word
from dubarr_pipeline.timeline.spans import Span

RATE = 100


def words(
    text: str, start: int = 0, each: int = 30, probability: float = 0.9, gap: int = 0
) -> tuple[Word, ...]:
    """The words of a text, one after the other, each with the blank before it."""
    step = each + gap
    return tuple(
        Word(Span(start + i * step, start + i * step + each), f" {token}", probability)
        for i, token in enumerate(text.split())
    )


def passage(text: str, start: int = 0, **doubts: float) -> Passage:
    """A passage of English."""
    return Passage(words(text, start), "en", **doubts)


@st.composite
def heard_words(draw: st.DrawFn, most: int = 60) -> tuple[Word, ...]:
    """Words in order that do not overlap, with pauses, sentence ends and odd lengths."""
    found: list[Word] = []
    at = draw(st.integers(0, 500))
    for number in range(draw(st.integers(0, most))):
        length = draw(st.integers(0, 150))
        end = draw(st.sampled_from(["", "", "", ",", ".", "?", "...", "!"]))
        capital = draw(st.booleans())
        text = f"{'W' if capital else 'w'}{number}{end}"
        found.append(Word(Span(at, at + length), f" {text}", draw(st.floats(0, 1))))
        at += length + draw(st.sampled_from([0, 0, 0, 5, 20, 69, 70, 71, 300]))
    return tuple(found)


def texts(found: Sequence[Word]) -> list[str]:
    """What the words say, without blanks."""
    return [word.text.strip() for word in found]
