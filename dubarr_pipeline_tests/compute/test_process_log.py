from pathlib import Path

import pytest

from dubarr_pipeline.compute import process_log
from dubarr_pipeline.compute.process_log import ProcessLog


def test_the_tail_is_what_was_printed_since_the_last_start(tmp_path: Path):
    log = ProcessLog(tmp_path / "logs" / "tts.log")
    with log.open("--- first") as out:
        out.write(b"before\n")
    with log.open("--- second") as out:
        out.write(b"after\n")

    assert log.tail() == f"the end of {log.path}:\n  | after"
    assert log.path.read_text() == "--- first\nbefore\n--- second\nafter\n"


def test_a_process_that_printed_nothing_has_no_last_words(tmp_path: Path):
    log = ProcessLog(tmp_path / "tts.log")
    log.open("--- start").close()

    assert log.tail() == f"its log {log.path} is empty"


def test_the_tail_is_bounded_in_lines_and_bytes(tmp_path: Path):
    log = ProcessLog(tmp_path / "tts.log")
    with log.open() as out:
        out.write(b"x" * 1_000_000 + b"\n" + b"line\n" * 40)

    assert log.tail().count("  | ") == 15

    with log.open() as out:
        out.write(b"y" * 1_000_000)

    assert len(log.tail()) < 3_200


def test_a_full_log_is_rotated_while_its_writer_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(process_log, "_FULL_BYTES", 100)
    log = ProcessLog(tmp_path / "tts.log")
    log.open("--- an earlier start").close()
    with log.open() as out:
        out.write(b"old\n" * 30)
        out.flush()
        log.rotate()
        out.write(b"new\n")

    assert log.path.read_text() == "new\n"
    assert log.tail() == f"the end of {log.path}:\n  | new"
    assert "old" in (tmp_path / "tts.log.1").read_text()
