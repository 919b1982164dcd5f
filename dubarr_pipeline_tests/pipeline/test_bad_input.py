"""What cannot be dubbed is refused by name, with the cure; source and earlier results stay."""

from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from dubarr_pipeline.cli.terminal import exit_code
from dubarr_pipeline.config.settings import Settings, load_settings
from dubarr_pipeline.errors import DubbingError, NoScript
from dubarr_pipeline.library.admission import register
from dubarr_pipeline.library.source import inspect_source
from dubarr_pipeline.text.languages import parse_languages, standard_tag
from dubarr_pipeline_tests.fixtures.bench import (
    Film,
    contents,
    leftovers,
    make_film,
    ordinary_permissions,
    sidecar,
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
        register(inspect_source(path, settings), parse_languages(languages), settings)
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
    from dubarr_pipeline.media.container import ffmpeg

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
    assert exit_code(type(found)) == 4
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
        register(inspect_source(film, settings), ("es",), settings)
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
    assert 'transcript.engine = "faster-whisper"' in str(found)
    assert "dubarr models pull Systran/faster-whisper" in str(found)


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
    assert type(found).__name__ == "SpokenLanguage"
    assert exit_code(type(found)) == 2
    assert str(film) in str(found)
    assert "English" in str(found)
    assert f"remove '{standard_tag(language)}'" in str(found)


def test_no_translator_for_the_pair(film, settings):
    found = refusal(settings, film, "es,fi")
    assert type(found).__name__ == "LanguageError"
    assert exit_code(type(found)) == 2
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


def test_a_bitrate_that_the_encoder_refuses_is_told_before_any_work(
    settings: Settings, tiny_film: Path
):
    asked = settings.for_video("lite", {"mix.codec": "opus", "mix.bitrate_kbps": 600})
    error = refusal(asked, tiny_film)
    assert "mix.bitrate_kbps = 600: the encoder of opus refuses it" in str(error)
