from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import pytest

from dubarr_pipeline.errors import SettingsError
from dubarr_pipeline.settings import Settings, load_settings


def settings(folder: Path, text: str) -> Settings:
    path = folder / "dubarr.toml"
    path.write_text(text)
    return load_settings(path)


def test_without_a_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DUBARR_CONFIG", raising=False)
    monkeypatch.delenv("DUBARR_WORK_DIR", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    found = load_settings()
    assert found.profile == "lite"
    assert found.work_dir == tmp_path / "data" / "dubarr"
    assert found.options("mix").preset == "film"


def test_work_dir_is_taken_from_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "dubarr.toml"
    path.write_text('work_dir = "/from/file"')
    monkeypatch.delenv("DUBARR_WORK_DIR", raising=False)
    assert load_settings(path).work_dir == Path("/from/file")
    monkeypatch.setenv("DUBARR_WORK_DIR", "/from/environment")
    assert load_settings(path).work_dir == Path("/from/environment")
    assert load_settings(path, Path("/asked")).work_dir == Path("/asked")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("proflie = 'lite'", ["proflie", "did you mean 'profile'"]),
        ("[mixx]\npreset='film'", ["mixx", "did you mean 'mix'"]),
        ("[mix]\npresett='film'", ["presett", "preset"]),
        ("[mix.ducking]\ndepth=3", ["depth", "depth_db"]),
        ("[mix]\npreset='loud'", ["mix.preset", "'film'"]),
        ("[mix.ducking]\ndepth_db='much'", ["mix.ducking.depth_db", "number"]),
        ("[production]\nmax_takes=0", ["max_takes"]),
        ("profile='studioo'", ["studioo", "lite"]),
        ("[synthesis]\nengine='festival'", ["festival", "espeak"]),
        ("mix = 3", ["mix", "table"]),
        ("[mix\n", ["TOML"]),
        ("profile = 3", ["profile", "text"]),
        ("debug_mode = 'no'", ["debug_mode", "true or false", "'no'"]),
        ("debug_mode = 1", ["debug_mode", "true or false"]),
        ("work_dir = 5", ["work_dir", "text"]),
        ("[audio]\nlanguage='klingon!'", ["klingon!", "BCP-47"]),
        ("[audio]\nstream=-7", ["stream", "-1"]),
        ("[mix.levels]\ndeep={}", ["mix.levels", "deep"]),
        ("[production.placement]\nfastest_=2", ["did you mean 'fastest'"]),
        ("[transcript.lines]\nlongest=2", ["transcript.lines", "did you mean 'longest_s'"]),
        ("[[mix]]\ncodec='ac3'", ["mix", "table"]),
        ("[libraries.films]\npath='/f'\nlangs=['es']", ["langs", "target_langs"]),
    ],
)
def test_mistakes_are_named_with_the_choices(tmp_path: Path, text: str, words: list[str]) -> None:
    with pytest.raises(SettingsError) as caught:
        settings(tmp_path, text)
    for word in words:
        assert word in str(caught.value)


def test_a_missing_named_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="not there"):
        load_settings(tmp_path / "absent.toml")


def test_numbers_are_taken_as_they_are_written(tmp_path: Path) -> None:
    found = settings(tmp_path, "[production.verdict]\nshorter = 0.9\nlonger = 1.15\n")
    verdict = found.options("production").verdict
    assert (verdict.shorter, verdict.longer) == (Fraction(9, 10), Fraction(23, 20))


def test_an_engine_can_be_changed_by_one_line(tmp_path: Path) -> None:
    found = settings(tmp_path, "[synthesis]\nengine = 'tone'\n").engines()
    assert found["synthesis"] == "tone"
    assert found["separation"] == "lite"


def test_a_videos_overrides_go_on_top(tmp_path: Path) -> None:
    found = settings(tmp_path, "[mix]\npreset = 'duck'\nfade_ms = 5\n")
    over = found.for_video("lite", {"mix.preset": "voice-over"}).options("mix")
    assert (over.preset, over.fade_ms) == ("voice-over", 5)
    assert found.options("mix").preset == "duck"
    with pytest.raises(SettingsError, match="unknown setting 'loud'"):
        found.for_video("lite", {"mix.loud": 1})
