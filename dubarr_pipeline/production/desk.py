"""What every line is made with: the engines behind their queues, and what is known already."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dubarr_pipeline.engines.interfaces import (
    DraftBatch,
    Synthesizer,
    TakeListener,
    Translator,
)
from dubarr_pipeline.production.lengths import Lengths
from dubarr_pipeline.production.memory import Memory
from dubarr_pipeline.production.tasks import LineTask, ProductionOptions
from dubarr_pipeline.services.queueing import ServiceQueue
from dubarr_pipeline.timeline.verdicts import VerdictOptions


@dataclass(frozen=True, slots=True)
class Desk:
    """Shared by all threads.

    Attributes:
        listener: writes down the words of takes, where one does.
        llm, tts, asr: the queues in front of translator, synthesizer and listener.
        rate: samples per second of the clock.
        film: what a translator needs to know of the film; without lines.
    """

    memory: Memory
    translator: Translator
    synthesizer: Synthesizer
    listener: TakeListener | None
    llm: ServiceQueue
    tts: ServiceQueue
    asr: ServiceQueue
    lengths: Lengths
    options: ProductionOptions
    rate: int
    film: DraftBatch

    def limits(self) -> VerdictOptions:
        """How far a take may lie from its window."""
        return replace(self.options.verdict, takes=self.options.max_takes)

    def batch(self, *tasks: LineTask, earlier: tuple[tuple[str, str], ...] = ()) -> DraftBatch:
        """These lines of one language, as its translator wants them."""
        lines = tuple(task.to_draft for task in tasks)
        return replace(self.film, target=tasks[0].language, lines=lines, earlier=earlier)
