from __future__ import annotations

import os
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dubarr_pipeline.config.libraries import Library, Rules
from dubarr_pipeline.library.scan import Scan, ScanState, scan, signature_of
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


@pytest.mark.parametrize("target", ["/gone/x.srt", "a.fr.srt", "shut/x.srt"])
def test_a_subtitle_that_cannot_be_read_hides_no_film_and_is_named(folder: Folder, target: str):
    folder.put("a.mkv")
    folder.put("shut/x.srt")
    (folder.root / "shut").chmod(0)
    (folder.root / "a.fr.srt").symlink_to(target)
    with ordinary_permissions():
        assert [folder.look(), folder.look()] == [[], ["a.mkv"]]
        assert folder.root / "a.fr.srt" in folder.see().faults
    (folder.root / "shut").chmod(0o700)


def test_links_that_lead_nowhere_or_to_themselves_hide_nothing_and_are_named(folder: Folder):
    for number in range(20):
        folder.put(f"{number}.mkv", str(number).encode())
    for name in ("loop 1.mkv", "loop 2.mkv", "Season 1"):
        (folder.root / name).symlink_to(name)
    (folder.root / "gone.mkv").symlink_to("/gone/film.mkv")
    (folder.root / "up").symlink_to(folder.root)
    seen = folder.see()
    assert len(seen.videos) == 20
    reasons = {path.name: reason for path, reason in seen.faults.items()}
    assert reasons.pop("gone.mkv") == "it is a link that leads nowhere"
    assert set(reasons) == {"loop 1.mkv", "loop 2.mkv", "Season 1"}
    assert set(reasons.values()) == {"it is a link that leads to itself"}


def test_a_linked_folder_is_followed_as_the_setting_says(folder: Folder):
    disk = folder.root.with_name("disk 2")
    (disk / "Show").mkdir(parents=True)
    (disk / "Show" / "E1.mkv").write_bytes(b"a film")
    (disk / "back").symlink_to(folder.root)
    (disk / "Show" / "round").symlink_to(disk)
    for name in ("Show", "the same"):
        (folder.root / name).symlink_to(disk / "Show")
    seen = folder.see()
    assert not seen.videos
    assert seen.left_out[folder.root / "Show"].startswith("it is a link that leads out")
    folder.library = replace(folder.library, outside_links=True)
    assert [folder.look(), folder.look()] == [[], ["Show/E1.mkv"]]


def test_what_a_disk_that_is_away_holds_is_not_forgotten(folder: Folder):
    disk = folder.root.with_name("disk")
    disk.mkdir()
    (disk / "a.mkv").write_bytes(b"a film")
    folder.library = replace(folder.library, outside_links=True)
    folder.put("b.mkv")
    (folder.root / "a.mkv").symlink_to(disk / "a.mkv")
    assert [folder.look(), folder.look()] == [[], ["a.mkv", "b.mkv"]]
    away = disk.rename(disk.with_name("away"))
    assert folder.look() == []
    away.rename(disk)
    assert [folder.look(), folder.look()] == [[], []]


@pytest.mark.parametrize(
    "name",
    [
        *("Subs/2_English.srt", "subs/a b.en.srt", "Subtitles/a b/2_English.ass", "Sub/x.vtt"),
        *("a b_en.srt", "a b - English.srt", "a b [eng].srt", "a b.srt"),
    ],
)
def test_subtitles_that_come_later_are_seen_wherever_they_may_lie(folder: Folder, name: str):
    folder.put("d/a b.mkv")
    assert [folder.look(), folder.look(), folder.look()] == [[], ["d/a b.mkv"], []]
    folder.put(f"d/{name}", b"text", 2_000)
    assert [folder.look(), folder.look(), folder.look()] == [[], ["d/a b.mkv"], []]


def test_accents_are_the_same_however_they_are_written(folder: Folder):
    apart, joined = "Ame\u0301lie", "Am\u00e9lie"
    folder.put(f"{apart}.mkv")
    assert [folder.look(), folder.look()] == [[], [f"{apart}.mkv"]]
    folder.put(f"{joined}.en.srt", b"text", 2_000)
    assert [folder.look(), folder.look()] == [[], [f"{apart}.mkv"]]
    folder.library = replace(folder.library, rules=Rules(exclude=(f"{joined}*",)))
    assert "excluded pattern" in folder.see().left_out[folder.root / f"{apart}.mkv"]
    folder.library = replace(folder.library, rules=Rules())
    folder.put(f"{joined}.dubarr_skip")
    assert not folder.see().videos


def test_of_nested_libraries_the_deepest_owns_a_film(folder: Folder):
    folder.put("kids/a.mkv")
    folder.put("b.mkv")
    kids = folder.root / "kids"
    seen = scan(folder.library, ScanState(), AVOIDED, inner={kids: "kids"})
    assert [path.name for path in seen.videos.values()] == ["b.mkv"]
    assert seen.left_out == {kids: "it belongs to library 'kids'"}
    (folder.root.parent / "link").symlink_to(kids)
    linked = {folder.root.parent / "link": "kids"}
    seen = scan(folder.library, ScanState(), AVOIDED, inner=linked)
    assert [path.name for path in seen.videos.values()] == ["b.mkv"], "by another path"


def test_a_films_signature_alone_is_that_of_the_scan(folder: Folder):
    film = folder.put("d/a.mkv")
    folder.put("d/Subs/2_English.srt")
    seen = folder.see()
    assert {signature_of(folder.library, film): film} == seen.videos
