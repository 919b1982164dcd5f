"""Wordings of a line: the versions of its draft and their rewordings, with predicted lengths."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from dubarr_pipeline.engines.interfaces import RewriteRequest, SpeechRequest
from dubarr_pipeline.errors import LineError, ServiceError
from dubarr_pipeline.segments.deps import LineDeps
from dubarr_pipeline.segments.journal import digest
from dubarr_pipeline.segments.lengths import voice_key
from dubarr_pipeline.segments.results import Take
from dubarr_pipeline.segments.tasks import LineTask
from dubarr_pipeline.segments.wishes.pronunciation import pronounced
from dubarr_pipeline.services.call_queue import REFINEMENT, Priority
from dubarr_pipeline.text.normalize import speakable
from dubarr_pipeline.text.syllables import syllables
from dubarr_pipeline.timing.tempo import Fit, aim_s, needed_tempo
from dubarr_pipeline.timing.verdicts import closest_version, syllable_change

_OWN_SHARE = 1 / 3
"""Of a take's deviation from its prediction, what its words account for; the rest is chance.

The share of the variance that a model with 5-6 % error per text leaves to the text, where takes of
neural voices vary by 8 %: 0.055² / (0.055² + 0.08²) = 0.32.
"""
_UNSPOKEN_REWORDINGS = 2


@dataclass(frozen=True, slots=True)
class Wording:
    """A text, and its length when spoken.

    Attributes:
        spoken: the same, prepared for speech.
        predicted_s: seconds by the length model, or by an engine that foresees them.
        natural_s: seconds by the engine's own estimate, if it has one; else `predicted_s`.
        is_told: whether the engine has one.
    """

    text: str
    spoken: str
    predicted_s: float
    natural_s: float
    is_told: bool = False


def seconds(value: float) -> Fraction:
    """Return measured or predicted seconds as an exact number of microseconds."""
    return Fraction(round(value * 1_000_000), 1_000_000)


@dataclass(slots=True)
class Wordings:
    """Wordings of one line. For one thread.

    Attributes:
        versions: of the draft; those that cannot be spoken are left out.
        asking: ``"llm"`` while a rewording is being asked for, else empty.
        unanswered: reason why no rewording arrived, if a service failed; else empty.
    """

    task: LineTask
    deps: LineDeps
    versions: tuple[Wording, ...] = ()
    rewrite_s: float = 0.0
    asking: str = ""
    unanswered: str = ""

    def open(self, texts: Sequence[str]) -> Wording:
        """Prepare the versions of a draft and return the first, or raise `LineError`."""
        versions: list[Wording] = []
        failure = LineError("empty_translation", f"{self.task.name}: there is no version")
        for text in texts:
            try:
                versions.append(self.wording(text))
            except LineError as error:
                failure = error
        if not versions:
            raise failure
        self.versions = tuple(versions)
        lengths_s = [version.natural_s for version in self.versions]
        # A version that needs no tempo saves takes, whichever is the shortest.
        first = self.versions[closest_version(lengths_s, (self.wanted_s, self.limit_s))]
        return first if self._worth_a_take(first) else self._reword_unspoken(first)

    @property
    def wanted_s(self) -> float:
        """Seconds that the line should take."""
        return max(1, self.task.window.budget) / self.deps.rate

    @property
    def aim_s(self) -> float:
        """Seconds that a wording should take, with room for chance in the take."""
        return aim_s(self.wanted_s, self.limit_s, self.deps.options.tempo)

    @property
    def limit_s(self) -> float:
        """Seconds of its whole window."""
        return max(1, self.task.window.reach.length) / self.deps.rate

    @property
    def may_reword(self) -> bool:
        """True if the translator may be asked for another wording; never for a person's.

        One whose rewordings hardly ever gain anything is not asked again in this run.
        """
        may = self.deps.translator.can_rewrite and self.task.edit is None
        return may and not self.deps.gain.is_none(self.task.language)

    def fit(self, spoken_s: float) -> Fit:
        """Return a length against the window, exactly. A window of no length wants one sample."""
        window, rate = self.task.window, self.deps.rate
        wanted = Fraction(max(1, window.budget), rate)
        return Fit(
            max(seconds(spoken_s), Fraction(1, rate)), wanted, Fraction(window.reach.length, rate)
        )

    def better_version(self, takes: Sequence[Take]) -> Wording | None:
        """Return the untried version that should be nearer to the wanted length, or None."""
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
        """Return whether a version should be within tolerance, going by the last take."""
        return needed_tempo(self.fit(self._scaled_s(other, last)), self.deps.options.tempo) == 1

    def expected_s(self, take: Take) -> float:
        """Return the seconds that the take's words should need when spoken again."""
        if take.faults:
            return take.predicted_s
        # The take is the better evidence if the voice was unknown or was asked for a length.
        if take.asked_s is not None or not self.deps.lengths.has_learned(self.task):
            return take.duration_s
        return take.predicted_s * (take.duration_s / take.predicted_s) ** _OWN_SHARE

    def _scaled_s(self, wording: Wording, last: Take) -> float:
        """Return predicted seconds, corrected by the error of the last take's prediction."""
        if last.faults or last.asked_s is not None:
            return wording.natural_s
        return wording.natural_s * self.expected_s(last) / last.predicted_s

    def reword(self, text: str, measured_s: float, change: int, tried: Sequence[str]) -> Wording:
        """Ask for another wording: fewer syllables (negative `change`), or more.

        Raises:
            LineError: if there is no other wording.
            ServiceError: if the translator's server does not answer.
        """
        task, deps = self.task, self.deps
        request = RewriteRequest(
            batch=deps.batch(task),
            line=task.to_draft,
            text=text,
            measured_s=round(measured_s, 3),
            wanted_s=round(self.aim_s, 3),
            syllables=change,
            tried=tuple(dict.fromkeys([*tried, text])),
        )
        # All that the translator is shown: the same request gets the same answer from the journal.
        facts = (text, request.measured_s, request.wanted_s, change, request.tried)
        priority = Priority(REFINEMENT, task.position)

        def rewrite() -> str:
            # Others may have found while this waited for its turn that nothing is to be gained.
            if deps.gain.is_none(task.language):
                raise LineError("no_other_wording", f"{task.name}: rewordings gain nothing here")
            try:
                return deps.translator.rewrite(request)
            except LineError:
                deps.gain.note(task.language, is_gain=False)
                raise

        def ask() -> str:
            started = time.monotonic()
            try:
                return deps.llm.call(priority, rewrite)
            finally:
                self.rewrite_s += time.monotonic() - started

        self.asking = "llm"
        text = deps.cache.text("rewrite", task, digest(task.draft_key, *facts), ask)
        self.asking = ""
        wording = self.wording(text)
        fits = needed_tempo(self.fit(wording.natural_s), deps.options.tempo) == 1
        is_nearer = abs(wording.natural_s - self.aim_s) < abs(measured_s - self.aim_s)
        deps.gain.note(task.language, is_gain=fits or is_nearer)
        return wording

    def wording(self, text: str) -> Wording:
        """Return a text prepared for speech with its length, or raise `LineError`."""
        task, deps = self.task, self.deps
        terms = task.glossary if task.terms is None else task.terms
        spoken = speakable(pronounced(text, terms, task.language), task.language)
        if not any(character.isalnum() for character in spoken):
            raise LineError("empty_translation", f"{task.name}: nothing to say in {text!r}")
        model = deps.lengths.snapshot(task)
        predicted_s = model.predict(spoken, task.language, voice_key(task)) or 0.1
        request = SpeechRequest(spoken, task.language, task.voice)
        told_s = deps.synthesizer.natural_s(request)
        if told_s and deps.synthesizer.foresees:
            predicted_s = told_s
        return Wording(text, spoken, predicted_s, told_s or predicted_s, bool(told_s))

    def _worth_a_take(self, first: Wording) -> bool:
        """Return whether it may fit when spoken; leniently while the model has learned nothing."""
        if not self.may_reword:
            return True
        options = self.deps.options
        known = self.deps.synthesizer.foresees or self.deps.lengths.has_learned(self.task)
        bound = options.hopeless if known else options.unlearned
        tempo = needed_tempo(self.fit(first.natural_s), self.deps.options.tempo)
        return 1 / bound <= tempo <= bound

    def _reword_unspoken(self, first: Wording) -> Wording:
        """Have a wording that cannot fit reworded before it costs a take, at most twice."""
        best, tried = first, list[str]()
        for _ in range(_UNSPOKEN_REWORDINGS):
            count = syllables(best.spoken, self.task.language)
            change = syllable_change(self.fit(best.natural_s), count)
            # A change of less than a syllable cannot be asked for.
            if not change:
                break
            try:
                other = self.reword(best.text, best.natural_s, change, tried)
            except LineError:
                break
            except ServiceError as error:
                self.unanswered = f"could not be reworded: {error}"
                break
            finally:
                self.asking = ""
            tried.append(other.text)
            best = min(best, other, key=lambda wording: abs(wording.natural_s - self.aim_s))
            if self._worth_a_take(best):
                break
        return best
