"""Work folders handed from machine to machine by a store: what travels, who wins, what stays."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from dubarr_pipeline.config.settings import Settings, parse_settings
from dubarr_pipeline.errors import ArtifactError, SettingsError, VerificationError, VideoBusy
from dubarr_pipeline.library.staging.folders import (
    clear_film,
    hand_over,
    hand_over_changed,
    remove_film,
    removed_films,
    staged_film,
    take_in,
)
from dubarr_pipeline.library.staging.manifest import FilmObjects, Manifest
from dubarr_pipeline.library.staging.session import StagingSession, is_staged
from dubarr_pipeline.workdir.identity import identify
from dubarr_pipeline.workdir.layout import WorkDir

KEY = "a-film-0123abcd"


class Machine:
    """A machine with a work folder of its own, and the store that all share."""

    def __init__(self, folder: Path, url: str) -> None:
        document = {"workers": {"work_store": url, "store_every_s": 3600}}
        self.settings: Settings = parse_settings(document, folder)
        self.work = WorkDir(folder / KEY)

    def session(self) -> StagingSession:
        return StagingSession(self.work, self.settings.workers.work_store)

    def write(self, **files: str) -> None:
        for name, text in files.items():
            path = self.work.root / name.replace("__", "/").replace("_DOT_", ".")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def files(self) -> dict[str, str]:
        found = (path for path in self.work.root.rglob("*") if path.is_file())
        return {
            str(path.relative_to(self.work.root)): path.read_text()
            for path in found
            if path.name != ".lock"
        }


@pytest.fixture(params=["memory", "file"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    yield "memory://shelf/work" if request.param == "memory" else f"file://{tmp_path}/shelf"
    MemoryFileSystem.store.clear()
    MemoryFileSystem.pseudo_dirs[:] = [""]


@pytest.fixture
def machines(url: str, tmp_path: Path) -> tuple[Machine, Machine]:
    return Machine(tmp_path / "a", url), Machine(tmp_path / "b", url)


def objects(machine: Machine) -> set[str]:
    url = machine.settings.workers.work_store
    fs, path = fsspec.core.url_to_fs(f"{url}/{KEY}/objects")
    return {str(each).rpartition("/")[2] for each in fs.ls(path, detail=False)}


def test_what_one_machine_made_another_goes_on_with(machines):
    a, b = machines
    with staged_film(KEY, a.settings, "vocals", ()):
        a.write(vocals_DOT_wav="voices", _DOT_hidden="no", logs__x="no", edits__es_DOT_json="{ }")
        a.write(_DOT_checkpoints__vocals_DOT_json="{}")
    with staged_film(KEY, b.settings, "diarization", ("vocals",)):
        assert b.files() == {
            "vocals.wav": "voices",
            "edits/es.json": "{ }",
            ".checkpoints/vocals.json": "{}",
        }
        b.write(vocals_DOT_wav="other voices")
        (b.work.edits / "es.json").unlink()
    with staged_film(KEY, a.settings, "vocals", ()):
        assert a.files()["vocals.wav"] == "other voices"
        assert "edits/es.json" not in a.files()
    assert len(objects(a)) == 3, "what nothing names is gone, but for what a person wrote"


def test_only_what_differs_is_fetched_and_sent(machines, monkeypatch: pytest.MonkeyPatch):
    a, b = machines
    with staged_film(KEY, a.settings, "vocals", ()):
        a.write(one="1", two="2")
    with staged_film(KEY, b.settings, "vocals", ()):
        b.write(two="22")
    moved: list[str] = []
    put, get = FilmObjects.put, FilmObjects.get
    monkeypatch.setattr(FilmObjects, "put", lambda s, p, *f: (moved.append(p.name), put(s, p, *f)))
    monkeypatch.setattr(FilmObjects, "get", lambda s, f, to: (moved.append(to.name), get(s, f, to)))
    with staged_film(KEY, a.settings, "vocals", ()):
        a.write(three="1")
    assert moved == [".two.part.staged", "three"]


def test_the_journal_travels_in_pieces(machines, monkeypatch: pytest.MonkeyPatch):
    a, b = machines
    sizes: list[int] = []
    put = FilmObjects.put
    monkeypatch.setattr(FilmObjects, "put", lambda s, p, n, d: (sizes.append(n), put(s, p, n, d)))
    session = a.session()
    session.fetch()
    for entry in ("first\n", "second\n", "third one\n"):
        with a.work.journal.open("a") as file:
            file.write(entry)
        assert session.send() == 1
    assert sizes == [6, 7, 10]
    # The machine is gone; nobody ended the session.
    other = b.session()
    other.fetch()
    assert b.work.journal.read_text() == "first\nsecond\nthird one\n"
    b.work.journal.write_text("anew\n")
    other.send(last=True)
    a.session().fetch()
    assert a.work.journal.read_text() == "anew\n"


def test_a_machine_that_was_taken_over_is_refused(machines):
    a, b = machines
    session = a.session()
    session.fetch()
    a.write(vocals="a")
    session.send()
    with staged_film(KEY, b.settings, "vocals", ()):
        a.write(vocals="late")
        with pytest.raises(VideoBusy, match=r"another machine .* took over"):
            session.send()
        b.write(vocals="b")
    with staged_film(KEY, a.settings, "vocals", ()):
        assert a.files()["vocals"] == "b"


def test_a_machine_that_was_killed_goes_on_with_what_it_did_not_send(machines):
    a, _ = machines
    session = a.session()
    session.fetch()
    a.write(segments_DOT_journal="1\n")
    session.send()
    a.write(segments_DOT_journal="1\n2\n")
    with staged_film(KEY, a.settings, "segments", ()):
        assert a.work.journal.read_text() == "1\n2\n"


def test_edits_of_a_person_go_beside_a_stage_and_are_kept(machines):
    a, b = machines
    a.write(video_DOT_json="{}", edits__es_DOT_json="one")
    assert hand_over(KEY, a.settings) == 2
    with staged_film(KEY, b.settings, "segments", ()):
        assert b.files()["edits/es.json"] == "one"
        a.write(edits__es_DOT_json="two", decisions_DOT_json="yes")
        assert hand_over(KEY, a.settings) == 2
        b.write(final="sound")
    take_in(KEY, a.settings, whole=True)
    assert a.files()["edits/es.json"] == "two"
    assert a.files()["final"] == "sound"
    with staged_film(KEY, b.settings, "segments", ()):
        assert b.files()["edits/es.json"] == "two"
        assert b.files()["decisions.json"] == "yes"


def test_a_file_that_a_person_changed_on_two_machines_is_refused_by_name(machines):
    a, b = machines
    a.write(video_DOT_json="{}", edits__es_DOT_json="one")
    hand_over(KEY, a.settings)
    take_in(KEY, b.settings, whole=True)
    a.write(edits__es_DOT_json="of a")
    b.write(edits__es_DOT_json="of b")
    hand_over(KEY, b.settings)
    with pytest.raises(ArtifactError, match=r"es\.json was changed here and on another machine"):
        hand_over(KEY, a.settings)
    assert a.files()["edits/es.json"] == "of a"
    assert a.files()["edits/es.json.theirs"] == "of b"
    a.write(edits__es_DOT_json="of both")
    hand_over(KEY, a.settings)
    take_in(KEY, b.settings, whole=True)
    assert b.files()["edits/es.json"] == "of both"


def test_edits_are_handed_over_where_they_changed_since(machines):
    a, b = machines
    registry = {"video_DOT_json": "{}", "edits__es_DOT_json": "one"}
    a.write(**registry)
    end_s = time.monotonic() + 60
    assert list(hand_over_changed(a.settings, end_s)) == []
    take_in(KEY, b.settings, whole=True)
    assert b.files()["edits/es.json"] == "one"
    a.write(edits__es_DOT_json="two")
    assert list(hand_over_changed(a.settings, 0.0)) == [], "no time is left"
    assert list(hand_over_changed(a.settings, end_s)) == []
    take_in(KEY, b.settings, whole=True)
    assert b.files()["edits/es.json"] == "two"


def test_a_publication_beside_a_stage_does_not_take_its_film(machines):
    a, b = machines
    session = a.session()
    session.fetch()
    a.write(vocals="a")
    with staged_film(KEY, b.settings, "published", (), claims=False):
        b.write(published_DOT_json="there")
    assert session.send() == 1
    take_in(KEY, b.settings, whole=True)
    assert b.files() == {"vocals": "a", "published.json": "there"}


def test_what_a_person_purges_is_gone_everywhere(machines):
    a, b = machines
    with staged_film(KEY, a.settings, "vocals", ()):
        a.write(
            video_DOT_json="{}", _DOT_checkpoints__mux_DOT_json="{}", mux="film", edits__x="mine"
        )
    with staged_film(KEY, b.settings, "", (), claims=False):
        b.work.remove()
    with staged_film(KEY, a.settings, "report", ()):
        assert a.files() == {"edits/x": "mine"}


def test_a_lost_folder_is_fetched_again_and_removes_nothing(machines):
    a, _ = machines
    a.write(video_DOT_json="{}", edits__es_DOT_json="one", vocals="v")
    with staged_film(KEY, a.settings, "vocals", ()):
        pass
    before = a.files()
    for name in before:
        (a.work.root / name).unlink()
    with staged_film(KEY, a.settings, "vocals", ()):
        assert a.files() == before


def test_a_manifest_that_was_cut_off_leaves_the_one_before(machines):
    a, b = machines
    with staged_film(KEY, a.settings, "vocals", ()):
        a.write(vocals="v")
    objects = FilmObjects(a.settings.workers.work_store, KEY)
    number = objects.read().number
    url = a.settings.workers.work_store
    fs, path = fsspec.core.url_to_fs(f"{url}/{KEY}/manifests/{number + 1:08d}.json")
    fs.pipe_file(path, json.dumps({"full": True, "files": {}}).encode()[:-5])
    with staged_film(KEY, b.settings, "vocals", ()):
        assert b.files() == {"vocals": "v"}
    assert not objects.write(objects.read().number, Manifest()), "a number is written once"


def test_a_damaged_object_is_refused(machines):
    a, b = machines
    with staged_film(KEY, a.settings, "vocals", ()):
        a.write(vocals="v")
    fs, path = fsspec.core.url_to_fs(f"{a.settings.workers.work_store}/{KEY}/objects")
    (name,) = fs.ls(path, detail=False)
    fs.pipe_file(name, b"w")
    with pytest.raises(VerificationError), staged_film(KEY, b.settings, "vocals", ()):
        pass
    assert b.files() == {}


def test_many_changes_are_listed_anew(machines, monkeypatch: pytest.MonkeyPatch):
    a, b = machines
    monkeypatch.setattr("dubarr_pipeline.library.staging.session._MOST_CHANGES", 3)
    session = a.session()
    session.fetch()
    for number in range(8):
        a.write(segments_DOT_journal="x" * (number + 1), other=str(number))
        session.send()
    b.session().fetch()
    assert b.files() == {"segments.journal": "x" * 8, "other": "7"}
    assert FilmObjects(a.settings.workers.work_store, KEY).read().since_full <= 3


@pytest.mark.parametrize(
    ("path", "staged"),
    [
        ("vocals.wav", True),
        (".checkpoints/mix_es.npz", True),
        (".superseded", True),
        (".lock", False),
        (".progress.json", False),
        (".vocals.part.x.wav", False),
        ("segments/takes/es_0_k.wav", True),
        ("segments/takes/.es_0_k.wav.part", False),
        ("segments/trials/1.wav", False),
        (".tmp/separation/ab", True),
        (".tmp/separation/.ab", False),
        (".tmp/large.wav", False),
    ],
)
def test_which_files_are_of_use_elsewhere(path: str, staged: bool):
    assert is_staged(path) is staged


@pytest.mark.parametrize("address", ["bucket/work", "s3://me:secret@host/work"])
def test_an_address_that_is_none_is_refused(address: str):
    with pytest.raises(SettingsError) as failure:
        parse_settings({"workers": {"work_store": address}})
    assert "secret" not in str(failure.value)


def test_a_removed_film_leaves_the_store_but_for_what_a_person_wrote(machines, tmp_path: Path):
    a, b = machines
    a.write(video_DOT_json="{}", vocals_DOT_wav="voices", edits__es_DOT_json="mine")
    with staged_film(KEY, a.settings, "vocals", ()):
        pass
    late = b.session()
    late.fetch()
    a.write(edits__es_DOT_json="mine, and longer")
    hand_over(KEY, a.settings)
    films = FilmObjects(a.settings.workers.work_store, KEY)
    # Sent by a machine that was killed before its manifest named it.
    orphan = tmp_path / "orphan"
    orphan.write_text("never named")
    films.put(orphan, 11, identify(orphan).digest)
    remove_film(KEY, a.settings)
    assert a.files() == {"edits/es.json": "mine, and longer"}
    assert removed_films(a.settings) == [KEY]
    # The process was killed here; the housekeeping of another day goes on.
    clear_film(KEY, a.settings)
    assert removed_films(a.settings) == []
    state = films.read()
    assert {*state.files} == {"edits/es.json"}
    assert objects(a) == {*state.files["edits/es.json"].parts}
    # Who was at work at it all the while is refused, and starts anew with nothing.
    b.write(vocals_DOT_wav="voices of b")
    with pytest.raises(VideoBusy, match="took over"):
        late.send()
    with staged_film(KEY, b.settings, "vocals", ()):
        assert b.files() == {"edits/es.json": "mine, and longer"}
        b.write(vocals_DOT_wav="made again")
    assert {*films.read().files} == {"edits/es.json", "vocals.wav"}


def test_an_edit_that_is_sent_while_its_film_is_removed_is_not_lost(
    machines, monkeypatch: pytest.MonkeyPatch
):
    a, b = machines
    a.write(video_DOT_json="{}", edits__es_DOT_json="old")
    hand_over(KEY, a.settings)
    take_in(KEY, b.settings, whole=True)
    b.write(edits__es_DOT_json="newer")
    write = FilmObjects.write

    def removed_before(self: FilmObjects, number: int, manifest: Manifest) -> bool:
        monkeypatch.setattr(FilmObjects, "write", write)
        remove_film(KEY, a.settings)
        clear_film(KEY, a.settings)
        return write(self, number, manifest)

    # Its object is in the store by then, and no manifest names it.
    monkeypatch.setattr(FilmObjects, "write", removed_before)
    hand_over(KEY, b.settings)
    take_in(KEY, a.settings, whole=True)
    assert a.files()["edits/es.json"] == "newer"


def test_a_film_that_was_taken_in_again_keeps_what_the_store_has(machines):
    a, _ = machines
    a.write(video_DOT_json="{}", vocals_DOT_wav="voices")
    with staged_film(KEY, a.settings, "vocals", ()):
        pass
    remove_film(KEY, a.settings)
    a.write(video_DOT_json="{}")
    clear_film(KEY, a.settings)
    assert removed_films(a.settings) == []
    assert "vocals.wav" in FilmObjects(a.settings.workers.work_store, KEY).read().files
    # A film that never was in the store leaves nothing there.
    other = "another-film-0123abcd"
    WorkDir(a.settings.work_dir / other).root.mkdir()
    remove_film(other, a.settings)
    clear_film(other, a.settings)
    assert FilmObjects(a.settings.workers.work_store, other).read().number == 0
