"""One line, from its draft to its chosen take: speak, measure, judge, act.

Every costly call goes through the answer cache; beyond that the loop depends on its input alone.
Run again after a crash, it takes the same path through the answers that are there already.
"""

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from dubarr_pipeline.engines.interfaces import Speech, SpeechRequest
from dubarr_pipeline.errors import EngineError, LineError, ServiceError
from dubarr_pipeline.script.recognition.word_alignment import word_error
from dubarr_pipeline.segments.deps import LineDeps
from dubarr_pipeline.segments.journal import digest
from dubarr_pipeline.segments.results import FAILED, LINE_FAILURES, LineResult, Take, failure_name
from dubarr_pipeline.segments.takes import clauses, join, measure, pauses_s
from dubarr_pipeline.segments.tasks import LineTask, voice_digest
from dubarr_pipeline.segments.wording import Wording, Wordings, seconds
from dubarr_pipeline.services.call_queue import DRAFTING, REFINEMENT, Priority
from dubarr_pipeline.text.normalize import speakable
from dubarr_pipeline.text.sentences import is_stuck
from dubarr_pipeline.text.syllables import syllables
from dubarr_pipeline.timing.verdicts import (
    MISSPOKEN,
    UNTRAINED_LIMITS,
    FaultLimits,
    TakeScore,
    TakeVerdict,
    best,
    fault,
    judge,
    naturalness,
    score,
    syllable_change,
)

_log = logging.getLogger(__name__)

_NO_SCORE = (0.0, 0.0, 0.0)


def make_line(
    task: LineTask,
    deps: LineDeps,
    versions: Sequence[str],
    on_first_take: Callable[[LineTask], None] = lambda _: None,
) -> LineResult:
    """Speak a line until a take fits or the takes are used up, and choose the best.

    `on_first_take` is called when the length model has learned from the line.
    """
    line = _Line(task, deps, Wordings(task, deps), on_first_take)
    try:
        return line.make(versions)
    except LINE_FAILURES as error:
        _log.info("%s: %s", task.name, error, extra={"line": task.index})
        name = failure_name(error, line.wordings.asking or "tts")
        return replace(line.result(None, str(error)), outcome=FAILED + name)


@dataclass(slots=True)
class _Line:
    """A line in progress. For one thread.

    Attributes:
        scores: of the takes, in their order; None for one with a fault.
        natural: the first text spoken, and its seconds at the voice's natural rate, if known.
    """

    task: LineTask
    deps: LineDeps
    wordings: Wordings
    on_first_take: Callable[[LineTask], None]
    takes: list[Take] = field(default_factory=list[Take])
    scores: list[TakeScore | None] = field(default_factory=list["TakeScore | None"])
    natural: tuple[str, float] | None = None
    spoken_now: int = 0
    speak_s: float = 0.0

    def make(self, versions: Sequence[str]) -> LineResult:
        wording: Wording | None = self.wordings.open(versions)
        while wording is not None:
            verdict = self._next_take(wording)
            wording = self._next_wording(wording, verdict) if verdict.action == "rewrite" else None
        marked = [(at, mark) for at, mark in enumerate(self.scores) if mark is not None]
        # A take that only the recogniser condemns is better than none: the line is flagged.
        scored = [(at, mark) for at, mark in marked if not self.takes[at].faults] or marked
        if not scored:
            name = self.takes[-1].faults[0]
            raise LineError(f"{name}_take", f"{self.task.name}: every take is {name}")
        chosen = scored[best([mark for _, mark in scored])][0]
        # The chosen take may have been meant for rewording: it must fit by its tempo alone now.
        final = self._judge(self.takes[chosen], last=True)
        if final.failure:
            raise LineError(final.failure, f"{self.task.name}: its best take is too long")
        self.takes[chosen] = replace(self.takes[chosen], verdict=final.action)
        return self.result(chosen, self.wordings.unanswered)

    def result(self, chosen: int | None, message: str) -> LineResult:
        """Return the line with the takes that were made."""
        return replace(
            self.task.unspoken.with_takes(self.takes, chosen),
            message=message,
            natural=self.natural,
            spoken_now=self.spoken_now,
            provisional=bool(message),
            timings={
                "speak_s": round(self.speak_s, 3),
                "rewrite_s": round(self.wordings.rewrite_s, 3),
            },
        )

    def _next_wording(self, wording: Wording, verdict: TakeVerdict) -> Wording | None:
        """Return the wording of the next take, or None if there is none."""
        last = self.takes[-1]
        other = self.wordings.better_version(self.takes)
        reword = self.wordings.may_reword
        if other and (last.faults or not reword or self.wordings.should_fit(other, last)):
            return other
        # Chance may give a sound without the fault; a deterministic voice would repeat it.
        if last.faults and not self.deps.synthesizer.deterministic:
            return wording
        if self._may_ask(last):
            return wording
        if not reword:
            return None
        # What these words need, chance allowed for, and the syllables to change.
        expected_s = self.wordings.expected_s(last)
        count = syllables(last.spoken, self.task.language)
        change = syllable_change(self.wordings.fit(expected_s), count)
        one = min(1, max(-1, verdict.syllables))
        change = change if verdict.syllables * change > 0 else one
        tried = [take.text for take in self.takes]
        try:
            return self.wordings.reword(wording.text, expected_s, change, tried)
        except LineError as error:
            about = {"line": self.task.index}
            _log.info("%s: no other wording: %s", self.task.name, error, extra=about)
            return None
        except ServiceError as error:
            # With a usable take the line is placed, and improved by a later run.
            if not any(self.scores):
                raise
            self.wordings.unanswered = f"could not be reworded: {error}"
            return None

    def _next_take(self, wording: Wording) -> TakeVerdict:
        """Make the next take of this wording, and judge it."""
        asked_s = self._asked_s(wording)
        take, clipped_share = self._speak(wording, asked_s)
        if not self.takes:
            # Only the first wording teaches the length model: later ones were chosen by length.
            if take.asked_s is None and not take.faults:
                self.natural = (wording.spoken, take.duration_s)
            elif wording.is_told:
                self.natural = (wording.spoken, round(wording.natural_s, 6))
            self.deps.lengths.settle(self.task, self.natural)
            self.on_first_take(self.task)
        if take.faults:
            # A faulty take is spoken again only if anything could be different.
            other = self.wordings.better_version([*self.takes, take]) is not None
            again = other or self.wordings.may_reword or not self.deps.synthesizer.deterministic
            left = take.attempt < self.deps.options.max_takes
            verdict, mark = TakeVerdict("rewrite" if left and again else "give_up"), None
        else:
            verdict, mark = self._judge(take), None
        if set(take.faults) <= {MISSPOKEN}:
            fit = self.wordings.fit(take.duration_s)
            ratio = seconds(take.duration_s) / max(seconds(take.predicted_s), Fraction(1, 1000))
            mark = score(fit, naturalness(ratio, clipped_share), self.deps.options.tempo)
            marks = (float(mark.fit), float(mark.naturalness), float(mark.closeness))
            take = replace(take, score=marks)
        self.takes.append(replace(take, verdict=verdict.action))
        self.scores.append(mark)
        return verdict

    def _speak(self, wording: Wording, asked_s: float | None) -> tuple[Take, Fraction]:
        """Return the take of a wording, and its clipped share; a faulty one is asked for again."""
        task, deps = self.task, self.deps
        # Part of the key: else the cache would return the faulty sound for the same request.
        again = sum(1 for take in self.takes if take.faults and take.spoken == wording.spoken)
        key = digest(
            [wording.spoken, asked_s, again, deps.options.max_characters],
            voice_digest(task.voice, task.language),
            deps.synthesizer.identity(),
        )
        priority = Priority(REFINEMENT if self.takes else DRAFTING, task.position)
        attempt, predicted_s = len(self.takes) + 1, round(wording.predicted_s, 6)
        words = (wording.text, wording.spoken)
        unspoken = Take(
            attempt, *words, 0.0, predicted_s, asked_s, "rewrite", _NO_SCORE, (), "", ""
        )

        def speak() -> tuple[Speech, tuple[str, ...]]:
            started = time.monotonic()
            try:
                speech = self._rendered(wording, asked_s, priority)
            finally:
                self.speak_s += time.monotonic() - started
            self.spoken_now += 1
            known = asked_s is not None or deps.lengths.has_learned(task)
            measured = measure(speech.samples, speech.rate, asked_s or wording.natural_s)
            name = fault(measured, FaultLimits() if known else UNTRAINED_LIMITS)
            return speech, (name,) if name else ()

        take, clipped_share = deps.cache.spoken(task, key, unspoken, speak)
        return verified(take, task, deps, priority), clipped_share

    def _rendered(self, wording: Wording, asked_s: float | None, priority: Priority) -> Speech:
        """Speak the wording, clause by clause where it is too long for one call."""
        deps, task = self.deps, self.task
        limit = deps.options.max_characters or deps.synthesizer.max_characters
        parts = clauses(wording.spoken, limit) if limit else (wording.spoken,)
        voiced_s = None if asked_s is None else max(0.1, asked_s - pauses_s(len(parts)))
        whole = sum(len(part) for part in parts)

        def call(part: str) -> Speech:
            share = len(part) / whole
            part_s = None if voiced_s is None else round(voiced_s * share, 6)
            natural_s = wording.natural_s * share
            request = SpeechRequest(part, task.language, task.voice, part_s, natural_s)
            return deps.tts.call(priority, lambda: deps.synthesizer.speak(request))

        return join([call(part) for part in parts])

    def _asked_s(self, wording: Wording) -> float | None:
        """Return the duration to ask for: the wanted one, within the voice's natural range."""
        if not self.deps.synthesizer.fits_duration:
            return None
        # A voice whose natural rate is unknown is left to itself: so the first lines of a language
        # teach the length model, though the engine fits durations.
        if not (wording.is_told or self.takes or self.deps.lengths.has_learned(self.task)):
            return None
        options, wanted_s = self.deps.options, self.wordings.wanted_s
        last = self.takes[-1] if self.takes else None
        heard = last is not None and self._may_ask(last) and last.spoken == wording.spoken
        natural_s = last.duration_s if last and heard else wording.natural_s
        fastest_s = natural_s / options.fastest_speech
        slowest_s = natural_s / options.slowest_speech
        easy_s = max(fastest_s, min(wanted_s, slowest_s))
        return round(max(0.1, min(easy_s, self.wordings.limit_s)), 3)

    def _may_ask(self, take: Take) -> bool:
        """Return whether a voice that fits durations spoke this take at its natural length."""
        return self.deps.synthesizer.fits_duration and take.asked_s is None and not take.faults

    def _judge(self, take: Take, *, last: bool = False) -> TakeVerdict:
        may_follow = not last and take.attempt < self.deps.options.max_takes
        other = self.wordings.better_version([*self.takes, take]) if may_follow else None
        can_rewrite = self.wordings.may_reword or other is not None or self._may_ask(take)
        return judge(
            self.wordings.fit(take.duration_s),
            syllables(take.spoken, self.task.language),
            can_rewrite=may_follow and can_rewrite,
            limits=self.deps.options.tempo,
        )


def verified(take: Take, task: LineTask, deps: LineDeps, priority: Priority) -> Take:
    """Return the take with its words as heard, and with a fault if too many of them are others.

    If the listener fails, hears no words or only a loop, the take stays unverified: its sound was
    measured, and the voice is not to blame for the recogniser. Nor is a deterministic voice judged:
    it says what is written, and would say it again.
    """
    listener = deps.listener
    if listener is None or deps.synthesizer.deterministic:
        return take
    if take.faults or not listener.hears(task.language):
        return take

    def listen() -> str:
        samples, rate = deps.cache.sound(take)
        return deps.asr.call(priority, lambda: listener.hear(samples, rate, task.language))

    try:
        heard = deps.cache.text("heard", task, digest(listener.identity(), take.sound), listen)
    except (EngineError, ServiceError) as error:
        about = {"line": task.index}
        _log.warning("%s: its take could not be verified: %s", task.name, error, extra=about)
        return take
    words = speakable(heard, task.language)
    if not words or is_stuck(words):
        return replace(take, heard="")
    error_share = word_error(words, take.spoken)
    wrong = error_share is not None and error_share > deps.options.word_error
    return replace(take, heard=heard, faults=(MISSPOKEN,) if wrong else ())
