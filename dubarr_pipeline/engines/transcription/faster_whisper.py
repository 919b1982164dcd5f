"""Speech recognition, word by word, with Whisper models run by CTranslate2 (faster-whisper)."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import ClassVar

from dubarr_pipeline.compute.oom_fallback import EngineConfiguration, fallback_steps
from dubarr_pipeline.engines.interfaces import (
    Hearing,
    Need,
    Samples,
    TakeVerifier,
    Transcriber,
)
from dubarr_pipeline.engines.laddered_child import LadderedEngine, never_back
from dubarr_pipeline.engines.requirements import model_in_store, package_need, package_version
from dubarr_pipeline.engines.transcription.sounds import (
    HeardSound,
    Hears,
    by_speaker,
    heard_sound,
    read_passages,
)
from dubarr_pipeline.engines.transcription.whisper_codes import language_of, whisper_code
from dubarr_pipeline.engines.transcription.whisper_worker import HeardPassage
from dubarr_pipeline.errors import LanguageError, SettingsError
from dubarr_pipeline.media.audio.resample import SPEECH_RATE, resample
from dubarr_pipeline.models.store import is_present, model_folder, model_identity
from dubarr_pipeline.progress import OnProgress, Progress, ignore_progress
from dubarr_pipeline.script.cues.alignment import SpeechMap
from dubarr_pipeline.script.cues.layout import SoundClock
from dubarr_pipeline.script.model import Transcript, Word
from dubarr_pipeline.script.recognition.hallucinations import needs_second_hearing
from dubarr_pipeline.script.recognition.passages import (
    LanguageOptions,
    LanguageVote,
    Passage,
    certainty_of,
    film_language,
    letters_within,
    passage_language,
    spread,
    surety,
    thinly_written,
    without_words,
)
from dubarr_pipeline.script.recognition.transcript import HeardFilm, TranscribingOptions, transcribe
from dubarr_pipeline.script.recognition.word_edges import on_speech
from dubarr_pipeline.script.speakers.edges import voiced_pieces
from dubarr_pipeline.spans import Span, to_samples
from dubarr_pipeline.text.languages import base_language, same_language

_log = logging.getLogger(__name__)
_VERSION = 3
_PACKAGE = "faster-whisper"
_CURE = "pip install 'faster-whisper==1.2.1'"
_BESIDE_S = 0.1
"""Reach of a word beyond its passage: times are rounded to 20 ms."""
_PART_PAUSE_S = 0.5
"""A pause of this length ends a part of a passage that is heard again."""
_SURE_PART, _SPEECH_PART = -0.6, 0.4
"""Least mean log probability, and highest probability of silence, at which what is heard in a part
is believed: set on 8 true and 24 invented lines of two films (docs/decisions/0024)."""
_BATCH, _CPU_BATCH = 8, 2
"""Each takes 0.1 GB with the model base, and two cost as much time as eight on a CPU."""
_FINEST_FIRST = ("float32", "bfloat16", "float16", "int8_float16", "int8")
_GPU_ALONE = ("float16", "bfloat16", "int8_float16", "int8_bfloat16")
"""CTranslate2 rejects them on a CPU, or silently calculates in float32."""


_Sound = tuple[Span, Samples]
"""A passage of the film, and its sound at 16 kHz."""


@dataclass(frozen=True, slots=True)
class FasterWhisperOptions:
    """Options of recognition, and of the script made from it.

    Attributes:
        model: a model of the store, or the path of a local folder.
        smaller_model: taken instead where memory does not suffice, if it is here; empty: none.
        device: ``auto``, ``cuda``, ``cuda:N``, ``GPU-<uuid>`` or ``cpu``.
        precision: ``auto`` (float16 on a GPU, int8 on a CPU) or one of CTranslate2's compute types.
        batch: passages that are heard at once; 0: eight on a GPU, two on a CPU, to which more bring
            nothing but memory.
        beam: wordings that are followed at once; 1 is fastest.
        hears: what is recognised: the film's ``original`` sound, its separated ``vocals``, or
            ``both``: the original, and where the rest is as loud as the voices these as well; the
            surer hearing counts.
        passage_pause_s: a pause of this length ends what is heard in one go; shorter passages
            tell foreign insets better, longer ones words.
        passage_margin_s: sound around a passage that is heard with it, where no other lies.
        foreign: whether each passage is asked for its language; costs hardly any time.
        languages: how languages are decided.
        script: how the words become lines.
        allow_cpu: whether it may leave a GPU whose memory does not suffice.
    """

    model: str = "Systran/faster-whisper-large-v3"
    smaller_model: str = "Systran/faster-whisper-small"
    device: str = "auto"
    precision: str = "auto"
    batch: int = 0
    beam: int = 5
    hears: Hears = "both"
    passage_pause_s: float = 2.0
    passage_margin_s: float = 0.4
    foreign: bool = True
    languages: LanguageOptions = field(default_factory=LanguageOptions)
    script: TranscribingOptions = field(default_factory=TranscribingOptions)
    allow_cpu: bool = True


class FasterWhisperTranscriber(LadderedEngine, Transcriber, TakeVerifier):
    """Transcribes films without subtitles, and verifies takes."""

    name: ClassVar[str] = "faster-whisper"
    worker: ClassVar[str] = "dubarr_pipeline.engines.transcription.whisper_worker:WhisperWorker"
    uses_torch: ClassVar[bool] = False

    def __init__(self, options: FasterWhisperOptions | None = None) -> None:
        self._options = options or FasterWhisperOptions()
        self._group = self._options.batch or _BATCH
        super().__init__(self._options.device)

    def identity(self) -> str:
        """Return name, version, package and weights; the options count separately."""
        weights = model_identity(self._options.model)
        return f"{self.name}/{_VERSION}/{package_version(_PACKAGE)}/{weights}"

    def needs(self) -> tuple[Need, ...]:
        package = package_need(_PACKAGE, "faster_whisper", _CURE)
        return (package, model_in_store(self._options.model))

    def transcribe(self, hearing: Hearing, on_progress: OnProgress = ignore_progress) -> Transcript:
        sound, rate = heard_sound(hearing, self._options.hears), hearing.vocals.rate
        tell = never_back(on_progress)
        by_channel = self._channel_languages(hearing, sound)
        if len(set(by_channel)) > 1:
            told = base_language(hearing.language or "")
            sound = sound.only(by_channel.index(told) if told in by_channel else 0)
        language, certainty = self._film_language(sound, hearing.language)
        sounds = by_speaker(sound) if len(hearing.diarization.speakers) > 1 else [sound]
        todo = [(one, spans) for one in sounds for spans in self._batches(one)]
        passages: list[Passage] = []
        for done, (one, spans) in enumerate(todo):
            tell(Progress(done, len(todo), "writing down what is said"))
            passages += self._hear_passages(one, spans, language)
        clock, turns = SoundClock(rate, hearing.vocals.samples), hearing.diarization.turns
        voiced = {
            one.channel: voiced_pieces(one.vocals, one.speech, hearing.padding_s) for one in sounds
        }
        film = HeardFilm(clock, hearing.speech, turns, hearing.cues, language, voiced)
        transcript = replace(
            transcribe(passages, film, self._options.script),
            channel_languages=by_channel,
            language_certainty=certainty,
        )
        if transcript.language_doubt:
            _log.warning("the spoken language was %s", transcript.language_doubt)
        tell(Progress(1, 1, "writing down what is said"))
        kinds = Counter(segment.kind for segment in transcript.segments)
        _log.info(
            "%d lines in %s (%s); doubtful words dropped: %s; corrected by the subtitles: %d",
            len(transcript.segments),
            transcript.language,
            ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items())),
            dict(transcript.dropped) or "none",
            len(transcript.edits),
        )
        return transcript

    def hears(self, language: str) -> bool:
        """Models named ``.en`` know only English."""
        code = whisper_code(language)
        return code == "en" if ".en" in self._options.model else code is not None

    def hear(self, samples: Samples, rate: int, language: str) -> str:
        code = self._code(language)
        heard = resample(samples, rate, SPEECH_RATE)
        return self._call("hear", heard, code) if heard.size else ""

    def _passages(self, sound: HeardSound) -> list[Span]:
        return sound.passages(self._options.passage_pause_s, self._options.passage_margin_s)

    def _batches(self, sound: HeardSound) -> list[list[Span]]:
        spans, size = self._passages(sound), self._group
        return [spans[first : first + size] for first in range(0, len(spans), size)]

    def _film_language(self, sound: HeardSound, declared: str | None) -> tuple[str, float | None]:
        """Return the film's BCP-47 language, and how certain it is where nobody told it.

        The file's counts, unless nearly all speech is another.
        """
        votes, options = self._spread_votes(sound), self._options.languages
        base = language_of(whisper_code(declared) or declared) if declared else None
        recognised = film_language(votes, base, options)
        if declared and recognised == base:
            return declared, None
        if declared:
            _log.warning(
                "the file says it is spoken in %s; recognised was %s", declared, recognised
            )
        if recognised is None:
            return "und", None
        return recognised, round(certainty_of(recognised, votes), 3)

    def _channel_languages(self, hearing: Hearing, sound: HeardSound) -> tuple[str, ...]:
        """Return the language of each channel where each has its own; else nothing."""
        if not hearing.language_per_channel:
            return ()
        votes = [self._spread_votes(sound.only(i)) for i in range(hearing.vocals.channels)]
        return tuple(film_language(of, None, self._options.languages) or "und" for of in votes)

    def _spread_votes(self, sound: HeardSound) -> list[LanguageVote]:
        """Ask some passages, spread over the film, for their language."""
        spans, votes = self._passages(sound), list[LanguageVote]()
        for i in spread(len(spans), self._options.languages.windows):
            votes += self._votes(read_passages(sound.sound, [spans[i]]), sound.sound.rate)
        return votes

    def _votes(self, sounds: Sequence[_Sound], rate: int) -> list[LanguageVote]:
        heard = self._call("languages", [samples for _, samples in sounds])
        return [
            LanguageVote(language_of(code), probability, span.length / rate)
            for (span, _), (code, probability) in zip(sounds, heard, strict=True)
        ]

    def _hear_passages(self, sound: HeardSound, spans: Sequence[Span], film: str) -> list[Passage]:
        """Recognise some passages, each in its own language."""
        read, languages = read_passages(sound.sound, spans), [film] * len(spans)
        if self._options.foreign:
            votes = self._votes(read, sound.sound.rate)
            told = [passage_language(v, film, self._options.languages) for v in votes]
            languages = [film if same_language(language, film) else language for language in told]
        passages: list[Passage] = []
        for language in dict.fromkeys(languages):
            own = [s for s, spoken in zip(read, languages, strict=True) if spoken == language]
            for one, heard in zip(own, self._write(own, language, sound), strict=True):
                passages += self._surely(heard, one, language, sound)
        return self._completed(sound, spans, passages, film)

    def _write(
        self, sounds: Sequence[_Sound], language: str, source: HeardSound
    ) -> list[list[Passage]]:
        written = self._call("write", [samples for _, samples in sounds], self._code(language))
        return [
            [_passage(part, span, language, source) for part in parts]
            for (span, _), parts in zip(sounds, written, strict=True)
        ]

    def _surely(
        self, heard: list[Passage], sound: _Sound, language: str, source: HeardSound
    ) -> list[Passage]:
        """Recognise doubtful passages again, and return the better result."""
        phantoms = self._options.script.phantoms
        if source.otherwise and source.is_masked(sound[0]):
            (other,) = self._write(read_passages(source.otherwise, [sound[0]]), language, source)
            heard = max(heard, other, key=surety)
        if not any(needs_second_hearing(passage, phantoms) for passage in heard):
            return heard
        again = self._call("write_again", sound[1], self._code(language))
        second = [_passage(part, sound[0], language, source) for part in again]
        fewer = sum(needs_second_hearing(p, phantoms) for p in second)
        return second if second and fewer < len(second) else heard

    def _completed(
        self, source: HeardSound, spans: Sequence[Span], passages: list[Passage], film: str
    ) -> list[Passage]:
        """Hear passages again in parts of which speech was left out; parts that are sure count."""
        speech = SpeechMap(source.speech)
        thin = [
            part
            for span in spans
            for part in thinly_written(span, passages, speech, film, source.sound.rate)
        ]
        if not thin:
            return passages
        parts = replace(source, speech=tuple(thin)).passages(
            _PART_PAUSE_S, self._options.passage_margin_s
        )
        sounds = read_passages(source.sound, parts)
        sure: list[tuple[Span, list[Passage]]] = []
        before = [w for p in passages for w in on_speech(p.words, speech)]
        for first in range(0, len(sounds), self._group):
            some = sounds[first : first + self._group]
            for (part, _), heard in zip(some, self._write(some, film, source), strict=True):
                words = [word for passage in heard for word in passage.words]
                more = letters_within(words, part) >= max(1, letters_within(before, part))
                if more and all(
                    p.log_probability >= _SURE_PART and p.no_speech <= _SPEECH_PART for p in heard
                ):
                    sure.append((part, heard))
        instead = SpeechMap([part for part, _ in sure])
        kept = [without_words(passage, instead, speech) for passage in passages]
        return kept + [passage for _, heard in sure for passage in heard]

    def _code(self, language: str) -> str:
        code = whisper_code(language)
        if code is None or not self.hears(language):
            raise LanguageError(
                f"{self.name} with model {self._options.model} does not know {language!r}: set "
                "audio.language to what is spoken, or choose another model"
            )
        return code

    def _rungs(self, device: str) -> tuple[EngineConfiguration, ...]:
        options = self._options
        smaller = options.smaller_model
        spare = smaller if smaller != options.model and smaller and is_present(smaller) else None
        batch = options.batch or (_CPU_BATCH if device == "cpu" else _BATCH)
        first = WhisperConfiguration(device, batch, options.precision, model=options.model)
        return whisper_rungs(first, spare, options.allow_cpu)

    def _arguments(self, configuration: EngineConfiguration) -> dict[str, object]:
        model = (
            configuration.model
            if isinstance(configuration, WhisperConfiguration)
            else self._options.model
        )
        return {
            "folder": model_folder(model),
            "device": configuration.device,
            "precision": configuration.precision,
            "batch": configuration.batch,
            "beam": self._options.beam,
        }


def _passage(heard: HeardPassage, span: Span, language: str, source: HeardSound) -> Passage:
    """Return recognised words on the film's clock."""
    rate = source.sound.rate
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
        channel=source.channel,
    )


@dataclass(frozen=True, slots=True)
class WhisperConfiguration(EngineConfiguration):
    """A configuration with its model."""

    model: str = ""

    def __str__(self) -> str:
        return f"{self.model} on {self.device}, batch {self.batch}, {self.precision}"


def whisper_rungs(
    first: WhisperConfiguration, smaller: str | None, allow_cpu: bool
) -> tuple[EngineConfiguration, ...]:
    """Return the configurations of a model, from the requested one down to the `smaller` model.

    Raises:
        SettingsError: if the CPU does not support the precision.
    """
    on_cpu = first.device == "cpu"
    if on_cpu and first.precision in _GPU_ALONE:
        raise SettingsError(
            f"precision {first.precision!r} needs a GPU: set transcript.precision to auto, int8 "
            "or float32"
        )
    if first.precision == "auto":
        first = replace(first, precision="int8" if on_cpu else "float16")
    known = first.precision in _FINEST_FIRST
    coarser = _FINEST_FIRST if known and not on_cpu else ()
    # Only the usual steps: not every GPU has bfloat16.
    usual = (first.precision, "float16", "int8_float16", "int8")
    steps = [*fallback_steps(first, precisions=tuple(p for p in coarser if p in usual))]
    if smaller:
        steps.append(replace(steps[-1], model=smaller))  # pyright: ignore[reportCallIssue]
    if allow_cpu and not on_cpu:
        steps.append(replace(first, device="cpu", batch=1, precision="int8"))
    return tuple(steps)
