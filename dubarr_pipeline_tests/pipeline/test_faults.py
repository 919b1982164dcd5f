"""Killed, interrupted, doubled: a real `dubarr dub` process, and what a re-run makes of it."""

from __future__ import annotations

import json
import os
import random
import signal
import time
from dataclasses import replace
from pathlib import Path

import dagster as dg
import pytest

from dubarr_pipeline.cli.terminal import exit_code
from dubarr_pipeline.defs.runtime.runs import open_instance
from dubarr_pipeline.errors import EngineError, NoAudio
from dubarr_pipeline.media.container import ffmpeg
from dubarr_pipeline.workdir.artifacts import read_sound
from dubarr_pipeline_tests.fixtures.bench import (
    Bench,
    Film,
    Said,
    leftovers,
    make_film,
    sidecar,
    srt,
    stats,
    streams,
    write_config,
)
from dubarr_pipeline_tests.fixtures.forked_command import ForkedCommand

LINES = (
    Said(0.3, "Good morning. We need a boat.", 2.2),
    Said(2.6, "Silence! I hear a bell.", 4.3),
    Said(4.7, "There is a light on the island.", 6.5),
    Said(6.9, "Thank you. Now we can help.", 8.6),
)


@pytest.fixture(scope="module")
def longer_film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Nine seconds with four lines."""
    film = tmp_path_factory.mktemp("longer") / "longer.mkv"
    return make_film(film, Film(lines=LINES, length_s=9))


@pytest.fixture(scope="module")
def uninterrupted(longer_film: Path, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The streams of its dub that nothing disturbed."""
    bench = Bench(tmp_path_factory.mktemp("calm") / "work")
    assert bench.dub(longer_film, "es,ca").code == 0
    return streams(bench.work.muxed)


def _wait_for(happened: object, process: ForkedCommand) -> None:
    """Wait until something has happened in the other process, or it has ended."""
    assert callable(happened)
    deadline = time.monotonic() + 120
    while not happened() and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)


def _journal_takes(bench: Bench) -> int:
    works = bench.works()
    if not works or not works[0].journal.exists():
        return 0
    return works[0].journal.read_bytes().count(b'"kind":"take"')


def _progress(bench: Bench, mark: str) -> bool:
    """Whether the run has come to a point: a stage's list of files, or takes in the journal."""
    works = bench.works()
    if not works:
        return False
    if mark.startswith("takes"):
        return _journal_takes(bench) >= int(mark.removeprefix("takes "))
    return (works[0].root / mark).exists()


def _children_of(session: int) -> list[str]:
    """The processes of a session that live: what a killed leader might have left."""
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            state, *fields = (entry / "stat").read_text().rpartition(")")[2].split()
            if int(fields[2]) == session and state not in "ZX":
                found.append((entry / "cmdline").read_text().replace("\0", " "))
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def _no_orphans(session: int) -> bool:
    deadline = time.monotonic() + 20
    while _children_of(session):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


MARKS = (
    "video.json",
    ".checkpoints/vocals.json",
    ".checkpoints/diarization.json",
    ".checkpoints/refs.json",
    "takes 1",
    "takes 3",
    "takes 6",
    "segments.json",
    "final_es.ac3",
    ".checkpoints/mix.json",
    ".checkpoints/mux.json",
)
KILLS = 7


def _kills() -> list[tuple[str, float]]:
    """Moments spread over the run, each a random while after a mark of its progress."""
    random_ = random.Random(2)
    marks = sorted(random_.sample(MARKS, KILLS), key=MARKS.index)
    return [(mark, random_.uniform(0, 0.25)) for mark in marks]


def _is_recorded_as_failed(bench: Bench) -> bool:
    with open_instance(bench.work_dir) as store:
        (last,) = store.get_runs(limit=1)
    return last.status is dg.DagsterRunStatus.FAILURE


def test_killed_at_random_moments(longer_film, bench, uninterrupted):
    """One video, killed again and again, each time a little further on, and then let be."""
    killed = 0
    for mark, delay_s in _kills():
        process = bench.fork("dub", "--to", "es,ca", longer_film)
        _wait_for(lambda mark=mark: _progress(bench, mark), process)
        time.sleep(delay_s)
        ended = process.poll() is not None
        process.kill()
        process.communicate()
        assert _no_orphans(process.pid), f"after {mark}: {_children_of(process.pid)}"
        killed += not ended
        if not ended and bench.works():
            (task,) = bench.status()
            assert task["status"] in ("ERROR", "QUEUED"), (mark, task["status"])
            if task["status"] == "ERROR":
                # A command records the end of the killed run before it begins one of its own.
                told = "before its end" if _is_recorded_as_failed(bench) else "killed"
                assert told in task["cause"], mark
    assert killed >= KILLS - 2
    answer = bench.dub(longer_film, "es,ca")
    assert answer.code == 0, answer.both
    assert bench.status()[0]["status"] == "DONE"
    spoken_twice = _journal_takes(bench) - len(_keys_of_takes(bench))
    assert spoken_twice <= killed
    assert streams(bench.work.muxed) == uninterrupted
    assert leftovers(bench.work_dir) == []


def _keys_of_takes(bench: Bench) -> set[str]:
    lines = bench.work.journal.read_text().splitlines()
    takes = (entry for entry in map(json.loads, lines) if entry["kind"] == "take")
    return {f"{take['language']} {take['index']} {take['key']}" for take in takes}


def test_killed_while_speaking_repeats_at_most_that_line(longer_film, bench):
    process = bench.fork("dub", "--to", "es,ca", longer_film)
    _wait_for(lambda: _journal_takes(bench) >= 2, process)
    process.kill()
    process.communicate()
    had = _journal_takes(bench)
    assert bench.dub(longer_film, "es,ca").code == 0
    takes = stats(bench.work)
    assert takes["lines"] == 8
    assert takes["placed"] == 8
    assert takes["spoken"] <= len(_keys_of_takes(bench)) - had + 1


@pytest.mark.parametrize("mark", [".checkpoints/diarization.json", "takes 2"])
def test_interrupted_from_the_keyboard(longer_film, bench, mark, uninterrupted):
    process = bench.fork("dub", "--to", "es,ca", longer_film)
    _wait_for(lambda: _progress(bench, mark), process)
    os.killpg(process.pid, signal.SIGINT)
    answer = bench.finish(process)
    assert answer.code == 130, answer.both
    assert "run the same command to go on" in answer.err
    assert "Traceback" not in answer.err
    assert _no_orphans(process.pid)
    assert leftovers(bench.work_dir) == []
    assert bench.status()[0]["status"] == "ERROR"
    had = bench.work.checkpoints.joinpath("vocals.json").stat().st_mtime_ns

    assert bench.dub(longer_film, "es,ca").code == 0
    assert bench.work.checkpoints.joinpath("vocals.json").stat().st_mtime_ns == had
    assert streams(bench.work.muxed) == uninterrupted


def test_terminated_as_a_service_manager_does(longer_film, bench):
    process = bench.fork("dub", "--to", "es", longer_film)
    _wait_for(lambda: _progress(bench, ".checkpoints/diarization.json"), process)
    process.terminate()
    answer = bench.finish(process)
    assert answer.code not in (0, None)
    assert _no_orphans(process.pid)
    assert bench.dub(longer_film, "es").code == 0
    assert "vocals" not in bench.made()


def test_two_at_once(longer_film, bench, uninterrupted):
    first = bench.fork("dub", "--to", "es,ca", longer_film)
    _wait_for(lambda: _progress(bench, ".checkpoints/vocals.json"), first)
    second, third = bench.dub(longer_film, "ca"), bench.dub(longer_film, "es,ca")
    winner = bench.finish(first)
    assert (winner.code, second.code, third.code) == (0, 5, 5), (winner, second, third)
    assert "another process is working" in second.err
    assert "another process is working" in third.err
    assert bench.status()[0]["status"] == "DONE"
    assert bench.status()[0]["target_langs"] == ["es", "ca"]
    assert streams(bench.work.muxed) == uninterrupted
    assert leftovers(bench.work_dir) == []


def test_purge_while_it_is_dubbed(longer_film, bench):
    process = bench.fork("dub", "--to", "es", longer_film)
    _wait_for(lambda: _progress(bench, ".checkpoints/vocals.json"), process)
    refused = bench.run("purge", bench.work.root.name)
    answer = bench.finish(process)
    assert refused.code == 5
    assert "another process is working" in refused.err
    assert answer.code == 0, answer.both


# Films with little or nothing in them

SPEECHLESS = {
    "silent": Film(lines=(Said(1.0, "Good morning.", 2.0, spoken=False),), noise=0.0),
    "music only": Film(lines=(Said(1.0, "Good morning.", 2.0, spoken=False),), noise=0.05),
}


@pytest.mark.parametrize("name", SPEECHLESS)
def test_a_film_in_which_nobody_speaks_is_refused(tmp_path, bench, name):
    answer = bench.dub(make_film(tmp_path / "library" / "film.mkv", SPEECHLESS[name]))
    assert answer.code == exit_code(NoAudio)
    assert "nobody speaks in #1 audio (en, flac, stereo): there is no other sound" in answer.err
    assert not bench.work.muxed.exists()


def test_a_default_sound_without_speech_gives_way_to_the_one_that_speaks(tmp_path, bench):
    spoken = make_film(tmp_path / "library" / "spoken.mkv", SCANT["one line"])
    film = spoken.with_name("film.mkv")
    score = ["-f", "lavfi", "-i", "sine=d=3,aformat=channel_layouts=5.1"]
    maps = ["-map", "0:v", "-map", "1:a", "-map", "0:a", "-c:v", "copy", "-c:a", "flac"]
    told = ["-metadata:s:a:0", "language=eng", "-disposition:a:0", "default"]
    ffmpeg.run(["-y", "-i", spoken, *score, *maps, *told, film])
    spoken.with_name("spoken.en.srt").rename(film.with_name("film.en.srt"))
    answer = bench.dub(film)
    assert answer.code == 0, answer.both
    assert read_sound(bench.work.speech).stream == 2
    assert stats(bench.work)["placed"] == 1


SPANISH = (
    "Buenos días. Necesitamos una barca.",
    "¡Silencio! Oigo una campana.",
    "Hay una luz en la isla.",
    "Gracias. Ahora podemos ayudar.",
)


def test_subtitles_without_a_code_in_the_target_language_are_spoken_as_they_are(tmp_path, bench):
    """Beside a film whose sound names no language; a person says what is spoken."""
    film = make_film(tmp_path / "film.mkv", Film(LINES, 9.0, subtitles=False, language=""))
    said = [replace(line, text=text) for line, text in zip(LINES, SPANISH, strict=True)]
    film.with_suffix(".srt").write_text(srt(said), encoding="utf-8")
    refused = bench.dub(film)
    assert refused.code != 0
    assert "already spoken in Spanish" in refused.err
    assert "--from" in refused.err
    answer = bench.run("dub", "--from", "eng", "--to", "es", film)
    assert answer.code == 0, answer.both
    lines = json.loads(bench.work.segments_report.read_text())["languages"]["es"]
    assert [line["outcome"] for line in lines] == ["placed"] * len(lines)
    assert " ".join(line["text"] for line in lines) == " ".join(SPANISH)
    assert bench.run("retry", bench.work.root.name).code == 0


SCANT = {
    "one line": Film(lines=LINES[:1], length_s=3.0),
    "songs and sounds": Film(
        lines=(
            *LINES[:1],
            Said(2.5, "♪ La la la ♪", 3.2, spoken=False),
            Said(3.5, "[door slams]", 4.0, spoken=False),
        )
    ),
}
OUTCOMES = {
    "one line": ["placed"],
    "songs and sounds": ["placed", "kept_original", "kept_original"],
}


@pytest.mark.parametrize("name", SCANT)
def test_scant_film_ends_done_with_every_line_counted(tmp_path, bench, name):
    film = make_film(tmp_path / "library" / "film.mkv", SCANT[name])
    answer = bench.dub(film)
    assert answer.code == 0, answer.both
    assert bench.status()[0]["status"] == "DONE"
    lines = json.loads(bench.work.segments_report.read_text())["languages"]["es"]
    assert [line["outcome"] for line in lines] == OUTCOMES[name]
    found = stats(bench.work)
    counted = found["placed"] + found["kept_original"] + sum(found["failures"].values())
    assert found["lines"] == len(lines) == counted
    assert len(streams(bench.work.muxed)) == 4
    assert bench.dub(film).code == 0
    assert bench.made() == ()


def test_a_film_with_too_few_placed_lines_is_no_dub(tmp_path, bench):
    short = Film(lines=(Said(0.0, "Good morning.", 0.35),), length_s=0.4)
    answer = bench.dub(make_film(tmp_path / "library" / "film.mkv", short))
    assert answer.code == exit_code(EngineError)
    assert "es: 0 of 1 lines placed (1 does_not_fit); segments.least_placed asks for" in answer.err
    assert bench.status()[0]["status"] == "ERROR"
    lines = json.loads(bench.work.segments_report.read_text())["languages"]["es"]
    assert [line["outcome"] for line in lines] == ["failed:does_not_fit"]
    assert not bench.work.muxed.exists()


def test_of_two_languages_the_failed_one_gets_no_track_and_the_other_is_dubbed(tmp_path):
    config = {"mux": {"original_audio": "replace"}}
    bench = Bench(tmp_path / "work", write_config(tmp_path / "dubarr.toml", config))
    film = make_film(tmp_path / "library" / "film.mkv", Film(lines=LINES, length_s=9))
    endless = " ".join(["Aquesta frase és molt més llarga que tot el temps que té."] * 4)
    told = [replace(line, text=endless) for line in LINES[:3]]
    sidecar(film, "ca").write_text(srt([*told, LINES[3]]), encoding="utf-8")
    answer = bench.dub(film, "es,ca")
    assert answer.code == exit_code(EngineError)
    assert "ca: 1 of 4 lines placed" in answer.err
    assert "es:" not in answer.err
    assert bench.status()[0]["failed_stage"] == "report"
    lines = json.loads(bench.work.segments_report.read_text())["languages"]
    outcomes = {language: [line["outcome"] for line in found] for language, found in lines.items()}
    assert outcomes["es"] == ["placed"] * 4
    assert [outcome.partition(":")[0] for outcome in outcomes["ca"]] == ["failed"] * 3 + ["placed"]
    # Picture and sound of the film, because a language failed, and Spanish voices and subtitles.
    assert len(streams(bench.work.muxed)) == 4
    assert bench.work.track("es").exists()
    assert not bench.work.track("ca").exists()
    again = bench.dub(film, "es,ca")
    assert again.code == answer.code
    assert "ca: 1 of 4 lines placed" in again.err
    assert bench.made() == ("report",)
    assert bench.dub(film, "es").code == 0
    assert len(streams(bench.work.muxed)) == 3
    assert bench.status()[0]["steps"][7]["results"]["original_audio"] == "replace"
