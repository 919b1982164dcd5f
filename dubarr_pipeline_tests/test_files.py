from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dubarr_pipeline.errors import ArtifactError, DiskFull, NotWritable, WorkspaceError
from dubarr_pipeline.files import named_disk_errors, read_json, whole_file, write_json


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
    with pytest.raises(error, match=cure) as caught, named_disk_errors(tmp_path):
        raise OSError(number, os.strerror(number))
    assert type(caught.value) is error
    assert str(tmp_path) in str(caught.value)
