from __future__ import annotations

from pathlib import Path

import pytest
from py3langid.langid import MODEL_FILE, LanguageIdentifier

from dubarr_pipeline.text.language_model import language_identifier

TEXTS = (
    "No sé qué es lo que está pasando, pero esta no es mi casa.",
    "JE NE SAIS PAS CE QUE C'EST",
    "これは私の家ではありません",
    "Ово није моја кућа",
    "?",
    "",
)


@pytest.fixture(scope="module")
def theirs() -> LanguageIdentifier:
    """The package's own, restricted as ours is."""
    identifier = LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
    identifier.set_languages([label for label in identifier.labels if len(label) == 2])
    return identifier


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache folder of the user."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "dubarr"


def test_it_ranks_as_the_packages_own(theirs: LanguageIdentifier, cache: Path) -> None:
    for identifier in (language_identifier(), language_identifier()):
        assert identifier.labels == theirs.labels
        for text in TEXTS:
            assert identifier.rank(text) == theirs.rank(text)
    (unpacked,) = cache.iterdir()
    assert len(list(unpacked.iterdir())) == 6


def test_the_second_process_unpacks_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    language_identifier()
    monkeypatch.setattr("py3langid.modelio.load_model", None)
    assert language_identifier().rank(TEXTS[0])[0][0] == "es"


@pytest.mark.parametrize("kept", [0, 40, 100_000])
def test_a_damaged_file_is_made_anew(cache: Path, kept: int) -> None:
    language_identifier()
    (table,) = cache.rglob("table.npy")
    whole = table.read_bytes()
    table.unlink()
    table.write_bytes(whole[:kept])
    assert language_identifier().rank(TEXTS[0])[0][0] == "es"
    assert table.read_bytes() == whole


def test_a_cache_that_cannot_be_written_is_done_without(cache: Path) -> None:
    cache.write_text("no folder")
    assert language_identifier().rank(TEXTS[0])[0][0] == "es"
