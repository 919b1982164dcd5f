"""The wheel, installed elsewhere, dubs the demo; who may not install is told what to ask for."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

import pytest

from dubarr_pipeline_tests.fixtures.documented_names import ROOT

pytestmark = pytest.mark.slow


def _run(*command: str | Path, cwd: Path) -> str:
    """Run a command that finds no module of ours but what is installed; return what it printed."""
    environment = {n: v for n, v in os.environ.items() if not n.startswith(("PYTHON", "DUBARR_"))}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The programs of an environment with our wheel, and other people's packages from this one."""
    folder = tmp_path_factory.mktemp("wheel")
    source, environment = folder / "source", folder / "environment"
    source.mkdir()
    for name in ("pyproject.toml", "setup.py", "README.md"):
        shutil.copy(ROOT / name, source)
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "dubarr_pipeline", source / "dubarr_pipeline", ignore=skip)
    pip = (sys.executable, "-m", "pip")
    offline = ("--quiet", "--no-deps", "--no-index")
    _run(*pip, "wheel", *offline, "--no-build-isolation", "-w", ".", "./source", cwd=folder)
    (wheel,) = folder.glob("dubarr_pipeline-*.whl")
    shutil.rmtree(source)
    _run(sys.executable, "-m", "venv", "--without-pip", environment, cwd=folder)
    # A line of a .pth adds the folder alone: the editable install that lies there stays unknown.
    (packages,) = environment.glob("lib/python3*/site-packages")
    (packages / "others.pth").write_text(f"{sysconfig.get_paths()['purelib']}\n", encoding="utf-8")
    python = environment / "bin" / "python"
    _run(*pip, "--python", python, "install", *offline, wheel, cwd=folder)
    return environment / "bin"


def test_the_demo_is_dubbed_by_the_wheel_alone(installed: Path, tmp_path: Path) -> None:
    where = "import dubarr_pipeline; print(dubarr_pipeline.__file__)"
    ours = Path(_run(installed / "python", "-c", where, cwd=tmp_path).strip())
    assert ours.is_relative_to(installed.parent)
    work = tmp_path / "work"
    said = _run(installed / "dubarr", "demo", "--to", "es", "--work-dir", work, cwd=tmp_path)
    assert "9 of 9 lines placed" in said
    (film,) = work.glob("*/final_muxed.mkv")
    assert (film.parent / "report.html").is_file()


def test_the_wheel_has_every_file_that_is_no_code(installed: Path) -> None:
    (package,) = installed.parent.glob("lib/python3*/site-packages/dubarr_pipeline")
    there = {path.relative_to(package) for path in package.rglob("*") if path.is_file()}
    tracked = subprocess.run(
        ["git", "ls-files", "dubarr_pipeline"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    ours = {Path(line).relative_to("dubarr_pipeline") for line in tracked.stdout.splitlines()}
    assert ours - there == set()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_who_may_install_nothing_is_told_what_to_ask_for() -> None:
    # Below /tmp, which everybody may enter.
    with tempfile.TemporaryDirectory() as folder:
        _ask_as_nobody(Path(folder))


def _ask_as_nobody(programs: Path) -> None:
    programs.chmod(0o755)
    for name in ("id", "ls", "apt-get"):
        (programs / name).symlink_to(shutil.which(name) or "/usr/bin/apt-get")
    script = (ROOT / "scripts" / "install-system").read_text(encoding="utf-8")
    done = subprocess.run(
        ["/bin/sh", "-s"],
        input=script,
        env={"PATH": str(programs)},
        user=65534,
        group=65534,
        extra_groups=[],
        cwd="/",
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 3, done.stderr
    (sentence,) = done.stderr.splitlines()
    assert "ask your administrator to run `apt-get install" in sentence
    assert " ffmpeg " in sentence
    assert " mkvtoolnix " in sentence
