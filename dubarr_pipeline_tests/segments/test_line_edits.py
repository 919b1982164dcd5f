"""People's edits of lines: each takes effect, and nothing else is spoken again."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from dubarr_pipeline.edits.model import LineEdits
from dubarr_pipeline.engines.interfaces import Speech, SpeechRequest
from dubarr_pipeline.engines.synthesis.tone import ToneSynthesizer
from dubarr_pipeline.script.model import Context, Segment, StockVoice, Term, Transcript
from dubarr_pipeline.segments.results import SegmentsResult, read_segments
from dubarr_pipeline.segments.run import run
from dubarr_pipeline.segments.tasks import SegmentsRequest, line_tasks
from dubarr_pipeline.spans import Span
from dubarr_pipeline_tests.fixtures.small_scripts import BudgetTranslator, order, transcript

SCRIPT = transcript(9)
RATE = SCRIPT.rate
Change = Callable[[SegmentsRequest], SegmentsRequest]


class Voiced(ToneSynthesizer):
    """Hums in one of two voices, and counts."""

    def __init__(self) -> None:
        super().__init__(fits_duration=False)
        self.asked: list[SpeechRequest] = []

    def voices(self, language: str) -> tuple[StockVoice, ...]:
        names = ("ana", "bea") if language in ("es", "ca") else ()
        return tuple(StockVoice(name) for name in names)

    def speak(self, request: SpeechRequest) -> Speech:
        self.asked.append(request)
        return super().speak(request)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    run(order(folder, SCRIPT, None, Voiced()))
    return folder


class Edited:
    """A copy of the finished film, run again with edits."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.before = read_segments(order(folder, SCRIPT).work).languages
        self.sounds = self._sounds()
        self.voice = Voiced()

    def _sounds(self) -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in self.folder.glob("segments/final_*.wav")}

    def run(self, change: Change | None = None, **edits: object) -> SegmentsResult:
        """Run with edits of the Spanish lines, by index; ``n3=LineEdits(...)``."""
        self.voice = Voiced()
        said = {"es": {int(n[1:]): each for n, each in edits.items()}}
        asked = order(
            self.folder,
            SCRIPT,
            BudgetTranslator(),
            self.voice,
            edits=said,
            revisions={"en": 0, "es": len(said["es"])},
        )
        return run(change(asked) if change else asked)

    @property
    def changed(self) -> set[str]:
        """The final sounds that differ from the first ones."""
        now = self._sounds()
        every = now.keys() | self.sounds.keys()
        return {name for name in every if now.get(name) != self.sounds.get(name)}


@pytest.fixture
def film(made: Path, tmp_path: Path) -> Edited:
    shutil.copytree(made, tmp_path / "film")
    return Edited(tmp_path / "film")


def test_a_wording_is_spoken_once_and_undone_without_a_word(film: Edited) -> None:
    result = film.run(n3=LineEdits(text="Esto lo dijo una persona."))
    assert [asked.text for asked in film.voice.asked] == ["Esto lo dijo una persona."]
    assert film.changed == {"final_es_3.wav"}
    line = result.languages["es"][3]
    assert (line.text, line.edits) == (
        "Esto lo dijo una persona.",
        {"text": "Esto lo dijo una persona."},
    )
    again = read_segments(order(film.folder, SCRIPT).work)
    assert again.languages["es"][3].edits == line.edits
    assert again.revisions == {"en": 0, "es": 1}
    film.run()
    assert not film.voice.asked
    assert not film.changed


def test_a_take_of_before_is_placed_without_being_spoken(film: Edited) -> None:
    first = film.before["es"][3].take
    assert first
    film.run(n3=LineEdits(text="Otra cosa muy distinta."))
    assert len(film.voice.asked) == 1
    result = film.run(n3=LineEdits(text="Otra cosa muy distinta.", take=first.sound))
    assert not film.voice.asked
    assert result.languages["es"][3].text == first.text
    assert not film.changed


def test_place_and_level_cost_no_take(film: Edited) -> None:
    line = film.before["es"][2]
    start_s = line.source.start / RATE + 0.05
    edits = LineEdits(start_s=start_s, tempo=1.1, gain_db=-3.0)
    after = film.run(n2=edits).languages["es"][2]
    assert not film.voice.asked
    assert after.start == round(start_s * RATE)
    assert float(after.tempo) == pytest.approx(1.1, abs=1e-3)
    assert after.gain_db == -3.0


def test_the_original_is_kept_for_a_person(film: Edited) -> None:
    line = film.run(n2=LineEdits(keep_original=True)).languages["es"][2]
    assert (line.outcome, line.message) == ("kept_original", "a person's choice")
    assert not film.voice.asked
    assert film.changed == {"final_es_2.wav"}


def test_another_voice_speaks_one_line(film: Edited) -> None:
    line = film.run(n5=LineEdits(voice="bea")).languages["es"][5]
    assert line.voice == "bea"
    assert {asked.voice.name for asked in film.voice.asked} == {"bea"}
    assert film.changed <= {"final_es_5.wav"}


def test_what_cannot_be_had_is_named_and_the_line_stays(film: Edited) -> None:
    result = film.run(
        n1=LineEdits(text="♪ ♪"),
        n2=LineEdits(voice="nobody"),
        n3=LineEdits(take="0" * 32),
        n5=LineEdits(start_s=0.0),
    )
    refused = [line.refused for line in result.languages["es"] if line.refused]
    assert [words[0].split(":")[0] for words in refused] == ["text", "voice", "take", "start_s"]
    assert result.stats.refused == 4
    assert not film.voice.asked
    assert not film.changed


def test_a_locked_line_survives_another_translator(film: Edited) -> None:
    first = film.before["es"][3]

    def other(request: SegmentsRequest) -> SegmentsRequest:
        return replace(request, translator=BudgetTranslator(stretch=0.8))

    result = film.run(other, n3=LineEdits(locked=True))
    assert result.languages["es"][3].text == first.text
    texts = [[line.text for line in lines] for lines in (film.before["es"], result.languages["es"])]
    assert texts[0] != texts[1]


def test_terms_redo_their_lines_alone(film: Edited) -> None:
    context = Context("", "")

    def said(**changes: object) -> Change:
        return lambda request: replace(request, context=context, **changes)  # type: ignore[arg-type]

    film.run(said(renderings={"es": {"line 5": "línea cinco"}}))
    assert not film.changed
    word = film.before["es"][5].text.split()[0]
    film.run(said(pronunciations={"es": {word: "casita"}}))
    lines = [n for n, line in enumerate(film.before["es"]) if word in line.text.split()]
    assert {asked.language for asked in film.voice.asked} == {"es"}
    assert film.changed == {f"final_es_{n}.wav" for n in lines}
    film.run(said())
    assert not film.voice.asked
    assert not film.changed


def _with(segments: list[Segment]) -> Transcript:
    return replace(SCRIPT, segments=tuple(sorted(segments, key=lambda s: s.span.start)))


def test_pieces_are_spoken_and_their_neighbours_are_not(film: Edited) -> None:
    line = SCRIPT.segments[3]
    middle = (line.span.start + line.span.end) // 2
    pieces = [
        replace(line, index=20, span=Span(line.span.start, middle), text="The first half."),
        replace(line, index=21, span=Span(middle, line.span.end), text="The other half."),
    ]
    script = _with([*(s for s in SCRIPT.segments if s.index != 3), *pieces])
    result = film.run(lambda asked: replace(asked, transcript=script, machine=SCRIPT))
    assert len(film.voice.asked) == 4
    assert {line.index for line in result.languages["es"]} == {0, 1, 2, *range(4, 9), 20, 21}
    added = {f"final_{x}_{n}.wav" for x in ("es", "ca") for n in (3, 20, 21)}
    assert film.changed == added
    film.run()
    assert not film.voice.asked
    assert not film.changed


def test_lines_that_are_numbered_anew_are_found_by_their_keys(film: Edited) -> None:
    later = replace(SCRIPT, segments=tuple(replace(s, index=s.index + 7) for s in SCRIPT.segments))
    result = film.run(lambda asked: replace(asked, transcript=later))
    assert not film.voice.asked
    assert [line.text for line in result.languages["es"]] == [
        line.text for line in film.before["es"]
    ]


def test_a_moved_line_leaves_later_samples_alone(tmp_path: Path) -> None:
    asked = order(tmp_path, SCRIPT)
    refs = {n: tmp_path / f"{n}.wav" for n in (1, 3)}
    for path in refs.values():
        path.write_bytes(path.name.encode())
    asked = replace(asked, line_refs=refs)
    moved = replace(
        SCRIPT,
        segments=tuple(
            replace(s, speaker="SPEAKER_09", text="Put right.") if s.index == 3 else s
            for s in SCRIPT.segments
        ),
    )
    before = {task.index: task.voice for task in line_tasks(asked)}
    after = {
        task.index: task.voice
        for task in line_tasks(replace(asked, transcript=moved, machine=SCRIPT))
    }
    assert {n for n in before if before[n] != after[n]} == {3}


def test_an_unknown_glossary_term_is_no_concern_of_other_languages(tmp_path: Path) -> None:
    asked = order(tmp_path, SCRIPT, context=Context("", "", glossary=(Term("script", "noun"),)))
    said = replace(asked, renderings={"es": {"line": "raya"}})
    keys = [
        {task.index: task.draft_key for task in line_tasks(each) if task.language == "ca"}
        for each in (asked, said)
    ]
    assert keys[0] == keys[1]
