"""What a production leaves: every line as a chosen take or a named failure, with its figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from dubarr_pipeline.timeline.spans import Span

PLACED = "placed"
KEPT_ORIGINAL = "kept_original"
FAILED = "failed:"
"""Prefix of a failed line's outcome; the failure's name follows."""


@dataclass(frozen=True, slots=True)
class Take:
    """One spoken rendering of a line.

    Attributes:
        attempt: 1 for the first.
        text: the wording; `spoken` as it was prepared for speech.
        duration_s: as measured.
        predicted_s: as the length model had it, at the voice's natural rate.
        asked_s: the duration that the engine was asked for, or None.
        verdict: what became of it: keep, stretch, rewrite or give_up.
        score: fit, naturalness, closeness (`verdicts.TakeScore`); the highest of a line is placed.
        faults: what is wrong with its sound, by name.
        file: name of its sound in ``segments/takes``.
        sound: digest of that file.
        heard: the words that a listener wrote down; None where nobody listened.
    """

    attempt: int
    text: str
    spoken: str
    duration_s: float
    predicted_s: float
    asked_s: float | None
    verdict: str
    score: tuple[float, float, float]
    faults: tuple[str, ...]
    file: str
    sound: str
    heard: str | None = None


@dataclass(frozen=True, slots=True)
class LineResult:
    """What the sync loop made of a line: its takes and the best of them, or why there is none.

    Attributes:
        chosen: position in `takes`, or None where the line failed.
        failure: the failure's name, or None.
        message: what happened, for people.
        natural: the text that was first spoken, and its seconds at the voice's natural rate.
        spoken_now: takes that were rendered in this run, not taken from the journal.
        reused: whether it was finished in an earlier run.
        provisional: whether a service failed while the line could have been bettered.
        timings: seconds spent, by kind of work.
    """

    language: str
    index: int
    takes: tuple[Take, ...] = ()
    chosen: int | None = None
    failure: str | None = None
    message: str = ""
    natural: tuple[str, float] | None = None
    spoken_now: int = 0
    reused: bool = False
    provisional: bool = False
    timings: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def take(self) -> Take | None:
        """The chosen take."""
        return None if self.chosen is None else self.takes[self.chosen]


@dataclass(frozen=True, slots=True)
class ProducedLine:
    """One line in one language, as the mix and the reports need it.

    Attributes:
        window: the time it may fill, in samples of the clock.
        path: its final sound at its tempo, at the clock's rate; None unless placed.
        start, length: where that sound lies, in samples of the clock.
        tempo: playback ratio that the chosen take got; exactly 1 is untouched.
        outcome: ``placed``, ``kept_original`` or ``failed:<name>``.
    """

    language: str
    index: int
    speaker: str
    source: Span
    window: Span
    outcome: str
    text: str = ""
    budget_s: float = 0.0
    predicted_s: float = 0.0
    takes: tuple[Take, ...] = ()
    chosen: int | None = None
    path: Path | None = None
    start: int = 0
    length: int = 0
    tempo: Fraction = Fraction(1)
    message: str = ""
    timings: Mapping[str, float] = field(default_factory=dict[str, float])

    @property
    def placed(self) -> bool:
        """Whether it is heard in the dub."""
        return self.outcome == PLACED


@dataclass(frozen=True, slots=True)
class ProductionStats:
    """The figures of one run.

    Attributes:
        spoken: takes rendered in this run; `reused` lines came finished from the journal.
        tokens, tokens_per_s: of the language model, where there is one.
        prediction_error: mean absolute relative error of predicted seconds over natural takes.
        takes_per_line: mean over the lines that were spoken.
    """

    lines: int
    placed: int
    kept_original: int
    failures: Mapping[str, int]
    spoken: int
    reused: int
    takes_per_line: float
    tokens: int
    tokens_per_s: float
    prediction_error: float | None
    wall_s: float


@dataclass(frozen=True, slots=True)
class Production:
    """All lines by language, sorted by index, and the figures of the run."""

    rate: int
    languages: Mapping[str, tuple[ProducedLine, ...]]
    stats: ProductionStats
    lengths: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """What the length model has learned, for the next film; empty where read from a file."""
