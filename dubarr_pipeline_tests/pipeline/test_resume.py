"""What stands is kept, what changed is redone, and nothing else: on a finished tiny film."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest

from dubarr_pipeline.defs.stages import STAGE_NAMES, STAGES
from dubarr_pipeline.workdir import checkpoints
from dubarr_pipeline.workdir.layout import WorkDir
from dubarr_pipeline_tests.fixtures.bench import (
    Bench,
    artifacts,
    contents,
    flip_byte,
    leftovers,
    sidecar,
    stats,
    streams,
    write_config,
)


def after(*stages: str) -> tuple[str, ...]:
    """These stages, in the order in which a video passes them."""
    return tuple(stage for stage in STAGE_NAMES if stage in stages)


def test_a_copied_folder_recomputes_nothing(dubbed, tiny_film):
    before = contents(dubbed.work.root)
    answer = dubbed.dub(tiny_film, "es,ca")
    assert answer.code == 0
    assert "nothing to do" in answer.out
    assert dubbed.made() == ()
    now = contents(dubbed.work.root)
    del before["video.json"], now["video.json"]
    assert now == before


def test_touched_files_are_kept(dubbed, tiny_film):
    for files in artifacts(dubbed.work).values():
        for path in files:
            os.utime(path, (1, 1))
    assert dubbed.dub(tiny_film, "es,ca").code == 0
    assert dubbed.made() == ()


REDONE = {
    "vocals.wav": STAGE_NAMES,
    "speech.json": STAGE_NAMES,
    "cues.json": STAGE_NAMES,
    "diarization.json": after(*STAGE_NAMES[1:]),
    "transcription.json": after(*STAGE_NAMES[2:]),
    "context.json": after("context", *STAGE_NAMES[5:]),
    "speakers.json": after("context", *STAGE_NAMES[5:]),
    "refs.json": after(*STAGE_NAMES[4:]),
    "segments.json": after(*STAGE_NAMES[5:]),
    "segments/final_es_0.wav": after(*STAGE_NAMES[5:]),
    "tiny.ca.srt": after(*STAGE_NAMES[5:]),
    "final_es.ac3": after(*STAGE_NAMES[6:]),
    "mix.json": after(*STAGE_NAMES[6:]),
    "final_muxed.mkv": after(*STAGE_NAMES[7:]),
    "mux.json": after(*STAGE_NAMES[7:]),
    "report.html": ("report",),
    "report.json": ("report",),
}
"""Artifact → the stages that must run again when it is gone or damaged, and no others."""


def _truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def _empty(path: Path) -> None:
    os.truncate(path, 0)


DAMAGES = (Path.unlink, flip_byte, _truncate, _empty)


@pytest.mark.parametrize(
    "number", range(len(REDONE)), ids=[name.replace("/", " ") for name in REDONE]
)
def test_damage_is_mended_from_its_stage_on(dubbed, tiny_film, number):
    name, expected = list(REDONE.items())[number]
    damage = DAMAGES[number % len(DAMAGES)]
    wanted = streams(dubbed.work.muxed)
    damage(dubbed.work.root / name)
    answer = dubbed.dub(tiny_film, "es,ca")
    assert answer.code == 0, answer.both
    assert dubbed.made() == expected
    assert streams(dubbed.work.muxed) == wanted
    assert stats(dubbed.work)["spoken"] == (0 if "segments" in expected else 4)
    assert leftovers(dubbed.work_dir) == []
    assert {path.is_file() for files in artifacts(dubbed.work).values() for path in files} == {True}


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_stages_seal_sees_every_damage(dubbed_once, tmp_path, damage):
    work = WorkDir(tmp_path / "copy")
    shutil.copytree(dubbed_once.work.root, work.root)
    for stage, files in artifacts(work).items():
        seal = hashlib.sha256((work.checkpoints / f"{stage}.json").read_bytes()).hexdigest()[:32]
        assert checkpoints.damage(work, stage, seal) is None
        for path in files:
            whole = path.read_bytes()
            damage(path)
            fault = checkpoints.damage(work, stage, seal)
            assert fault
            assert str(path.relative_to(work.root)) in fault
            path.write_bytes(whole)
        assert checkpoints.damage(work, stage, seal) is None


def test_all_checkpoint_lists_gone_redoes_all_but_speaks_nothing(dubbed, tiny_film):
    for path in dubbed.work.checkpoints.iterdir():
        path.unlink()
    assert dubbed.status()[0]["status"] != "DONE"
    assert dubbed.dub(tiny_film, "es,ca").code == 0
    assert dubbed.made() == STAGE_NAMES
    assert stats(dubbed.work)["spoken"] == 0


def test_damaged_journal_speaks_only_what_it_lost(dubbed, tiny_film):
    lines = dubbed.work.journal.read_bytes().splitlines(keepends=True)
    dubbed.work.journal.write_bytes(b"".join(lines[: len(lines) // 2]) + lines[-1][:10])
    dubbed.work.segments_report.unlink()
    wanted = streams(dubbed.work.muxed)
    assert dubbed.dub(tiny_film, "es,ca").code == 0
    assert 0 < stats(dubbed.work)["spoken"] < 4
    assert streams(dubbed.work.muxed) == wanted


# What is asked changes


def test_mix_option_redoes_mix_and_what_follows(dubbed, tiny_film, tmp_path):
    config = write_config(tmp_path / "dubarr.toml", {"mix": {"codec": "eac3"}})
    answer = Bench(dubbed.work_dir, config).dub(tiny_film, "es,ca")
    assert answer.code == 0, answer.both
    assert dubbed.made() == ("mix", "mux", "report")
    assert not list(dubbed.work.root.glob("final_*.ac3"))
    assert len(list(dubbed.work.root.glob("final_*.eac3"))) == 2


def test_added_language_speaks_only_its_own_lines(tiny_film, bench):
    assert bench.dub(tiny_film, "es").code == 0
    track = bench.work.track("es").stat()
    answer = bench.dub(tiny_film, "es,ca")
    assert answer.code == 0, answer.both
    assert bench.made() == after(*STAGE_NAMES[5:])
    assert stats(bench.work)["lines"] == 4
    assert stats(bench.work)["spoken"] == 2
    assert stats(bench.work)["reused"] == 2
    again = bench.work.track("es").stat()
    assert (again.st_ino, again.st_mtime_ns) == (track.st_ino, track.st_mtime_ns)
    assert len(streams(bench.work.muxed)) == 6


def test_dropped_language_goes_and_returns_without_a_word(dubbed, tiny_film):
    wanted = streams(dubbed.work.muxed)
    assert dubbed.dub(tiny_film, "es").code == 0
    assert not dubbed.work.track("ca").exists()
    assert not list(dubbed.work.root.glob("*.ca.srt"))
    assert not list(dubbed.work.segments.glob("final_ca_*"))
    assert len(streams(dubbed.work.muxed)) == 4
    assert dubbed.dub(tiny_film, "es,ca").code == 0
    assert streams(dubbed.work.muxed) == wanted


def test_changed_subtitles_redo_what_is_read_from_them(dubbed, film):
    answer = dubbed.dub(film, "es,ca")
    assert dubbed.made() == ("report",), answer.both
    text = sidecar(film, "en").read_text().replace("We need a boat", "We have a boat")
    sidecar(film, "en").write_text(text)
    assert dubbed.dub(film, "es,ca").code == 0
    # Where somebody speaks is read from them too, so that it begins with the first stage.
    assert dubbed.made() == STAGE_NAMES
    assert stats(dubbed.work)["spoken"] < 4


def test_correction_by_hand_speaks_one_line(dubbed, tiny_film):
    dubbed.work.edits.mkdir()
    edit = dubbed.work.edits / "es.json"
    edit.write_text(json.dumps({"lines": {"1": {"text": "¡Silencio! Oigo algo."}}}))
    answer = dubbed.dub(tiny_film, "es,ca")
    assert answer.code == 0, answer.both
    assert dubbed.made() == after(*STAGE_NAMES[5:])
    assert stats(dubbed.work)["spoken"] >= 1
    assert stats(dubbed.work)["reused"] == 3
    assert "Oigo algo" in next(dubbed.work.root.glob("*.es.srt")).read_text()
    assert edit.is_file()


def test_damaged_correction_is_named(dubbed, tiny_film):
    dubbed.work.edits.mkdir()
    (dubbed.work.edits / "es.json").write_text("{not json")
    answer = dubbed.dub(tiny_film, "es,ca")
    assert answer.code == 5
    assert "es.json" in answer.err
    assert dubbed.status()[0]["status"] == "ERROR"


def test_force_makes_all_anew_and_the_same(dubbed, tiny_film):
    wanted = streams(dubbed.work.muxed)
    answer = dubbed.run("dub", "--force", "--to", "es,ca", tiny_film)
    assert answer.code == 0, answer.both
    assert dubbed.made() == STAGE_NAMES
    assert stats(dubbed.work)["spoken"] == 4
    assert streams(dubbed.work.muxed) == wanted


def test_new_code_redoes_its_stage(dubbed, tiny_film):
    (mux,) = (stage for stage in STAGES if stage.name == "mux")
    # The assets hold the very rows of the table, which are frozen.
    version = mux.version
    object.__setattr__(mux, "version", "next")
    try:
        assert dubbed.dub(tiny_film, "es,ca").code == 0
    finally:
        object.__setattr__(mux, "version", version)
    assert dubbed.made() == ("mux", "report")
