from __future__ import annotations

import errno
import json
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline import workdir
from dubarr_pipeline.errors import ArtifactError, DiskFull, NotWritable, VideoBusy, WorkspaceError
from dubarr_pipeline.workdir import WorkDir, exclusive, read_json, whole_file, write_json


@pytest.fixture
def work(tmp_path: Path) -> WorkDir:
    return WorkDir(tmp_path / "film-0a1b2c3d")


class Stop(Exception):
    """Something that ends a write early."""


def write_half(path: Path) -> None:
    with whole_file(path) as temporary:
        temporary.write_text("second, half")
        raise Stop


def test_a_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.txt"
    with whole_file(path) as temporary:
        assert temporary.suffix == ".txt"
        assert temporary.parent == path.parent
        temporary.write_text("first")
        assert not path.exists()
    assert path.read_text() == "first"
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    with pytest.raises(Stop):
        write_half(path)
    assert path.read_text() == "first"
    assert [p.name for p in path.parent.iterdir()] == ["a.txt"]


@given(st.dictionaries(st.text(min_size=1).filter(lambda key: key != "schema"), st.text()))
def test_json_comes_back_as_it_was(tmp_path_factory, document: dict[str, str]) -> None:
    path = tmp_path_factory.getbasetemp() / "round trip.json"
    write_json(path, document)
    assert read_json(path) == {"schema": 1, **document}


@given(st.binary(max_size=40))
def test_names_that_are_no_utf8_come_back(tmp_path_factory, name: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "names.json"
    write_json(path, {"source": os.fsdecode(name)})
    path.read_text(encoding="utf-8")
    assert os.fsencode(read_json(path)["source"]) == name


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (None, "missing"),
        (b"", "damaged"),
        (b'{"schema": 1', "damaged"),
        (b"\xff\xfe", "damaged"),
        (b"[]", "schema"),
        (b"3", "schema"),
        (b"{}", "schema None"),
        (b'{"schema": 2}', "schema 2, this version reads 1"),
    ],
)
def test_unreadable_json_is_refused_by_name(tmp_path: Path, content: bytes | None, words: str):
    path = tmp_path / "a.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ArtifactError) as caught:
        read_json(path)
    assert str(path) in str(caught.value)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("number", "error", "cure"),
    [
        (errno.ENOSPC, DiskFull, "run again"),
        (errno.EDQUOT, DiskFull, "run again"),
        (errno.EACCES, NotWritable, "--work-dir"),
        (errno.EPERM, NotWritable, "--work-dir"),
        (errno.EROFS, NotWritable, "--work-dir"),
        (errno.EFBIG, WorkspaceError, "ulimit -f"),
    ],
)
def test_disk_errors_are_named(tmp_path: Path, number: int, error: type, cure: str) -> None:
    with pytest.raises(error, match=cure) as caught, workdir.named_disk_errors(tmp_path):
        raise OSError(number, os.strerror(number))
    assert type(caught.value) is error
    assert str(tmp_path) in str(caught.value)


@given(st.text(min_size=1, max_size=300), st.sampled_from(["es", "pt-BR", "zh-Hant-TW"]))
def test_subtitles_always_have_a_name_that_fits(stem: str, language: str) -> None:
    try:
        os.fsencode(stem)
    except UnicodeEncodeError:
        return
    name = WorkDir(Path("/work/film")).subtitles(stem.replace("/", "").replace("\0", ""), language)
    assert len(os.fsencode(name.name)) <= 255
    assert name.name.endswith(f".{language}.srt")
    assert name.name != f".{language}.srt"
    assert "\n" not in name.name


# One process at a time

_HOLDER = """
import sys
from pathlib import Path
from dubarr_pipeline.workdir import WorkDir, exclusive
with exclusive(WorkDir(Path(sys.argv[1]))):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(work: WorkDir):
    """Another process that holds the video."""
    with subprocess.Popen(
        [sys.executable, "-c", _HOLDER, work.root],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


def test_a_held_video_is_busy_until_its_holder_is_gone(work: WorkDir, holder) -> None:
    with pytest.raises(VideoBusy, match="wait for it"), exclusive(work):
        pytest.fail("held twice")
    with exclusive(WorkDir(work.root.with_name("another-11112222"))):
        pass
    holder.kill()
    holder.wait()
    with exclusive(work):
        assert (work.root / ".lock").is_file()


def test_the_holder_may_ask_again(work: WorkDir) -> None:
    with exclusive(work):
        with exclusive(work):
            pass
        assert work.root in workdir._held.get()
        with pytest.raises(Stop), exclusive(work):
            raise Stop
    assert not workdir._held.get()


def test_whoever_takes_a_video_sweeps_what_a_killed_process_left(work: WorkDir) -> None:
    whole = [work.muxed, work.take("es", 0), work.root / "a.part.srt", work.edits / "es.srt"]
    left = [
        work.root / ".vocals.part.x1y2.wav",
        work.segments / "takes" / ".es_0_ab.wav.part",
        work.checkpoints / ".mix.part.abc.json",
    ]
    for path in (*whole, *left):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    with exclusive(work):
        assert all(path.exists() for path in whole)
        assert not any(path.exists() for path in left)
        with whole_file(work.report) as temporary, exclusive(work):
            temporary.write_text("under way")
    assert work.report.read_text() == "under way"


def test_removing_a_video_leaves_a_persons_corrections(work: WorkDir) -> None:
    for path in (work.video, work.take("es", 0), work.checkpoints / "mix.json"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("x")
    work.remove()
    assert not work.root.exists()
    work.edits.mkdir(parents=True)
    (work.edits / "es.json").write_text(json.dumps({}))
    write_json(work.video, {})
    work.remove()
    assert [path.name for path in work.root.iterdir()] == ["edits"]
