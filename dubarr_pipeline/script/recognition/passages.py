"""Passages as a recogniser wrote them down, before any check."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import inf

from dubarr_pipeline.script.cues.alignment import SpeechMap
from dubarr_pipeline.script.model import Kind, Word
from dubarr_pipeline.script.recognition.word_edges import on_speech
from dubarr_pipeline.spans import Span, to_samples


@dataclass(frozen=True, slots=True)
class Passage:
    """Words heard in one go, with the recogniser's own doubts.

    Attributes:
        words: in order; each text with the blank before it, where the script has blanks.
        language: BCP-47 in which it was heard.
        kind: as far as it is known already; speech unless something says otherwise.
        log_probability: natural logarithm of its tokens' mean probability; 0 is certain.
        no_speech: probability of silence, 0 to 1.
        compression: ratio of the text's size to its zlib size; above 2.4 it repeats itself.
        channel: in which it was heard by itself, where each channel has a speaker of its own.
    """

    words: tuple[Word, ...]
    language: str
    kind: Kind = "speech"
    log_probability: float = 0.0
    no_speech: float = 0.0
    compression: float = 1.0
    channel: int | None = None

    @property
    def text(self) -> str:
        """The words, without blanks at the ends."""
        return joined(self.words)

    @property
    def span(self) -> Span:
        """From the first word to the end of the last; empty at 0 where there are none."""
        if not self.words:
            return Span(0, 0)
        return Span(self.words[0].span.start, max(word.span.end for word in self.words))


def joined(words: Sequence[Word]) -> str:
    """Return the text of words that carry their own blanks."""
    return "".join(word.text for word in words).strip()


def surety(passages: Sequence[Passage]) -> float:
    """Return the mean log probability of some passages' words; lowest where there are none."""
    words = sum(len(passage.words) for passage in passages)
    weighed = sum(passage.log_probability * len(passage.words) for passage in passages)
    return weighed / words if words else -inf


_LEAST_LETTERS_PER_S = 2.5
"""Speech has 12 to 15 letters a second, in Chinese 4 signs."""
_ROOM_S = 0.3
"""Of a stretch that need not hold words: the detector's padding."""


def thinly_written(
    span: Span, passages: Sequence[Passage], speech: SpeechMap, language: str, rate: int
) -> list[Span]:
    """Return the stretches of speech in `span` if any has too few words for its length, else none.

    Whisper leaves sentences out, and stretches its words over them. Only passages in `language`
    are looked at.
    """
    stretches = speech.within(span)
    inside = [p for p in passages if p.words and p.span.overlap(span)]
    # A single stretch would be heard again just as it was.
    if len(stretches) < 2 or any(passage.language != language for passage in inside):
        return []
    words = [word for passage in inside for word in on_speech(passage.words, speech)]
    for stretch in stretches:
        letters = letters_within(words, stretch)
        length_s = (stretch.length - to_samples(_ROOM_S, rate)) / rate
        if letters < _LEAST_LETTERS_PER_S * length_s:
            return stretches
    return []


def letters_within(words: Sequence[Word], span: Span) -> int:
    """Return how many letters and digits the words have whose middle lies in a span."""
    return sum(
        sum(sign.isalnum() for sign in word.text)
        for word in words
        if span.contains((word.span.start + word.span.end) // 2)
    )


def without_words(passage: Passage, instead: SpeechMap, speech: SpeechMap) -> Passage:
    """Return the passage without the words that are said within some spans."""
    moved = on_speech(passage.words, speech)
    kept = [
        word
        for word, said in zip(passage.words, moved, strict=True)
        if instead.at((said.span.start + said.span.end) // 2) is None
    ]
    return replace(passage, words=tuple(kept))


def voiced_share(words: Sequence[Word], speech: SpeechMap) -> float:
    """Return the share of the words' time that the speech detector confirms, 0 to 1."""
    # Recognisers give short words no length at all.
    spans = [word.span if word.span.length else word.span.pad(0, 1) for word in words]
    whole = sum(span.length for span in spans)
    heard = sum(piece.length for span in spans for piece in speech.within(span))
    return heard / whole if whole else 0.0


def in_order(words: Sequence[Word], film: Span) -> tuple[Word, ...]:
    """Return the words within the film, in order of their starts, none running into the next.

    Recognisers round times, and let a word begin before the one before it has ended.
    """
    ordered: list[Word] = []
    for word in sorted(words, key=lambda w: w.span.start):
        start = min(max(word.span.start, film.start), film.end)
        end = min(max(word.span.end, start), film.end)
        if ordered and ordered[-1].span.end > start:
            last = ordered[-1]
            ordered[-1] = replace(last, span=Span(last.span.start, start))
        ordered.append(replace(word, span=Span(start, end)))
    return tuple(ordered)


def overlapping_windows(speech: Sequence[Span], longest: int, overlap: int) -> list[Span]:
    """Return windows of even length that cover all speech, each overlapping the next.

    Windows without speech are left out.

    `longest` must be more than twice `overlap`; both are samples.
    """
    if not speech:
        return []
    start, end = min(s.start for s in speech), max(s.end for s in speech)
    # As few windows as possible, and then of even length.
    count = max(1, -(-(end - start - overlap) // (longest - overlap)))
    length = -(-(end - start + (count - 1) * overlap) // count)
    step = length - overlap
    windows = [Span(start + i * step, min(end, start + i * step + length)) for i in range(count)]
    heard = SpeechMap(speech)
    return [window for window in windows if heard.within(window)]


def own_parts(windows: Sequence[Span]) -> list[Span]:
    """Return each window's own part: overlaps of sorted windows are shared in their middle."""
    parts = list(windows)
    for i, (a, b) in enumerate(itertools.pairwise(windows)):
        if a.end > b.start:
            cut = (a.end + b.start) // 2
            parts[i : i + 2] = Span(parts[i].start, cut), Span(cut, b.end)
    return parts


def breaths(speech: Sequence[Span], longest: int, pause: int) -> list[Span]:
    """Join stretches of speech into passages to be heard in one go.

    A passage ends at a pause of `pause` samples, and before it would be longer than `longest`;
    only a single stretch of speech can be longer than that.
    """
    passages: list[Span] = []
    for span in SpeechMap(speech).spans:
        last = passages[-1] if passages else None
        if last and last.gap(span) < pause and span.end - last.start <= longest:
            passages[-1] = Span(last.start, span.end)
        else:
            passages.append(span)
    return passages


@dataclass(frozen=True, slots=True)
class LanguageVote:
    """A passage's language (BCP-47, no region) as heard, with the recogniser's probability."""

    language: str
    probability: float
    seconds: float


@dataclass(frozen=True, slots=True)
class LanguageOptions:
    """Options for deciding on languages.

    Attributes:
        windows: passages, spread over the film, that vote on its language.
        sure: probability (0-1) from which a passage is believed to be in another language than the
            film.
        shortest_s: shortest passage for which that holds, in seconds; short calls sound like many
            languages.
        overrule: share (0 to 1) of the votes from which the film is in another language than its
            file says.
    """

    windows: int = 8
    sure: float = 0.85
    shortest_s: float = 1.5
    overrule: float = 0.8


def film_language(
    votes: Sequence[LanguageVote], stated: str | None, options: LanguageOptions
) -> str | None:
    """Return the language of a film, or None if there is no evidence.

    The stated language counts, unless nearly all speech is clearly another.

    `stated` is BCP-47 without region, as the file or a person states it.
    """
    weights: dict[str, float] = {}
    for vote in votes:
        # Long passages show their language better than short calls.
        weight = vote.probability * vote.seconds
        weights[vote.language] = weights.get(vote.language, 0.0) + weight
    if not sum(weights.values()):
        return stated
    best = max(weights, key=lambda language: (weights[language], language))
    needed = options.overrule * sum(vote.seconds for vote in votes)
    return best if stated is None or weights[best] >= needed else stated


def certainty_of(language: str | None, votes: Sequence[LanguageVote]) -> float:
    """Return the share (0 to 1) of the votes, by their length, that a language has."""
    seconds = sum(vote.seconds for vote in votes)
    mine = sum(v.probability * v.seconds for v in votes if v.language == language)
    return mine / seconds if seconds else 0.0


def passage_language(vote: LanguageVote, film: str, options: LanguageOptions) -> str:
    """Return the language of a passage: the film's, unless it clearly is another."""
    clear = vote.probability >= options.sure and vote.seconds >= options.shortest_s
    return vote.language if clear else film


def spread(count: int, windows: int) -> list[int]:
    """Return the numbers of at most `windows` passages of `count`, evenly over all of them."""
    chosen = min(count, windows)
    return [(2 * i + 1) * count // (2 * chosen) for i in range(chosen)] if chosen else []
