"""Engines of other packages: registered by a program, or found by their entry point."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import dubarr_pipeline as dubarr
from dubarr_pipeline.config.profile_engines import synthesizer
from dubarr_pipeline.config.settings import parse_settings
from dubarr_pipeline.engines import registry
from dubarr_pipeline.engines.registry import EngineRow
from dubarr_pipeline.engines.synthesis.tone import ToneSynthesizer
from dubarr_pipeline.errors import SettingsError


@dataclass(frozen=True)
class ChoirOptions:
    """Options of an engine of another package."""

    voices: int = 4


class Choir(ToneSynthesizer):
    """An engine of another package."""

    def __init__(self, options: ChoirOptions) -> None:
        super().__init__()
        self.options = options


ROW = EngineRow(
    "synthesis",
    "choir",
    f"{__name__}:Choir",
    "MIT",
    "hums in harmony",
    options=f"{__name__}:ChoirOptions",
)


@pytest.fixture
def registered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "_registered", [])
    dubarr.engines.register(ROW)


@pytest.mark.usefixtures("registered")
def test_a_registered_engine_is_chosen_by_the_settings(tmp_path: Path) -> None:
    document = {"synthesis": {"engine": "choir", "voices": 8}}
    chosen = synthesizer(parse_settings(document, tmp_path))
    assert isinstance(chosen, Choir)
    assert chosen.options.voices == 8
    with pytest.raises(SettingsError, match=r"unknown setting 'voice'; did you mean 'voices'"):
        parse_settings({"synthesis": {"engine": "choir", "voice": 8}}, tmp_path)
    with pytest.raises(
        SettingsError, match="espeak, kokoro, supertonic, openai, xtts, tone, choir"
    ):
        parse_settings({"synthesis": {"engine": "organ"}}, tmp_path)


@pytest.mark.usefixtures("registered")
def test_a_name_that_is_taken_is_refused() -> None:
    with pytest.raises(SettingsError, match="'choir' is known already: rename yours"):
        dubarr.engines.register(ROW)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An installed package with an entry point of our group."""
    folder = tmp_path / "site"
    about = folder / "choir_for_dubarr-1.0.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: choir-for-dubarr\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[dubarr.engines]\nchoir = choir_for_dubarr:ROW\n")
    (folder / "choir_for_dubarr.py").write_text(
        "from dubarr_pipeline.engines import EngineRow\n"
        "from dubarr_pipeline.engines.synthesis.tone import ToneSynthesizer\n"
        "class Choir(ToneSynthesizer):\n    pass\n"
        'ROW = EngineRow("synthesis", "choir", "choir_for_dubarr:Choir", "MIT", "hums")\n'
    )
    monkeypatch.syspath_prepend(str(folder))
    registry._installed.cache_clear()
    yield folder
    registry._installed.cache_clear()
    sys.modules.pop("choir_for_dubarr", None)


def test_an_installed_engine_is_chosen_by_the_settings(package: Path, tmp_path: Path) -> None:
    chosen = synthesizer(parse_settings({"synthesis": {"engine": "choir"}}, tmp_path))
    assert type(chosen).__module__ == "choir_for_dubarr"


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("ROW = 3", "is not an EngineRow"),
        ("import no_such_module", "cannot be loaded: No module named 'no_such_module'"),
        ("", "cannot be loaded: "),
    ],
)
def test_a_broken_package_is_named(package: Path, tmp_path: Path, code: str, words: str) -> None:
    (package / "choir_for_dubarr.py").write_text(code)
    with pytest.raises(SettingsError, match=f"'choir'.*choir_for_dubarr:ROW.*{words}"):
        parse_settings({}, tmp_path)
