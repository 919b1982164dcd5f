from __future__ import annotations

import os
from fractions import Fraction
from pathlib import Path

import pytest

from dubarr_pipeline.config.settings import Settings, load_settings, user_settings
from dubarr_pipeline.errors import SettingsError


def settings(folder: Path, text: str) -> Settings:
    path = folder / "dubarr.toml"
    path.write_text(text)
    return load_settings(path)


def test_without_a_file_the_defaults_hold(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DUBARR_CONFIG", raising=False)
    monkeypatch.delenv("DUBARR_WORK_DIR", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    found = user_settings()
    assert found.profile == "lite"
    assert found.work_dir == tmp_path / "data" / "dubarr"
    assert found.mix.preset == "film"


def test_work_dir_is_taken_from_the_nearest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "dubarr.toml"
    path.write_text('work_dir = "/from/file"')
    monkeypatch.delenv("DUBARR_WORK_DIR", raising=False)
    assert user_settings(path).work_dir == Path("/from/file")
    monkeypatch.setenv("DUBARR_WORK_DIR", "/from/environment")
    assert user_settings(path).work_dir == Path("/from/environment")
    assert user_settings(path, Path("/asked")).work_dir == Path("/asked")
    monkeypatch.setenv("DUBARR_CONFIG", str(path))
    assert user_settings().config_file == path


def test_settings_that_are_handed_in_ignore_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DUBARR_WORK_DIR", "/from/environment")
    monkeypatch.setenv("DUBARR_CONFIG", "/from/environment.toml")
    before = dict(os.environ)
    assert load_settings(None, tmp_path / "w").work_dir == tmp_path / "w"
    assert load_settings(None, tmp_path / "w").config_file is None
    assert settings(tmp_path, "work_dir = '/from/file'").work_dir == Path("/from/file")
    assert dict(os.environ) == before


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
        ("[production.tempo]\nfastest_=2", ["did you mean 'fastest'"]),
        ("[transcript.lines]\nlongest=2", ["transcript.lines", "did you mean 'longest_s'"]),
        ("[[mix]]\ncodec='ac3'", ["mix", "table"]),
        ("[libraries.films]\npath='/f'\nlangs=['es']", ["langs", "target_langs"]),
        ("[libraries.films.overrides." + ".".join("a" * 900) + "]", ["libraries.films", "nested"]),
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
    found = settings(tmp_path, "[segments.tempo]\nshorter = 0.9\nlonger = 1.15\n")
    tempo = found.segments.tempo
    assert (tempo.shorter, tempo.longer) == (Fraction(9, 10), Fraction(23, 20))


def test_an_engine_can_be_changed_by_one_line(tmp_path: Path) -> None:
    found = settings(tmp_path, "[synthesis]\nengine = 'tone'\n").engines
    assert found["synthesis"] == "tone"
    assert found["separation"] == "lite"


def test_a_videos_overrides_go_on_top(tmp_path: Path) -> None:
    found = settings(tmp_path, "[mix]\npreset = 'duck'\nfade_ms = 5\n")
    over = found.for_video("lite", {"mix.preset": "voice-over"}).mix
    assert (over.preset, over.fade_ms) == ("voice-over", 5)
    assert found.mix.preset == "duck"
    with pytest.raises(SettingsError, match="unknown setting 'loud'"):
        found.for_video("lite", {"mix.loud": 1})


def test_a_videos_settings_are_made_once(tmp_path: Path) -> None:
    found = settings(tmp_path, "[mix]\npreset = 'duck'\n")
    assert found.for_video("lite", {}) is found
    over = {"mix.preset": "voice-over", "segments.window.after_s": 0.5}
    assert found.for_video("lite", over) is found.for_video("lite", dict(reversed(over.items())))
    assert found.for_video("lite", over).segments.window.after_s == 0.5


def test_old_names_are_read_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    text = "[production]\nmax_takes = 2\nready_lines = 9\n[segments]\nready_lines = 7\n"
    found = settings(tmp_path, text)
    assert (found.segments.max_takes, found.segments.ready_lines) == (2, 7)
    assert "production is now called segments" in caplog.text
    assert found.for_video("lite", {"production.max_takes": 1}).segments.max_takes == 1


@pytest.mark.parametrize("table", ["production.verdict", "segments.placement"])
def test_the_two_old_tempo_limits_are_read_as_the_one(tmp_path: Path, table: str) -> None:
    found = settings(tmp_path, f"[{table}]\nfastest = 1.4\n")
    assert found.segments.tempo.fastest == Fraction(7, 5)
    both = "[production.verdict]\nfastest = 1.4\n[segments.tempo]\nfastest = 1.3\n"
    assert settings(tmp_path, both).segments.tempo.fastest == Fraction(13, 10)


def test_a_setting_without_effect_is_accepted_with_a_warning(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    found = settings(tmp_path, "[production.verdict]\ntakes = 1\n")
    assert found.segments.max_takes == 3
    assert "segments.verdict.takes has no effect" in caplog.text
    assert "segments.max_takes" in caplog.text


def test_a_mistake_in_a_librarys_own_settings_stops_the_start(tmp_path: Path) -> None:
    text = "[translation]\nmodes = '/m'\n[libraries.a]\npath = '/a'\ntarget_langs = ['es']\n"
    settings(tmp_path, text)
    with pytest.raises(SettingsError, match=r"\[translation\]: unknown setting 'modes'"):
        settings(tmp_path, f"{text}profile = 'laptop'\n")


def test_folders_of_requests_are_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    found = settings(tmp_path, "[webhooks]\nfolders = ['~/in', '/films']\n")
    assert found.webhooks.folders == (tmp_path / "in", Path("/films"))
    for folder in ("", ".", "films"):
        with pytest.raises(SettingsError, match="must be absolute"):
            settings(tmp_path, f"[webhooks]\nfolders = ['{folder}']\n")
