from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import get_args, get_type_hints

import click
import pytest
from click.testing import CliRunner

from dubarr_pipeline import errors
from dubarr_pipeline.cli.main import main
from dubarr_pipeline.cli.terminal import exit_code
from dubarr_pipeline.services.llm_client import LanguageModelOptions
from dubarr_pipeline_tests.fixtures.finished_video import dubarr

COMMANDS = ("dub", "status", "retry", "purge", "doctor", "engines", "demo")


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_every_command(command: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dubarr_pipeline.cli.main", command, "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0
    assert "Usage:" in done.stdout


def test_status_before_anything_exists(tmp_path: Path) -> None:
    assert "no videos" in dubarr("status", work=tmp_path / "none").stdout
    assert json.loads(dubarr("status", "--json", work=tmp_path / "none").stdout) == []
    assert not (tmp_path / "none").exists()


def test_doctor_names_what_is_missing_and_the_cure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ready = dubarr("doctor", work=tmp_path)
    assert "note    synthesis espeak: Hebrew" in ready.stdout
    assert ready.returncode == 0, ready.stdout
    assert "MISSING" not in ready.stdout
    monkeypatch.setenv("PATH", str(tmp_path))
    lacking = dubarr("doctor", work=tmp_path)
    assert lacking.returncode == 3
    assert "apt-get install ffmpeg" in lacking.stdout


def test_dub_stops_before_any_work_where_something_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film = tmp_path / "film.mkv"
    film.write_bytes(b"no film")
    monkeypatch.setenv("PATH", str(tmp_path))
    done = dubarr("dub", film, "--to", "es", work=tmp_path / "work")
    assert done.returncode == 3
    assert "ffmpeg" in done.stderr


def test_engines_shows_licences_and_choices(tmp_path: Path) -> None:
    shown = dubarr("engines", work=tmp_path).stdout
    assert "with many vowels missing" in shown
    assert "* espeak" in shown
    assert "GPL-3.0" in shown


def test_every_way_to_a_language_model_is_named_with_what_it_needs(tmp_path: Path) -> None:
    listed = dubarr("engines", work=tmp_path).stdout
    for name in get_args(get_type_hints(LanguageModelOptions)["serve"]):
        assert re.search(rf"^    {name} .*\n      needs: \w", listed, re.M), name
    assert "    vllm " in listed
    told = dubarr("doctor", "--profile", "studio", work=tmp_path).stdout
    assert "package  transformers  (context: llm)" in told
    assert 'also by llm.serve = "vllm"' in told
    assert "needs: an NVIDIA GPU; pip install vllm in an environment of its own" in told
    assert 'also by llm.serve = "url"' in told
    assert "llm.serve" not in dubarr("doctor", work=tmp_path).stdout
    settings = tmp_path / "dubarr.toml"
    settings.write_text('profile = "studio"\n[llm]\nserve = "vllm"\nexecutable = "/no/bin/vllm"\n')
    told = dubarr("doctor", "--config", settings, work=tmp_path).stdout
    assert "MISSING program  /no/bin/vllm  (context: llm)  → an NVIDIA GPU; pip install" in told
    assert 'also by llm.serve = "transformers"' in told


def test_purge_and_retry_name_the_choices(tmp_path: Path) -> None:
    done = dubarr("purge", "nothing", work=tmp_path)
    assert done.returncode == 2
    assert "nothing" in done.stderr
    assert dubarr("purge", "nothing", "--from", "mixx", work=tmp_path).returncode == 2


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (errors.LanguageError, 2),
        (errors.SettingsError, 2),
        (errors.MissingRequirement, 3),
        (errors.NotAVideo, 4),
        (errors.NoScript, 4),
        (errors.DiskFull, 5),
        (errors.VideoBusy, 5),
        (errors.EngineError, 1),
        (errors.DubbingError, 1),
    ],
)
def test_exit_codes(error: type[Exception], code: int) -> None:
    assert exit_code(error) == code


GROUPS = [main, *(each for each in main.commands.values() if isinstance(each, click.Group))]


@pytest.mark.parametrize("group", GROUPS)
def test_no_short_help_is_cut(group: click.Group) -> None:
    path = [] if group is main else [str(group.name)]
    shown = CliRunner().invoke(main, [*path, "--help"]).output
    listed = shown.partition("Commands:")[2].partition("Exit codes:")[0]
    for name in group.commands:
        assert re.search(rf"^  {name} +[A-Z]", listed, re.M), name
    assert "..." not in listed
