"""What the length model knew when a line was begun, whoever finished first.

The model learns from the takes of this very film, while threads finish lines in any order and a run
may be killed. So that neither shows in the result, a line never sees "the model now" but a
*generation* of it: the takes of the first 2, 4, 8, 16... lines of its language. Which generation it
sees depends on its place alone; it waits, parked, until all those lines have a first take. The lag
between a generation and its first reader keeps that wait from ever being felt.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from dubarr_pipeline.production.tasks import LineTask
from dubarr_pipeline.timeline.length_model import LengthModel, LengthSnapshot, PhonemeCount

_LAG_LINES = 16
"""Lines between the last that a generation learns from and the first that reads it, at most."""

Observation = tuple[str, float]
"""A text as it was spoken at the voice's natural rate, and the seconds that it took."""


def generation(ordinal: int) -> int:
    """How many lines of its language the model has learned from when it plans the nth line."""
    learned, size = 0, 2
    while size + min(size, _LAG_LINES) <= ordinal:
        learned, size = size, size * 2
    return learned


def voice_key(task: LineTask) -> str:
    """The name under which the model remembers a voice: the one that was chosen, or its speaker."""
    return task.voice.profile.voices.get(task.language) or task.voice.speaker


class Lengths:
    """The generations of the length model of one production. For many threads.

    Args:
        tasks: all lines of all languages.
        prior: what was learned from earlier films, as `LengthModel.to_document` wrote it, or None.
        phonemes: counts phonemes where an engine can.
    """

    def __init__(
        self,
        tasks: Sequence[LineTask],
        prior: Mapping[str, Any] | None = None,
        phonemes: PhonemeCount | None = None,
    ) -> None:
        self._prior = prior
        self._phonemes = phonemes
        self._lock = threading.Lock()
        self._tasks: defaultdict[str, list[LineTask]] = defaultdict(list)
        for task in tasks:
            self._tasks[task.language].append(task)
        self._seen: defaultdict[str, dict[int, Observation | None]] = defaultdict(dict)
        self._frontier: defaultdict[str, int] = defaultdict(int)
        self._snapshots: dict[tuple[str, int], LengthSnapshot] = {}

    def ready(self, task: LineTask) -> bool:
        """Whether all lines that its generation learns from have a first take."""
        with self._lock:
            return self._frontier[task.language] >= generation(task.ordinal)

    def settle(self, task: LineTask, seen: Observation | None) -> None:
        """Say how long the line is when spoken naturally, or that none can tell. Said once."""
        with self._lock:
            known = self._seen[task.language]
            known.setdefault(task.ordinal, seen)
            while self._frontier[task.language] in known:
                self._frontier[task.language] += 1

    def snapshot(self, task: LineTask) -> LengthSnapshot:
        """The model as this line sees it.

        Raises:
            ValueError: if it is asked before it is `ready`.
        """
        if not self.ready(task):
            raise ValueError(f"{task.name} asks for a model that has not learned enough yet")
        place = (task.language, generation(task.ordinal))
        with self._lock:
            if place not in self._snapshots:
                self._snapshots[place] = self._model(*place).snapshot()
            return self._snapshots[place]

    def has_learned(self, task: LineTask) -> bool:
        """Whether the generation that the line sees has heard anything of its language."""
        with self._lock:
            seen = self._seen[task.language]
            return any(
                seen.get(known.ordinal) is not None
                for known in self._tasks[task.language][: generation(task.ordinal)]
            )

    def learned(self) -> Mapping[str, Any]:
        """All that was learned, earlier films included, for the next film."""
        with self._lock:
            model = self._started()
            for language in self._tasks:
                self._teach(model, language, len(self._tasks[language]))
            return model.to_document()

    def _model(self, language: str, lines: int) -> LengthModel:
        model = self._started()
        self._teach(model, language, lines)
        return model

    def _started(self) -> LengthModel:
        if self._prior is None:
            return LengthModel(self._phonemes)
        return LengthModel.from_document(self._prior, self._phonemes)

    def _teach(self, model: LengthModel, language: str, lines: int) -> None:
        for task in self._tasks[language][:lines]:
            seen = self._seen[language].get(task.ordinal)
            if seen is not None and seen[1] > 0:
                model.observe((seen[0], language, voice_key(task)), seen[1], 0.0)
