"""Words that nobody said: what recognisers invent in music, silence and at the end of films.

The limits on compression, probability and silence are those of Whisper (Radford et al. 2022,
section 4.5); the phrases are what its training material, web video with subtitles, ends with.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Literal

from dubarr_pipeline.timeline.cue_alignment import SpeechMap
from dubarr_pipeline.timeline.cue_words import is_credit
from dubarr_pipeline.timeline.passages import Passage, joined, voiced_share
from dubarr_pipeline.timeline.script import Word
from dubarr_pipeline.timeline.sentences import sentence_starts
from dubarr_pipeline.timeline.spans import to_samples

Reason = Literal["repetition", "silence", "unsure", "outside_speech", "phantom_phrase"]

_PHRASES = frozenset(
    (
        "thanks for watching",
        "thank you for watching",
        "thank you so much for watching",
        "thank you very much for watching",
        "thanks for listening",
        "please subscribe",
        "please subscribe to my channel",
        "please subscribe to the channel",
        "dont forget to like and subscribe",
        "like and subscribe",
        "subscribe to my channel",
        "see you in the next video",
        "see you next time",
        "ill see you in the next video",
        "gracias por ver",
        "gracias por ver el video",
        "gracias por ver el vídeo",
        "suscríbete al canal",
        "suscríbete",
        "merci davoir regardé cette vidéo",
        "merci davoir regardé",
        "abonnezvous",
        "vielen dank fürs zuschauen",
        "danke fürs zuschauen",
        "bis zum nächsten mal",
        "obrigado por assistir",
        "inscrevase no canal",
        "grazie per la visione",
        "grazie per aver guardato il video",
        "bedankt voor het kijken",
        "dziękuję za oglądanie",
        "dziękuję za uwagę",
        "tack för att ni tittade",
        "спасибо за просмотр",
        "продолжение следует",
        "подписывайтесь на канал",
        "ご視聴ありがとうございました",
        "시청해주셔서 감사합니다",
        "请不吝点赞订阅转发打赏支持明镜与点点栏目",
        "谢谢观看",
        "謝謝觀看",
        "the end",
    )
)
"""Without marks and in small letters. They may be said: only weak evidence makes them phantoms."""
_AMARA = re.compile(r"amara\.org|transcription outsourcing|castingwords|zeoranger|mbc 뉴스", re.I)
_MARKS = re.compile(r"[^\w\s]|_")


@dataclass(frozen=True, slots=True)
class PhantomOptions:
    """When words are not believed.

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

    def __post_init__(self) -> None:
        if self.most_repeats < 1:
            raise ValueError(f"most_repeats must be at least 1, not {self.most_repeats}")
        for name in ("highest_no_speech", "least_voiced", "sure_word"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must lie between 0 and 1, not {getattr(self, name)}")
        if self.beside_speech_s < 0:
            raise ValueError("beside_speech_s cannot be negative")


DEFAULT = PhantomOptions()


@dataclass(frozen=True, slots=True)
class Believed:
    """What is left, and how many words went for which reason."""

    passages: tuple[Passage, ...]
    dropped: Counter[Reason] = field(default_factory=Counter[Reason])


def needs_second_hearing(passage: Passage, options: PhantomOptions = DEFAULT) -> bool:
    """Whether a passage is so doubtful that it should be heard again in another way."""
    silent = passage.no_speech > options.highest_no_speech
    unsure = passage.log_probability < options.lowest_log_probability
    return passage.compression > options.highest_compression or (unsure and not silent)


def believe(
    passages: Sequence[Passage], speech: SpeechMap, rate: int, options: PhantomOptions = DEFAULT
) -> Believed:
    """Take out what nobody said. Passages that lose all their words are gone.

    Args:
        passages: in any order, on the clock of `rate` Hz.
        speech: where the detector hears somebody.
        rate: samples a second.
        options: when words are not believed.
    """
    dropped: Counter[Reason] = Counter()
    kept: list[Passage] = []
    for passage in passages:
        reason = _doubt(passage, options)
        if reason:
            dropped[reason] += len(passage.words)
            continue
        words = cut_loops(passage.words, _repeats(passage, options))
        dropped["repetition"] += len(passage.words) - len(words)
        for test in (_without_phrases, _without_unvoiced):
            left, why = test(words, speech, (rate, options))
            dropped[why] += len(words) - len(left)
            words = left
        if words:
            kept.append(replace(passage, words=tuple(words)))
    return Believed(tuple(kept), +dropped)


def _doubt(passage: Passage, options: PhantomOptions) -> Reason | None:
    """Why a whole passage is not believed, or None. A loop is cut, not thrown away."""
    if passage.log_probability >= options.lowest_log_probability:
        return None
    if passage.no_speech > options.highest_no_speech:
        return "silence"
    return "unsure" if passage.log_probability < 2 * options.lowest_log_probability else None


def _repeats(passage: Passage, options: PhantomOptions) -> int:
    looping = passage.compression > options.highest_compression
    return max(1, options.most_repeats // 2) if looping else options.most_repeats


_Terms = tuple[int, PhantomOptions]


def _without_unvoiced(
    words: Sequence[Word], speech: SpeechMap, terms: _Terms
) -> tuple[list[Word], Reason]:
    rate, options = terms
    reach = to_samples(options.beside_speech_s, rate)
    near = [word for word in words if speech.within(word.span.pad(reach, max(1, reach)))]
    return near, "outside_speech"


def _without_phrases(
    words: Sequence[Word], speech: SpeechMap, terms: _Terms
) -> tuple[list[Word], Reason]:
    options = terms[1]
    starts = [0, *sentence_starts([word.text.strip() for word in words]), len(words)]
    kept: list[Word] = []
    for first, last in pairwise(starts):
        if not _is_phantom(words[first:last], speech, options):
            kept += words[first:last]
    return kept, "phantom_phrase"


def _is_phantom(words: Sequence[Word], speech: SpeechMap, options: PhantomOptions) -> bool:
    text = joined(words)
    if is_credit(text) or _AMARA.search(text):
        return True
    if plain(text) not in _PHRASES:
        return False
    sure = sum(word.probability for word in words) / len(words)
    return sure < options.sure_word or voiced_share(words, speech) < options.least_voiced


def plain(text: str) -> str:
    """Letters and digits in small, single blanks: how words are compared."""
    return " ".join(_MARKS.sub("", text.casefold()).split())


_LONGEST_LOOP = 16
"""Words; recognisers that are stuck repeat a sentence or less."""


def cut_loops(words: Sequence[Word], most: int) -> list[Word]:
    """Cut a run of the same words that comes more than `most` times in a row down to one.

    People do say "no, no, no": such a run stays whole.
    """
    keys = [plain(word.text) for word in words]
    kept: list[Word] = []
    at = 0
    while at < len(words):
        size, times = _loop_at(keys, at, most)
        kept += words[at : at + size]
        at += size * times
    return kept


def _loop_at(keys: Sequence[str], at: int, most: int) -> tuple[int, int]:
    """The size of the shortest group that is repeated too often from here on, and how often."""
    for size in range(1, _LONGEST_LOOP + 1):
        group = keys[at : at + size]
        times = 1
        while group == keys[at + times * size : at + (times + 1) * size]:
            times += 1
        if times > most and any(group):
            return size, times
    return 1, 1
