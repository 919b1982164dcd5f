from __future__ import annotations

import os
from pathlib import Path

import pytest

from dubarr_pipeline.errors import SourceMissing
from dubarr_pipeline.library import identities
from dubarr_pipeline.library.identities import identify_once
from dubarr_pipeline.workdir.identity import FileIdentity, identify

CONTENT = bytes(range(256)) * 20_000


class Reads:
    """A film, and how often it was read to its end."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.work_dir = folder, folder / "work"
        self.film = folder / "a.mkv"
        self.film.write_bytes(CONTENT)
        self.count = 0
        monkeypatch.setattr(identities, "identify", self._read)

    def _read(self, path: Path) -> FileIdentity:
        self.count += 1
        return identify(path)

    def look(self, path: Path | None = None) -> FileIdentity:
        found = identify_once(path or self.film, self.work_dir)
        assert found == identify(path or self.film)
        return found


@pytest.fixture
def reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reads:
    return Reads(tmp_path, monkeypatch)


def test_a_film_is_read_once_whatever_happens_to_its_name(reads: Reads):
    first = reads.look()
    assert [reads.look(), reads.count] == [first, 1]
    new = reads.film.rename(reads.folder / "b.mkv")
    assert reads.look(new).digest == first.digest
    new.chmod(0o600)
    linked = reads.folder / "c.mkv"
    linked.hardlink_to(new)
    assert reads.look(linked).digest == first.digest
    assert reads.count == 1


def test_another_content_is_read(reads: Reads):
    first = reads.look()
    reads.film.write_bytes(CONTENT[:-1] + b"?")
    assert reads.look().digest != first.digest
    assert reads.count == 2


@pytest.mark.parametrize("at", [0, 100_000, -1])
def test_another_content_of_the_same_date_is_read(reads: Reads, at: int):
    first, found = reads.look(), reads.film.stat()
    with reads.film.open("r+b") as file:
        file.seek(at, os.SEEK_SET if at >= 0 else os.SEEK_END)
        file.write(b"?")
    os.utime(reads.film, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert reads.look().digest != first.digest


def test_a_damaged_note_is_none(reads: Reads):
    reads.look()
    for note in (reads.work_dir / ".identities").iterdir():
        note.write_text('{"schema": 1, "identity": {}}')
    reads.look()
    assert reads.count == 2


def test_a_film_that_is_not_there_is_named(reads: Reads):
    with pytest.raises(SourceMissing):
        identify_once(reads.folder / "gone.mkv", reads.work_dir)
