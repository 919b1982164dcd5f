"""The length model as each line sees it, and its memory of the voices across films.

So that neither threads nor kills show in the result, a line never sees the current model but a
*generation* of it: the takes of the first 2, 4, 8, 16... lines of its language. It waits, parked,
until all those lines have a first take; the lag before its first reader keeps that short.

A stock voice (dealt, or chosen by its name) is the same in every film; a cloned one, or one made
for a pitch, is known by its speaker and stays with its film. The state that a film starts from is
written into its journal when its lines are first made, so a later run of it starts from the same,
whatever other films teach meanwhile.
"""

import json
import logging
import threading
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from dubarr_pipeline.files import ResumeCache, resume_key
from dubarr_pipeline.script.model import SpeakerProfile
from dubarr_pipeline.segments.cast import Cast
from dubarr_pipeline.segments.tasks import LineTask
from dubarr_pipeline.timing.length_model import LengthModel, LengthSnapshot, PhonemeCount

_log = logging.getLogger(__name__)

_LAG_LINES = 16
"""Lines between the last that a generation learns from and the first that reads it, at most."""

VoiceName = tuple[str, str]
"""A language, and the model's name for a voice in it."""

Observation = tuple[str, float]
"""A text as it was spoken at the voice's natural rate, and the seconds that it took."""

Document = Mapping[str, Any]
"""A length model as `LengthModel.to_document` writes it."""


def generation(ordinal: int) -> int:
    """Return how many lines of its language the model has learned from for the nth line."""
    learned, size = 0, 2
    while size + min(size, _LAG_LINES) <= ordinal:
        learned, size = size, size * 2
    return learned


def voice_key(task: LineTask) -> str:
    """Return the model's name for a voice: the one that was dealt or chosen, or its speaker."""
    return task.voice.name or task.voice.profile.voices.get(task.language) or task.voice.speaker


class Lengths:
    """Generations of the length model of one run, begun with a `prior` one. For many threads."""

    def __init__(
        self,
        tasks: Sequence[LineTask],
        prior: Document | None = None,
        phonemes: PhonemeCount | None = None,
        unmeasured: Iterable[VoiceName] = (),
        known: Iterable[VoiceName] = (),
    ) -> None:
        """Begin; no line of a language is ready before all `unmeasured` voices are measured.

        `known` are voices that the prior knows, of an engine that tells no lengths itself.
        """
        self._unmeasured, self._known = set(unmeasured), set(known)
        self._measured: dict[VoiceName, tuple[Observation, ...]] = {}
        self._prior = prior
        self._phonemes = phonemes
        self._lock = threading.Lock()
        self._tasks: defaultdict[str, list[LineTask]] = defaultdict(list)
        self._places: dict[tuple[str, int], int] = {}
        for task in tasks:
            self._places[task.language, task.ordinal] = len(self._tasks[task.language])
            self._tasks[task.language].append(task)
        self._seen: defaultdict[str, dict[int, Observation | None]] = defaultdict(dict)
        self._frontier: defaultdict[str, int] = defaultdict(int)
        self._first_known: dict[str, int] = {}
        self._snapshots: dict[tuple[str, int], LengthSnapshot] = {}

    def ready(self, task: LineTask) -> bool:
        """Return whether all lines that its generation learns from have a first take."""
        with self._lock:
            if any(language == task.language for language, _ in self._unmeasured):
                return False
            return self._frontier[task.language] >= generation(task.ordinal)

    def settle_voice(self, voice: VoiceName, seen: Sequence[Observation]) -> None:
        """Record what a voice took for its measuring sentences; nothing if it was not measured."""
        with self._lock:
            self._unmeasured.discard(voice)
            if seen:
                self._measured[voice] = tuple(seen)
                self._known.add(voice)

    def settle(self, task: LineTask, seen: Observation | None) -> None:
        """Record the line's natural length, or that it is unknown. Only the first record counts."""
        with self._lock:
            known = self._seen[task.language]
            # A later record would change a generation that other lines have read already.
            if known.setdefault(task.ordinal, seen) is not None:
                place = self._places[task.language, task.ordinal]
                first = self._first_known.get(task.language, place)
                self._first_known[task.language] = min(first, place)
            while self._frontier[task.language] in known:
                self._frontier[task.language] += 1

    def snapshot(self, task: LineTask) -> LengthSnapshot:
        """Return the model as this line sees it. Raises `ValueError` if it is not `ready`."""
        if not self.ready(task):
            raise ValueError(f"{task.name} is not ready: the model has not learned enough yet")
        place = (task.language, generation(task.ordinal))
        with self._lock:
            if place not in self._snapshots:
                model = self._started()
                self._teach(model, *place)
                self._snapshots[place] = model.snapshot()
            return self._snapshots[place]

    def has_learned(self, task: LineTask) -> bool:
        """Return whether its voice was measured, or the line's generation knows its language."""
        with self._lock:
            if (task.language, voice_key(task)) in self._known:
                return True
            first, learned = self._first_known.get(task.language), generation(task.ordinal)
            return first is not None and first < learned

    def learned(self) -> Document:
        """Return the model after this film, earlier films included, for the next one."""
        with self._lock:
            model = self._started()
            for language in self._tasks:
                self._teach(model, language, len(self._tasks[language]))
            return model.to_document()

    def _started(self) -> LengthModel:
        prior = self._prior or LengthModel().to_document()
        model = LengthModel.from_document(prior, self._phonemes)
        for (language, voice), seen in sorted(self._measured.items()):
            for text, measured_s in seen:
                model.observe((text, language, voice), measured_s, 0.0)
        return model

    def _teach(self, model: LengthModel, language: str, lines: int) -> None:
        for task in self._tasks[language][:lines]:
            seen = self._seen[language].get(task.ordinal)
            if seen is not None and seen[1] > 0:
                model.observe((seen[0], language, voice_key(task)), seen[1], 0.0)


def stock_voices(
    speakers: Iterable[SpeakerProfile], targets: Iterable[str], cast: Cast | None = None
) -> tuple[tuple[str, str], ...]:
    """Return the (language, voice) pairs that were dealt or chosen, each once, sorted."""
    languages, chosen = set(targets), [pair for each in speakers for pair in each.voices.items()]
    chosen += [(name, each.voice) for name in cast or {} for each in (cast or {})[name].values()]
    return tuple(sorted({pair for pair in chosen if pair[0] in languages}))


class VoiceLengthStore:
    """Lengths that the voices of one synthesizer have shown, one file per voice."""

    def __init__(self, folder: Path, engine: str) -> None:
        self._cache, self._folder, self._engine = ResumeCache(folder), folder, engine

    def read(self, voices: Iterable[tuple[str, str]]) -> Document | None:
        """Return what is known of these voices, or None if nothing is."""
        known = [voice for pair in voices if (voice := self._read(*pair)) is not None]
        return {"schema": 1, "voices": known} if known else None

    def keep(self, learned: Document, voices: Iterable[tuple[str, str]]) -> None:
        """Add what a film has learned of these voices to what is known of them."""
        wanted = set(voices)
        for voice in learned.get("voices", ()):
            name = (voice["language"], voice["voice"])
            if name in wanted and voice["takes"]:
                takes = [*voice["takes"], *((self._read(*name) or {}).get("takes", ()))]
                model = LengthModel.from_document(
                    {"schema": 1, "voices": [{**voice, "takes": takes}]}
                )
                facts = {"engine": self._engine, **model.to_document()["voices"][0]}
                self._cache.put(self._key(*name), json.dumps(facts).encode())

    def _read(self, language: str, voice: str) -> dict[str, Any] | None:
        """Return a voice's takes; a damaged file teaches nothing, and is replaced."""
        key = self._key(language, voice)
        content = self._cache.find(key)
        # Version 0.1.0 kept the same facts as plain JSON.
        older = self._folder / f"{key}.json"
        if content is None and not older.is_file():
            return None
        try:
            known = json.loads(content if content is not None else older.read_bytes())
            takes = {name: known[name] for name in ("language", "voice", "takes")}
            LengthModel.from_document({"schema": 1, "voices": [takes]})
        except (KeyError, OSError, RecursionError, TypeError, ValueError) as error:
            _log.warning("the lengths of voice %r are not readable: %s", voice, error)
            return None
        return takes

    def _key(self, language: str, voice: str) -> str:
        return resume_key(self._engine, language, voice)
