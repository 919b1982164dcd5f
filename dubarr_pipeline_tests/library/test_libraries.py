from __future__ import annotations

from pathlib import Path

import pytest

from dubarr_pipeline.errors import SettingsError
from dubarr_pipeline.library.libraries import Library
from dubarr_pipeline.settings import Settings, load_settings


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
        ('[libraries.a]\npath = "/a"', "setting libraries.a.target_langs: Field required"),
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
