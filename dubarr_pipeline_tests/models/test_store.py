"""Names of models: a path, a model of the manifest, or a repository of the hub."""

from __future__ import annotations

from pathlib import Path

import pytest

from dubarr_pipeline.errors import MissingRequirement
from dubarr_pipeline.models.store import (
    is_present,
    local_folder,
    model_folder,
    model_identity,
    model_need,
)


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DUBARR_MODELS_DIR", str(tmp_path / "models"))
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("name", ["voices/kokoro", "./voices/kokoro", "voices", "voices/../voices"])
def test_a_relative_path_is_the_folder_that_lies_there(tmp_path: Path, name: str) -> None:
    (tmp_path / "voices" / "kokoro").mkdir(parents=True)
    (tmp_path / "voices" / "weights").write_bytes(b"1")
    assert model_folder(name).samefile(tmp_path / name)
    assert is_present(name)
    assert model_need(name).cure == ""
    assert "(not here)" not in model_identity(name)


def test_without_a_folder_a_name_is_the_hubs(tmp_path: Path) -> None:
    assert local_folder("voices/kokoro") is None
    assert "dubarr models pull voices/kokoro" in model_need("voices/kokoro").cure
    (tmp_path / "voices").write_text("a file")
    assert local_folder("voices") is None


@pytest.mark.parametrize("name", ["./voices", "../voices", "/no/voices", "~/no-voices-here"])
def test_what_can_only_be_a_path_says_that_it_is_missing(name: str) -> None:
    with pytest.raises(MissingRequirement, match="is not there: correct the path"):
        model_need(name)


def test_a_model_of_the_manifest_is_not_hidden_by_a_folder(tmp_path: Path) -> None:
    (tmp_path / "Supertone" / "supertonic-3").mkdir(parents=True)
    assert local_folder("Supertone/supertonic-3") is None
