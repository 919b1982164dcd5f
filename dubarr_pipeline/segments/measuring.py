"""New voices measured: each says two sentences before its first line, so that its rate is known.

Without it the first lines of a neural voice are predicted 20 % wrong by the published rate of its
language, with it 8 % (`docs/measured.md`). It costs five seconds of speech, once for a voice with a
name, once per film for any other; the seconds are journaled, so that a resumed run knows the same.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dubarr_pipeline.engines.interfaces import Speech, SpeechRequest, Synthesizer
from dubarr_pipeline.errors import LineError
from dubarr_pipeline.segments.cache import AnswerCache
from dubarr_pipeline.segments.deps import LineDeps
from dubarr_pipeline.segments.journal import digest
from dubarr_pipeline.segments.lengths import Document, Observation, VoiceName, voice_key
from dubarr_pipeline.segments.results import LINE_FAILURES
from dubarr_pipeline.segments.takes import clauses, join, measure
from dubarr_pipeline.segments.tasks import LineTask, voice_digest
from dubarr_pipeline.services.call_queue import DRAFTING, Priority
from dubarr_pipeline.text.tables import read_table
from dubarr_pipeline.timing.length_model import LengthModel
from dubarr_pipeline.timing.verdicts import UNTRAINED_LIMITS, fault

_log = logging.getLogger(__name__)

_LEAST_LINES = 3
"""Lines of a voice that are worth a rendering more."""


@dataclass(frozen=True, slots=True)
class VoicesToMeasure:
    """Voices whose rate is not known, each with its first line.

    Attributes:
        known: voices that earlier films have taught.
    """

    voices: Mapping[VoiceName, LineTask] = field(default_factory=dict[VoiceName, LineTask])
    known: frozenset[VoiceName] = frozenset()


def voices_to_measure(
    tasks: Sequence[LineTask], synthesizer: Synthesizer, cache: AnswerCache, prior: Document | None
) -> VoicesToMeasure:
    """Return the voices to measure: none of an engine that tells the length of every line itself.

    Nor is a voice measured that has begun this film without, or that says hardly anything.
    """
    taught = {(v["language"], v["voice"]) for v in (prior or {}).get("voices", ()) if v["takes"]}
    names = [(task.language, voice_key(task)) for task in tasks]
    lines, first = Counter(names), dict[VoiceName, LineTask]()
    for name, task in zip(names, tasks, strict=True):
        first.setdefault(name, task)
    begun = {name for name, task in zip(names, tasks, strict=True) if cache.has_begun(task)}
    wanted: dict[VoiceName, LineTask] = {}
    known: set[VoiceName] = set()
    for name, task in first.items():
        if name not in taught and (lines[name] < _LEAST_LINES or not _sentences(task.language)):
            continue
        if _tells(synthesizer, task):
            continue
        if name in taught:
            known.add(name)
        elif name not in begun or _was_measured(task, synthesizer, cache):
            wanted[name] = task
    return VoicesToMeasure(wanted, frozenset(known))


def measured(task: LineTask, deps: LineDeps) -> tuple[Observation, ...]:
    """Return the sentences with the seconds that a line's voice takes for them; none if it fails.

    What failed is asked for again by the next run.
    """
    try:
        return tuple((each, _spoken_s(each, task, deps)) for each in _sentences(task.language))
    except LINE_FAILURES as error:
        _log.info("the voice %r could not be measured: %s", voice_key(task), error)
        return ()


def _spoken_s(sentence: str, task: LineTask, deps: LineDeps) -> float:
    """Return the seconds of a sentence. Raises `LineError` if the sound is none of it."""
    key = _key(sentence, task, deps.synthesizer)
    if known_s := deps.cache.measured_s(task.language, key):
        return known_s
    limit = deps.options.max_characters or deps.synthesizer.max_characters

    def call(part: str) -> Speech:
        request = SpeechRequest(part, task.language, task.voice)
        priority = Priority(DRAFTING, task.position)
        return deps.tts.call(priority, lambda: deps.synthesizer.speak(request))

    speech = join([call(part) for part in clauses(sentence, limit or len(sentence))])
    predicted_s = LengthModel().predict(sentence, task.language, "")
    if name := fault(measure(speech.samples, speech.rate, predicted_s), UNTRAINED_LIMITS):
        raise LineError(f"{name}_take", f"its sound is {name}")
    seconds = round(speech.samples.size / speech.rate, 6)
    deps.cache.keep_measured(task.language, key, seconds)
    return seconds


def _was_measured(task: LineTask, synthesizer: Synthesizer, cache: AnswerCache) -> bool:
    keys = [_key(each, task, synthesizer) for each in _sentences(task.language)]
    return all(cache.measured_s(task.language, key) for key in keys)


def _tells(synthesizer: Synthesizer, task: LineTask) -> bool:
    sentence = next(iter(_sentences(task.language)), "a")
    request = SpeechRequest(sentence, task.language, task.voice)
    try:
        return synthesizer.natural_s(request) is not None
    except LINE_FAILURES:
        return True


def _sentences(language: str) -> tuple[str, ...]:
    table = read_table("dubarr_pipeline.timing", "measuring_sentences")
    return tuple(table.get(language.split("-")[0].lower(), ()))


def _key(sentence: str, task: LineTask, synthesizer: Synthesizer) -> str:
    return digest(sentence, voice_digest(task.voice, task.language), synthesizer.identity())
