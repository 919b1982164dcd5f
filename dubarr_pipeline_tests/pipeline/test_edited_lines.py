"""A line heard, mended, rendered and undone on a finished film: nothing else is made again."""

from __future__ import annotations

import hashlib
import shutil
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dubarr_pipeline.config.settings import load_settings
from dubarr_pipeline.edits.document import add_facts, present_script, read_edits_document
from dubarr_pipeline.edits.film import film_edits, stale_slots
from dubarr_pipeline.edits.model import LineEdits, ProposedFact
from dubarr_pipeline.files import read_json
from dubarr_pipeline.media.audio.wav import WaveFile
from dubarr_pipeline.media.mix.remix import IN_PARTS
from dubarr_pipeline.segments.results import read_segments
from dubarr_pipeline.segments.trial import Trial
from dubarr_pipeline_tests.fixtures.bench import Bench, Film, Said, make_film, stats

LINES = (
    Said(0.5, "Good morning. We need a boat.", 2.6),
    Said(6.0, "Silence! I hear a bell.", 7.9, pitch_hz=230.0),
    Said(13.0, "The harbour is closed today.", 15.2),
    Said(20.0, "Then we shall swim, my friend.", 22.4, pitch_hz=230.0),
    Said(26.0, "Nobody will see us at night.", 28.2),
    Said(32.0, "Bring me the old map.", 33.9),
)
WORDS = "Oigo una campana muy lejos."


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> tuple[Bench, Path]:
    folder = tmp_path_factory.mktemp("edited")
    path = make_film(folder / "library" / "boat.mkv", Film(LINES, 36.0))
    done = Bench(folder / "work")
    answer = done.dub(path, "es,ca")
    assert answer.code == 0, answer.both
    return done, path


class Mended:
    """A copy of the finished film, which facts are added to."""

    def __init__(self, folder: Path, source: Path) -> None:
        self.bench, self.source = Bench(folder), source
        self.work = self.bench.work
        self.first = self.work.root
        script = present_script(self.work)
        self.ids = film_edits(self.work, script, ("es", "ca")).ids

    def say(self, index: int, field: str, value: object, undoes: str | None = None) -> str:
        return self.state("es", "line", self.ids[index], field, value, undoes)

    def state(
        self,
        language: str,
        target: str,
        name: str,
        field: str,
        value: object,
        undoes: str | None = None,
    ) -> str:
        token, revision = str(uuid.uuid4()), read_edits_document(self.work, language).revision
        fact = ProposedFact(token, target, name, field, value, undoes)
        add_facts(self.work, language, [fact], revision=revision, by="a person")
        return token

    def texts(self, language: str) -> list[str]:
        return [line.text for line in read_segments(self.work).languages[language]]

    def changed(self, before: dict[str, dict[str, str]]) -> set[str]:
        """Final lines that are not what they were."""
        now = self.digests("es") | self.digests("ca")
        first = before["es"] | before["ca"]
        return {n for n, digest in now.items() if n.endswith(".wav") and first.get(n) != digest}

    def render(self) -> dict[str, Any]:
        answer = self.bench.dub(self.source, "es,ca")
        assert answer.code == 0, answer.both
        return stats(self.work)

    def digests(self, language: str) -> dict[str, str]:
        paths = [*self.work.segments.glob(f"final_{language}_*.wav"), self.work.track(language)]
        return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


@pytest.fixture
def mended(film: tuple[Bench, Path], tmp_path: Path) -> Mended:
    shutil.copytree(film[0].work_dir, tmp_path / "work")
    return Mended(tmp_path / "work", film[1])


def test_heard_rendered_and_undone(mended: Mended) -> None:
    first = {language: mended.digests(language) for language in ("es", "ca")}
    settings = load_settings(None, mended.bench.work_dir)
    with Trial(settings, mended.source, mended.work, ("es", "ca")) as trial:
        heard = trial.speak("es", mended.ids[1], LineEdits(text=WORDS))
        assert heard.spoken_now == 1
        with WaveFile(heard.path) as wave:
            assert (wave.rate, wave.samples) == (heard.rate, heard.length)
        assert trial.speak("es", 1, LineEdits(text=WORDS)).spoken_now == 0
    fact = mended.say(1, "text", WORDS)
    assert stale_slots(mended.work, "es")
    assert mended.render()["spoken"] == 0
    assert not stale_slots(mended.work, "es")
    assert mended.digests("ca") == first["ca"]
    now = mended.digests("es")
    changed = {name for name, digest in now.items() if first["es"][name] != digest}
    assert changed == {"final_es_1.wav", "final_es.ac3"}
    line = read_segments(mended.work).languages["es"][1]
    assert (line.text, line.edits, line.id) == (WORDS, {"text": WORDS}, mended.ids[1])
    assert line.take
    assert line.take.sound == heard.take.sound
    assert IN_PARTS in read_json(mended.work.mix_report)["tracks"]["es"]["report"]["notes"]
    mended.say(1, "text", None, undoes=fact)
    assert mended.render()["spoken"] == 0
    assert mended.digests("es") == first["es"]


def test_a_voice_of_espeak_is_chosen_for_one_line_or_one_speaker(mended: Mended) -> None:
    first = {language: mended.digests(language) for language in ("es", "ca")}
    mended.say(0, "voice", "thin")
    mended.say(2, "voice", "ef_dora")
    counted = mended.render()
    assert (counted["spoken"], counted["refused"]) == (1, 1)
    assert mended.changed(first) == {"final_es_0.wav"}
    (words,) = read_segments(mended.work).languages["es"][2].refused
    assert "choose one of" in words
    assert "thin" in words


def test_what_costs_no_take(mended: Mended) -> None:
    before = read_segments(mended.work).languages["es"]
    mended.say(0, "gain_db", -1.0)
    mended.say(2, "keep_original", True)
    mended.say(4, "take", "0" * 32)
    mended.say(5, "comment", "lovely")
    counted = mended.render()
    assert (counted["spoken"], counted["edited"], counted["refused"]) == (0, 3, 1)
    made = read_segments(mended.work)
    assert [words.split(":")[0] for words in made.refusals] == ["line 4 (es)"]
    lines = made.languages["es"]
    assert lines[2].outcome == "kept_original"
    assert lines[4].refused
    assert lines[4].text == before[4].text
    report = read_json(mended.work.mix_report)["tracks"]["es"]["report"]
    assert len(report["lines"]) == len(before) - 1


def test_a_line_of_another_speaker_is_spoken_once_a_language(mended: Mended) -> None:
    first = {language: mended.digests(language) for language in ("es", "ca")}
    script = present_script(mended.work)
    others = {line.speaker for line in script.lines} - {script.lines[2].speaker}
    mended.state("en", "line", mended.ids[2], "speaker", others.pop())
    assert mended.render()["spoken"] == 2
    assert mended.changed(first) == {"final_es_2.wav", "final_ca_2.wav"}


def test_terms_redo_the_lines_that_hold_them_and_no_others(mended: Mended) -> None:
    first = {language: mended.digests(language) for language in ("es", "ca")}
    word = "puerto"
    assert [word in text for text in mended.texts("es")] == [n == 2 for n in range(6)]
    said = mended.state("es", "term", word, "pronunciation", "puertecito")
    assert mended.render()["spoken"] == 1
    assert mended.changed(first) == {"final_es_2.wav"}
    mended.state("es", "term", word, "pronunciation", None, undoes=said)
    mended.state("es", "term", "map", "rendering", "plano")
    assert mended.render()["spoken"] == 1
    assert mended.changed(first) == {"final_es_5.wav"}


def test_a_lock_survives_a_rerun_and_another_release(mended: Mended, tmp_path: Path) -> None:
    first = {language: mended.digests(language) for language in ("es", "ca")}
    kept = read_segments(mended.work).languages["es"][3]
    assert kept.take
    mended.say(3, "locked", {"text": kept.text, "take": kept.take.sound})
    mended.state("es", "term", "friend", "rendering", "colega")
    mended.say(0, "comment", "of a line that the other cut lacks")
    mended.say(5, "comment", "of one that it has")
    assert mended.render()["spoken"] == 0
    assert not mended.changed(first)
    # Another cut under the same name: it begins a second later, and lacks a line.
    path = tmp_path / "library" / "boat.mkv"
    shutil.copytree(mended.source.parent, path.parent)
    assert mended.bench.dub(path, "es,ca").code == 0
    path.unlink()
    lines = [replace(line, start_s=line.start_s + 1, end_s=line.end_s + 1) for line in LINES[1:]]
    make_film(path, Film(lines, 37.0))
    answer = mended.bench.dub(path, "es,ca")
    assert answer.code == 0, answer.both
    (release,) = (work for work in mended.bench.works() if work.root != mended.first)
    edits = film_edits(release, present_script(release), ("es", "ca"))
    assert [(each.reason, each.candidate) for each in edits.orphans["es"]] == [("gone", None)]
    assert {n: each.comment for n, each in edits.lines["es"].items() if each.comment} == {
        4: "of one that it has"
    }
    found = read_segments(release).languages["es"][2]
    assert (found.text, found.take and found.take.sound) == (kept.text, kept.take.sound)
    assert found.placed
    assert stats(release)["spoken"] == 2 * len(lines) - 1
