"""The transcript from a recogniser's words: believed, spelled, attributed, cut into lines."""

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import permutations

from dubarr_pipeline.media.subtitles.parse import Cue
from dubarr_pipeline.script.cues.alignment import SpeechMap
from dubarr_pipeline.script.cues.layout import SoundClock, lay_out
from dubarr_pipeline.script.cues.vocabulary import (
    has_words,
    is_described_sound,
    is_sound,
    is_starred_sound,
)
from dubarr_pipeline.script.model import (
    Kind,
    ScriptLine,
    Segment,
    Transcript,
    Turn,
    WordEdit,
    WordSource,
)
from dubarr_pipeline.script.recognition.hallucinations import HallucinationOptions, believe, plain
from dubarr_pipeline.script.recognition.passages import Passage, in_order, voiced_share
from dubarr_pipeline.script.recognition.respelling import SpellingOptions, spell
from dubarr_pipeline.script.recognition.speaker_changes import settle_changes
from dubarr_pipeline.script.recognition.utterances import (
    SpokenWord,
    UtteranceOptions,
    cut_lines,
    join_sentences,
    speakers_of,
)
from dubarr_pipeline.script.recognition.word_edges import on_speech, reach_edges
from dubarr_pipeline.spans import Span
from dubarr_pipeline.text.language_guess import guess_language
from dubarr_pipeline.text.tables import read_table

_NOTE = re.compile("[♪♫♬♩]")
_BRACKETS = {"[": "]", "(": ")", "*": "*", "（": ")"}  # noqa: RUF001 - a full-width bracket
_MUSIC = re.compile(r"\b(?:music|música|musik|musique|musica|instrumental)\b", re.I)
_SOUNDS = frozenset(read_table(__package__ or "", "phantoms")["sounds"].split())
"""Sounds that are the same in every dub; a line of nothing else stays the actor's own."""


@dataclass(frozen=True, slots=True)
class KindOptions:
    """Limits from which heard words are a song.

    Attributes:
        song_no_speech: suspicion (0-1) of the recogniser that there is no speech, from which a
            passage may be a song.
        song_voiced: share (0-1) confirmed by the speech detector, under which it then is one.
    """

    song_no_speech: float = 0.5
    song_voiced: float = 0.5


DEFAULT_KINDS = KindOptions()


@dataclass(frozen=True, slots=True)
class WrittenKind:
    """A stretch that the subtitles mark as a song, or as another language."""

    span: Span
    kind: Kind


def kinds_of(
    passage: Passage, main_language: str, written: Sequence[WrittenKind] = (), sung: bool = False
) -> list[Kind]:
    """Return the kind of every word of a passage.

    Descriptions in brackets are not speech; notes, the subtitles and `sung` mark songs; words heard
    in another language than the film's are foreign.
    """
    texts = [word.text.strip() for word in passage.words]
    # A note that none closes marks all that follows it as sung.
    singing, notes = False, list[bool]()
    for text in texts:
        count = len(_NOTE.findall(text))
        notes.append(singing or count > 0)
        singing = singing != (count % 2 == 1)
    sounds = [False] * len(texts)
    at = 0
    while at < len(texts):
        last = _closing(texts, at)
        if last is not None and _describes(" ".join(texts[at : last + 1])):
            sounds[at : last + 1] = [True] * (last + 1 - at)
            at = last
        at += 1
    # Marks on single words are better evidence than the passage's own kind.
    whole: Kind = "song" if sung else passage.kind
    if whole == "speech" and _base(passage.language) != _base(main_language):
        whole = "foreign"
    kinds: list[Kind] = []
    for word, note, sound in zip(passage.words, notes, sounds, strict=True):
        middle = (word.span.start + word.span.end) // 2
        marked: list[Kind] = [mark.kind for mark in written if mark.span.contains(middle)]
        spoken: Kind = marked[0] if marked else whole
        kinds.append("nonverbal" if sound else "song" if note else spoken)
    return kinds


def is_sung(passage: Passage, speech: SpeechMap, options: KindOptions = DEFAULT_KINDS) -> bool:
    """Return whether a passage sounds like a song: neither model hears much speech in it."""
    return (
        passage.no_speech >= options.song_no_speech
        and voiced_share(passage.words, speech) < options.song_voiced
    )


def mark_sounds(segment: Segment) -> Segment:
    """Return a line of nothing but "mhm" or laughter as nonverbal; all others as they are."""
    if segment.kind != "speech":
        return segment
    words = [plain(word) for word in segment.text.replace("-", "").split()]
    verbal = has_words(segment.text) and any(word not in _SOUNDS for word in words if word)
    return segment if verbal else replace(segment, kind="nonverbal")


def _base(language: str) -> str:
    return language.partition("-")[0].casefold()


_LONGEST_DESCRIPTION = 8


def _closing(texts: Sequence[str], at: int) -> int | None:
    """Return the text that closes the bracket at the beginning of `texts[at]`, or None."""
    end = _BRACKETS.get(texts[at][:1])
    if end is None:
        return None
    for last in range(at, min(len(texts), at + _LONGEST_DESCRIPTION)):
        inside = texts[last][1:] if last == at else texts[last]
        if end in inside:
            return last
    return None


def _describes(text: str) -> bool:
    inside = text.strip("[]()*.,!? ")
    if text.startswith("[") or _MUSIC.search(inside):
        return True
    if text.startswith("*"):
        return is_starred_sound(inside)
    return is_described_sound(inside) or (is_sound(inside) and len(inside.split()) == 1)


_SURE_GUESS = 0.3
"""Confidence of a guess of the subtitles' language from which they may be left unused."""


@dataclass(frozen=True, slots=True)
class TranscribingOptions:
    """Options for turning heard words into a script.

    Attributes:
        phantoms: limits of belief.
        kinds: limits of songs.
        spelling: limits of using a subtitle's spelling.
        lines: limits of a line.
    """

    phantoms: HallucinationOptions = field(default_factory=HallucinationOptions)
    kinds: KindOptions = field(default_factory=KindOptions)
    spelling: SpellingOptions = field(default_factory=SpellingOptions)
    lines: UtteranceOptions = field(default_factory=UtteranceOptions)


DEFAULT = TranscribingOptions()


@dataclass(frozen=True, slots=True)
class HeardFilm:
    """Facts of a film whose passages have been heard.

    Attributes:
        cues: the subtitles, or none, where the film says them; in whatever language.
        language: BCP-47 of the film.
        voiced: the speech without the detector's padding and short pauses, of each channel that was
            heard by itself or (None) of all; where there is none, `speech`.
    """

    clock: SoundClock
    speech: tuple[Span, ...]
    turns: tuple[Turn, ...]
    cues: tuple[Cue, ...]
    language: str
    voiced: Mapping[int | None, tuple[Span, ...]] = field(
        default_factory=dict[int | None, tuple[Span, ...]]
    )


def transcribe(
    passages: Sequence[Passage], film: HeardFilm, options: TranscribingOptions = DEFAULT
) -> Transcript:
    """Return the script of a film: every word that is believed, in exactly one line."""
    speech = SpeechMap(film.speech)
    believed = believe(passages, speech, film.clock.rate, options.phantoms)
    pieces = lay_out(film.cues, film.speech, film.clock).pieces if film.cues else ()
    groups = _by_channel(believed.passages, film)
    lines: list[Segment] = []
    edits: list[WordEdit] = []
    for channel, (speaker, own) in groups.items():
        voiced = SpeechMap(film.voiced.get(channel) or film.speech)
        tokens = _timed(own, film, options, speech, voiced, pieces)
        tokens, spelled = _spelled(tokens, pieces, film, options)
        edits += spelled
        words = [token.word for token in tokens]
        told = [speaker] * len(words) if speaker else speakers_of(words, film.turns)
        speakers = settle_changes(words, told, film.clock.rate)
        spoken = [replace(t, speaker=who) for t, who in zip(tokens, speakers, strict=True)]
        cut = cut_lines(spoken, film.clock.rate, options.lines)
        lines += join_sentences(cut, film.clock.rate, options.lines)
    lines.sort(key=lambda line: line.span)
    segments = tuple(mark_sounds(replace(line, index=i)) for i, line in enumerate(lines))
    dropped = {str(reason): count for reason, count in believed.dropped.items()}
    rate, samples = film.clock.rate, film.clock.samples
    return Transcript(rate, samples, film.language, segments, tuple(edits), dropped)


def _by_channel(
    passages: Sequence[Passage], film: HeardFilm
) -> dict[int | None, tuple[str | None, list[Passage]]]:
    """Return the passages of each channel, with the one speaker of a channel heard by itself."""
    groups: dict[int | None, list[Passage]] = {}
    for passage in passages:
        groups.setdefault(passage.channel, []).append(passage)
    if set(groups) <= {None}:
        return {channel: (None, own) for channel, own in groups.items()}
    told = [
        Counter(speakers_of([word for passage in own for word in passage.words], film.turns))
        for own in groups.values()
    ]
    # Two who talk at once share their turns: each is whom their channel holds more of.
    known = sorted({turn.speaker for turn in film.turns})
    best = max(
        permutations(known, len(groups)),
        key=lambda names: sum(words[name] for words, name in zip(told, names, strict=True)),
    )
    return {c: (who, own) for (c, own), who in zip(groups.items(), best, strict=True)}


def _timed(
    passages: Sequence[Passage],
    film: HeardFilm,
    options: TranscribingOptions,
    speech: SpeechMap,
    voiced: SpeechMap,
    pieces: Sequence[ScriptLine],
) -> list[SpokenWord]:
    """Return the words in order with their kinds, at the times at which the voice is heard."""
    marks = [WrittenKind(p.span, p.kind) for p in pieces if p.kind in ("song", "foreign")]
    tokens: list[SpokenWord] = []
    for passage in passages:
        sung = is_sung(passage, speech, options.kinds)
        near = [mark for mark in marks if mark.span.overlap(passage.span)]
        kinds = kinds_of(passage, film.language, near, sung)
        tokens += [
            SpokenWord(word, "", kind, passage.language)
            for word, kind in zip(on_speech(passage.words, voiced), kinds, strict=True)
        ]
    tokens.sort(key=lambda token: token.word.span.start)
    words = in_order([token.word for token in tokens], Span(0, film.clock.samples))
    words = reach_edges(words, voiced.spans, film.clock.rate)
    return [replace(token, word=word) for token, word in zip(tokens, words, strict=True)]


def _spelled(
    tokens: list[SpokenWord],
    pieces: Sequence[ScriptLine],
    film: HeardFilm,
    options: TranscribingOptions,
) -> tuple[list[SpokenWord], tuple[WordEdit, ...]]:
    """Return the tokens with the subtitles' spelling, if these are in the film's own language."""
    guess = guess_language(piece.text for piece in pieces if piece.kind == "speech")
    same = guess.language.partition("-")[0] == film.language.partition("-")[0]
    if not pieces or (not same and guess.confidence >= _SURE_GUESS):
        return tokens, ()
    # Subtitles of songs are often poetry, not the words that are sung.
    chosen = [i for i, token in enumerate(tokens) if token.kind == "speech"]
    spelled = spell([tokens[i].word for i in chosen], pieces, film.clock.rate, options.spelling)
    instead: dict[int, list[SpokenWord]] = {i: [] for i in chosen}
    for word, taken, origin in zip(spelled.words, spelled.taken, spelled.origins, strict=True):
        source: WordSource = "subtitles" if taken else "asr"
        at = chosen[origin]
        instead[at].append(replace(tokens[at], word=word, source=source))
    better = [new for i, token in enumerate(tokens) for new in instead.get(i, [token])]
    return better, spelled.edits
