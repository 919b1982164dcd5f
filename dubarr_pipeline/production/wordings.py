"""What a line could say: the versions of its draft and their rewordings, with predicted lengths."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from dubarr_pipeline.engines.interfaces import RewriteRequest, SpeechRequest
from dubarr_pipeline.errors import LineError, ServiceError
from dubarr_pipeline.production.desk import Desk
from dubarr_pipeline.production.journal import digest
from dubarr_pipeline.production.lengths import voice_key
from dubarr_pipeline.production.pronunciation import pronounced
from dubarr_pipeline.production.results import Take
from dubarr_pipeline.production.speech_text import speakable
from dubarr_pipeline.production.tasks import LineTask
from dubarr_pipeline.services.queueing import REFINEMENT, Priority
from dubarr_pipeline.timeline.syllables import syllables
from dubarr_pipeline.timeline.verdicts import (
    Fit,
    aim_s,
    closest_version,
    needed_tempo,
    syllable_change,
)

_OWN_SHARE = 1 / 3
"""Of a take's deviation from its prediction, what its words account for; the rest is chance.

The share of the variance that a model with 5-6 % error per text leaves to the text, where takes of
neural voices vary by 8 %: 0.055² / (0.055² + 0.08²) = 0.32.
"""


_UNSPOKEN_REWORDINGS = 2


@dataclass(frozen=True, slots=True)
class Wording:
    """A text, as it is spoken, and the seconds that this should take.

    Attributes:
        predicted_s: by the length model.
        natural_s: as the engine itself says, where it can tell without speaking; else as predicted.
    """

    text: str
    spoken: str
    predicted_s: float
    natural_s: float


def seconds(value: float) -> Fraction:
    """Measured or predicted seconds as an exact number of microseconds."""
    return Fraction(round(value * 1_000_000), 1_000_000)


@dataclass(slots=True)
class Wordings:
    """The wordings of one line. One thread's own.

    Attributes:
        versions: of the draft; those that cannot be spoken are left out.
        rewrite_s: seconds spent waiting for rewordings.
        asking: ``"llm"`` from the time that a rewording is asked for until it has come.
        unanswered: why no rewording came, where a service failed; else empty.
    """

    task: LineTask
    desk: Desk
    versions: tuple[Wording, ...] = ()
    rewrite_s: float = 0.0
    asking: str = ""
    unanswered: str = ""

    def open(self, texts: Sequence[str]) -> Wording:
        """Take the versions of a draft, and return the one to begin with.

        Raises:
            LineError: if none of them can be spoken.
        """
        self.versions = self._speakable(texts)
        wanted_s, limit_s = self.wanted_s, self.limit_s
        lengths_s = [version.natural_s for version in self.versions]
        first = self.versions[closest_version(lengths_s, (wanted_s, limit_s))]
        return first if self._worth_a_take(first) else self._reword_unspoken(first)

    @property
    def wanted_s(self) -> float:
        """Seconds that the line should take."""
        return max(1, self.task.window.budget) / self.desk.rate

    @property
    def aim_s(self) -> float:
        """Seconds that a wording should take, so that chance may have its way with the take."""
        return aim_s(self.wanted_s, self.limit_s, self.desk.limits())

    @property
    def limit_s(self) -> float:
        """Seconds that its window has at most."""
        return max(1, self.task.window.reach.length) / self.desk.rate

    @property
    def may_reword(self) -> bool:
        """Whether anybody can be asked for another wording. A person's wording stands."""
        return self.desk.translator.can_rewrite and self.task.edit is None

    def fit(self, spoken_s: float) -> Fit:
        """A length against the window, exactly. A window of no length wants one sample."""
        window, rate = self.task.window, self.desk.rate
        wanted = Fraction(max(1, window.budget), rate)
        return Fit(
            max(seconds(spoken_s), Fraction(1, rate)), wanted, Fraction(window.reach.length, rate)
        )

    def better_version(self, takes: Sequence[Take]) -> Wording | None:
        """The untried version that should lie nearer to the wanted length than the last take."""
        tried, last = {take.spoken for take in takes}, takes[-1]
        others = [version for version in self.versions if version.spoken not in tried]
        if not others:
            return None
        lengths_s = [self._scaled_s(other, last) for other in others]
        at = closest_version(lengths_s, (self.wanted_s, self.limit_s))
        away_s = abs(lengths_s[at] - self.aim_s)
        nearer = bool(last.faults) or away_s < abs(last.duration_s - self.aim_s)
        return others[at] if nearer else None

    def should_fit(self, other: Wording, last: Take) -> bool:
        """Whether a version should be within tolerance, going by the last take."""
        return needed_tempo(self.fit(self._scaled_s(other, last)), self.desk.limits()) == 1

    def expected_s(self, take: Take) -> float:
        """Seconds that the take's words should need when spoken again: chance allowed for."""
        if take.faults:
            return take.predicted_s
        return take.duration_s if self._is_certain(take) else _likely_s(take)

    def _is_certain(self, take: Take) -> bool:
        """Whether the take tells more than the prediction: the voice was unknown, or was asked."""
        return take.asked_s is not None or not self.desk.lengths.has_learned(self.task)

    def _scaled_s(self, wording: Wording, last: Take) -> float:
        """Predicted seconds, corrected by how the last take's prediction turned out."""
        if last.faults or last.asked_s is not None:
            return wording.natural_s
        return wording.natural_s * self.expected_s(last) / last.predicted_s

    def reword(self, text: str, measured_s: float, change: int, tried: Sequence[str]) -> Wording:
        """Ask for another wording: fewer syllables (negative `change`), or more.

        Raises:
            LineError: if no other wording could be had.
            ServiceError: if the translator's server does not answer.
        """
        task, desk = self.task, self.desk
        request = RewriteRequest(
            batch=desk.batch(task),
            line=task.to_draft,
            text=text,
            measured_s=round(measured_s, 3),
            wanted_s=round(self.aim_s, 3),
            syllables=change,
            tried=tuple(dict.fromkeys([*tried, text])),
        )
        facts = (text, request.measured_s, request.wanted_s, change, request.tried)
        priority = Priority(REFINEMENT, task.position)

        def ask() -> str:
            started = time.monotonic()
            try:
                return desk.llm.call(priority, lambda: desk.translator.rewrite(request))
            finally:
                self.rewrite_s += time.monotonic() - started

        self.asking = "llm"
        text = desk.memory.rewording(task, digest(task.draft_key, *facts), ask)
        self.asking = ""
        return self.wording(text)

    def wording(self, text: str) -> Wording:
        """A text prepared for speech, and its predicted length.

        Raises:
            LineError: if there is nothing in it that could be spoken.
        """
        task, desk = self.task, self.desk
        terms = desk.film.context.glossary
        spoken = speakable(pronounced(text, terms, task.language), task.language)
        if not any(character.isalnum() for character in spoken):
            raise LineError("empty_translation", f"{task.name}: nothing to say in {text!r}")
        model = desk.lengths.snapshot(task)
        predicted_s = model.predict(spoken, task.language, voice_key(task)) or 0.1
        request = SpeechRequest(spoken, task.language, task.voice)
        natural_s = desk.synthesizer.natural_s(request)
        return Wording(text, spoken, predicted_s, natural_s or predicted_s)

    def _speakable(self, texts: Sequence[str]) -> tuple[Wording, ...]:
        found: list[Wording] = []
        failure = LineError("empty_translation", f"{self.task.name}: there is no version")
        for text in texts:
            try:
                found.append(self.wording(text))
            except LineError as error:
                failure = error
        if not found:
            raise failure
        return tuple(found)

    def _worth_a_take(self, first: Wording) -> bool:
        """Whether it may fit when spoken; judged mildly while the model has learned nothing."""
        if not self.may_reword:
            return True
        options = self.desk.options
        bound = options.hopeless if self.desk.lengths.has_learned(self.task) else options.unlearned
        tempo = needed_tempo(self.fit(first.natural_s), self.desk.limits())
        return 1 / bound <= tempo <= bound

    def _reword_unspoken(self, first: Wording) -> Wording:
        """Have a wording that cannot fit reworded before it costs a take, at most twice."""
        best, tried = first, list[str]()
        for _ in range(_UNSPOKEN_REWORDINGS):
            other = self._reworded(best, tried)
            if other is None:
                break
            tried.append(other.text)
            best = min(best, other, key=lambda wording: abs(wording.natural_s - self.aim_s))
            if self._worth_a_take(best):
                break
        return best

    def _reworded(self, wording: Wording, tried: Sequence[str]) -> Wording | None:
        """Another wording of one that was not spoken; None if there is none."""
        count = syllables(wording.spoken, self.task.language)
        change = syllable_change(self.fit(wording.natural_s), count)
        try:
            return self.reword(wording.text, wording.natural_s, change, tried)
        except LineError:
            return None
        except ServiceError as error:
            self.unanswered = f"could not be reworded: {error}"
            return None
        finally:
            self.asking = ""


def _likely_s(take: Take) -> float:
    return take.predicted_s * (take.duration_s / take.predicted_s) ** _OWN_SHARE
