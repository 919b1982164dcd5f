"""Interfaces of the models: one small class for each kind of work.

An adapter holds a model and no policy. It is built cheaply, lists its needs, loads inside its
stage, and releases everything in `unload`. Heavy libraries are imported in `load`, never before.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, Self

from dubarr_pipeline.engines.usage import Usage
from dubarr_pipeline.errors import LanguageError
from dubarr_pipeline.media.audio.reader import Samples, SoundReader
from dubarr_pipeline.media.subtitles.parse import Cue
from dubarr_pipeline.progress import OnProgress, ignore_progress
from dubarr_pipeline.script.model import (
    Context,
    Diarization,
    LanguageBrief,
    Segment,
    SpeakerProfile,
    StockVoice,
    Transcript,
)
from dubarr_pipeline.spans import Span

AudioReader = SoundReader
"""A sound file with random access, by which stages hand long films to engines."""


@dataclass(frozen=True, slots=True)
class Need:
    """One requirement of an engine, and the command or page that provides it."""

    kind: Literal["program", "package", "model", "service", "disk", "data", "licence", "language"]
    name: str
    present: bool
    cure: str = ""


class Engine(ABC):
    """A model, `name` in settings, loaded for a stage and unloaded at its end: context manager."""

    name: ClassVar[str]

    @abstractmethod
    def identity(self) -> str:
        """Return name, version and model, on which results depend. Works without `load`."""

    def needs(self) -> tuple[Need, ...]:
        """Return all requirements, before any work starts. Cheap: imports no heavy library."""
        return ()

    def load(self) -> None:  # noqa: B027 - optional: most small engines hold nothing
        """Load the model.

        Raises:
            MissingRequirement: if it, or what it needs, is not here, with the cure.
            SettingsError: if its device is not here.
            EngineError: if it cannot be loaded.
        """

    def unload(self) -> None:  # noqa: B027
        """Release all memory. Harmless when nothing is loaded."""

    def __enter__(self) -> Self:
        self.load()
        return self

    def __exit__(self, *_: object) -> None:
        self.unload()


class VoiceActivityDetector(Engine):
    """Finds the stretches with speech; `padding_s` is the room that it leaves on both sides."""

    padding_s: float = 0.0

    @abstractmethod
    def detect(self, blocks: Iterator[Samples]) -> list[Span]:
        """Return the stretches with speech in 16 kHz mono float32 blocks, read once in order."""


class Separator(Engine):
    """Separates the voices from a sound."""

    @abstractmethod
    def separate(
        self, source: AudioReader, speech: Sequence[Span]
    ) -> Iterator[tuple[int, Samples]]:
        """Yield ``(start, vocals)`` blocks in ascending order that never overlap.

        `vocals` is ``(channels, n)`` float32 at the source's rate and layout. The blocks cover
        every span of `speech` (samples of `source`); where no block lies, there is no voice.
        """

    def keep_in(self, folder: Path) -> None:
        """Keep finished parts in a folder, so that a killed run can continue; optional."""


class Diarizer(Engine):
    """Distinguishes the speakers."""

    @abstractmethod
    def diarize(
        self,
        vocals: AudioReader,
        speech: Sequence[Span],
        cues: Sequence[Cue],
        on_progress: OnProgress = ignore_progress,
    ) -> Diarization:
        """Return the turns of every speaker, ids ``SPEAKER_00``... by first appearance."""

    def print_of(self, mono: Samples, rate: int) -> tuple[float, ...] | None:  # noqa: ARG002
        """Return the embedding of a voice, ``(samples,)``, of length 1; None without a network."""
        return None

    def unscripted_identity(self) -> str:
        """Return what else the results of films without subtitles depend on; empty: nothing."""
        return ""


@dataclass(frozen=True, slots=True)
class Hearing:
    """Input of a transcriber; `language` is BCP-47 if known, `accompaniment` all other sound."""

    vocals: AudioReader
    speech: tuple[Span, ...]
    diarization: Diarization
    cues: tuple[Cue, ...]
    language: str | None
    language_per_channel: bool = False
    """Whether left and right speak at once, each in a language of its own (dual mono)."""
    accompaniment: AudioReader | None = None
    padding_s: float = 0.0


class Transcriber(Engine):
    """Transcribes speech."""

    @abstractmethod
    def transcribe(self, hearing: Hearing, on_progress: OnProgress = ignore_progress) -> Transcript:
        """Return the segments in order of their starts, one speaker each, indexes 0, 1, 2...

        Raises:
            NoScript: if there is nothing to take the words from.
            LanguageError: if the model does not know the film's language.
        """


class TakeVerifier(Engine):
    """Transcribes a take, so that wrong words in it are noticed; only a `Transcriber` is asked."""

    concurrency: ClassVar[int] = 1
    """Takes that it can transcribe at once."""

    @abstractmethod
    def hears(self, language: str) -> bool:
        """Return whether it knows a BCP-47 language well enough to judge a voice. Cheap."""

    @abstractmethod
    def hear(self, samples: Samples, rate: int, language: str) -> str:
        """Return the words of a mono take at `rate` Hz, always the same; empty if unsure."""


@dataclass(frozen=True, slots=True)
class ScriptAnalysis:
    """Result of a script analyzer."""

    context: Context
    speakers: tuple[SpeakerProfile, ...]
    usage: Usage = field(default_factory=Usage)


class ScriptAnalyzer(Engine):
    """Analyzes the whole script: story, tone, people, terms."""

    briefs: ClassVar[bool] = False
    """True if it can write briefs, which add to the context for one target language."""

    @abstractmethod
    def read(
        self,
        transcript: Transcript,
        diarization: Diarization,
        vocals: AudioReader,
        on_progress: OnProgress = ignore_progress,
        memory: Path | None = None,
    ) -> ScriptAnalysis:
        """Return the context, and a profile of every speaker of the diarization.

        It does not depend on the target languages. An exception of `on_progress`, called after each
        part, ends it; `memory` is a folder of finished parts, so that a killed one can continue.

        Raises:
            ServiceTimeout, ServiceUnavailable: if the model's server does not answer.
        """

    def brief(
        self, reading: ScriptAnalysis, source: str, target: str, memory: Path | None = None
    ) -> LanguageBrief:
        """Return the brief of a target language after `read`. Only if `briefs`."""
        raise NotImplementedError(f"{self.name} has no briefs")


@dataclass(frozen=True, slots=True)
class LineToDraft:
    """One line to translate.

    Attributes:
        budget_s: seconds that the spoken translation should take.
        previous, following: source texts of the neighbouring lines, for context.
        existing: the line in a target-language subtitle that already exists, or None.
    """

    segment: Segment
    budget_s: float
    previous: tuple[str, ...] = ()
    following: tuple[str, ...] = ()
    existing: str | None = None


@dataclass(frozen=True, slots=True)
class DraftBatch:
    """Lines of one language that are translated in one call."""

    source: str
    target: str
    lines: tuple[LineToDraft, ...]
    context: Context
    speakers: Mapping[str, SpeakerProfile] = field(default_factory=dict[str, SpeakerProfile])
    earlier: tuple[tuple[str, str], ...] = ()
    """The lines before these and the wording they got, so that names and tone stay the same."""


@dataclass(frozen=True, slots=True)
class Draft:
    """Translation of one line.

    Attributes:
        versions: wordings, shortest first; empty where it could not be translated.
        fault, message: name of the reason why there is none, and its details, for people.
    """

    index: int
    versions: tuple[str, ...]
    fault: str | None = None
    message: str = ""


@dataclass(frozen=True, slots=True)
class RewriteRequest:
    """A line whose take does not fit, and by how much.

    Attributes:
        text: the translation that was spoken.
        measured_s, wanted_s: seconds that it took, and that it may take.
        syllables: syllables to lose (negative) or to gain.
        tried: every wording spoken so far, so that none is proposed again.
    """

    batch: DraftBatch
    line: LineToDraft
    text: str
    measured_s: float
    wanted_s: float
    syllables: int
    tried: tuple[str, ...] = ()


class Translator(Engine):
    """Translates lines."""

    concurrency: ClassVar[int] = 1
    """Calls that it can answer at once."""
    can_rewrite: ClassVar[bool] = False
    """True if it can give a shorter or fuller wording."""

    @abstractmethod
    def serves(self, source: str, target: str) -> bool:
        """Return whether it can translate between these BCP-47 languages. Cheap."""

    @abstractmethod
    def targets(self, source: str) -> tuple[str, ...]:
        """Return the languages into which it can translate `source`, for messages and choices."""

    def check(self, source: str, target: str) -> None:
        """Raise `LanguageError` with the choices unless it serves these BCP-47 languages."""
        if not self.serves(source, target):
            known = ", ".join(self.targets(source)) or "none listed"
            pair = f"{source} into {target}; its targets: {known}"
            raise LanguageError(f"translator {self.name!r} does not translate {pair}")

    @abstractmethod
    def draft(self, batch: DraftBatch) -> list[Draft]:
        """Translate every line, in order; a line without translation names its fault.

        Raises:
            LanguageError: if it does not serve these languages; it lists the choices.
            ServiceError, EngineError: if its server or its programs do not answer.
        """

    def rewrite(self, request: RewriteRequest) -> str:
        """Return another wording. Only if `can_rewrite`.

        Raises:
            LineError: if there is no other wording.
            ServiceError: if its server does not answer.
        """
        raise NotImplementedError(f"{self.name} cannot rewrite")

    def usage(self) -> Usage:
        """Return the tokens written since `load`; none without a language model."""
        return Usage()


@dataclass(frozen=True, slots=True)
class Voice:
    """Voice of a line: the speaker's profile, a sample of it if any, the stock voice dealt."""

    speaker: str
    profile: SpeakerProfile
    ref: Path | None = None
    ref_text: str | None = None
    name: str | None = None


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """One line to speak.

    Attributes:
        text: prepared for speech, without digits, symbols or markup.
        duration_s: requested length; None: at the engine's natural rate.
        natural_s: predicted length at that rate, for engines that can only be told a speed.
    """

    text: str
    language: str
    voice: Voice
    duration_s: float | None = None
    natural_s: float | None = None


@dataclass(frozen=True, slots=True)
class Speech:
    """A rendering of a line: mono float32 ``(samples,)`` at `rate` Hz, edges without silence."""

    samples: Samples
    rate: int


class Synthesizer(Engine):
    """Synthesizes speech."""

    fits_duration: ClassVar[bool] = False
    """True if `duration_s` is honoured (to within a few per cent), not ignored."""
    clones: ClassVar[bool] = False
    """True if it needs a voice reference."""
    deterministic: ClassVar[bool] = False
    """True if the same request gives the same samples."""
    foresees: ClassVar[bool] = False
    """True if `natural_s` tells a length without speaking: then nothing else predicts it."""
    concurrency: ClassVar[int] = 1
    """Lines that it can speak at once."""
    own_voices: ClassVar[tuple[str, ...]] = ()
    """Names that `own_voice` returns, in every language: a person may choose among them."""
    max_characters: ClassVar[int | None] = None
    """Longest text of one request; longer lines are split at clause borders and joined."""

    @abstractmethod
    def serves(self, language: str) -> bool:
        """Return whether it speaks this BCP-47 language itself."""

    def voices(self, language: str) -> tuple[StockVoice, ...]:  # noqa: ARG002
        """Return the voices to deal to speakers of this BCP-47 language, the best first. Cheap."""
        return ()

    def own_voice(self, profile: SpeakerProfile, language: str) -> str | None:  # noqa: ARG002
        """Return the name, for `SpeakerProfile.voices`, of a voice that no one deals; or None."""
        return None

    def hurry(self) -> None:
        """Give each line all the cores from the next `load` on: a person waits for it."""

    def natural_s(self, request: SpeechRequest) -> float | None:  # noqa: ARG002
        """Return the seconds of the line at its natural rate, if the engine knows them cheaply."""
        return None

    @abstractmethod
    def speak(self, request: SpeechRequest) -> Speech:
        """Render the line.

        Raises:
            LanguageError: if it does not speak the language; it lists the choices.
            LineError: if this one line cannot be spoken, with the failure's name.
            ServiceError: if its server does not answer, or sends no sound.
        """
