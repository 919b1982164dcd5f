from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from dubarr_pipeline.config.options import SegmentsOptions
from dubarr_pipeline.edits.model import LineEdits
from dubarr_pipeline.engines.interfaces import (
    Draft,
    DraftBatch,
    RewriteRequest,
    Speech,
    SpeechRequest,
)
from dubarr_pipeline.engines.synthesis.tone import ToneSynthesizer, natural_s
from dubarr_pipeline.errors import LanguageError, LineError, ServiceUnavailable
from dubarr_pipeline.media.audio.wav import WaveFile
from dubarr_pipeline.progress import Progress
from dubarr_pipeline.script.model import Context, SpeakerProfile, Term
from dubarr_pipeline.segments import measuring
from dubarr_pipeline.segments.results import SegmentsResult, read_segments
from dubarr_pipeline.segments.run import run
from dubarr_pipeline.services.call_queue import Cancelled
from dubarr_pipeline.spans import Span
from dubarr_pipeline.text.tables import read_table
from dubarr_pipeline.timing.tempo import TempoLimits
from dubarr_pipeline_tests.fixtures.small_scripts import (
    BudgetTranslator,
    order,
    transcript,
    wording,
)
from dubarr_pipeline_tests.fixtures.tones import snr_db

SENTENCES = [
    sentence
    for each in read_table("dubarr_pipeline.timing", "measuring_sentences").values()
    for sentence in each
]


class CountingTone(ToneSynthesizer):
    """Hums, and remembers what it was asked; may be told to misbehave for some texts.

    What it says to be measured is kept apart from the lines.
    """

    deterministic: ClassVar[bool] = True

    def __init__(self, twist: Callable[[SpeechRequest, Speech], Speech] | None = None) -> None:
        super().__init__(fits_duration=False)
        self.asked: list[SpeechRequest] = []
        self.measured: list[SpeechRequest] = []
        self._twist = twist

    def speak(self, request: SpeechRequest) -> Speech:
        if any(request.text in sentence for sentence in SENTENCES):
            self.measured.append(request)
            return super().speak(request)
        self.asked.append(request)
        spoken = super().speak(request)
        return self._twist(request, spoken) if self._twist else spoken


def finals(production: SegmentsResult) -> dict[str, bytes]:
    lines = [line for found in production.languages.values() for line in found if line.path]
    return {line.path.name: line.path.read_bytes() for line in lines if line.path}


def test_every_line_is_placed_kept_or_failed_and_measured_again(tmp_path: Path) -> None:
    script = transcript(24)
    made = run(order(tmp_path, script))
    for language in ("es", "ca"):
        lines = made.languages[language]
        assert [line.index for line in lines] == [s.index for s in script.segments]
        song = script.segments[12]
        assert lines[12].outcome == "kept_original"
        assert song.kind == "song"
        for line in (line for line in lines if line.index != 12):
            assert line.outcome == "placed"
            assert line.path == tmp_path / "segments" / f"final_{language}_{line.index}.wav"
            with WaveFile(line.path) as wave:
                assert (wave.rate, wave.channels, wave.samples) == (script.rate, 1, line.length)
                assert float(np.abs(wave.read(0, wave.samples)).max()) > 0.05
            assert line.window.start <= line.start
            assert line.start + line.length <= line.window.end
            assert 0.85 <= line.tempo <= 1.2
            assert len(line.takes) <= 3
    assert read_segments(order(tmp_path, script).work).languages == made.languages


def test_a_second_run_speaks_nothing_and_gives_the_same(tmp_path: Path) -> None:
    first = run(order(tmp_path, transcript(12)))
    synthesizer, translator = CountingTone(), BudgetTranslator()
    second = run(order(tmp_path, transcript(12), translator, synthesizer))
    assert not synthesizer.asked
    assert not translator.drafted
    assert finals(first) == finals(second)
    assert second.stats.reused == 22
    assert second.stats.spoken == 0


def redone(tmp_path: Path, **changes: object) -> set[tuple[str, int]]:
    """The lines that are drafted or spoken again after a change to a finished production."""
    run(order(tmp_path, transcript(16)))
    synthesizer, translator = CountingTone(), BudgetTranslator()
    ordered = order(tmp_path, transcript(16), translator, synthesizer)
    ordered = replace(ordered, **{k: v(ordered) if callable(v) else v for k, v in changes.items()})
    made = run(ordered)
    by_text = {
        (take.spoken, line.language): (line.language, line.index)
        for lines in made.languages.values()
        for line in lines
        for take in line.takes
    }
    spoken = {by_text[asked.text, asked.language] for asked in synthesizer.asked}
    return {*translator.drafted, *spoken}


def test_a_changed_glossary_term_redoes_only_the_lines_with_it(tmp_path: Path) -> None:
    context = Context("", "", glossary=(Term("line 5", "noun", {"es": "línea cinco"}),))
    assert redone(tmp_path, context=context) == {("es", 5), ("ca", 5)}


def test_a_synopsis_redoes_nothing(tmp_path: Path) -> None:
    assert redone(tmp_path, context=Context("A new synopsis", "merry")) == set()


def test_an_edited_line_redoes_only_itself_and_is_spoken_as_it_is(tmp_path: Path) -> None:
    edits = {"es": {3: LineEdits(text="Esto lo dijo una persona.")}}
    assert redone(tmp_path, edits=edits) == {("es", 3)}
    made = read_segments(order(tmp_path, transcript(16)).work)
    assert made.languages["es"][3].text == "Esto lo dijo una persona."


def test_another_voice_redoes_only_the_lines_of_its_speaker(tmp_path: Path) -> None:
    speakers = {
        "SPEAKER_00": SpeakerProfile("SPEAKER_00", pitch_hz=110.0),
        "SPEAKER_01": SpeakerProfile("SPEAKER_01", pitch_hz=190.0),
    }
    script = transcript(16)
    wanted = {
        (language, s.index)
        for s in script.lines
        if s.speaker == "SPEAKER_01"
        for language in ("es", "ca")
    }
    assert redone(tmp_path, speakers=speakers) == wanted


def test_another_voice_leaves_the_translations(tmp_path: Path) -> None:
    run(order(tmp_path, transcript(16)))
    translator = BudgetTranslator()
    speakers = {s: SpeakerProfile(s, pitch_hz=200.0) for s in ("SPEAKER_00", "SPEAKER_01")}
    run(order(tmp_path, transcript(16), translator, speakers=speakers))
    assert not translator.drafted


def test_a_new_language_touches_no_other(tmp_path: Path) -> None:
    found = redone(tmp_path, targets=("es", "ca", "fr"))
    assert {language for language, _ in found} == {"fr"}


def test_other_tolerances_judge_the_same_takes_anew(tmp_path: Path) -> None:
    run(order(tmp_path, transcript(10)))
    synthesizer = CountingTone()
    options = SegmentsOptions(max_takes=1)
    made = run(order(tmp_path, transcript(10), None, synthesizer, options=options))
    assert not synthesizer.asked
    assert made.stats.takes_per_line == 1.0


def test_a_removed_language_and_line_leave_no_files(tmp_path: Path) -> None:
    run(order(tmp_path, transcript(10)))
    run(order(tmp_path, transcript(10), targets=("ca",)))
    names = {path.name for path in (tmp_path / "segments").glob("final_*")}
    assert names == {f"final_ca_{n}.wav" for n in range(10) if n != 5}


def test_force_makes_everything_anew(tmp_path: Path) -> None:
    first = run(order(tmp_path, transcript(6)))
    second = run(order(tmp_path, transcript(6), force=True))
    assert second.stats.spoken == first.stats.spoken > 0
    assert finals(first) == finals(second)


@pytest.mark.parametrize("damage", ["delete", "cut", "flip"])
def test_a_damaged_take_is_spoken_again_and_nothing_else(tmp_path: Path, damage: str) -> None:
    first = run(order(tmp_path, transcript(6)))
    chosen = first.languages["es"][0]
    assert chosen.chosen is not None
    path = tmp_path / "segments" / "takes" / chosen.takes[chosen.chosen].file
    data = path.read_bytes()
    path.unlink()
    if damage == "cut":
        path.write_bytes(data[:-100])
    if damage == "flip":
        path.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    synthesizer = CountingTone()
    second = run(order(tmp_path, transcript(6), None, synthesizer))
    assert len(synthesizer.asked) == 1
    assert finals(first) == finals(second)


def test_a_damaged_final_is_rendered_again_without_speaking(tmp_path: Path) -> None:
    first = run(order(tmp_path, transcript(6)))
    wanted = finals(first)
    (tmp_path / "segments" / "final_es_0.wav").write_bytes(b"broken")
    synthesizer = CountingTone()
    assert finals(run(order(tmp_path, transcript(6), None, synthesizer))) == wanted
    assert not synthesizer.asked


def silent_for(part: str) -> Callable[[SpeechRequest, Speech], Speech]:
    def twist(request: SpeechRequest, spoken: Speech) -> Speech:
        return Speech(spoken.samples * 0, spoken.rate) if part in request.text else spoken

    return twist


def test_a_silent_take_fails_by_name_and_the_others_go_on(tmp_path: Path) -> None:
    edits = {"es": {2: "Silencio."}}
    made = run(
        order(tmp_path, transcript(6), None, CountingTone(silent_for("Silencio")), edits=edits)
    )
    assert made.languages["es"][2].outcome == "failed:silent_take"
    assert made.stats.failures == {"silent_take": 1}
    assert made.stats.placed == 9
    assert not (tmp_path / "segments" / "final_es_2.wav").exists()


def test_a_babbling_voice_is_asked_for_other_words(tmp_path: Path) -> None:
    def twist(request: SpeechRequest, spoken: Speech) -> Speech:
        babbles = request.language == "es" and len(synthesizer.asked) == 1
        return Speech(np.tile(spoken.samples, 9), spoken.rate) if babbles else spoken

    synthesizer = CountingTone(twist)
    made = run(order(tmp_path, transcript(1), None, synthesizer, targets=("es",)))
    line = made.languages["es"][0]
    assert line.outcome == "placed"
    assert line.takes[0].faults == ("babble",)
    assert line.chosen != 0


def test_a_line_longer_than_any_window_is_named(tmp_path: Path) -> None:
    edits = {"es": {1: "palabra " * 60}}
    made = run(order(tmp_path, transcript(4), edits=edits))
    assert made.languages["es"][1].outcome == "failed:does_not_fit"
    assert made.stats.placed == 5


@pytest.mark.parametrize(
    ("fastest", "outcome"), [("6/5", "failed:does_not_fit"), ("7/5", "placed")]
)
def test_the_tempo_limit_counts_for_the_verdict_and_the_place(
    tmp_path: Path, fastest: str, outcome: str
) -> None:
    script = transcript(1)
    window_s = script.segments[0].span.seconds(script.rate) + 1.1
    texts = (("la " * count).strip() for count in range(1, 99))
    text = next(text for text in texts if natural_s(text) > 1.25 * window_s)
    options = SegmentsOptions(tempo=TempoLimits(fastest=Fraction(fastest)))
    made = run(order(tmp_path, script, edits={"es": {0: text}}, options=options))
    assert made.languages["es"][0].outcome == outcome
    assert made.languages["es"][0].tempo <= Fraction(fastest)


class Senseless(BudgetTranslator):
    """Has nothing to say in one line."""

    def draft(self, batch: DraftBatch) -> list[Draft]:
        return [Draft(d.index, ("♪ ♪",)) if d.index == 1 else d for d in super().draft(batch)]


def test_a_line_without_sense_fails_by_name(tmp_path: Path) -> None:
    made = run(order(tmp_path, transcript(3), Senseless()))
    assert made.languages["es"][1].outcome == "failed:empty_translation"


class LeavingOut(BudgetTranslator):
    """Leaves lines out of its answer."""

    def draft(self, batch: DraftBatch) -> list[Draft]:
        found = [draft for draft in super().draft(batch) if draft.index not in (1, 2)]
        return [*found, Draft(2, (), "echo")]


def test_untranslated_lines_fail_by_name(tmp_path: Path) -> None:
    made = run(order(tmp_path, transcript(3), LeavingOut(), targets=("es",)))
    outcomes = [line.outcome for line in made.languages["es"]]
    assert outcomes == ["placed", "failed:untranslated", "failed:echo"]


class Dead(BudgetTranslator):
    """A translator whose server is gone, for drafts or for rewordings."""

    def __init__(self, drafts: bool, rewrites: bool, stretch: float = 1.0) -> None:
        super().__init__(stretch)
        self.dead_drafts, self.dead_rewrites = drafts, rewrites

    def draft(self, batch: DraftBatch) -> list[Draft]:
        if self.dead_drafts:
            raise ServiceUnavailable("gone")
        return super().draft(batch)

    def rewrite(self, request: object) -> str:
        if self.dead_rewrites:
            raise ServiceUnavailable("gone")
        return super().rewrite(request)  # type: ignore[arg-type]


def test_a_dead_translator_fails_lines_for_this_run_only(tmp_path: Path) -> None:
    made = run(order(tmp_path, transcript(5), Dead(drafts=True, rewrites=True)))
    assert made.stats.failures == {"llm_unavailable": 8}
    again = run(order(tmp_path, transcript(5), Dead(drafts=False, rewrites=False)))
    assert again.stats.placed == 8


def test_a_line_that_cannot_be_bettered_is_placed_and_bettered_by_the_next_run(
    tmp_path: Path,
) -> None:
    made = run(order(tmp_path, transcript(3), Dead(False, True, 0.8), targets=("es",)))
    assert made.stats.placed == 3
    provisional = [line for line in made.languages["es"] if "could not be reworded" in line.message]
    assert provisional
    translator = Dead(False, False, 0.8)
    better = run(order(tmp_path, transcript(3), translator, targets=("es",)))
    assert {index for _, index in translator.rewritten} == {line.index for line in provisional}
    assert all(not line.message for line in better.languages["es"])


def test_an_engine_that_knows_its_natural_length_is_asked_from_the_first_line(
    tmp_path: Path,
) -> None:
    class Knowing(ToneSynthesizer):
        def natural_s(self, request: SpeechRequest) -> float:
            return natural_s(request.text)

    made = run(order(tmp_path, transcript(6), None, Knowing(fits_duration=True)))
    takes = [line.takes for found in made.languages.values() for line in found if line.placed]
    assert all(tried[0].asked_s is not None for tried in takes)
    assert all(len(tried) == 1 for tried in takes)


class DyingTone(ToneSynthesizer):
    """A speech server that dies after some lines."""

    def __init__(self, after: int) -> None:
        super().__init__(fits_duration=False)
        self.left, self.calls = after, 0

    def speak(self, request: SpeechRequest) -> Speech:
        self.calls += 1
        self.left -= 1
        if self.left < 0:
            raise ServiceUnavailable("gone")
        return super().speak(request)


def test_a_dead_voice_is_given_up_soon_and_asked_again_by_the_next_run(tmp_path: Path) -> None:
    dying = DyingTone(after=5)
    options = SegmentsOptions(dead_after=4, tts_concurrency=1)
    made = run(order(tmp_path, transcript(40), None, dying, options=options))
    assert set(made.stats.failures) == {"tts_unavailable"}
    assert made.stats.placed + sum(made.stats.failures.values()) == 78
    assert dying.calls == 5 + 4
    synthesizer = CountingTone()
    again = run(order(tmp_path, transcript(40), None, synthesizer))
    assert again.stats.placed == 78
    clean = run(order(tmp_path / "clean", transcript(40)))
    assert finals(again).keys() == finals(clean).keys()


def test_a_voice_that_was_measured_is_asked_for_a_duration_from_the_first_line_on(
    tmp_path: Path,
) -> None:
    synthesizer = ToneSynthesizer(fits_duration=True)
    made = run(order(tmp_path, transcript(20), None, synthesizer))
    lines = [line for found in made.languages.values() for line in found if line.placed]
    assert all(line.takes[0].asked_s is not None for line in lines)
    assert sum(line.tempo == 1 for line in lines) >= 0.9 * len(lines)


def test_an_engine_asked_for_a_duration_is_asked_for_the_lines_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Of a language without a measuring sentence, the first lines teach the voice's rate.
    monkeypatch.setattr(measuring, "_sentences", lambda _: ())
    synthesizer = ToneSynthesizer(fits_duration=True)
    made = run(order(tmp_path, transcript(20), None, synthesizer))
    lines = [line for found in made.languages.values() for line in found if line.placed]
    naturally = {line.index for line in lines if line.takes[0].asked_s is None}
    assert naturally == {0, 1, 2, 3}
    assert made.stats.prediction_error is not None
    taught = [line for line in lines if line.index >= 8]
    assert len(taught) == 22
    assert sum(line.tempo == 1 for line in taught) >= 0.9 * len(taught)
    matched = [abs(line.length / line.source.length - 1) <= 0.06 for line in taught]
    assert sum(matched) >= 0.8 * len(matched)


def test_a_long_line_is_spoken_in_clauses(tmp_path: Path) -> None:
    synthesizer = CountingTone()
    options = SegmentsOptions(max_characters=20)
    run(order(tmp_path, transcript(6), None, synthesizer, options=options, targets=("es",)))
    assert len(synthesizer.asked) > 6
    assert all(len(asked.text) <= 20 for asked in synthesizer.asked)


def test_nothing_to_dub_is_no_error(tmp_path: Path) -> None:
    script = replace(transcript(3), segments=())
    made = run(order(tmp_path, script))
    assert made.languages == {"es": (), "ca": ()}
    made = run(order(tmp_path, transcript(3), targets=()))
    assert made.stats.lines == 0


def test_lines_of_no_length_end_by_name(tmp_path: Path) -> None:
    script = transcript(3)
    first = replace(script.segments[0], span=Span(8000, 8000))
    twin = replace(script.segments[1], span=Span(8000, 8000), speaker=first.speaker)
    script = replace(script, segments=(first, twin, script.segments[2]))
    made = run(order(tmp_path, script))
    outcomes = {line.outcome for lines in made.languages.values() for line in lines}
    assert outcomes <= {"placed", "failed:does_not_fit"}


def test_languages_that_nobody_serves_are_refused_with_the_choices(tmp_path: Path) -> None:
    with pytest.raises(LanguageError, match="es, ca, fr"):
        run(order(tmp_path, transcript(3), targets=("xh",)))


def test_a_film_that_turns_out_to_be_spoken_in_the_target_language_is_refused(
    tmp_path: Path,
) -> None:
    with pytest.raises(LanguageError, match="spoken in English, whatever its label says"):
        run(order(tmp_path, transcript(3), targets=("en",)))


def test_cancelling_keeps_what_is_finished(tmp_path: Path) -> None:
    cancel = threading.Event()

    def twist(request: SpeechRequest, spoken: Speech) -> Speech:
        if len(stopped.asked) == 8:
            cancel.set()
        return spoken

    stopped = CountingTone(twist)
    options = SegmentsOptions(tts_concurrency=1)
    with pytest.raises(Cancelled):
        run(order(tmp_path, transcript(50), None, stopped, cancel=cancel, options=options))
    synthesizer = CountingTone()
    made = run(order(tmp_path, transcript(50), None, synthesizer))
    clean = run(order(tmp_path / "clean", transcript(50)))
    assert len(synthesizer.asked) + len(stopped.asked) <= clean.stats.spoken + 2
    assert finals(made) == finals(clean)


class Interrupted(Exception):
    """Stands for Ctrl-C."""


def test_an_interruption_ends_the_threads_and_leaves_a_clean_journal(tmp_path: Path) -> None:
    def interrupt(progress: Progress) -> None:
        if progress.done >= 2:
            raise Interrupted

    before = set(threading.enumerate())
    with pytest.raises(Interrupted):
        run(order(tmp_path, transcript(60)), interrupt)
    deadline = threading.Event()
    for _ in range(100):
        if set(threading.enumerate()) <= before:
            break
        deadline.wait(0.05)
    assert set(threading.enumerate()) <= before
    assert finals(run(order(tmp_path, transcript(60)))) == finals(
        run(order(tmp_path / "clean", transcript(60)))
    )


class Stumbling(CountingTone):
    """Cannot speak some lines at all."""

    def speak(self, request: SpeechRequest) -> Speech:
        if request.text.startswith("No"):
            raise LineError("unspeakable", "no")
        return super().speak(request)


def test_a_line_that_the_engine_refuses_carries_the_engines_name(tmp_path: Path) -> None:
    edits = {"ca": {0: "No."}}
    made = run(order(tmp_path, transcript(2), None, Stumbling(), edits=edits))
    assert made.languages["ca"][0].outcome == "failed:unspeakable"


@pytest.mark.parametrize(("rate", "hz"), [(24_000, 10_800), (24_000, 1_000), (22_050, 9_000)])
def test_a_take_reaches_the_films_clock_without_images(tmp_path: Path, rate: int, hz: int) -> None:
    def whistle(_: SpeechRequest, spoken: Speech) -> Speech:
        samples = np.arange(round(len(spoken.samples) / spoken.rate * rate))
        return Speech((0.5 * np.sin(2 * np.pi * hz * samples / rate)).astype(np.float32), rate)

    small = transcript(12)
    lines = [replace(s, span=Span(s.span.start * 3, s.span.end * 3)) for s in small.segments]
    script = replace(small, rate=small.rate * 3, samples=small.samples * 3, segments=tuple(lines))
    made = run(order(tmp_path, script, synthesizer=CountingTone(whistle)))
    unstretched = [line for line in made.languages["es"] if line.path and line.tempo == 1]
    assert unstretched
    for line in unstretched:
        assert line.path
        with WaveFile(line.path) as wave:
            assert snr_db(wave.read(0, wave.samples)[0], hz, script.rate) > 100


class StubbornTranslator(BudgetTranslator):
    """Rewords every line to the same length, whatever is asked for."""

    def rewrite(self, request: RewriteRequest) -> str:
        self.rewritten.append((request.batch.target, request.line.segment.index))
        return wording(f"{len(self.rewritten)}", 400)


def test_a_translator_that_shows_no_gain_is_not_asked_again_in_this_run(tmp_path: Path) -> None:
    translator = StubbornTranslator(stretch=2.0)
    run(order(tmp_path, transcript(60, seed=3), translator, targets=("es",)))
    asked = len(translator.rewritten)
    assert 12 <= asked < 40
