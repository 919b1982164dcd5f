"""Finished films go where their library wants them, and nothing is lost on the way."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from dubarr_pipeline.config.libraries import PublishMode, PublishOptions
from dubarr_pipeline.errors import (
    ArtifactError,
    SettingsError,
    SourceChanged,
    VerificationError,
    WorkspaceError,
)
from dubarr_pipeline.files import write_json
from dubarr_pipeline.library.publishing import files
from dubarr_pipeline.library.publishing.files import drop_original, publish, restore
from dubarr_pipeline.library.publishing.records import (
    Publication,
    PublishedFile,
    read_publication,
    record,
    record_path,
)
from dubarr_pipeline.library.videos import Video, load_video, make_video, save_video
from dubarr_pipeline.media.subtitles.kept_originals import ORIGINALS
from dubarr_pipeline.workdir import checkpoints
from dubarr_pipeline.workdir.checkpoints import Wanted
from dubarr_pipeline.workdir.identity import identify
from dubarr_pipeline_tests.fixtures.bench import (
    Film,
    contents,
    make_film,
    ordinary_permissions,
    small_disk,
)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A source, what the mux made of it, and what another mux makes later."""
    root = tmp_path_factory.mktemp("films")
    for name, noise in (("source.mp4", 0.004), ("made.mkv", 0.003), ("later.mkv", 0.002)):
        sound = ("-c:a", "aac") if name.endswith("mp4") else ("-c:a", "flac")
        make_film(root / name, Film(length_s=5.0, noise=noise, arguments=sound))
    return root


@dataclass
class Finished:
    """A library with a film below a folder, and its finished work."""

    films: Path
    root: Path
    work_dir: Path
    video: Video

    @property
    def source(self) -> Path:
        return self.root / "A film: 100 %" / "film.mp4"

    @property
    def made(self) -> Path:
        return self.video.work(self.work_dir).muxed

    def finish(self, name: str) -> None:
        """Have the mux leave a film."""
        work = self.video.work(self.work_dir)
        shutil.copy(self.films / name, work.muxed)
        write_json(work.mux_report, {})
        checkpoints.write_record(work, "mux", Wanted("f"), {}, [work.muxed, work.mux_report])

    def publish(self, mode: PublishMode = "replace", **options: object) -> Publication:
        wished = PublishOptions(mode, **options)  # pyright: ignore[reportArgumentType]
        self.video = load_video(self.video.key, self.work_dir)
        return publish(self.video, self.root, self.work_dir, wished)


@pytest.fixture
def finished(films: Path, tmp_path: Path) -> Finished:
    source = tmp_path / "library" / "A film: 100 %" / "film.mp4"
    source.parent.mkdir(parents=True)
    shutil.copy(films / "source.mp4", source)
    work_dir = tmp_path / "work"
    video = make_video(source, work_dir, target_langs=("es",), profile="lite", library="films")
    save_video(video, work_dir)
    found = Finished(films, tmp_path / "library", work_dir, video)
    found.finish("made.mkv")
    return found


def names(folder: Path) -> list[str]:
    return sorted(
        path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()
    )


PLACES: dict[PublishMode, str] = {
    "beside": "A film: 100 %/film - dubbed.mkv",
    "tree": "../tree/A film: 100 %/film.mkv",
}


@pytest.mark.parametrize("mode", PLACES)
def test_a_film_is_put_in_its_place_once(finished: Finished, mode: PublishMode):
    before = finished.source.read_bytes()
    found = finished.publish(mode, to=finished.root.parent / "tree")
    (placed,) = found.files
    assert placed.path.resolve() == (finished.root / PLACES[mode]).resolve()
    assert placed.path.read_bytes() == finished.made.read_bytes()
    assert finished.source.read_bytes() == before
    inode = placed.path.stat().st_ino
    assert finished.publish(mode, to=finished.root.parent / "tree") == found
    assert placed.path.stat().st_ino == inode, "it is not written again"
    assert [name for name in names(finished.root) if ".dubarr" in name] == []


@pytest.mark.parametrize("mode", PLACES)
def test_a_new_result_takes_the_place_of_ours_and_goes_when_taken_back(
    finished: Finished, mode: PublishMode
):
    tree = finished.root.parent / "tree"
    finished.publish(mode, to=tree)
    finished.finish("later.mkv")
    (placed,) = finished.publish(mode, to=tree).files
    assert placed.path.read_bytes() == (finished.films / "later.mkv").read_bytes()
    restore(finished.video, finished.work_dir)
    assert not placed.path.exists()
    assert names(finished.root) == ["A film: 100 %/film.mp4"]
    with pytest.raises(ArtifactError, match="was not published"):
        restore(finished.video, finished.work_dir)


@pytest.mark.parametrize("mode", PLACES)
def test_what_others_put_there_is_never_overwritten(finished: Finished, mode: PublishMode):
    place = finished.root / PLACES[mode]
    place.parent.mkdir(parents=True, exist_ok=True)
    place.write_bytes(b"not ours")
    with pytest.raises(SettingsError, match="already exists and was not written by dubarr"):
        finished.publish(mode, to=finished.root.parent / "tree")
    assert place.read_bytes() == b"not ours"
    place.unlink()
    finished.publish(mode, to=finished.root.parent / "tree")
    place.write_bytes(b"edited by a person")
    finished.finish("later.mkv")
    with pytest.raises(SettingsError, match="not written by dubarr"):
        finished.publish(mode, to=finished.root.parent / "tree")


def test_a_replaced_film_is_kept_and_a_torrent_goes_on_with_it(finished: Finished):
    seeding = finished.root.parent / "seeding.mp4"
    os.link(finished.source, seeding)
    before, inode = seeding.read_bytes(), seeding.stat().st_ino
    found = finished.publish("replace", keep_original_days=3)
    (placed,) = found.files
    assert placed.path == finished.source.with_suffix(".mkv")
    assert placed.path.read_bytes() == finished.made.read_bytes()
    assert not finished.source.exists()
    assert found.original is not None
    assert found.original.is_relative_to(finished.root / ORIGINALS)
    assert (seeding.read_bytes(), seeding.stat().st_ino) == (before, inode)
    assert found.original.stat().st_ino == inode
    assert 2.9 < (found.keep_until_s - time.time()) / 86_400 < 3.1
    assert load_video(finished.video.key, finished.work_dir).source == found.original
    assert finished.publish("replace", keep_original_days=3) == found

    finished.finish("later.mkv")
    again = finished.publish("replace", keep_original_days=3)
    assert again.files[0].path.read_bytes() == (finished.films / "later.mkv").read_bytes()
    assert again.original == found.original

    restore(load_video(finished.video.key, finished.work_dir), finished.work_dir)
    assert (finished.source.read_bytes(), finished.source.stat().st_ino) == (before, inode)
    assert names(finished.root) == ["A film: 100 %/film.mp4"]
    assert load_video(finished.video.key, finished.work_dir).source == finished.source


def test_an_original_goes_when_its_time_is_over_and_not_before(finished: Finished):
    found = finished.publish("replace", keep_original_days=3)
    work = finished.video.work(finished.work_dir)
    assert found.original is not None
    assert drop_original(work, found.keep_until_s - 1) is None
    assert found.original.is_file()
    placed = found.files[0].path
    away = placed.rename(placed.with_suffix(".away"))
    assert drop_original(work, found.keep_until_s + 1) is None, "ours has gone: the original stays"
    away.rename(placed)
    assert drop_original(work, found.keep_until_s) == found.original
    assert not found.original.exists()
    with pytest.raises(ArtifactError, match="is not kept any more"):
        restore(load_video(finished.video.key, finished.work_dir), finished.work_dir)


def test_an_original_may_be_kept_for_ever(finished: Finished):
    found = finished.publish("replace", keep_original_days=0)
    assert drop_original(finished.video.work(finished.work_dir), 1e12) is None
    assert found.original is not None
    assert found.original.is_file()


def test_a_source_that_has_changed_is_not_replaced(finished: Finished):
    finished.source.write_bytes(b"another film")
    with pytest.raises(SourceChanged):
        finished.publish("replace")
    assert names(finished.root) == ["A film: 100 %/film.mp4"]


def test_a_copy_that_differs_is_not_put_there(finished: Finished, monkeypatch: pytest.MonkeyPatch):
    def copy_badly(source: Path, path: Path) -> None:
        path.write_bytes(source.read_bytes()[:-1] + b"?")

    monkeypatch.setattr(files, "_copy", copy_badly)
    with pytest.raises(VerificationError, match="differs"):
        finished.publish("beside")
    assert names(finished.root) == ["A film: 100 %/film.mp4"]


def test_an_unfinished_film_is_not_published(finished: Finished):
    finished.made.unlink()
    with pytest.raises(ArtifactError, match="is not finished"):
        finished.publish("beside")
    finished.finish("made.mkv")
    with pytest.raises(SettingsError, match=r"needs mux.container = 'mka'"):
        finished.publish("sidecar")


def test_no_room_for_the_copy_leaves_all_as_it_was(finished: Finished, tmp_path: Path):
    with small_disk(tmp_path / "tree", "64k") as mounted:
        if not mounted:
            (tmp_path / "tree").rmdir()
            (tmp_path / "tree").write_text("a file where the folder should be")
        with pytest.raises((WorkspaceError, NotADirectoryError, FileExistsError)):
            finished.publish("tree", to=tmp_path / "tree")
        assert not mounted or not any(p.is_file() for p in (tmp_path / "tree").rglob("*"))
    assert read_publication(finished.video.work(finished.work_dir)) is None


def publish_until_killed(finished: Finished, steps: int) -> int:
    """Publish in a fork of this process that is killed at a step; return its exit code."""
    child = os.fork()
    if not child:  # pragma: no cover - another process
        count = 0

        def step(event: str, _: object) -> None:
            nonlocal count
            if event in ("os.rename", "os.link", "os.remove", "shutil.copyfile", "os.mkdir"):
                count += 1
                if count > steps:
                    os.kill(os.getpid(), signal.SIGKILL)

        code = 1
        try:
            sys.addaudithook(step)
            finished.publish("replace")
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_killed_at_any_step_the_film_is_there_and_a_second_try_ends_alike(finished: Finished):
    before = contents(finished.root)
    (original,) = before.values()
    steps = 0
    while True:
        code = publish_until_killed(finished, steps)
        assert original in contents(finished.root).values(), "there is no moment without it"
        found = finished.publish("replace")
        assert found.files[0].path.read_bytes() == finished.made.read_bytes()
        assert len(names(finished.root)) == 2, names(finished.root)
        restore(load_video(finished.video.key, finished.work_dir), finished.work_dir)
        assert contents(finished.root) == before
        if code == 0:
            break
        assert code == -signal.SIGKILL
        steps += 1
    assert steps > 5


@pytest.mark.parametrize(
    "wrong",
    [
        {"mode": "tree"},
        {"mode": "tree", "to": Path("relative")},
        {"mode": "beside", "label": " "},
        {"mode": "beside", "label": "a/b"},
    ],
)
def test_options_that_cannot_be_are_refused(wrong: dict[str, object]):
    with pytest.raises(ValueError, match=r"."):
        PublishOptions(**wrong)  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize("mode", ["beside", "tree", "replace"])
def test_a_link_where_we_are_about_to_write_is_not_followed(finished: Finished, mode: PublishMode):
    """A download may bring links along, under the very names of our unfinished files."""
    outside = finished.root.parent / "outside.txt"
    outside.write_text("of somebody else")
    place = finished.root / PLACES.get(mode, "A film: 100 %/film.mkv")
    place.parent.mkdir(parents=True, exist_ok=True)
    hidden = (f".{place.name}.dubarr-part.mkv", f".{place.name}.dubarr-part.digest")
    for name in hidden:
        place.with_name(name).symlink_to(outside)
    (placed,) = finished.publish(mode, to=finished.root.parent / "tree").files
    assert placed.path.read_bytes() == finished.made.read_bytes()
    assert not placed.path.is_symlink()
    assert outside.read_text() == "of somebody else"


def test_kept_originals_stay_in_their_library(finished: Finished):
    outside = finished.root.parent / "outside"
    outside.mkdir()
    (finished.root / ORIGINALS).symlink_to(outside)
    before = finished.source.read_bytes()
    with pytest.raises(SettingsError, match="leads out of"):
        finished.publish("replace")
    assert list(outside.iterdir()) == []
    assert finished.source.read_bytes() == before


def test_a_folder_of_the_tree_that_leads_elsewhere_is_refused(finished: Finished):
    outside, tree = finished.root.parent / "outside", finished.root.parent / "tree"
    outside.mkdir()
    tree.mkdir()
    (tree / finished.source.parent.name).symlink_to(outside)
    with pytest.raises(SettingsError, match="leads out of"):
        finished.publish("tree", to=tree)
    assert list(outside.iterdir()) == []


def test_a_linked_film_is_kept_itself(finished: Finished):
    """A link with a relative target would lead nowhere from the folder of the originals."""
    real = finished.source.with_name("real.mp4")
    finished.source.rename(real)
    finished.source.symlink_to("real.mp4")
    found = finished.publish("replace")
    assert found.original is not None
    assert found.original.read_bytes() == real.read_bytes()
    assert not found.original.is_symlink()


@pytest.mark.parametrize("label", ["x" * 252, "é" * 126, "/../x", "a\0b"])
def test_names_that_cannot_be_are_refused_by_name(finished: Finished, label: str):
    with pytest.raises((SettingsError, ValueError), match=r"longer than 255|slash"):
        finished.publish("beside", label=label)
    assert names(finished.root) == ["A film: 100 %/film.mp4"]


@pytest.mark.parametrize("mode", ["beside", "tree", "sidecar", "replace"])
def test_places_are_checked_before_any_work(tmp_path: Path, mode: PublishMode):
    root, tree = tmp_path / "films", tmp_path / "tree"
    for folder in (root, tree):
        folder.mkdir()
    # The film itself may have the longest name that there is.
    name = "n" * (248 if mode in ("beside", "sidecar") else 252)
    options = PublishOptions(mode, to=tree)

    def check(source: Path) -> None:
        files.check_destination(source, ("es", "pt-BR"), root, options, tmp_path / "work")

    check(root / "film.mp4")
    with pytest.raises(SettingsError, match="longer than 255 bytes"):
        check(root / f"{name}.avi")
    places = {"beside": "film - dubbed.mkv", "sidecar": "film.pt-BR.mka"}
    place = (tree if mode == "tree" else root) / places.get(mode, "film.mkv")
    place.write_bytes(b"somebody's")
    with pytest.raises(SettingsError, match="was not written by dubarr"):
        check(root / "film.mp4")
    ours = PublishedFile(place, identify(place).digest)
    (root / "film.mp4").write_bytes(b"a film")
    video = make_video(root / "film.mp4", tmp_path / "work", target_langs=("es",), profile="lite")
    save_video(video, tmp_path / "work")
    work = video.work(tmp_path / "work")
    record(work, Publication(mode, (ours,), root / "film.mp4"))
    check(root / "film.mp4")
    (root / "film.avi").write_bytes(b"another film")
    with pytest.raises(SettingsError, match=r"(is the dub of|was not written)"):
        check(root / "film.avi")
    record_path(work).unlink()
    place.unlink()
    for rights in (0o500, 0o000):
        place.parent.chmod(rights)
        with ordinary_permissions(), pytest.raises(SettingsError, match="cannot be written to"):
            check(root / "film.mp4")


def test_a_library_that_publishes_nothing_has_no_place_to_check(tmp_path: Path):
    files.check_destination(Path("/no/film.mkv"), ("es",), tmp_path, PublishOptions(), tmp_path)
