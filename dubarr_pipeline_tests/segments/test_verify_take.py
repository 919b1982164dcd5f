"""Takes are listened to: a voice that says other words is found out, by a scripted ear."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from dubarr_pipeline.config.options import SegmentsOptions
from dubarr_pipeline.engines.interfaces import Need, Samples, Speech, SpeechRequest, TakeVerifier
from dubarr_pipeline.engines.synthesis.tone import ToneSynthesizer
from dubarr_pipeline.errors import EngineError
from dubarr_pipeline.segments.results import SegmentsResult, read_segments
from dubarr_pipeline.segments.run import run
from dubarr_pipeline.segments.tasks import SegmentsRequest
from dubarr_pipeline.workdir.layout import WorkDir
from dubarr_pipeline_tests.fixtures.small_scripts import BudgetTranslator, order, transcript

TONE_RATE = 24_000
OTHER_WORDS = "Suscríbete a nuestro canal y gracias por ver el vídeo hasta el final."


class MarkedVoice(ToneSynthesizer):
    """Hums each text with a length of its own, by which an ear can tell what was said.

    Attributes:
        slips: how many takes of a line are other words than those of its text.
    """

    deterministic: ClassVar[bool] = False

    def __init__(self, slips: int = 0) -> None:
        super().__init__(fits_duration=False)
        self.slips = slips
        self.said: dict[int, str] = {}
        self.takes: dict[str, int] = {}

    def identity(self) -> str:
        return "marked 1"

    def speak(self, request: SpeechRequest) -> Speech:
        spoken = super().speak(request)
        take = self.takes[request.text] = self.takes.get(request.text, 0) + 1
        size = spoken.samples.size
        while size in self.said:
            size += 1
        self.said[size] = request.text if take > self.slips else OTHER_WORDS
        longer = np.resize(spoken.samples, size).astype(np.float32)
        return Speech(longer, spoken.rate)


class ScriptedEar(TakeVerifier):
    """Hears what the voice noted down."""

    name: ClassVar[str] = "scripted"

    def __init__(self, voice: MarkedVoice, languages: tuple[str, ...] = ("es", "ca")) -> None:
        self.voice, self.languages, self.heard = voice, languages, 0
        self.deaf = False
        self.stuck_with: str | None = None

    def identity(self) -> str:
        return "scripted ear 1"

    def needs(self) -> tuple[Need, ...]:
        return ()

    def hears(self, language: str) -> bool:
        return language in self.languages

    def hear(self, samples: Samples, rate: int, language: str) -> str:
        assert rate == TONE_RATE
        assert language in self.languages
        if self.deaf:
            raise EngineError("the ear is ill")
        self.heard += 1
        if self.stuck_with is not None:
            return self.stuck_with
        return self.voice.said[samples.size]


def made(
    folder: Path, voice: MarkedVoice, ear: ScriptedEar | None, **changes: object
) -> SegmentsResult:
    translator = BudgetTranslator(rewrites=False)
    ordered: SegmentsRequest = order(
        folder, transcript(8, seed=2), translator, voice, targets=("es",), listener=ear, **changes
    )
    return run(ordered)


def test_honest_takes_cost_nothing_and_carry_their_words(tmp_path: Path) -> None:
    voice = MarkedVoice()
    found = made(tmp_path, voice, ScriptedEar(voice))
    lines = [line for line in found.languages["es"] if line.placed]
    assert len(lines) == 7
    assert all(take.heard == take.spoken for line in lines for take in line.takes)
    assert found.stats.takes_per_line == 1


def test_a_slip_of_the_tongue_is_spoken_again(tmp_path: Path) -> None:
    voice = MarkedVoice(slips=1)
    found = made(tmp_path, voice, ScriptedEar(voice))
    lines = [line for line in found.languages["es"] if line.outcome != "kept_original"]
    assert all(line.placed for line in lines)
    for line in lines:
        assert [take.faults for take in line.takes] == [("misspoken",), ()]
        assert line.chosen == 1


def test_a_line_that_only_the_ear_condemns_is_placed_and_flagged(tmp_path: Path) -> None:
    voice = MarkedVoice(slips=9)
    found = made(tmp_path, voice, ScriptedEar(voice))
    assert (found.stats.failures, found.stats.placed) == ({}, 7)
    assert max(voice.takes.values()) == 3
    lines = [line for line in found.languages["es"] if line.placed]
    assert {line.flags for line in lines} == {("misspoken",)}
    order_of_work = WorkDir(tmp_path)
    read = [line for line in read_segments(order_of_work).languages["es"] if line.placed]
    assert {line.flags for line in read} == {("misspoken",)}


def test_a_deterministic_voice_is_not_judged_by_an_ear(tmp_path: Path) -> None:
    class Always(MarkedVoice):
        deterministic: ClassVar[bool] = True

    voice = Always(slips=9)
    ear = ScriptedEar(voice)
    found = made(tmp_path, voice, ear)
    assert (found.stats.placed, ear.heard) == (7, 0)
    assert not any(line.flags for line in found.languages["es"])


@pytest.mark.parametrize("words", ["", "...", "y y y y y", "Gracias por ver. " * 5])
def test_an_ear_that_hears_nothing_or_loops_has_not_heard(tmp_path: Path, words: str) -> None:
    voice = MarkedVoice()
    ear = ScriptedEar(voice)
    ear.stuck_with = words
    found = made(tmp_path, voice, ear)
    lines = [line for line in found.languages["es"] if line.placed]
    assert (len(lines), found.stats.takes_per_line) == (7, 1)
    assert {take.heard for line in lines for take in line.takes} == {""}
    assert not any(line.flags for line in lines)


def test_nobody_is_asked_about_a_language_that_they_do_not_hear(tmp_path: Path) -> None:
    voice = MarkedVoice(slips=1)
    ear = ScriptedEar(voice, languages=("ca",))
    assert made(tmp_path, voice, ear).stats.placed == 7
    assert ear.heard == 0


def test_a_listener_that_fails_is_no_fault_of_the_voice(tmp_path: Path) -> None:
    voice = MarkedVoice()
    ear = ScriptedEar(voice)
    ear.deaf = True
    found = made(tmp_path, voice, ear)
    assert found.stats.placed == 7
    assert {take.heard for line in found.languages["es"] for take in line.takes} == {None}


def test_a_second_run_listens_to_nothing_and_gives_the_same(tmp_path: Path) -> None:
    voice = MarkedVoice(slips=1)
    ear = ScriptedEar(voice)
    first = made(tmp_path, voice, ear)
    heard, spoken = ear.heard, sum(voice.takes.values())
    again = made(tmp_path, voice, ear)
    assert (ear.heard, sum(voice.takes.values())) == (heard, spoken)
    assert [replace(line, timings={}) for line in again.languages["es"]] == [
        replace(line, timings={}) for line in first.languages["es"]
    ]


def test_an_ear_that_comes_later_hears_the_takes_that_are_there(tmp_path: Path) -> None:
    voice = MarkedVoice()
    made(tmp_path, voice, None)
    spoken, ear = sum(voice.takes.values()), ScriptedEar(voice)
    found = made(tmp_path, voice, ear)
    assert ear.heard == 7
    assert sum(voice.takes.values()) == spoken
    assert found.stats.placed == 7


def test_the_limit_is_the_options(tmp_path: Path) -> None:
    voice = MarkedVoice(slips=9)
    lenient = SegmentsOptions(word_error=99.0)
    assert made(tmp_path, voice, ScriptedEar(voice), options=lenient).stats.placed == 7
