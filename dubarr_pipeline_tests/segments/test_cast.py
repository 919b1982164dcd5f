"""The cast of a film: written down, kept, and one narrator where that is wanted."""

from __future__ import annotations

from pathlib import Path

import pytest

from dubarr_pipeline.config.options import SegmentsOptions
from dubarr_pipeline.script.model import SpeakerProfile
from dubarr_pipeline.segments.cast import narrator_profile, read_cast, recast_film
from dubarr_pipeline.segments.lengths import stock_voices, voice_key
from dubarr_pipeline.segments.tasks import line_tasks, voice_digest
from dubarr_pipeline.workdir.layout import WorkDir
from dubarr_pipeline_tests.fakes.stock_voices import StockVoiceSynthesizer
from dubarr_pipeline_tests.fixtures.small_scripts import order, transcript

SCRIPT = transcript(16, speakers=3)
PEOPLE = {
    f"SPEAKER_{n:02d}": SpeakerProfile(f"SPEAKER_{n:02d}", gender="male", pitch_hz=100.0 + 10 * n)
    for n in range(3)
}


@pytest.fixture
def work(tmp_path: Path) -> WorkDir:
    made = WorkDir(tmp_path / "film")
    made.root.mkdir()
    return made


class Forgetful(StockVoiceSynthesizer):
    """Its list of voices is away."""

    def voices(self, language: str) -> tuple[()]:  # noqa: ARG002
        return ()


class Another(Forgetful):
    """It never had a list."""

    def identity(self) -> str:
        return "another"


def test_it_is_written_down_and_read_back(work: WorkDir) -> None:
    cast = recast_film(work, SCRIPT, PEOPLE, StockVoiceSynthesizer(), ("es", "ca"))
    assert read_cast(work) == cast
    assert [len({each.voice for each in found.values()}) for found in cast.values()] == [3, 3]
    # A language that is not asked for now keeps its cast.
    recast_film(work, SCRIPT, PEOPLE, StockVoiceSynthesizer(), ("es",))
    assert read_cast(work) == cast
    work.cast.write_text("{")
    assert read_cast(work) == {}
    assert recast_film(work, SCRIPT, PEOPLE, StockVoiceSynthesizer(), ("es", "ca")) == cast


def test_a_list_that_is_away_recasts_nobody(work: WorkDir) -> None:
    cast = recast_film(work, SCRIPT, PEOPLE, StockVoiceSynthesizer(), ("es",))
    assert recast_film(work, SCRIPT, PEOPLE, Forgetful(), ("es",)) == cast
    assert recast_film(work, SCRIPT, PEOPLE, Another(), ("es",)) == {}


def test_lines_and_lengths_go_by_the_dealt_voice(tmp_path: Path, work: WorkDir) -> None:
    cast = recast_film(work, SCRIPT, PEOPLE, StockVoiceSynthesizer(), ("es",))
    request = order(tmp_path, SCRIPT, speakers=PEOPLE, targets=("es",), cast=cast)
    tasks = line_tasks(request)
    assert {voice_key(task) for task in tasks} == {each.voice for each in cast["es"].values()}
    assert {pair[1] for pair in stock_voices((), ("es",), cast)} == {voice_key(t) for t in tasks}
    # Who it speaks for, and how their pitch was measured, changes no line.
    moved = {who: SpeakerProfile(who, gender="male", pitch_hz=101.5) for who in PEOPLE}
    again = line_tasks(order(tmp_path, SCRIPT, speakers=moved, targets=("es",), cast=cast))
    assert [task.line_key for task in again] == [task.line_key for task in tasks]
    assert len({voice_digest(task.voice, "es") for task in tasks}) == 3


def test_a_narrator_has_one_voice_and_says_nothing_twice_at_once(
    tmp_path: Path, work: WorkDir
) -> None:
    narrator = narrator_profile(SegmentsOptions(casting="lektor", narrator="sam"), ("es", "ca"))
    assert narrator is not None
    assert narrator_profile(SegmentsOptions(narrator="sam"), ("es",)) is None
    people = {narrator.speaker: narrator}
    cast = recast_film(work, SCRIPT, people, StockVoiceSynthesizer(), ("es",))
    tasks = line_tasks(order(tmp_path, SCRIPT, targets=("es",), cast=cast, narrator=narrator))
    assert {task.voice.name for task in tasks} == {"sam"}
    assert {task.window.speaker for task in tasks} == {narrator.speaker}
    # The translator still knows who speaks.
    assert {task.segment.speaker for task in tasks} == {line.speaker for line in SCRIPT.lines}


def test_a_cloned_voice_is_one_per_character_unless_the_settings_say_otherwise(
    tmp_path: Path,
) -> None:
    golden, sample = tmp_path / "golden.wav", tmp_path / "line.wav"
    golden.write_bytes(b"1")
    sample.write_bytes(b"2")
    refs = {line.speaker: golden for line in SCRIPT.lines}
    one = line_tasks(order(tmp_path, SCRIPT, refs=refs))
    assert {(task.voice.ref, task.voice.ref_text) for task in one} == {(golden, None)}
    first = SCRIPT.lines[0]
    each = line_tasks(order(tmp_path, SCRIPT, refs=refs, line_refs={first.index: sample}))
    assert each[0].voice.ref == sample
    assert each[0].voice.ref_text == first.text
