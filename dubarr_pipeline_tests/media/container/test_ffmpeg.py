"""The runner: quoting, errors in the tool's own words, nothing left behind."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dubarr_pipeline.errors import DiskFull, MediaToolError, MissingRequirement
from dubarr_pipeline.media.container import ffmpeg

TONE = ("-f", "lavfi", "-i", "sine=r=8000:d=2")
ENDLESS = ("-f", "lavfi", "-i", "sine=r=8000")


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_output_and_last_words_come_back():
    output = ffmpeg.run([*TONE, "-f", "s16le", "pipe:1"])
    assert len(output.stdout) == 2 * 16_000
    assert output.stderr == ""


def test_bytes_can_be_fed_in():
    output = ffmpeg.run(
        ["-f", "s16le", "-i", "pipe:0", "-f", "s16le", "pipe:1"], stdin=b"\1\2" * 99
    )
    assert output.stdout == b"\1\2" * 99


def test_a_failure_carries_the_tools_own_words():
    with pytest.raises(MediaToolError, match=r"no-such-file\.mkv: No such file or directory"):
        ffmpeg.run(["-i", "no-such-file.mkv"])


def test_a_talkative_run_fails_with_its_errors_only():
    with pytest.raises(MediaToolError) as failed:
        ffmpeg.run(["-v", "level+info", *TONE, "-af", "nonsense", "-f", "null", "-"])
    assert "nonsense" in str(failed.value)
    assert "Input #0" not in str(failed.value)


def test_a_missing_program_names_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MissingRequirement, match="apt-get install mkvtoolnix"):
        ffmpeg.run(["-J", "x"], tool="mkvmerge")


@pytest.mark.parametrize("seconds", [2, 60])
def test_a_full_disk_has_its_own_name(seconds: int):
    """Of 2 s, all is buffered up to the end: there ffmpeg itself reports success."""
    tone = ("-f", "lavfi", "-i", f"sine=r=8000:d={seconds}")
    with pytest.raises(DiskFull, match="no room left"):
        ffmpeg.run(["-y", *tone, "-f", "s16le", "file:/dev/full"])


def test_what_takes_too_long_is_stopped():
    with pytest.raises(MediaToolError, match=r"did not finish within 0\.3 s"):
        ffmpeg.run([*ENDLESS, "-f", "null", "-"], timeout_s=0.3)


def test_mkvtoolnix_speaks_on_its_standard_output():
    with pytest.raises(MediaToolError, match="could not be opened"):
        ffmpeg.run(["-o", "/dev/null", "/no/such.mkv"], tool="mkvmerge")


@pytest.mark.parametrize(
    "name",
    ["-dash", "per%cent%d", "co:lon", "new\nline", "'q\"uote", "a b", "😀", "x" * 250, b"\xff\xfe"],
)
def test_any_name_is_taken_literally(tmp_path: Path, name: str | bytes):
    path = tmp_path / os.fsdecode(name)
    ffmpeg.run([*TONE, "-f", "s16le", ffmpeg.file_url(path)])
    assert path.stat().st_size == 2 * 16_000
    again = ffmpeg.run(["-f", "s16le", *ffmpeg.source_arguments(path), "-f", "s16le", "pipe:1"])
    assert again.stdout == path.read_bytes()


def test_relative_names_with_a_dash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    ffmpeg.run([*TONE, "-f", "s16le", ffmpeg.file_url("-i")])
    assert (tmp_path / "-i").stat().st_size == 2 * 16_000


def test_encoder_waits_for_the_finished_file(tmp_path: Path):
    path = tmp_path / "a.raw"
    with ffmpeg.encoder(
        ["-f", "s16le", "-i", "pipe:0", "-f", "s16le", ffmpeg.file_url(path)]
    ) as pipe:
        for _ in range(10):
            pipe.write(b"\1\2" * 1000)
    assert path.read_bytes() == b"\1\2" * 10_000


def feed(arguments: list[str]) -> None:
    """More than any tool takes that stops early."""
    with ffmpeg.encoder(["-f", "s16le", "-i", "pipe:0", *arguments]) as pipe:
        for _ in range(1000):
            pipe.write(bytes(65_536))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["-c:a", "no-such", "-f", "null", "-"], "Unknown encoder"),
        (["-t", "0.01", "-f", "null", "-"], "stopped reading"),
    ],
)
def test_encoder_that_ends_before_its_input_is_an_error(arguments: list[str], words: str):
    with pytest.raises(MediaToolError, match=words):
        feed(arguments)


def test_an_exception_inside_kills_the_tool():
    pids: list[int] = []

    def stumble() -> None:
        with ffmpeg.reader([*ENDLESS, "-f", "s16le", "pipe:1"]) as pipe:
            pids.append(pipe._child.process.pid)
            raise KeyError

    with pytest.raises(KeyError):
        stumble()
    assert not alive(pids[0])


def test_leaving_early_is_no_error_and_leaves_nothing_behind():
    with ffmpeg.reader([*ENDLESS, "-f", "s16le", "pipe:1"]) as pipe:
        assert len(pipe.read(1000)) == 1000
        pid = pipe._child.process.pid
    assert not alive(pid)


def test_reading_to_the_end_tells_of_a_failure():
    with (
        pytest.raises(MediaToolError, match="no-such"),
        ffmpeg.reader(["-i", "no-such", "-f", "s16le", "pipe:1"]) as pipe,
    ):
        assert pipe.read(10) == b""


def test_talk_on_the_error_channel_never_blocks():
    arguments = [*TONE, "-v", "trace", "-af", "ashowinfo", "-f", "s16le", "pipe:1"]
    with ffmpeg.reader(arguments) as pipe:
        assert len(pipe.read()) == 2 * 16_000
    assert 0 < len(pipe.stderr.encode()) <= 2 * 65_536


def test_no_descriptors_are_lost():
    ffmpeg.run([*TONE, "-f", "null", "-"])
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(3):
        ffmpeg.run([*TONE, "-f", "null", "-"])
        with pytest.raises(MediaToolError):
            ffmpeg.run(["-i", "no-such"])
    assert len(list(Path("/proc/self/fd").iterdir())) <= before


def test_the_tool_dies_with_us():
    code = (
        "from dubarr_pipeline.media.container import ffmpeg\n"
        "import time\n"
        f"with ffmpeg.reader({[*ENDLESS, '-f', 's16le', 'pipe:1']!r}) as pipe:\n"
        "    pipe.read(10); print(pipe._child.process.pid, flush=True); time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as ours:
        assert ours.stdout
        pid = int(ours.stdout.readline())
        assert alive(pid)
        ours.kill()
    deadline = time.monotonic() + 10
    while alive(pid) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not alive(pid)
