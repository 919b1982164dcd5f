"""What cannot be dubbed is refused by name, with the cure; source and earlier results stay."""

from __future__ import annotations

import os
import resource
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from dubarr_pipeline import workdir
from dubarr_pipeline.errors import DiskFull, DubbingError, NoScript
from dubarr_pipeline.library.intake import take_in
from dubarr_pipeline.library.languages import parse_languages
from dubarr_pipeline.settings import Settings, load_settings
from dubarr_pipeline.terminal import exit_code
from dubarr_pipeline_tests.dubbing import (
    Bench,
    Film,
    contents,
    leftovers,
    make_film,
    ordinary_permissions,
    sidecar,
    small_disk,
    stats,
    streams,
)


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DUBARR_CONFIG", raising=False)
    return load_settings(None, tmp_path / "work")


def refusal(settings: Settings, path: Path, languages: str = "es") -> DubbingError:
    """The error that taking a video in ends with; nothing was registered."""
    before = contents(path.parent) if path.parent.is_dir() else {}
    with pytest.raises(DubbingError) as caught:
        take_in(path, parse_languages(languages), settings)
    assert not list(settings.work_dir.glob("*/video.json"))
    assert leftovers(settings.work_dir) == []
    if path.parent.is_dir():
        assert contents(path.parent) == before
    return caught.value


def _text(path: Path) -> Path:
    path.write_text("This is a letter, not a film.\n" * 500)
    return path


def _picture(path: Path) -> Path:
    return _ffmpeg(path, "-f", "lavfi", "-i", "testsrc=size=64x48", "-frames:v", "1")


def _sound_alone(path: Path) -> Path:
    return _ffmpeg(path, "-f", "lavfi", "-i", "sine=duration=1")


def _ffmpeg(path: Path, *arguments: str) -> Path:
    from dubarr_pipeline.media import ffmpeg

    ffmpeg.run([*arguments, "-y", ffmpeg.file_url(path)])
    return path


def _no_sound(path: Path) -> Path:
    return make_film(path, Film(sound=False))


def _cut(path: Path, arguments: tuple[str, ...], share: float = 0.6) -> Path:
    make_film(path, Film(arguments=arguments))
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def _cut_mkv(path: Path) -> Path:
    return _cut(path, ("-c:a", "flac"))


def _cut_mp4(path: Path) -> Path:
    return _cut(path, ("-c:a", "aac"), 0.9)


def _cut_faststart_mp4(path: Path) -> Path:
    return _cut(path, ("-c:a", "aac", "-movflags", "+faststart"))


def _zeros(path: Path) -> Path:
    path.write_bytes(bytes(100_000))
    return path


def _empty(path: Path) -> Path:
    path.write_bytes(b"")
    return path


def _folder(path: Path) -> Path:
    path.mkdir()
    return path


def _missing(path: Path) -> Path:
    return path


def _below_a_file(path: Path) -> Path:
    _text(path)
    return path / "film.mkv"


def _dangling_link(path: Path) -> Path:
    path.symlink_to(path.with_name("gone.mkv"))
    return path


def _loop(path: Path) -> Path:
    path.symlink_to(path)
    return path


def _socket(path: Path) -> Path:
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(path.parent)
        server.bind(path.name)
        os.chdir(here)
    return path


def _pipe(path: Path) -> Path:
    os.mkfifo(path)
    return path


def _device(path: Path) -> Path:
    path.symlink_to("/dev/zero")
    return path


BAD_FILES: list[tuple[str, Callable[[Path], Path], str, str]] = [
    ("letter.mkv", _text, "NotAVideo", "not a video"),
    ("picture.png", _picture, "NotAVideo", "choose a video file"),
    ("song.flac", _sound_alone, "NotAVideo", "choose a video file"),
    ("mute.mkv", _no_sound, "NoAudio", "no audio stream"),
    ("cut.mkv", _cut_mkv, "NotAVideo", "truncated"),
    ("cut.mp4", _cut_mp4, "NotAVideo", "truncated"),
    ("cut faststart.mp4", _cut_faststart_mp4, "NotAVideo", "truncated"),
    ("zeros.mp4", _zeros, "NotAVideo", "download it again"),
    ("empty.mkv", _empty, "NotAVideo", "copy or download it again"),
    ("season one", _folder, "SourceMissing", "name a video file in it"),
    ("missing.mkv", _missing, "SourceMissing", "check the path"),
    ("below a file", _below_a_file, "SourceMissing", "check the path"),
    ("dangling.mkv", _dangling_link, "SourceMissing", "check the path"),
    ("loop.mkv", _loop, "SourceMissing", "check the path"),
    ("socket.mkv", _socket, "NotAVideo", "choose a video file"),
    ("pipe.mkv", _pipe, "NotAVideo", "choose a video file"),
    ("device.mkv", _device, "NotAVideo", "choose a video file"),
]


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    ("name", "make", "error", "cure"), BAD_FILES, ids=[row[0] for row in BAD_FILES]
)
def test_bad_file(tmp_path, settings, name, make, error, cure):
    path = make(tmp_path / name)
    found = refusal(settings, path)
    assert type(found).__name__ == error
    assert exit_code(error) == 4
    assert str(path) in str(found)
    assert cure in str(found)


def test_unreadable_file(film, settings):
    film.chmod(0)
    with ordinary_permissions():
        found = refusal_of_unreadable(film, settings)
    assert type(found).__name__ == "SourceMissing"
    assert str(film) in str(found)
    assert "permission" in str(found).lower()


def refusal_of_unreadable(film: Path, settings: Settings) -> DubbingError:
    with pytest.raises(DubbingError) as caught:
        take_in(film, ("es",), settings)
    assert not list(settings.work_dir.glob("*/video.json"))
    return caught.value


def test_one_bad_video_does_not_keep_the_others(film, bench, tmp_path):
    letter, gone = _text(tmp_path / "letter.mkv"), tmp_path / "gone.mkv"
    answer = bench.run("dub", "--to", "es", letter, film, gone)
    assert answer.code == 4
    assert str(letter) in answer.err
    assert str(gone) in answer.err
    assert [task["status"] for task in bench.status()] == ["DONE"]
    assert bench.work.muxed.is_file()
    assert leftovers(bench.work_dir) == []


# Words


def test_no_subtitles(film, settings):
    sidecar(film, "en").unlink()
    found = refusal(settings, film)
    assert isinstance(found, NoScript)
    assert str(film) in str(found)
    assert f"{film.stem}.en.srt" in str(found)
    assert "profile" in str(found)


@pytest.mark.parametrize("text", ["", "nothing but words, no times\n", "\0" * 300])
def test_subtitles_without_cues(film, bench, text):
    sidecar(film, "en").write_text(text)
    before = film.read_bytes()
    answer = bench.dub(film)
    assert answer.code == 4
    assert f"{film.stem}.en.srt" in answer.err
    assert film.read_bytes() == before
    assert leftovers(bench.work_dir) == []


# Languages


@pytest.mark.parametrize(
    ("languages", "words"),
    [
        ("xx", "BCP-47"),
        ("klingonese", "BCP-47"),
        ("es,nope!", "'nope!'"),
        ("und", "BCP-47"),
        ("", "--to es,ca"),
        (" , ", "--to es,ca"),
        ("es\nca", "BCP-47"),
    ],
)
def test_unknown_language(film, bench, languages, words):
    answer = bench.dub(film, languages)
    assert answer.code == 2
    assert words in answer.err
    assert not bench.works()


@pytest.mark.parametrize("language", ["en", "en-GB", "eng", "EN_us"])
def test_target_is_the_sources_own_language(film, settings, language):
    found = refusal(settings, film, f"es,{language}")
    assert type(found).__name__ == "LanguageError"
    assert str(film) in str(found)
    assert "English" in str(found)
    assert "take" in str(found)


def test_no_translator_for_the_pair(film, settings):
    found = refusal(settings, film, "es,fi")
    assert type(found).__name__ == "LanguageError"
    assert exit_code("LanguageError") == 2
    assert str(film) in str(found)
    assert "Finnish" in str(found)
    assert f"{film.stem}.fi.srt" in str(found)
    assert "ca" in str(found)


def test_no_voice(film, settings):
    shutil.copy(sidecar(film, "en"), sidecar(film, "dv"))
    found = refusal(settings, film, "dv")
    assert type(found).__name__ == "LanguageError"
    assert str(film) in str(found)
    assert "Divehi" in str(found)
    assert "engine" in str(found)


def test_source_language_unknown_to_every_translator(tmp_path, settings):
    film = make_film(tmp_path / "library" / "film.mkv", Film(language="fin", subtitles=False))
    shutil.copy(make_film(tmp_path / "other" / "film.mkv").with_suffix(".en.srt"), film.parent)
    found = refusal(settings, film)
    assert type(found).__name__ in ("LanguageError", "NoScript")
    assert str(film) in str(found)


# The work folder


def test_work_folder_is_a_file(film, tmp_path):
    blocked = _text(tmp_path / "work")
    answer = Bench(blocked).dub(film)
    assert answer.code == 5
    assert str(blocked) in answer.err
    assert "--work-dir" in answer.err
    assert blocked.read_text().startswith("This is a letter")


def test_work_folder_below_proc(film):
    answer = Bench(Path("/proc/dubarr")).dub(film)
    assert answer.code == 5
    assert "/proc/dubarr" in answer.err
    assert "--work-dir" in answer.err


def test_work_folder_without_permission(film, tmp_path):
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    with ordinary_permissions():
        answer = Bench(locked / "work").dub(film)
        inside = Bench(locked).dub(film)
    assert (answer.code, inside.code) == (5, 5)
    assert "Permission denied" in answer.err
    assert "--work-dir" in inside.err
    assert list(locked.iterdir()) == []


def test_video_folder_turns_read_only(dubbed, tiny_film):
    before = contents(dubbed.work.root)
    dubbed.work.root.chmod(0o500)
    with ordinary_permissions():
        answer = dubbed.dub(tiny_film, "es")
    dubbed.work.root.chmod(0o700)
    assert answer.code == 5
    assert str(dubbed.work.root) in answer.err
    assert contents(dubbed.work.root) == before


@pytest.fixture
def little_room(tmp_path, monkeypatch):
    """A work folder on a disk of 1.5 MB: the film's stems alone take 3.8 MB."""
    store = tmp_path / "store"
    with small_disk(tmp_path / "disk", "1500k") as real:
        if not real:
            monkeypatch.setattr(workdir, "flush_to_disk", _no_space)
        yield Bench(tmp_path / "disk" / "work"), store


def _no_space(path: Path) -> None:
    raise OSError(28, os.strerror(28), str(path))


def test_disk_full(film, little_room, monkeypatch):
    bench, store = little_room
    store.mkdir()
    before = film.read_bytes()
    monkeypatch.setattr(
        Bench, "environment", lambda self: {**_environment(self), "DAGSTER_HOME": str(store)}
    )
    answer = bench.dub(film)
    assert answer.code == 5
    assert "no room left" in answer.err
    assert str(bench.work_dir) in answer.err
    assert "run again" in answer.err
    assert film.read_bytes() == before
    assert leftovers(bench.work_dir) == []
    assert not (bench.work.root / "vocals.wav").exists()


_environment = Bench.environment


def test_store_on_a_full_disk(film, tmp_path):
    with small_disk(tmp_path / "disk", "200k") as real:
        if not real:
            pytest.fail("this system lets nobody mount: run the tests as root of a container")
        answer = Bench(tmp_path / "disk" / "work").dub(film)
    assert answer.code == 5
    assert "no room left" in answer.err
    assert str(tmp_path / "disk") in answer.err


def test_file_larger_than_the_system_allows(film, bench):
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (900_000, limit[1]))
    try:
        answer = bench.dub(film)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    assert answer.code == 5
    assert "larger than" in answer.err
    assert leftovers(bench.work_dir) == []
    assert bench.dub(film).code == 0


def test_named_disk_errors_leave_others_alone(tmp_path):
    with pytest.raises(DiskFull), workdir.named_disk_errors(tmp_path):
        raise OSError(122, "quota")
    with pytest.raises(ConnectionError), workdir.named_disk_errors(tmp_path):
        raise ConnectionResetError(104, "reset")


# The source between two stages


def _after(monkeypatch: pytest.MonkeyPatch, stage: str, act: Callable[[], None]) -> None:
    """Have something happen when a stage has been recorded."""
    import dagster as dg

    from dubarr_pipeline.assets import stage as stages

    plain = stages._result

    def result(made: stages.Stage, *rest: object) -> dg.MaterializeResult:
        found = plain(made, *rest)
        if made.name == stage:
            act()
        return found

    monkeypatch.setattr(stages, "_result", result)


def _replace_bytes(film: Path) -> None:
    before, data = film.stat(), bytearray(film.read_bytes())
    data[-200] ^= 0xFF
    film.write_bytes(data)
    os.utime(film, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = film.stat()
    assert (after.st_size, after.st_mtime_ns) == (before.st_size, before.st_mtime_ns)


def _grow(film: Path) -> None:
    with film.open("ab") as stream:
        stream.write(b"more")


@pytest.mark.parametrize(
    ("change", "stage", "words"),
    [
        (_replace_bytes, "diarization", "has changed since it was registered"),
        (_grow, "mix", "has changed since it was registered"),
        (Path.unlink, "transcript", "is not there"),
    ],
)
def test_source_changes_between_stages(film, bench, monkeypatch, change, stage, words):
    before = contents(film.parent)
    with monkeypatch.context() as patch:
        _after(patch, stage, lambda: change(film))
        answer = bench.dub(film)
    assert answer.code == 4
    assert str(film) in answer.err
    assert words in answer.err
    assert not bench.work.muxed.exists()
    assert leftovers(bench.work_dir) == []
    (task,) = bench.status()
    assert task["status"] == "ERROR"
    assert words in task["cause"]

    film.write_bytes(before[film.name])
    retried = bench.run("retry")
    assert retried.code == 0, retried.both
    assert bench.status()[0]["status"] == "DONE"
    assert stage not in bench.made()
    assert contents(film.parent) == before


def test_replaced_film_is_dubbed_beside_the_earlier_result(dubbed, film):
    earlier = dubbed.work
    before = contents(earlier.root)
    _replace_bytes(film)
    answer = dubbed.dub(film, "es")
    assert answer.code == 0, answer.both
    assert len(dubbed.works()) == 2
    assert contents(earlier.root) == before


def test_source_grows_while_it_is_taken_in(film, settings, monkeypatch):
    from dubarr_pipeline.media import identity

    plain = identity._digest

    def digest(path: Path, *rest: object) -> str:
        found = plain(path, *rest)
        _grow(film)
        return found

    monkeypatch.setattr(identity, "_digest", digest)
    with pytest.raises(DubbingError, match="wait until it is copied"):
        take_in(film, ("es",), settings)


def test_container_damaged_inside(tmp_path, bench):
    """Bytes in the middle of the sound are wrong: decoded with a gap, or refused; never a crash."""
    film = make_film(tmp_path / "library" / "film.mkv")
    data = bytearray(film.read_bytes())
    middle = len(data) // 2
    data[middle : middle + 3000] = bytes(3000)
    film.write_bytes(data)
    answer = bench.dub(film)
    assert answer.code in (0, 1, 4), answer.both
    assert film.read_bytes() == bytes(data)
    if answer.code:
        assert str(film) in answer.err
        assert "Traceback" not in answer.err


# Names

ODD_NAMES = {
    "spaces and quotes": " two  spaces 'and' \"quotes\".mkv",
    "newline": "new\nline.mkv",
    "emoji": "éclair 🎬.mkv",
    "leading dash": "-to dash.mkv",
    "250 bytes": "ñ" * 123 + ".mkv",
    "percent, colon, glob": "100%d: [a-z]*?,{b};$HOME.mkv",
    "backslash, ampersand": "a\\b & <i>c<i> | d.mkv",
}


def _renamed(tiny_film: Path, film: Path) -> Path:
    film.parent.mkdir()
    shutil.copy(tiny_film, film)
    shutil.copy(sidecar(tiny_film, "en"), film.with_suffix(".srt"))
    return film


@pytest.mark.parametrize("name", ODD_NAMES.values(), ids=ODD_NAMES.keys())
def test_odd_name(tiny_film, bench, tmp_path, name, dubbed_once):
    film = _renamed(tiny_film, tmp_path / "library" / name)
    answer = bench.dub(film)
    assert answer.code == 0, answer.both
    _is_dubbed(bench, film, dubbed_once)


def test_name_that_is_no_utf8(tiny_film, bench, tmp_path, dubbed_once):
    """In a process of its own: the name stands in the log, which pytest's workers cannot send."""
    film = _renamed(tiny_film, tmp_path / "library" / os.fsdecode(b"caf\xe9 \xff.mkv"))
    answer = bench.finish(bench.start("dub", "--to", "es", film))
    assert answer.code == 0, ascii(answer.both)
    assert r"caf\udce9 \udcff.mkv" in answer.out
    _is_dubbed(bench, film, dubbed_once)


def _is_dubbed(bench: Bench, film: Path, dubbed_once: Bench) -> None:
    """It is dubbed as it would be under another name, and found again by its name."""
    (task,) = bench.status()
    assert task["status"] == "DONE"
    assert os.fsencode(task["source"]) == os.fsencode(film)
    assert stats(bench.work)["placed"] == 2
    assert leftovers(bench.work_dir) == []
    assert len(list(bench.work.root.glob("*.es.srt"))) == 1
    expected = streams(dubbed_once.work.muxed)
    found = streams(bench.work.muxed)
    assert found[:2] == expected[:2]
    assert len(found) == 4
    again = bench.run("retry", film)
    assert (again.code, bench.made()) == (0, ())


def test_renamed_film_keeps_its_results(dubbed, film):
    renamed = film.with_name("Another Name.mkv")
    film.rename(renamed)
    sidecar(film, "en").rename(sidecar(renamed, "en"))
    answer = dubbed.dub(renamed, "es,ca")
    assert answer.code == 0, answer.both
    assert stats(dubbed.work)["spoken"] == 0
    assert sorted(p.name for p in dubbed.work.root.glob("*.srt")) == [
        "Another Name.ca.srt",
        "Another Name.es.srt",
    ]
    assert "vocals" not in dubbed.made()
