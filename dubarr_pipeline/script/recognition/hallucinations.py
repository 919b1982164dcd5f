"""Hallucinations: words that recognisers invent in music, silence and at the end of films.

The limits on compression, probability and silence are those of Whisper (Radford et al. 2022,
section 4.5); the phrases are what its training material, web video with subtitles, ends with.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal

from dubarr_pipeline.script.cues.alignment import SpeechMap
from dubarr_pipeline.script.cues.vocabulary import is_advertisement, is_credit
from dubarr_pipeline.script.model import Word
from dubarr_pipeline.script.recognition.passages import Passage, joined, voiced_share
from dubarr_pipeline.spans import to_samples
from dubarr_pipeline.text.sentences import sentence_starts
from dubarr_pipeline.text.tables import read_table

Reason = Literal["repetition", "silence", "unsure", "outside_speech", "phantom_phrase"]

_PHRASES = frozenset(read_table(__package__ or "", "phantoms")["phrases"])
_AMARA = re.compile(r"amara\.org|transcription outsourcing|castingwords|zeoranger|mbc 뉴스", re.I)
_MARKS = re.compile(r"[^\w\s]|_")


@dataclass(frozen=True, slots=True)
class HallucinationOptions:
    """Limits beyond which words are not believed.

    Attributes:
        highest_compression: text that compresses further than this ratio repeats itself.
        lowest_log_probability: a passage below this mean (natural logarithm) was guessed.
        highest_no_speech: probability of silence (0 to 1) above which an unsure passage goes.
        most_repeats: the same words in a row, up to so many times, are believed; half as many where
            the whole passage repeats itself.
        least_voiced: share (0 to 1) of a known phantom's time that must be speech, or it goes.
        sure_word: mean probability (0 to 1) from which a known phantom phrase was really said.
        beside_speech_s: a word further than this from any detected speech was not said.
    """

    highest_compression: float = 2.4
    lowest_log_probability: float = -1.0
    highest_no_speech: float = 0.6
    most_repeats: int = 4
    least_voiced: float = 0.5
    sure_word: float = 0.75
    beside_speech_s: float = 0.3


DEFAULT = HallucinationOptions()


@dataclass(frozen=True, slots=True)
class Believed:
    """The words that are believed, and the number of those dropped, by reason."""

    passages: tuple[Passage, ...]
    dropped: Counter[Reason] = field(default_factory=Counter[Reason])


def needs_second_hearing(passage: Passage, options: HallucinationOptions = DEFAULT) -> bool:
    """Return whether a passage is so doubtful that it should be heard again in another way."""
    silent = passage.no_speech > options.highest_no_speech
    unsure = passage.log_probability < options.lowest_log_probability
    return passage.compression > options.highest_compression or (unsure and not silent)


def believe(
    passages: Sequence[Passage],
    speech: SpeechMap,
    rate: int,
    options: HallucinationOptions = DEFAULT,
) -> Believed:
    """Drop the words that were not said. Passages that lose all their words are dropped, too."""
    reach = to_samples(options.beside_speech_s, rate)
    dropped: Counter[Reason] = Counter()
    believed: list[Passage] = []
    for passage in passages:
        reason = _doubt(passage, options)
        if reason:
            dropped[reason] += len(passage.words)
            continue
        looping = passage.compression > options.highest_compression
        most = max(1, options.most_repeats // 2) if looping else options.most_repeats
        words = cut_loops(passage.words, most)
        dropped["repetition"] += len(passage.words) - len(words)
        said = _without_phrases(words, speech, options)
        dropped["phantom_phrase"] += len(words) - len(said)
        near = [word for word in said if speech.within(word.span.pad(reach, max(1, reach)))]
        dropped["outside_speech"] += len(said) - len(near)
        if near:
            believed.append(replace(passage, words=tuple(near)))
    return Believed(tuple(believed), +dropped)


def _doubt(passage: Passage, options: HallucinationOptions) -> Reason | None:
    """Return the reason not to believe a whole passage, or None. A loop is cut, not dropped."""
    if passage.log_probability >= options.lowest_log_probability:
        return None
    if passage.no_speech > options.highest_no_speech:
        return "silence"
    return "unsure" if passage.log_probability < 2 * options.lowest_log_probability else None


def _without_phrases(
    words: Sequence[Word], speech: SpeechMap, options: HallucinationOptions
) -> list[Word]:
    starts = [0, *sentence_starts([word.text.strip() for word in words]), len(words)]
    kept: list[Word] = []
    for first, last in pairwise(starts):
        sentence = words[first:last]
        text = joined(sentence)
        if is_advertisement(text) or _AMARA.search(text):
            continue
        if plain(text) in _PHRASES or is_credit(text):
            sure = sum(word.probability for word in sentence) / len(sentence)
            voiced = voiced_share(sentence, speech)
            # Actors do say these sentences: weak evidence alone makes them a hallucination.
            if sure < options.sure_word or voiced < options.least_voiced:
                continue
        kept += sentence
    return kept


def plain(text: str) -> str:
    """Return letters and digits in lower case with single blanks, for comparing words."""
    return " ".join(_MARKS.sub("", text.casefold()).split())


_LONGEST_LOOP = 16
"""Words; recognisers that are stuck repeat a sentence or less."""


def cut_loops(words: Sequence[Word], most: int) -> list[Word]:
    """Cut the same words more than `most` times in a row down to one; "no, no, no" stays whole."""
    keys = [plain(word.text) for word in words]
    kept: list[Word] = []
    at = 0
    while at < len(words):
        size = times = 1
        # The shortest group first: "no no no no" is four times "no", not twice "no no".
        for longer in range(1, _LONGEST_LOOP + 1):
            group, count = keys[at : at + longer], 1
            while group == keys[at + count * longer : at + (count + 1) * longer]:
                count += 1
            if count > most and any(group):
                size, times = longer, count
                break
        kept += words[at : at + size]
        at += size * times
    return kept
