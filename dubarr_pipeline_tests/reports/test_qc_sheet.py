"""The sheet for quality control: the right lines, their sounds, escaped texts, a bounded size."""

from __future__ import annotations

import base64
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

from dubarr_pipeline.config.options import GateOptions
from dubarr_pipeline.errors import ArtifactError
from dubarr_pipeline.library.gate import decide
from dubarr_pipeline.media.audio.wav import write_wave
from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.reports.qc_sheet import MOST_BYTES, qc_sheet
from dubarr_pipeline.reports.report import make_report
from dubarr_pipeline.workdir.layout import WorkDir
from dubarr_pipeline_tests.fixtures import finished_work
from dubarr_pipeline_tests.fixtures.finished_work import RATE, SAMPLES, SEGMENTS

HOSTILE = "<script>alert(1)</script> & \"x\" 'y' {{ 7*7 }} <img src=x onerror=z>"


class Sheet(HTMLParser):
    """What a browser finds in a sheet."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.sounds: list[str] = []
        self._texts: list[str] = []
        self.feed(page)
        self.text = " ".join("".join(self._texts).split())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        assert not [name for name, _ in attrs if name.startswith("on")]
        self.sounds += [str(value) for name, value in attrs if name == "src"]

    def handle_data(self, data: str) -> None:
        self._texts.append(data)


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> WorkDir:
    """A finished film: a low tone as the original and a high one, from second 4.5, as the dub."""
    made = WorkDir(tmp_path_factory.mktemp("film") / "film-1")
    lines = list(finished_work.lines(made))
    lines[2] = replace(lines[2], text=HOSTILE, message=HOSTILE)
    lines[3] = replace(lines[3], flags=("misspoken",))
    finished_work.make_work(made.root, lines)
    finished_work.write_script(
        made, tuple(replace(s, text=HOSTILE) if s.index == 2 else s for s in SEGMENTS)
    )
    time = np.arange(SAMPLES) / RATE
    low, high = (np.float32(np.sin(2 * np.pi * hz * time) / 4) for hz in (200, 2000))
    write_wave(made.vocals, np.stack([low, low]).astype(np.float32), RATE)
    write_wave(made.accompaniment, np.zeros((2, SAMPLES), np.float32), RATE)
    dub = made.root / "dub.wav"
    write_wave(dub, np.asarray(np.where(time < 4.5, 0, high)[None], np.float32), RATE)
    ffmpeg.run(["-i", ffmpeg.file_url(dub), "-ar", "48000", ffmpeg.file_url(made.track("es"))])
    return made


def sheet(work: WorkDir, most_bytes: int = MOST_BYTES) -> str:
    report = make_report(finished_work.video(work, "A & <b>.mkv"), work, ())
    return qc_sheet(report, work, most_bytes=most_bytes)


def heard(uri: str) -> np.ndarray:
    """A sound of the sheet at 8 kHz."""
    data = base64.b64decode(uri.partition("base64,")[2])
    made = ffmpeg.run(["-i", "pipe:0", "-ar", "8000", "-f", "f32le", "pipe:1"], stdin=data)
    return np.frombuffer(made.stdout, np.float32)


def pitch_hz(sound: np.ndarray) -> float:
    return float(np.abs(np.fft.rfft(sound)).argmax() * 8000 / len(sound))


def test_failed_and_flagged_lines_are_there_with_original_and_dub(work: WorkDir) -> None:
    found = Sheet(sheet(work))
    assert (found.tags.count("article"), found.tags.count("audio")) == (2, 4)
    assert "misspoken" in found.text
    assert "held" in found.text
    assert "1 of 5 lines failed: line 2 (failed_share allows 5 %)" in found.text
    original, silent, other, dub = map(heard, found.sounds)
    assert len(original) == pytest.approx(8000 * 2.0, rel=0.05)
    assert [round(pitch_hz(each), -2) for each in (original, other, dub)] == [200, 200, 2000]
    # From half a second before the line.
    assert np.abs(dub[:3000]).max() < 0.02
    assert np.abs(dub[4500:6000]).max() > 0.1
    assert np.abs(silent).max() < 0.02


def test_texts_of_films_are_never_markup(work: WorkDir) -> None:
    page = sheet(work)
    found = Sheet(page)
    assert {"script", "img", "b"} & {*found.tags} <= {"b"}
    assert found.text.count(HOSTILE) == 3
    assert "A & <b>.mkv" in found.text
    assert "default-src 'none'" in page
    assert not re.search(r"(src|href)=\"(?!data:)", page)


def test_what_does_not_fit_in_is_named(work: WorkDir) -> None:
    whole = sheet(work)
    assert len(whole.encode()) <= MOST_BYTES
    sounds = sum(map(len, Sheet(whole).sounds))
    cut = sheet(work, most_bytes=1_500_000 + sounds * 3 // 4)
    found = Sheet(cut)
    assert (found.tags.count("article"), found.tags.count("audio")) == (2, 2)
    assert "a track (1): es 3." in found.text
    with pytest.raises(ArtifactError, match="alone exceed 2000 bytes"):
        sheet(work, most_bytes=2000)


def test_a_decision_and_other_languages_are_shown(work: WorkDir) -> None:
    decide(work, GateOptions(), "approve", "Ann <i>", "a joke")
    found = Sheet(sheet(work))
    assert "approved by Ann <i>" in found.text
    report = make_report(finished_work.video(work), work, ())
    assert Sheet(qc_sheet(report, work, ("ca",))).tags.count("article") == 0


def test_without_a_track_the_original_is_heard(work: WorkDir, tmp_path: Path) -> None:
    track = work.track("es")
    away = track.rename(tmp_path / "away")
    assert Sheet(sheet(work)).tags.count("audio") == 2
    away.rename(track)
