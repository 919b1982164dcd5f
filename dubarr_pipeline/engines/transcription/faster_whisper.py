"""Hears what is said, word by word, with Whisper models run by CTranslate2 (faster-whisper)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from dubarr_pipeline.engines.interfaces import (
    AudioReader,
    Hearing,
    Need,
    OnProgress,
    Progress,
    Samples,
    TakeListener,
    Transcriber,
    ignore_progress,
)
from dubarr_pipeline.engines.ladder import Footing
from dubarr_pipeline.engines.laddered_child import LadderedEngine, never_back
from dubarr_pipeline.engines.needs import model_in_store, package_need, package_version
from dubarr_pipeline.engines.transcription.whisper_ladder import WhisperFooting, whisper_rungs
from dubarr_pipeline.engines.transcription.whisper_languages import language_of, whisper_code
from dubarr_pipeline.engines.transcription.whisper_work import HeardPassage
from dubarr_pipeline.errors import LanguageError
from dubarr_pipeline.media.languages import same_language
from dubarr_pipeline.media.sound_reader import at_rate
from dubarr_pipeline.media.speech_reading import SPEECH_RATE, read_speech
from dubarr_pipeline.models.store import is_present, model_folder, model_identity
from dubarr_pipeline.timeline.cue_layout import SoundClock
from dubarr_pipeline.timeline.listening_windows import breaths
from dubarr_pipeline.timeline.passages import Passage
from dubarr_pipeline.timeline.phantom_words import needs_second_hearing
from dubarr_pipeline.timeline.script import Transcript, Word
from dubarr_pipeline.timeline.spans import Span, to_samples
from dubarr_pipeline.timeline.spoken_language import (
    LanguageOptions,
    LanguageVote,
    film_language,
    passage_language,
    spread,
)
from dubarr_pipeline.timeline.transcribing import HeardFilm, TranscribingOptions, transcribe

_log = logging.getLogger(__name__)
_VERSION = 1
_PACKAGE = "faster-whisper"
_CURE = "pip install 'faster-whisper==1.2.1'"
_LONGEST_S = 28.0
"""Whisper hears 30 s at once; what is longer is cut where it is quietest."""
_CUT_S = (18.0, 28.0)
_QUIET_S = 0.1
_BESIDE_S = 0.1
"""How far a word may reach beyond its passage: times are rounded to 20 ms."""


@dataclass(frozen=True, slots=True)
class FasterWhisperOptions:
    """How speech is recognised, and how it becomes a script.

    Attributes:
        model: a model of the store, or the path of a local folder.
        smaller_model: taken instead where memory does not suffice, if it is here; empty: none.
        device: ``auto``, ``cuda``, ``cuda:N``, ``GPU-<uuid>`` or ``cpu``.
        precision: ``auto`` (float16 on a GPU, int8 on a CPU) or one of CTranslate2's compute types.
        batch: passages that are heard at once.
        beam: wordings that are followed at once; 1 is fastest.
        passage_pause_s: a pause of this length ends what is heard in one go; shorter passages
            tell foreign insets better, longer ones words.
        foreign: whether each passage is asked for its language; costs a tenth more time.
        languages: how languages are decided.
        script: how the words become lines.
        allow_cpu: whether it may leave a GPU whose memory does not suffice.
    """

    model: str = "Systran/faster-whisper-large-v3"
    smaller_model: str = "Systran/faster-whisper-small"
    device: str = "auto"
    precision: str = "auto"
    batch: int = 8
    beam: int = 5
    passage_pause_s: float = 2.0
    foreign: bool = True
    languages: LanguageOptions = field(default_factory=LanguageOptions)
    script: TranscribingOptions = field(default_factory=TranscribingOptions)
    allow_cpu: bool = True

    def __post_init__(self) -> None:
        if min(self.batch, self.beam) < 1:
            raise ValueError(f"batch ({self.batch}) and beam ({self.beam}) must be at least 1")
        if self.passage_pause_s <= 0:
            raise ValueError(f"passage_pause_s must be above 0, not {self.passage_pause_s}")


@dataclass(frozen=True, slots=True)
class _Sounds:
    """Some passages of the film: where they lie, and what they sound like at 16 kHz."""

    spans: tuple[Span, ...]
    samples: tuple[Samples, ...]


class FasterWhisperTranscriber(LadderedEngine, Transcriber, TakeListener):
    """Writes down what is said, also where nobody has written it before."""

    name: ClassVar[str] = "faster-whisper"
    worker: ClassVar[str] = "dubarr_pipeline.engines.transcription.whisper_work:WhisperWorker"
    uses_torch: ClassVar[bool] = False

    def __init__(self, options: FasterWhisperOptions | None = None) -> None:
        self._options = options or FasterWhisperOptions()
        super().__init__(self._options.device)

    def identity(self) -> str:
        """Name, version, package and weights; how it is driven stands in the options."""
        weights = model_identity(self._options.model)
        return f"{self.name}/{_VERSION}/{package_version(_PACKAGE)}/{weights}"

    def needs(self) -> tuple[Need, ...]:
        """The package and the model."""
        package = package_need(_PACKAGE, "faster_whisper", _CURE)
        return (package, model_in_store(self._options.model))

    def transcribe(self, hearing: Hearing, on_progress: OnProgress = ignore_progress) -> Transcript:
        """Return the segments in order of their starts, one speaker each, indexes 0, 1, 2...

        Raises:
            LanguageError: if the model does not know the film's language.
        """
        vocals, rate = hearing.vocals, hearing.vocals.rate
        tell = never_back(on_progress)
        spans = self._passages(vocals, hearing.speech)
        language = self._film_language(vocals, spans, hearing.language)
        passages: list[Passage] = []
        for first in range(0, len(spans), self._options.batch):
            sounds = _read(vocals, spans[first : first + self._options.batch])
            passages += self._hear_passages(sounds, language, rate)
            done = min(len(spans), first + self._options.batch)
            tell(Progress(done, len(spans), "writing down what is said"))
        film = HeardFilm(
            SoundClock(rate, vocals.samples),
            hearing.speech,
            hearing.diarization.turns,
            hearing.cues,
            language,
        )
        found = transcribe(passages, film, self._options.script)
        tell(Progress(1, 1, "writing down what is said"))
        _report(found)
        return found

    def hears(self, language: str) -> bool:
        """Whether it understands this BCP-47 language; models named ``.en`` know English alone."""
        code = whisper_code(language)
        return code == "en" if ".en" in self._options.model else code is not None

    def hear(self, samples: Samples, rate: int, language: str) -> str:
        """Return the words of a take; the same for the same samples."""
        code = self._code(language)
        heard = at_rate(np.ascontiguousarray(samples, np.float32), rate, SPEECH_RATE)
        return self._child.call("hear", heard, code) if heard.size else ""

    def _passages(self, vocals: AudioReader, speech: Sequence[Span]) -> list[Span]:
        """What is heard in one go: speech up to a long pause, at most 28 s."""
        rate = vocals.rate
        pause = to_samples(self._options.passage_pause_s, rate)
        joined = breaths(speech, to_samples(_LONGEST_S, rate), pause)
        return [part for span in joined for part in _cut_long(vocals, span)]

    def _film_language(self, vocals: AudioReader, spans: Sequence[Span], told: str | None) -> str:
        """BCP-47 of the film: what the file says, unless nearly everything is something else."""
        chosen = [spans[i] for i in spread(len(spans), self._options.languages.windows)]
        votes: list[LanguageVote] = []
        for span in chosen:
            votes += self._votes(_read(vocals, [span]), vocals.rate)
        base = language_of(whisper_code(told) or told) if told else None
        found = film_language(votes, base, self._options.languages)
        if told and found == base:
            return told
        if told:
            _log.warning("the file says that it is spoken in %s; heard is %s", told, found)
        return found or "und"

    def _votes(self, sounds: _Sounds, rate: int) -> list[LanguageVote]:
        heard = self._child.call("languages", sounds.samples)
        return [
            LanguageVote(language_of(code), probability, span.length / rate)
            for span, (code, probability) in zip(sounds.spans, heard, strict=True)
        ]

    def _hear_passages(self, sounds: _Sounds, film: str, rate: int) -> list[Passage]:
        """What is said in some passages, each heard in its own language."""
        languages = [film] * len(sounds.spans)
        if self._options.foreign:
            votes = self._votes(sounds, rate)
            own = [passage_language(v, film, self._options.languages) for v in votes]
            languages = [film if same_language(language, film) else language for language in own]
        found: list[Passage] = []
        for language in dict.fromkeys(languages):
            chosen = [i for i, spoken in enumerate(languages) if spoken == language]
            samples = [sounds.samples[i] for i in chosen]
            written = self._child.call("write", samples, self._code(language))
            for i, parts in zip(chosen, written, strict=True):
                heard = [_passage(part, sounds.spans[i], language, rate) for part in parts]
                found += self._surely(heard, sounds, i, rate)
        return found

    def _surely(
        self, heard: list[Passage], sounds: _Sounds, number: int, rate: int
    ) -> list[Passage]:
        """What was heard; doubtful passages are heard again, and the better hearing counts."""
        phantoms = self._options.script.phantoms
        if not any(needs_second_hearing(passage, phantoms) for passage in heard):
            return heard
        language = heard[0].language
        again = self._child.call("write_again", sounds.samples[number], self._code(language))
        span = sounds.spans[number]
        second = [_passage(part, span, language, rate) for part in again]
        fewer = sum(needs_second_hearing(p, phantoms) for p in second)
        return second if second and fewer < len(second) else heard

    def _code(self, language: str) -> str:
        code = whisper_code(language)
        if code is None or not self.hears(language):
            raise LanguageError(
                f"{self.name} with model {self._options.model} does not know {language!r}: set "
                "audio.language to what is spoken, or choose another model"
            )
        return code

    def _rungs(self, device: str) -> tuple[Footing, ...]:
        options = self._options
        smaller = options.smaller_model
        spare = smaller if smaller != options.model and smaller and is_present(smaller) else None
        first = WhisperFooting(device, options.batch, options.precision, model=options.model)
        return whisper_rungs(first, spare, options.allow_cpu)

    def _arguments(self, footing: Footing) -> dict[str, object]:
        model = footing.model if isinstance(footing, WhisperFooting) else self._options.model
        return {
            "folder": model_folder(model),
            "device": footing.device,
            "precision": footing.precision,
            "batch": footing.batch,
            "beam": self._options.beam,
        }


def _read(vocals: AudioReader, spans: Sequence[Span]) -> _Sounds:
    return _Sounds(tuple(spans), tuple(read_speech(vocals, span) for span in spans))


def _cut_long(vocals: AudioReader, span: Span) -> Iterator[Span]:
    """The span in parts that can be heard in one go, cut where it is quietest."""
    rate = vocals.rate
    while span.length > to_samples(_LONGEST_S, rate):
        early, late = (span.start + to_samples(s, rate) for s in _CUT_S)
        cut = _quietest(vocals, Span(early, late))
        yield Span(span.start, cut)
        span = Span(cut, span.end)
    yield span


def _quietest(vocals: AudioReader, span: Span) -> int:
    """The middle of the quietest tenth of a second."""
    size = to_samples(_QUIET_S, vocals.rate)
    heard = vocals.read(span.start, span.end).mean(axis=0, dtype=np.float32)
    frames = heard[: heard.size // size * size].reshape(-1, size)
    quietest = int(np.argmin(np.square(frames).mean(axis=1)))
    return span.start + quietest * size + size // 2


def _passage(heard: HeardPassage, span: Span, language: str, rate: int) -> Passage:
    """What was heard, on the film's clock."""
    room = Span(max(0, span.start - to_samples(_BESIDE_S, rate)), span.end)
    words: list[Word] = []
    for word in heard.words:
        start = min(max(room.start, span.start + to_samples(word.start_s, rate)), room.end)
        end = min(max(start, span.start + to_samples(word.end_s, rate)), room.end)
        words.append(Word(Span(start, end), word.text, min(1.0, max(0.0, word.probability))))
    return Passage(
        tuple(words),
        language,
        log_probability=heard.log_probability,
        no_speech=heard.no_speech,
        compression=heard.compression,
    )


def _report(found: Transcript) -> None:
    kinds = Counter(segment.kind for segment in found.segments)
    _log.info(
        "%d lines in %s (%s); words not believed: %s; put right by the subtitles: %d",
        len(found.segments),
        found.language,
        ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())),
        dict(found.dropped) or "none",
        len(found.edits),
    )
