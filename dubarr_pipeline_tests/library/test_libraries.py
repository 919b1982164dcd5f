from __future__ import annotations

from pathlib import Path

import pytest

from dubarr_pipeline.config.libraries import Library
from dubarr_pipeline.config.settings import Settings, load_settings
from dubarr_pipeline.errors import SettingsError


def settings(tmp_path: Path, text: str) -> Settings:
    path = tmp_path / "dubarr.toml"
    path.write_text(text)
    return load_settings(path, tmp_path / "work")


def test_libraries_are_read(tmp_path: Path):
    found = settings(
        tmp_path,
        """
        [libraries.films]
        path = "/media/films"
        target_langs = ["spa", "pt_br", "es"]
        [libraries."my series"]
        path = "~/series"
        target_langs = ["ca"]
        profile = "lite"
        """,
    )
    assert list(found.libraries) == ["films", "my series"]
    assert found.library("films") == Library(Path("/media/films"), ("es", "pt-BR"))
    assert found.library("my series") == Library(Path.home() / "series", ("ca",), "lite")
    assert found.for_video("lite", {}).libraries == found.libraries


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('libraries = "/media"', "libraries must be tables, [libraries.NAME]"),
        ('[libraries]\npath = "/media"', "libraries.path must be a table, [libraries.path]"),
        ('[libraries.a]\npth = "/a"', "[libraries.a]: unknown setting 'pth'; did you mean 'path'?"),
        ('[libraries.a]\npath = "/a"', "settings of [libraries.a]: no target language"),
        ('[libraries.a]\ntarget_langs = ["es"]', "setting libraries.a.path: Field required"),
        ('[libraries.a]\npath = "/a"\ntarget_langs = []', "no target language"),
        ('[libraries.a]\npath = "/a"\ntarget_langs = "es"', "setting libraries.a.target_langs: "),
        ('[libraries.a]\npath = "/a"\ntarget_langs = ["xx"]', "unknown language 'xx'"),
        ('[libraries.a]\npath = "a"\ntarget_langs = ["es"]', "path 'a' must be absolute"),
        (
            '[libraries.a]\npath = "/a"\ntarget_langs = ["es"]\nprofile = "big"',
            "unknown profile 'big' (choices: ",
        ),
    ],
)
def test_a_mistake_is_named(tmp_path: Path, text: str, words: str):
    with pytest.raises(SettingsError) as found:
        settings(tmp_path, text)
    assert words in str(found.value)


def test_languages_under_a_name_of_their_own(tmp_path: Path):
    found = settings(
        tmp_path,
        """
        [language_profiles.iberian]
        target_langs = ["es", "ca"]
        overrides = { "mix.preset" = "duck", "mix.codec" = "flac" }
        [libraries.films]
        path = "/media/films"
        languages = "iberian"
        overrides = { "mix.codec" = "aac" }
        """,
    ).library("films")
    assert found.target_langs == ("es", "ca")
    assert found.overrides == {"mix.preset": "duck", "mix.codec": "aac"}


@pytest.mark.parametrize(
    ("library", "words"),
    [
        ('languages = "iberian"', "[libraries.a]: unknown language profile 'iberian' (choices: b)"),
        ('target_langs = ["es"]\nlanguages = "b"', "not both"),
        ('target_langs = ["es"]\npriority = 101', "libraries.a.priority: must be -100 to 100"),
        ('target_langs = ["es"]\nquiet_hours = ["22-7"]', "quiet hours '22-7': write them as"),
        ('target_langs = ["es"]\npath_mappings = { "tv" = "/tv" }', "must both be absolute"),
        ('target_langs = ["es"]\n[libraries.a.rules]\nminsize = 3', "unknown setting 'minsize'"),
        ('languages = "b"\noverrides = { "mix.codek" = "aac" }', "unknown setting 'codek'"),
    ],
)
def test_a_wish_that_cannot_be_is_named(tmp_path: Path, library: str, words: str):
    text = f'[language_profiles.b]\ntarget_langs = ["ca"]\n[libraries.a]\npath = "/a"\n{library}'
    with pytest.raises(SettingsError) as found:
        settings(tmp_path, text)
    assert words in str(found.value)


@pytest.mark.parametrize(
    ("theirs", "ours"),
    [
        ("/tv/Show/e1.mkv", "/mnt/media/tv/Show/e1.mkv"),
        ("/tv/anime/Show/e1.mkv", "/mnt/anime/Show/e1.mkv"),
        ("/tvshows/e1.mkv", "/tvshows/e1.mkv"),
        (r"D:\TV\Show\e1.mkv", "/mnt/windows/Show/e1.mkv"),
        ("/tv", "/mnt/media/tv"),
    ],
)
def test_other_programs_paths_are_read_as_they_mean_them(theirs: str, ours: str):
    mappings = {
        "/tv": Path("/mnt/media/tv"),
        "/tv/anime": Path("/mnt/anime"),
        "D:\\TV": Path("/mnt/windows"),
    }
    library = Library(Path("/mnt/media/tv"), ("es",), path_mappings=mappings)
    assert library.mapped(theirs) == Path(ours)


def test_a_path_that_leads_out_is_not_held(tmp_path: Path):
    library = Library(tmp_path / "films", ("es",))
    library.path.mkdir()
    outside = tmp_path / "secret.mkv"
    outside.write_bytes(b"x")
    (library.path / "link.mkv").symlink_to(outside)
    (library.path / "folder").symlink_to(tmp_path)
    (library.path / "loop").symlink_to(library.path / "loop")
    assert library.holds(library.path / "deep" / "a.mkv")
    for path in ("link.mkv", "../secret.mkv", "folder/secret.mkv", "a/../../secret.mkv"):
        assert not library.holds(library.path / path), path
