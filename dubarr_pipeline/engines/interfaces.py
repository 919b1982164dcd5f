"""What the pipeline asks of a model: one small interface per kind of work.

An adapter holds a model and no policy. It is built cheaply, tells what it needs, loads inside its
stage, and gives everything back in `unload`. Heavy libraries are imported in `load`, never before.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, Self

from dubarr_pipeline.media.sound_reader import Samples, SoundReader
from dubarr_pipeline.timeline.script import (
    Context,
    Cue,
    Diarization,
    LanguageBrief,
    Segment,
    SpeakerProfile,
    Transcript,
)
from dubarr_pipeline.timeline.spans import Span

AudioReader = SoundReader
"""A sound file with random access; the stages' way to hand long films to engines."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a stage has come: `done` of `total` units, and a word on what it is at."""

    done: float
    total: float
    note: str = ""


OnProgress = Callable[[Progress], None]


def ignore_progress(_: Progress) -> None:
    """Where nobody watches."""


@dataclass(frozen=True, slots=True)
class Need:
    """One thing an engine cannot do without, and how to get it.

    Attributes:
        kind: what sort of thing it is.
        name: the program, package, model or service.
        present: whether it was found just now.
        cure: the command or the page that brings it.
    """

    kind: Literal["program", "package", "model", "service", "disk", "data", "licence"]
    name: str
    present: bool
    cure: str = ""


class Engine(ABC):
    """A model that is loaded for one stage and gone when the stage ends. Also a context manager."""

    name: ClassVar[str]
    """The name in settings, e.g. ``"espeak"``."""

    @abstractmethod
    def identity(self) -> str:
        """Name, version and model: what a result depends on. Needs no `load`."""

    @abstractmethod
    def needs(self) -> tuple[Need, ...]:
        """All that must be here before any work starts. Cheap: imports no heavy library."""

    def load(self) -> None:  # noqa: B027 - optional: most small engines hold nothing
        """Bring the model into memory. Raises `MissingRequirement` naming what to install."""

    def unload(self) -> None:  # noqa: B027
        """Give all memory back. Harmless when nothing is loaded."""

    def __enter__(self) -> Self:
        self.load()
        return self

    def __exit__(self, *_: object) -> None:
        self.unload()


class VoiceActivityDetector(Engine):
    """Finds where somebody speaks."""

    @abstractmethod
    def detect(self, blocks: Iterator[Samples]) -> list[Span]:
        """Return the stretches with speech in 16 kHz samples.

        Args:
            blocks: mono float32 at 16 kHz, ``(samples,)`` each, of any length; read once, in order.
        """


class Separator(Engine):
    """Takes the voices out of a sound."""

    @abstractmethod
    def separate(
        self, source: AudioReader, speech: Sequence[Span]
    ) -> Iterator[tuple[int, Samples]]:
        """Yield ``(start, vocals)`` blocks in ascending order that never overlap.

        `vocals` is ``(channels, n)`` float32 at the source's rate and layout. The blocks cover
        every span of `speech` (samples of `source`); where no block lies, there is no voice.
        """

    def keep_in(self, folder: Path) -> None:
        """Where finished parts may be kept, so that a killed run goes on; optional."""


class Diarizer(Engine):
    """Tells the speakers apart."""

    @abstractmethod
    def diarize(
        self,
        vocals: AudioReader,
        speech: Sequence[Span],
        cues: Sequence[Cue],
        on_progress: OnProgress = ignore_progress,
    ) -> Diarization:
        """Return the turns of every speaker, ids ``SPEAKER_00``... by first appearance."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """What a transcriber is given: the voices, where and who they are, what was written."""

    vocals: AudioReader
    speech: tuple[Span, ...]
    diarization: Diarization
    cues: tuple[Cue, ...]
    language: str | None
    """BCP-47 of the source if it is known."""


class Transcriber(Engine):
    """Writes down what is said."""

    @abstractmethod
    def transcribe(self, hearing: Hearing, on_progress: OnProgress = ignore_progress) -> Transcript:
        """Return the segments in order of their starts, one speaker each, indexes 0, 1, 2..."""


class TakeListener(Engine):
    """Listens to a take and writes down its words, so that a voice that says others is found out.

    A transcriber that can listen to single takes is one as well: ``class Heard(Transcriber,
    TakeListener)``. Who is one is asked whether a take said its line; who is not, is not asked.
    """

    concurrency: ClassVar[int] = 1
    """How many takes it can listen to at once."""

    @abstractmethod
    def hears(self, language: str) -> bool:
        """Whether it understands this BCP-47 language well enough to judge a voice by. Cheap."""

    @abstractmethod
    def hear(self, samples: Samples, rate: int, language: str) -> str:
        """Return the words of a take, empty where none are heard; the same for the same samples.

        Args:
            samples: mono float32 ``(samples,)`` of any length.
            rate: samples per second.
            language: BCP-47 of what should be said.
        """


@dataclass(frozen=True, slots=True)
class Usage:
    """What an engine's work has cost so far: tokens written, and seconds spent on them."""

    tokens: int = 0
    busy_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Reading:
    """What the reader of the whole script produces."""

    context: Context
    speakers: tuple[SpeakerProfile, ...]
    usage: Usage = Usage()


class ScriptReader(Engine):
    """Reads the whole script and says what it is about."""

    briefs: ClassVar[bool] = False
    """Whether it has more to say of a target language than stands in the context."""

    @abstractmethod
    def read(
        self,
        transcript: Transcript,
        diarization: Diarization,
        vocals: AudioReader,
        on_progress: OnProgress = ignore_progress,
        memory: Path | None = None,
    ) -> Reading:
        """Return the context, and a profile of every speaker of the diarization.

        The result does not depend on the languages that the film is dubbed into.

        Args:
            transcript: the whole script.
            diarization: who speaks when.
            vocals: their voices.
            on_progress: told after each part; what it raises ends the reading.
            memory: folder of finished parts, so that a killed reading goes on where it stood.
        """

    def brief(
        self, reading: Reading, source: str, target: str, memory: Path | None = None
    ) -> LanguageBrief:
        """Say how to translate into one language. Only where `briefs`.

        Args:
            reading: what `read` returned.
            source: BCP-47 of what is spoken.
            target: BCP-47 of the translation.
            memory: folder of answers that were had already.
        """
        raise NotImplementedError(f"{self.name} has no briefs")


@dataclass(frozen=True, slots=True)
class LineToDraft:
    """One line to translate.

    Attributes:
        budget_s: seconds that the spoken translation should take.
        previous, following: source texts of the neighbouring lines, for sense.
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
    """The versions of one translated line, shortest first, or the `fault` why there is none."""

    index: int
    versions: tuple[str, ...]
    fault: str | None = None


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
    """Turns lines into another language."""

    concurrency: ClassVar[int] = 1
    """How many calls it can answer at once."""
    can_rewrite: ClassVar[bool] = False
    """Whether it can be asked for a shorter or fuller wording."""

    @abstractmethod
    def serves(self, source: str, target: str) -> bool:
        """Whether it can translate between these BCP-47 languages. Cheap."""

    @abstractmethod
    def targets(self, source: str) -> tuple[str, ...]:
        """The languages it can translate `source` into; for messages and choices."""

    @abstractmethod
    def draft(self, batch: DraftBatch) -> list[Draft]:
        """Translate every line, in their order; what cannot be translated names its fault."""

    def rewrite(self, request: RewriteRequest) -> str:
        """Return another wording. Only where `can_rewrite`.

        Raises:
            LineError: if no other wording could be had.
        """
        raise NotImplementedError(f"{self.name} cannot rewrite")

    def usage(self) -> Usage:
        """Tokens written since `load`; nothing where there is no language model."""
        return Usage()


@dataclass(frozen=True, slots=True)
class Voice:
    """Who speaks a line: the speaker's profile, and a sample of their voice where there is one."""

    speaker: str
    profile: SpeakerProfile
    ref: Path | None = None
    ref_text: str | None = None


@dataclass(frozen=True, slots=True)
class SpeechRequest:
    """One line to speak.

    Attributes:
        text: prepared for speech: no digits, symbols or markup that an engine would stumble over.
        duration_s: asked-for length where the engine can be asked, else None: at its natural rate.
    """

    text: str
    language: str
    voice: Voice
    duration_s: float | None = None


@dataclass(frozen=True, slots=True)
class Speech:
    """A rendering of a line: mono float32 ``(samples,)`` at `rate` Hz, edges without silence."""

    samples: Samples
    rate: int


class Synthesizer(Engine):
    """Speaks a line."""

    fits_duration: ClassVar[bool] = False
    """Whether `duration_s` is honoured (to within a few per cent) rather than ignored."""
    clones: ClassVar[bool] = False
    """Whether it needs a voice reference."""
    deterministic: ClassVar[bool] = False
    """Whether the same request gives the same samples."""
    concurrency: ClassVar[int] = 1
    """How many lines it can speak at once."""
    max_characters: ClassVar[int | None] = None
    """Longest text it takes in one request; longer lines are split at clause borders and joined."""

    @abstractmethod
    def serves(self, language: str) -> bool:
        """Whether it speaks this BCP-47 language. Never another one instead."""

    def natural_s(self, request: SpeechRequest) -> float | None:  # noqa: ARG002
        """Seconds that the line takes at its natural rate, where the engine can tell cheaply."""
        return None

    @abstractmethod
    def speak(self, request: SpeechRequest) -> Speech:
        """Render the line.

        Raises:
            LineError: if this one line cannot be spoken, with the failure's name.
        """
