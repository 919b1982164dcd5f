"""One line, from its draft to its chosen take: speak, measure, judge, act.

Everything that costs goes through the memory of the production; beyond that the loop depends on its
input alone. Run again after a crash it walks the same way, through answers that are there already.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction

from dubarr_pipeline.engines.interfaces import Speech, SpeechRequest
from dubarr_pipeline.errors import LineError, ServiceError
from dubarr_pipeline.production.clauses import clauses
from dubarr_pipeline.production.desk import Desk
from dubarr_pipeline.production.failures import LINE_FAILURES, failure_name
from dubarr_pipeline.production.journal import digest
from dubarr_pipeline.production.listening import listened
from dubarr_pipeline.production.memory import Rendering
from dubarr_pipeline.production.results import LineResult, Take
from dubarr_pipeline.production.takes import join, measure, pauses_s
from dubarr_pipeline.production.tasks import LineTask, voice_digest
from dubarr_pipeline.production.wordings import Wording, Wordings, seconds
from dubarr_pipeline.services.queueing import DRAFTING, REFINEMENT, Priority
from dubarr_pipeline.timeline.syllables import syllables
from dubarr_pipeline.timeline.verdicts import (
    FaultLimits,
    Judgement,
    TakeScore,
    best,
    fault,
    judge,
    naturalness,
    score,
    syllable_change,
)

_log = logging.getLogger(__name__)

_UNLEARNED = FaultLimits(longest=Fraction(4), shortest=Fraction(1, 5))
"""For a voice that the length model has not heard yet: only the grossest babble is named."""
_NO_SCORE = (0.0, 0.0, 0.0)


def make_line(
    task: LineTask,
    desk: Desk,
    versions: Sequence[str],
    on_first_take: Callable[[LineTask], None] = lambda _: None,
) -> LineResult:
    """Speak a line until a take fits or the takes are used up, and choose the best.

    Args:
        task: the line.
        desk: what it is made with.
        versions: of its draft, or a person's wording.
        on_first_take: told when the length model has heard of the line.

    Returns:
        the takes and the best of them; or the failure's name if none can be placed.
    """
    line = _Line(task, desk, Wordings(task, desk), on_first_take)
    try:
        return line.make(versions)
    except LINE_FAILURES as error:
        _log.info("%s: %s", task.name, error)
        return line.failed(failure_name(error, line.wordings.asking or "tts"), str(error))


@dataclass(slots=True)
class _Line:
    """A line in the making. One thread's own."""

    task: LineTask
    desk: Desk
    wordings: Wordings
    on_first_take: Callable[[LineTask], None]
    takes: list[Take] = field(default_factory=list[Take])
    scores: list[TakeScore | None] = field(default_factory=list["TakeScore | None"])
    natural: tuple[str, float] | None = None
    spoken_now: int = 0
    speak_s: float = 0.0

    def failed(self, name: str, message: str) -> LineResult:
        """The line without a chosen take, but with those that were made."""
        return self._told(None, name, message)

    def make(self, versions: Sequence[str]) -> LineResult:
        wording: Wording | None = self.wordings.open(versions)
        while wording is not None:
            judgement = self._take(wording)
            wording = self._next(wording, judgement) if judgement.verdict == "rewrite" else None
        return self._result()

    def _result(self) -> LineResult:
        scored = [(at, found) for at, found in enumerate(self.scores) if found is not None]
        if not scored:
            name = self.takes[-1].faults[0]
            raise LineError(f"{name}_take", f"{self.task.name}: every take is {name}")
        chosen = scored[best([found for _, found in scored])][0]
        final = self._judge(self.takes[chosen], last=True)
        if final.failure:
            raise LineError(final.failure, f"{self.task.name}: its best take is too long")
        self.takes[chosen] = replace(self.takes[chosen], verdict=final.verdict)
        return self._told(chosen, None, self.wordings.unanswered)

    def _told(self, chosen: int | None, failure: str | None, message: str) -> LineResult:
        return LineResult(
            language=self.task.language,
            index=self.task.index,
            takes=tuple(self.takes),
            chosen=chosen,
            failure=failure,
            message=message,
            natural=self.natural,
            spoken_now=self.spoken_now,
            provisional=bool(message),
            timings={
                "speak_s": round(self.speak_s, 3),
                "rewrite_s": round(self.wordings.rewrite_s, 3),
            },
        )

    def _next(self, wording: Wording, judgement: Judgement) -> Wording | None:
        """The wording of the next take, or None where there is none."""
        last = self.takes[-1]
        other = self.wordings.better_version(self.takes)
        reword = self.wordings.may_reword
        if other and (last.faults or not reword or self.wordings.should_fit(other, last)):
            return other
        if last.faults and not self.desk.synthesizer.deterministic:
            return wording
        if self._may_ask(last):
            return wording
        if not reword:
            return None
        tried = [take.text for take in self.takes]
        try:
            return self.wordings.reword(wording.text, *self._change(last, judgement), tried)
        except LineError as error:
            _log.info("%s: no other wording: %s", self.task.name, error)
            return None
        except ServiceError as error:
            if not any(self.scores):
                raise
            self.wordings.unanswered = f"could not be reworded: {error}"
            return None

    def _change(self, last: Take, judgement: Judgement) -> tuple[float, int]:
        """What a rewording is asked for: the seconds that these words need, syllables to change."""
        expected_s = self.wordings.expected_s(last)
        count = syllables(last.spoken, self.task.language)
        change = syllable_change(self.wordings.fit(expected_s), count)
        if judgement.syllables * change <= 0:
            change = min(1, max(-1, judgement.syllables))
        return expected_s, change

    def _take(self, wording: Wording) -> Judgement:
        """Make the next take of this wording, and judge it."""
        asked_s = self._asked_s(wording)
        rendering = self._render(wording, asked_s)
        if not self.takes:
            self._learn(wording, rendering, asked_s)
        take = Take(
            attempt=len(self.takes) + 1,
            text=wording.text,
            spoken=wording.spoken,
            duration_s=round(rendering.seconds, 6),
            predicted_s=round(wording.predicted_s, 6),
            asked_s=asked_s,
            verdict="rewrite",
            score=_NO_SCORE,
            faults=rendering.faults,
            file=rendering.file,
            sound=rendering.sound,
            heard=rendering.heard,
        )
        found = None if take.faults else self._score(take, rendering)
        judgement = self._judge_fault(take) if take.faults else self._judge(take)
        marks = _marks(found) if found else _NO_SCORE
        self.takes.append(replace(take, verdict=judgement.verdict, score=marks))
        self.scores.append(found)
        return judgement

    def _render(self, wording: Wording, asked_s: float | None) -> Rendering:
        """The sound of a wording. One that came out faulty is another request the next time."""
        task, desk = self.task, self.desk
        again = sum(1 for take in self.takes if take.faults and take.spoken == wording.spoken)
        key = digest(
            [wording.spoken, asked_s, again, desk.options.max_characters],
            voice_digest(task.voice, task.language),
            desk.synthesizer.identity(),
        )
        priority = Priority(REFINEMENT if self.takes else DRAFTING, task.position)

        def speak() -> tuple[Speech, tuple[str, ...]]:
            started = time.monotonic()
            try:
                speech = self._spoken(wording, asked_s, priority)
            finally:
                self.speak_s += time.monotonic() - started
            name = self._fault(speech, wording, asked_s)
            return speech, (name,) if name else ()

        rendering, new = desk.memory.rendering(task, key, speak)
        self.spoken_now += new
        return listened(rendering, wording.spoken, task, desk, priority)

    def _spoken(self, wording: Wording, asked_s: float | None, priority: Priority) -> Speech:
        """Speak the wording, clause by clause where it is too long for one call."""
        desk, task = self.desk, self.task
        limit = desk.options.max_characters or desk.synthesizer.max_characters
        parts = clauses(wording.spoken, limit) if limit else (wording.spoken,)
        voiced_s = None if asked_s is None else max(0.1, asked_s - pauses_s(len(parts)))
        whole = sum(len(part) for part in parts)

        def call(part: str) -> Speech:
            part_s = None if voiced_s is None else round(voiced_s * len(part) / whole, 6)
            request = SpeechRequest(part, task.language, task.voice, part_s)
            return desk.tts.call(priority, lambda: desk.synthesizer.speak(request))

        return join([call(part) for part in parts])

    def _asked_s(self, wording: Wording) -> float | None:
        """The duration to ask for: what is wanted, within what the voice can do naturally."""
        if not self.desk.synthesizer.fits_duration or self._is_unheard(wording):
            return None
        options, wanted_s = self.desk.options, self.wordings.wanted_s
        last = self.takes[-1] if self.takes else None
        heard = last is not None and self._may_ask(last) and last.spoken == wording.spoken
        natural_s = last.duration_s if last and heard else wording.natural_s
        fastest_s = natural_s / options.fastest_speech
        slowest_s = natural_s / options.slowest_speech
        easy_s = max(fastest_s, min(wanted_s, slowest_s))
        return round(max(0.1, min(easy_s, self.wordings.limit_s)), 3)

    def _is_unheard(self, wording: Wording) -> bool:
        """Whether nobody knows yet how fast the voice naturally speaks: then it is left to itself.

        So the first lines of a language teach the length model, though the engine fits durations.
        """
        told = wording.natural_s != wording.predicted_s
        return not (told or self.takes or self.desk.lengths.has_learned(self.task))

    def _may_ask(self, take: Take) -> bool:
        """Whether this take was spoken at its natural length by a voice that could be asked."""
        return self.desk.synthesizer.fits_duration and take.asked_s is None and not take.faults

    def _fault(self, speech: Speech, wording: Wording, asked_s: float | None) -> str | None:
        expected_s = asked_s or wording.natural_s
        known = asked_s is not None or self.desk.lengths.has_learned(self.task)
        found = measure(speech.samples, speech.rate, expected_s)
        return fault(found, FaultLimits() if known else _UNLEARNED)

    def _learn(self, wording: Wording, rendering: Rendering, asked_s: float | None) -> None:
        """Tell the length model how long the first wording is at the voice's natural rate."""
        if asked_s is None and not rendering.faults:
            self.natural = (wording.spoken, round(rendering.seconds, 6))
        elif wording.natural_s != wording.predicted_s:
            self.natural = (wording.spoken, round(wording.natural_s, 6))
        self.desk.lengths.settle(self.task, self.natural)
        self.on_first_take(self.task)

    def _judge(self, take: Take, *, last: bool = False) -> Judgement:
        other = None if last else self.wordings.better_version([*self.takes, take])
        return judge(
            self.wordings.fit(take.duration_s),
            self.desk.options.max_takes if last else take.attempt,
            syllables(take.spoken, self.task.language),
            can_rewrite=self.wordings.may_reword or other is not None or self._may_ask(take),
            limits=self.desk.limits(),
        )

    def _judge_fault(self, take: Take) -> Judgement:
        """A faulty take is spoken again while takes are left and anything could be different."""
        other = self.wordings.better_version([*self.takes, take]) is not None
        again = other or self.wordings.may_reword or not self.desk.synthesizer.deterministic
        left = take.attempt < self.desk.options.max_takes
        return Judgement("rewrite" if left and again else "give_up")

    def _score(self, take: Take, rendering: Rendering) -> TakeScore:
        clipped = Fraction(rendering.clipped, max(1, rendering.samples))
        ratio = seconds(take.duration_s) / max(seconds(take.predicted_s), Fraction(1, 1000))
        return score(
            self.wordings.fit(take.duration_s), naturalness(ratio, clipped), self.desk.limits()
        )


def _marks(found: TakeScore) -> tuple[float, float, float]:
    return float(found.fit), float(found.naturalness), float(found.closeness)
