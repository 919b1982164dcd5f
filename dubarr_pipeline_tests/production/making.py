"""Small scripts, and a translator without a model, for tests of the production."""

from __future__ import annotations

import random
from pathlib import Path
from typing import ClassVar

from dubarr_pipeline.engines.interfaces import (
    Draft,
    DraftBatch,
    Need,
    RewriteRequest,
    Synthesizer,
    Translator,
)
from dubarr_pipeline.engines.synthesis.tone import ToneSynthesizer
from dubarr_pipeline.errors import LineError
from dubarr_pipeline.production.tasks import ProductionOptions, ProductionOrder
from dubarr_pipeline.timeline.script import Context, Segment, SpeakerProfile, Transcript
from dubarr_pipeline.timeline.spans import Span
from dubarr_pipeline.workdir import WorkDir

RATE = 16000
WORDS = "la casa nueva tiene una puerta roja y dos ventanas grandes cerca del mar azul".split()


def wording(seed: str, syllables: int) -> str:
    """A made-up Spanish sentence of about so many syllables, always the same for a seed."""
    choose = random.Random(seed)
    return (
        " ".join(choose.choice(WORDS) for _ in range(max(1, round(syllables / 2))))
    ).capitalize() + "."


class BudgetTranslator(Translator):
    """Writes sentences that should fill each line's budget; can shorten and lengthen them."""

    name: ClassVar[str] = "budget"
    can_rewrite: ClassVar[bool] = True
    concurrency: ClassVar[int] = 2

    def __init__(self, stretch: float = 1.0, rewrites: bool = True) -> None:
        self.stretch = stretch
        self.can_rewrite = rewrites  # type: ignore[misc]
        self.drafted: list[tuple[str, int]] = []
        self.rewritten: list[tuple[str, int]] = []

    def identity(self) -> str:
        return f"budget {self.stretch}"

    def needs(self) -> tuple[Need, ...]:
        return ()

    def serves(self, source: str, target: str) -> bool:
        return source == "en" and target != "en"

    def targets(self, source: str) -> tuple[str, ...]:
        return ("es", "ca", "fr") if source else ()

    def draft(self, batch: DraftBatch) -> list[Draft]:
        found = []
        for line in batch.lines:
            index = line.segment.index
            self.drafted.append((batch.target, index))
            count = round(line.budget_s / 0.18 * self.stretch)
            found.append(Draft(index, (wording(f"{batch.target}{line.segment.text}", count),)))
        return found

    def rewrite(self, request: RewriteRequest) -> str:
        index = request.line.segment.index
        self.rewritten.append((request.batch.target, index))
        seed = f"{request.batch.target}{index}{len(request.tried)}"
        text = wording(seed, max(1, round(request.wanted_s / 0.18)))
        if text in request.tried:
            raise LineError("no_other_wording", "said it before")
        return text


def transcript(lines: int, speakers: int = 2, seed: int = 1) -> Transcript:
    """A script of so many lines with pauses, speakers in turn, one song in the middle."""
    choose = random.Random(seed)
    segments: list[Segment] = []
    at = RATE // 2
    for index in range(lines):
        length = round(choose.uniform(0.8, 3.0) * RATE)
        kind = "song" if lines > 3 and index == lines // 2 else "speech"
        speaker = f"SPEAKER_{choose.randrange(speakers):02d}"
        text = f"This is line {index} of the script."
        segments.append(Segment(index, Span(at, at + length), speaker, text, kind))
        at += length + round(choose.uniform(0.1, 0.8) * RATE)
    return Transcript(RATE, at + RATE, "en", tuple(segments))


def order(
    folder: Path,
    script: Transcript,
    translator: Translator | None = None,
    synthesizer: Synthesizer | None = None,
    **changes: object,
) -> ProductionOrder:
    """An order for the script in Spanish and Catalan, hummed."""
    facts: dict[str, object] = {
        "transcript": script,
        "speakers": {s.speaker: SpeakerProfile(s.speaker, pitch_hz=110.0) for s in script.segments},
        "context": Context("", ""),
        "refs": {},
        "targets": ("es", "ca"),
        "work": WorkDir(folder),
        "translator": translator or BudgetTranslator(),
        "synthesizer": synthesizer or ToneSynthesizer(fits_duration=False),
        "options": ProductionOptions(),
    }
    return ProductionOrder(**{**facts, **changes})  # type: ignore[arg-type]
