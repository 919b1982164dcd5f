from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dubarr_pipeline.config.libraries import Library, Rules
from dubarr_pipeline.library.scan import Scan, ScanState, scan
from dubarr_pipeline_tests.fixtures.bench import ordinary_permissions

AVOIDED = Path("/nowhere")


class Folder:
    """A library folder, and a watcher of it."""

    def __init__(self, root: Path) -> None:
        self.root = root / "films"
        self.root.mkdir()
        self.library = Library(self.root, ("es",))
        self.state = ScanState()

    def put(self, name: str, content: bytes = b"a film", mtime_s: int = 1_000) -> Path:
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        os.utime(path, (mtime_s, mtime_s))
        return path

    def look(self, settle: bool = True) -> list[str]:
        """The names that lie ready; they are settled, if nothing else is wanted."""
        seen = self.see()
        self.state = seen.after(s for s, _ in (seen.ready if settle else []))
        return [path.relative_to(self.root).as_posix() for _, path in seen.ready]

    def see(self) -> Scan:
        # Through text, as between two ticks.
        return scan(self.library, ScanState.parse(*self.state.text()), AVOIDED)


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder(tmp_path)


def test_a_video_is_ready_when_it_lay_still_for_two_looks_and_only_once(folder: Folder):
    folder.put("b.mkv")
    folder.put("deep/er/a film: 100 %\n🎬.MP4")
    assert [folder.look(), folder.look(), folder.look()] == [
        [],
        ["b.mkv", "deep/er/a film: 100 %\n🎬.MP4"],
        [],
    ]


@pytest.mark.parametrize(("content", "mtime_s"), [(b"a film, longer", 1_000), (b"a film", 1_001)])
def test_a_video_that_is_being_written_waits(folder: Folder, content: bytes, mtime_s: int):
    folder.put("a.mkv")
    assert folder.look() == []
    folder.put("a.mkv", content, mtime_s)
    assert folder.look() == []
    assert folder.look() == ["a.mkv"]


def test_a_settled_video_is_ready_again_when_it_or_its_subtitles_change(folder: Folder):
    folder.put("a.b.mkv")
    folder.put("ab.mkv")
    changes = ["a.b.mkv", "a.b.srt", "a.b.en.srt", "a.b.en.sdh.srt", "a.b.approx.en.vtt"]
    assert [folder.look(), folder.look()] == [[], ["a.b.mkv", "ab.mkv"]]
    for step, name in enumerate(changes):
        folder.put(name, b"changed", 2_000 + step)
        assert [folder.look(), folder.look(), folder.look()] == [[], ["a.b.mkv"], []], name
    folder.put("other.en.srt")
    folder.put("a.srt")
    assert [folder.look(), folder.look()] == [[], []]


def test_a_video_is_ready_again_when_other_languages_are_wished(folder: Folder):
    folder.put("a.mkv")
    assert [folder.look(), folder.look()] == [[], ["a.mkv"]]
    folder.library = Library(folder.root, ("es", "ca"))
    assert [folder.look(), folder.look(), folder.look()] == [[], ["a.mkv"], []]


def test_what_is_ready_stays_ready_until_it_is_settled(folder: Folder):
    folder.put("a.mkv")
    folder.look()
    assert [folder.look(settle=False), folder.look(), folder.look()] == [["a.mkv"], ["a.mkv"], []]


def test_what_is_no_video_is_not_seen(folder: Folder):
    for name in (".hidden.mkv", ".trash/a.mkv", "a.srt", "a.mkv.part", "mkv", "cover.jpg"):
        folder.put(name)
    (folder.root / "folder.mkv").mkdir()
    (folder.root / "broken.mkv").symlink_to(folder.root / "gone.mkv")
    assert [folder.look(), folder.look()] == [[], []]


def test_the_work_folder_in_the_library_is_avoided(folder: Folder):
    folder.put("work/film/final_muxed.mkv")
    seen = scan(folder.library, ScanState(), folder.root / "work")
    assert not seen.videos


def test_a_folder_that_has_gone_is_not_an_empty_one(folder: Folder):
    video = folder.put("a.mkv")
    assert [folder.look(), folder.look()] == [[], ["a.mkv"]]
    away = folder.root.rename(folder.root.with_name("away"))
    assert folder.see().gone == "the folder is not there"
    assert folder.look() == []
    folder.root.mkdir()  # an empty mount point
    assert folder.see().gone == "the folder is empty, and was not before"
    assert folder.look() == []
    folder.root.rmdir()
    away.rename(folder.root)
    assert [folder.look(), folder.look()] == [[], []]
    folder.put("b.mkv")
    folder.look()
    video.unlink()
    folder.look()
    assert len(folder.state.handled) == 1


def test_an_empty_folder_is_nothing_to_complain_of(folder: Folder):
    assert folder.see().gone is None


def test_what_is_known_of_a_folder_that_cannot_be_read_is_kept(folder: Folder):
    folder.put("a.mkv")
    folder.put("shut/b.mkv")
    assert [folder.look(), folder.look()] == [[], ["a.mkv", "shut/b.mkv"]]
    (folder.root / "shut").chmod(0)
    with ordinary_permissions():
        seen = folder.see()
        assert len(seen.gaps) == 1
        assert "Permission denied" in seen.gaps[0]
        assert folder.look() == []
    (folder.root / "shut").chmod(0o700)
    assert [folder.look(), folder.look()] == [[], []]


def test_a_look_lists_each_folder_once_and_opens_no_file(folder: Folder):
    for number in range(300):
        folder.put(f"{number % 7}/{number}.mkv")
    counted: dict[str, int] = {}
    counting = True

    def count(event: str, _: object) -> None:
        if counting:
            counted[event] = counted.get(event, 0) + 1

    sys.addaudithook(count)
    seen = folder.see()
    counting = False
    assert len(seen.videos) == 300
    assert counted.get("os.scandir") == 8
    assert "open" not in counted


def test_the_memory_takes_eight_letters_a_video(folder: Folder):
    for number in range(40):
        folder.put(f"{number}.mkv")
    folder.look()
    folder.look()
    assert [len(text) for text in folder.state.text()] == [320, 0]
    assert ScanState.parse(*folder.state.text()) == folder.state


def test_a_film_under_several_names_is_one(folder: Folder):
    first = folder.put("b/film.mkv")
    (folder.root / "c").mkdir()
    (folder.root / "c" / "hard.mkv").hardlink_to(first)
    (folder.root / "d.mkv").symlink_to(first)
    assert [folder.look(), folder.look()] == [[], ["b/film.mkv"]]


def test_a_link_that_leads_out_of_the_library_is_left_out_unless_wished(folder: Folder):
    outside = folder.root.with_name("elsewhere.mkv")
    outside.write_bytes(b"a film")
    link = folder.root / "link.mkv"
    link.symlink_to(outside)
    seen = folder.see()
    assert not seen.videos
    assert "leads out of the library" in seen.left_out[link]
    folder.library = replace(folder.library, outside_links=True)
    assert [folder.look(), folder.look()] == [[], ["link.mkv"]]


def test_skip_marks_keep_us_off_a_folder_or_a_film(folder: Folder):
    for name in ("a.mkv", "kept.mkv", "shut/b.mkv", "shut/deep/c.mkv"):
        folder.put(name)
    folder.put("a.dubarr_skip", b"")
    mark = folder.put("shut/.dubarr_skip", b"")
    assert [folder.look(), folder.look()] == [[], ["kept.mkv"]]
    told = {path.relative_to(folder.root).as_posix() for path in folder.see().left_out}
    assert told == {"a.mkv", "shut"}
    mark.unlink()
    assert [folder.look(), folder.look()] == [[], ["shut/b.mkv", "shut/deep/c.mkv"]]


def test_what_the_rules_keep_out_is_told_and_a_library_of_such_is_not_gone(folder: Folder):
    folder.put("a.mkv")
    assert [folder.look(), folder.look()] == [[], ["a.mkv"]]
    folder.library = replace(folder.library, rules=Rules(min_size_mb=1))
    seen = folder.see()
    assert (seen.gone, list(seen.videos)) == (None, [])
    assert "less than min_size_mb" in seen.left_out[folder.root / "a.mkv"]


def test_a_film_is_ready_when_it_is_old_enough(folder: Folder):
    folder.put("a.mkv", mtime_s=1_000_000)
    library = replace(folder.library, rules=Rules(min_age_minutes=10))
    at = {now_s: scan(library, ScanState(), AVOIDED, now_s) for now_s in (1_000_599.0, 1_000_600.0)}
    assert [len(seen.videos) for seen in at.values()] == [0, 1]
