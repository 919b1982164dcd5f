"""The Python API on a tiny film: what is handed in is used, and nothing else is touched."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import dubarr_pipeline as dubarr
from dubarr_pipeline.defs.stages import STAGE_NAMES
from dubarr_pipeline.errors import DubbingError, LanguageError, SettingsError, SourceMissing
from dubarr_pipeline.progress import Progress

SCRIPT = """
import os, sys
from pathlib import Path
import dubarr_pipeline as dubarr
from dubarr_pipeline.api.profiles import make_demo_video, read_settings

before, work = dict(os.environ), Path(sys.argv[1])
film = make_demo_video(read_settings(work))
seen = set()
result = dubarr.dub(film, to=["es"], work_dir=work, on_progress=lambda stage, at: seen.add(stage))
assert result.video.is_file() and result.report.is_file(), result
assert result.lines.failed == 0 and result.lines.placed == result.lines.total > 0, result.lines
assert seen == set(result.stages), seen
assert not any(stage.reused for stage in result.stages.values())
assert not any(stage.rerun for stage in dubarr.plan(film, work_dir=work))
assert [task.status for task in dubarr.status(work)] == ["DONE"]
assert dict(os.environ) == before
print("dubbed", result.video)
"""


@pytest.mark.slow
def test_a_script_dubs_the_demo_without_any_environment(tmp_path: Path, demo_folder: Path) -> None:
    shutil.copytree(demo_folder, tmp_path / "work" / "demo")
    home = tmp_path / "home"
    home.mkdir()
    environment = {"PATH": os.environ["PATH"], "HOME": str(home)}
    if "PYTHONPATH" in os.environ:
        environment["PYTHONPATH"] = os.environ["PYTHONPATH"]
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path / "work")],
        env=environment,
        cwd=home,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert str(tmp_path / "work") in done.stdout
    assert [path.name for path in home.iterdir() if path.name != ".cache"] == []


@pytest.mark.slow
def test_two_work_folders_in_one_process(
    tmp_path: Path, tiny_film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DUBARR_WORK_DIR", str(tmp_path / "not this one"))
    monkeypatch.delenv("DUBARR_CONFIG", raising=False)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)
    before = dict(os.environ)
    config = tmp_path / "flac.toml"
    config.write_text('[mix]\ncodec = "flac"\n')
    told: list[tuple[str, Progress]] = []
    first = dubarr.dub(tiny_film, to=["es"], work_dir=tmp_path / "a", config=config)
    second = dubarr.dub(
        tiny_film, to=["ca"], work_dir=tmp_path / "b", on_progress=lambda *at: told.append(at)
    )
    assert first.video.is_relative_to(tmp_path / "a")
    assert second.video.is_relative_to(tmp_path / "b")
    assert (first.video.parent / "final_es.flac").is_file()
    assert (second.video.parent / "final_ca.ac3").is_file()
    assert {stage for stage, _ in told} == set(STAGE_NAMES) == set(second.stages)
    again = dubarr.dub(tiny_film, to=["es"], work_dir=tmp_path / "a", config=config)
    assert all(stage.reused for stage in again.stages.values())
    assert again.stages["mix"].seconds == first.stages["mix"].seconds
    (mix,) = (s for s in dubarr.plan(tiny_film, work_dir=tmp_path / "a") if s.stage == "mix")
    assert mix.rerun
    assert '"flac"' in mix.reason
    assert mix.last_seconds == first.stages["mix"].seconds
    for folder, targets in (("a", ("es",)), ("b", ("ca",))):
        (task,) = dubarr.status(tmp_path / folder)
        assert (task.status, task.video.target_langs) == ("DONE", targets)
    assert not (tmp_path / "not this one").exists()
    assert dict(os.environ) == before


@pytest.mark.slow
def test_a_store_of_the_users_own_is_used(
    tmp_path: Path, tiny_film: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "store").mkdir()
    monkeypatch.setenv("DAGSTER_HOME", str(tmp_path / "store"))
    result = dubarr.dub(tiny_film, to=["es"], work_dir=tmp_path / "work")
    assert result.lines.failed == 0
    assert os.environ["DAGSTER_HOME"] == str(tmp_path / "store")
    assert not (tmp_path / "work" / ".dagster").exists()


def test_errors_are_ours(tmp_path: Path, tiny_film: Path) -> None:
    work = tmp_path / "work"
    with pytest.raises(SourceMissing):
        dubarr.dub(tmp_path / "absent.mkv", to=["es"], work_dir=work)
    with pytest.raises(LanguageError):
        dubarr.dub(tiny_film, to=["en"], work_dir=work)
    with pytest.raises(SettingsError, match="unknown profile 'huge'"):
        dubarr.dub(tiny_film, to=["es"], work_dir=work, profile="huge")
    with pytest.raises(SourceMissing, match=r"absent\.mkv is not there"):
        dubarr.plan(tmp_path / "absent.mkv", work_dir=work)
    with pytest.raises(SettingsError, match="0 videos match"):
        dubarr.plan("absent", work_dir=work)
    with pytest.raises(DubbingError, match="no languages of its own"):
        dubarr.plan(tiny_film, work_dir=work)
    assert dubarr.status(tmp_path / "none") == []


def test_the_package_offers_its_api_and_nothing_else() -> None:
    for name in dubarr.__all__:
        assert getattr(dubarr, name) is not None
    with pytest.raises(AttributeError, match="dubs"):
        _ = dubarr.dubs
