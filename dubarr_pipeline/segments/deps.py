"""Dependencies shared by all worker threads: engines behind their queues, answers, lengths."""

from collections import Counter
from dataclasses import dataclass, field, replace

from dubarr_pipeline.config.options import SegmentsOptions
from dubarr_pipeline.engines.interfaces import DraftBatch, Synthesizer, TakeVerifier, Translator
from dubarr_pipeline.segments.cache import AnswerCache
from dubarr_pipeline.segments.lengths import Lengths
from dubarr_pipeline.segments.tasks import LineTask
from dubarr_pipeline.services.call_queue import ServiceQueue

_TRIES = 12


class RewordingGain:
    """A record of the rewordings that came nearer to what was asked. For many threads.

    One gain is enough for the whole run, so that a resumed run asks what the first one asked.
    """

    def __init__(self) -> None:
        self._in_vain: Counter[str] = Counter()
        self._gained: set[str] = set()

    def note(self, language: str, *, is_gain: bool) -> None:
        """Count a rewording."""
        if is_gain:
            self._gained.add(language)
        self._in_vain[language] += 1

    def is_none(self, language: str) -> bool:
        """Return whether the first twelve were all in vain: no more are asked for."""
        return self._in_vain[language] >= _TRIES and language not in self._gained


@dataclass(frozen=True, slots=True)
class LineDeps:
    """Dependencies of every line.

    Attributes:
        llm, tts, asr: the queues in front of translator, synthesizer and listener.
        rate: samples per second of the clock.
        film: facts of the film for its translator; without lines.
        gain: of the rewordings in this run.
    """

    cache: AnswerCache
    translator: Translator
    synthesizer: Synthesizer
    listener: TakeVerifier | None
    llm: ServiceQueue
    tts: ServiceQueue
    asr: ServiceQueue
    lengths: Lengths
    options: SegmentsOptions
    rate: int
    film: DraftBatch
    gain: RewordingGain = field(default_factory=RewordingGain)

    def batch(self, *tasks: LineTask, earlier: tuple[tuple[str, str], ...] = ()) -> DraftBatch:
        """Return these lines of one language as a batch for the translator."""
        lines = tuple(task.to_draft for task in tasks)
        return replace(self.film, target=tasks[0].language, lines=lines, earlier=earlier)
