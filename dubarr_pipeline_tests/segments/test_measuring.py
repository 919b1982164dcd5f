"""New voices say a sentence before their first line."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

import pytest

from dubarr_pipeline.engines.interfaces import Speech, SpeechRequest
from dubarr_pipeline.engines.synthesis.tone import ToneSynthesizer
from dubarr_pipeline.errors import ServiceUnavailable
from dubarr_pipeline.segments.run import run
from dubarr_pipeline.text.syllables import syllables
from dubarr_pipeline.text.tables import read_table
from dubarr_pipeline_tests.fixtures.small_scripts import order, transcript

SENTENCES = read_table("dubarr_pipeline.timing", "measuring_sentences")


class SlowTone(ToneSynthesizer):
    """Hums 40 % slower than people speak, and remembers what it said."""

    def __init__(self) -> None:
        super().__init__(fits_duration=False)
        self.measured: list[tuple[str, str]] = []
        self.lines = 0

    def speak(self, request: SpeechRequest) -> Speech:
        if request.text in SENTENCES[request.language]:
            self.measured.append((request.language, request.voice.speaker))
        else:
            self.lines += 1
        spoken = super().speak(request)
        return Speech(spoken.samples, round(spoken.rate / 1.4))


def test_each_voice_is_measured_once_in_each_language(tmp_path: Path) -> None:
    voice = SlowTone()
    made = run(order(tmp_path, transcript(20), None, voice))
    speakers = {line.speaker for line in made.languages["es"]}
    assert len(voice.measured) == 2 * 2 * len(speakers)
    assert set(voice.measured) == {(t, s) for t in ("ca", "es") for s in speakers}
    assert made.stats.spoken == voice.lines
    again = SlowTone()
    run(order(tmp_path, transcript(20), None, again))
    assert (again.measured, again.lines) == ([], 0)


def test_a_measured_voice_is_predicted_from_its_first_line_on(tmp_path: Path) -> None:
    made = run(order(tmp_path, transcript(20), None, SlowTone()))
    takes = [line.takes[0] for found in made.languages.values() for line in found if line.takes]
    errors = [abs(take.predicted_s / take.duration_s - 1) for take in takes[:5]]
    assert fmean(errors) < 0.12


def test_who_says_next_to_nothing_is_not_measured(tmp_path: Path) -> None:
    voice = SlowTone()
    run(order(tmp_path, transcript(4), None, voice))
    assert voice.measured == []


def test_a_film_begun_without_measuring_goes_on_without(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dubarr_pipeline.segments.measuring._sentences", lambda _: ())
        before = run(order(tmp_path, transcript(20), None, SlowTone()))
    voice = SlowTone()
    edits = {"es": {7: "Nadie lo sabe."}}
    after = run(order(tmp_path, transcript(20), None, voice, edits=edits))
    assert (voice.measured, voice.lines) == ([], 1)
    texts = [[line.text for line in made.languages["ca"]] for made in (before, after)]
    assert texts[0] == texts[1]


def test_a_voice_that_earlier_films_taught_is_not_measured(tmp_path: Path) -> None:
    first = run(order(tmp_path / "first", transcript(20), None, SlowTone()))
    voice = SlowTone()
    run(order(tmp_path / "second", transcript(20), None, voice, lengths=first.lengths))
    assert voice.measured == []


def test_an_engine_that_tells_lengths_is_not_measured(tmp_path: Path) -> None:
    class Telling(SlowTone):
        def natural_s(self, request: SpeechRequest) -> float:
            spoken = ToneSynthesizer(fits_duration=False).speak(request)
            return 1.4 * spoken.samples.size / spoken.rate

    voice = Telling()
    run(order(tmp_path, transcript(20), None, voice))
    assert voice.measured == []


def test_a_sentence_that_fails_costs_no_line(tmp_path: Path) -> None:
    class Refusing(SlowTone):
        def speak(self, request: SpeechRequest) -> Speech:
            if request.text in SENTENCES[request.language]:
                raise ServiceUnavailable("not now")
            return super().speak(request)

    made = run(order(tmp_path, transcript(20), None, Refusing()))
    assert not made.stats.failures
    voice = SlowTone()
    run(order(tmp_path, transcript(20), None, voice))
    # The lines have taught it meanwhile.
    assert (voice.measured, voice.lines) == ([], 0)


def test_each_language_has_a_long_sentence_and_a_short_one_without_digits() -> None:
    assert len(SENTENCES) >= 35
    for language, (long, short) in SENTENCES.items():
        assert language == language.lower()
        assert 2 * syllables(short, language) < syllables(long, language) + 2, language
        assert not any(sign.isdigit() for sign in long + short)
