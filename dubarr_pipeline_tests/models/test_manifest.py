"""The manifest: every model's row, one's own rows, and any repository of the hub."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

import pytest

from dubarr_pipeline.engines.registry import own_engines
from dubarr_pipeline.errors import SettingsError
from dubarr_pipeline.models.manifest import all_models, find_model


def _own(folder: Path, text: str) -> Path:
    path = folder / "models.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("row", all_models().values(), ids=lambda row: row.name)
def test_every_model_says_whence_it_comes_and_under_which_licence(row):
    assert row.licence != "unknown"
    assert row.commercial is not None
    assert row.summary
    assert row.page.startswith("https://")
    assert bool(row.repo) != bool(row.urls)
    assert row.about_mb > 0
    assert all(url.startswith("https://") for url in row.urls)
    assert all(row.checksum(PurePosixPath(url).name) for url in row.urls)


def test_every_model_that_an_engine_loads_has_a_row():
    assert {name for row in own_engines() for name in row.models} <= set(all_models())


def test_an_engine_whose_model_forbids_commercial_use_says_so_itself():
    rows = all_models()
    for engine in own_engines():
        forbidden = [n for n in engine.models if rows[n].commercial is False]
        assert not (forbidden and engine.commercial), engine.name


def test_a_row_of_ones_own_is_added_or_goes_before(tmp_path: Path):
    own = _own(tmp_path, '[models.htdemucs]\nurls = ["http://x/y.th"]\n[models."a/b"]\ngated=true')
    assert find_model("htdemucs", own).urls == ("http://x/y.th",)
    assert find_model("htdemucs", own).repo == ""
    assert find_model("a/b", own).gated
    assert find_model("a/b", own).repo == "a/b"
    assert find_model("htdemucs_ft", own) == find_model("htdemucs_ft", tmp_path / "none.toml")


def test_any_repository_is_a_model_of_which_nothing_is_known():
    row = find_model("some-body/some.thing_2")
    assert (row.licence, row.commercial, row.files) == ("unknown", None, ("*",))


@pytest.mark.parametrize("name", ["", "nothing", "a/b/c", "a b/c", "../x"])
def test_other_names_are_refused_with_the_choices(name: str):
    with pytest.raises(SettingsError, match="choices: htdemucs_ft"):
        find_model(name)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[models", "is not TOML"),
        ("[models.x]\nurl = 'y'", "unknown key 'url'"),
        ("[models.x]\nabout_mb = 'large'", "about_mb"),
    ],
)
def test_mistakes_in_ones_own_rows_are_named(tmp_path: Path, text: str, said: str):
    with pytest.raises(SettingsError, match=said):
        all_models(_own(tmp_path, text))
