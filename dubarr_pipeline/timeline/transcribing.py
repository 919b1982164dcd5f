"""From what a recogniser heard to a script: what is believed, how it is spelled, who says it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from dubarr_pipeline.timeline.cue_alignment import SpeechMap
from dubarr_pipeline.timeline.cue_layout import ScriptPiece, SoundClock, lay_out
from dubarr_pipeline.timeline.language_guess import guess_language
from dubarr_pipeline.timeline.passage_kinds import (
    KindOptions,
    WrittenKind,
    is_sung,
    kinds_of,
    mark_sounds,
)
from dubarr_pipeline.timeline.passages import Passage, in_order
from dubarr_pipeline.timeline.phantom_words import PhantomOptions, believe
from dubarr_pipeline.timeline.script import Cue, Kind, Transcript, Turn, Word, WordEdit, WordSource
from dubarr_pipeline.timeline.spans import Span
from dubarr_pipeline.timeline.subtitle_matching import find_lag
from dubarr_pipeline.timeline.utterances import SpokenWord, UtteranceOptions, cut_lines
from dubarr_pipeline.timeline.word_edges import on_speech
from dubarr_pipeline.timeline.word_speakers import speakers_of
from dubarr_pipeline.timeline.written_words import SpellingOptions, spell

_SURE_GUESS = 0.3
"""How sure a guess of the subtitles' language must be to keep them from being used."""


@dataclass(frozen=True, slots=True)
class TranscribingOptions:
    """How heard words become a script.

    Attributes:
        phantoms: which words are not believed.
        kinds: what is a song.
        spelling: when a subtitle's spelling is taken.
        lines: what makes one line.
    """

    phantoms: PhantomOptions = field(default_factory=PhantomOptions)
    kinds: KindOptions = field(default_factory=KindOptions)
    spelling: SpellingOptions = field(default_factory=SpellingOptions)
    lines: UtteranceOptions = field(default_factory=UtteranceOptions)


DEFAULT = TranscribingOptions()


@dataclass(frozen=True, slots=True)
class HeardFilm:
    """What is known of a film when its passages have been heard.

    Attributes:
        clock: of the sound.
        speech: where the detector hears somebody.
        turns: who speaks when.
        cues: the subtitles, or none; in whatever language.
        language: BCP-47 of the film.
    """

    clock: SoundClock
    speech: tuple[Span, ...]
    turns: tuple[Turn, ...]
    cues: tuple[Cue, ...]
    language: str


@dataclass(frozen=True, slots=True)
class _Token:
    """A word on its way into the script."""

    word: Word
    kind: Kind
    language: str
    source: WordSource = "asr"


def transcribe(
    passages: Sequence[Passage], film: HeardFilm, options: TranscribingOptions = DEFAULT
) -> Transcript:
    """Return the script of a film: every word that is believed, in exactly one line."""
    rate = film.clock.rate
    speech = SpeechMap(film.speech)
    believed = believe(passages, speech, rate, options.phantoms)
    pieces = _pieces(film)
    marks = [WrittenKind(p.span, p.kind) for p in pieces if p.kind in ("song", "foreign")]
    tokens: list[_Token] = []
    for passage in believed.passages:
        sung = is_sung(passage, speech, options.kinds)
        near = [mark for mark in marks if mark.span.overlap(passage.span)]
        kinds = kinds_of(passage, film.language, near, sung)
        tokens += [
            _Token(word, kind, passage.language)
            for word, kind in zip(on_speech(passage.words, speech), kinds, strict=True)
        ]
    tokens, edits = _spelled(_ordered(tokens, film), pieces, film, options)
    speakers = speakers_of([token.word for token in tokens], film.turns)
    spoken = [
        SpokenWord(t.word, who, t.kind, t.language, t.source)
        for t, who in zip(tokens, speakers, strict=True)
    ]
    segments = tuple(mark_sounds(line) for line in cut_lines(spoken, rate, options.lines))
    dropped = {str(reason): count for reason, count in believed.dropped.items()}
    return Transcript(rate, film.clock.samples, film.language, segments, edits, dropped)


def _ordered(tokens: Sequence[_Token], film: HeardFilm) -> list[_Token]:
    """In order of their starts, within the film, none running into the next."""
    ordered = sorted(tokens, key=lambda token: token.word.span.start)
    words = in_order([token.word for token in ordered], Span(0, film.clock.samples))
    return [replace(t, word=word) for t, word in zip(ordered, words, strict=True)]


def _pieces(film: HeardFilm) -> tuple[ScriptPiece, ...]:
    """The subtitles' script on the film's clock, also where the file lags behind the sound."""
    spans = [cue.span for cue in film.cues if cue.span.length]
    if not spans or not film.speech:
        return ()
    rate = film.clock.rate
    lag = find_lag(film.speech, spans, rate)
    cues = [Cue(lag.on_film(cue.span, rate), cue.text) for cue in film.cues]
    return lay_out(cues, film.speech, film.clock).pieces


def _spelled(
    tokens: list[_Token],
    pieces: Sequence[ScriptPiece],
    film: HeardFilm,
    options: TranscribingOptions,
) -> tuple[list[_Token], tuple[WordEdit, ...]]:
    """The tokens with the subtitles' spelling, where these are in the film's own language."""
    if not pieces or not _in_film_language(pieces, film.language):
        return tokens, ()
    chosen = [i for i, token in enumerate(tokens) if token.kind == "speech"]
    found = spell([tokens[i].word for i in chosen], pieces, film.clock.rate, options.spelling)
    instead: dict[int, list[_Token]] = {i: [] for i in chosen}
    for word, taken, origin in zip(found.words, found.taken, found.origins, strict=True):
        source: WordSource = "subtitles" if taken else "asr"
        at = chosen[origin]
        instead[at].append(replace(tokens[at], word=word, source=source))
    better = [new for i, token in enumerate(tokens) for new in instead.get(i, [token])]
    return better, found.edits


def _in_film_language(pieces: Sequence[ScriptPiece], language: str) -> bool:
    """Whether the subtitles are no translation, as far as their words tell."""
    guess = guess_language(piece.text for piece in pieces if piece.kind == "speech")
    same = guess.language.partition("-")[0] == language.partition("-")[0]
    return same or guess.confidence < _SURE_GUESS
