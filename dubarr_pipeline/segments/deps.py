"""Dependencies shared by all worker threads: engines behind their queues, answers, lengths."""

import threading
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from dubarr_pipeline.config.options import SegmentsOptions
from dubarr_pipeline.engines.interfaces import DraftBatch, Synthesizer, TakeVerifier, Translator
from dubarr_pipeline.script.model import Context
from dubarr_pipeline.segments.cache import AnswerCache
from dubarr_pipeline.segments.lengths import Lengths, VoiceName
from dubarr_pipeline.segments.tasks import LineTask
from dubarr_pipeline.services.call_queue import ServiceQueue

_TRIES = 12


class RewordingGain:
    """A record of the rewordings that came nearer to what was asked. For many threads.

    A translator that repeats itself comes nearer by chance now and then: a gain pays for twelve
    tries more, and no more.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._tries: Counter[str] = Counter()
        self._gains: Counter[str] = Counter()

    def note(self, language: str, *, is_gain: bool) -> None:
        """Count a rewording."""
        with self._lock:
            self._tries[language] += 1
            self._gains[language] += is_gain

    def is_none(self, language: str) -> bool:
        """Return whether fewer than one in twelve gained anything: no more are asked for."""
        with self._lock:
            return self._tries[language] >= _TRIES * (self._gains[language] + 1)


@dataclass(frozen=True, slots=True)
class LineDeps:
    """Dependencies of every line.

    Attributes:
        llm, tts, asr: the queues in front of translator, synthesizer and listener.
        rate: samples per second of the clock.
        film: facts of the film for its translator; without lines.
        contexts: target language -> the context with a person's renderings.
        unmeasured: voices that are measured before their first line, each with that line.
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
    contexts: Mapping[str, Context]
    unmeasured: Mapping[VoiceName, LineTask] = field(default_factory=dict[VoiceName, LineTask])
    gain: RewordingGain = field(default_factory=RewordingGain)

    def batch(self, *tasks: LineTask, earlier: tuple[tuple[str, str], ...] = ()) -> DraftBatch:
        """Return these lines of one language as a batch for the translator."""
        lines, target = tuple(task.to_draft for task in tasks), tasks[0].language
        context = self.contexts[target]
        return replace(self.film, target=target, lines=lines, context=context, earlier=earlier)
