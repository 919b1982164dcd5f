"""The images' entry in a small root of our own, and the files that build and start the images.

The root is a mount namespace and a chroot, with what Docker would give a container: a read-only
root, three capabilities, four folders. Whole images are built by `deploy/build` and started by
`scripts/try_image.py`, by hand (docs/container.md).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from dubarr_pipeline.cli.main import main
from dubarr_pipeline.config.settings import load_settings
from dubarr_pipeline_tests.fixtures.documented_names import ROOT

DEPLOY = ROOT / "deploy"
IMAGE = DEPLOY / "image"
CONTAINERFILES = [DEPLOY / "Containerfile", DEPLOY / "Containerfile.studio"]
OWN = {"/config", "/models", "/work"}
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
OURS = {name: each for name, each in COMPOSE["services"].items() if name != "postgres"}

_SMALL_ROOT = """
set -eu
root=$1 capabilities=$2
shift 2
mount --bind "$root" "$root"
mount -t tmpfs tmpfs "$root/tmp"
for name in usr local etc config media models work; do
    at=$root/$name
    test "$name" != local || at=$root/usr/local
    case "$name" in
    usr | etc) mount --bind "/$name" "$at" ;;
    *) mount --bind "$root/../$name" "$at" ;;
    esac
done
mount --bind /dev "$root/dev"
mount --bind "$root/../opt" "$root/opt"
mount -o remount,ro,bind "$root"
for name in usr usr/local etc opt; do mount -o remount,ro,bind "$root/$name"; done
mount -t proc proc "$root/proc"
exec chroot "$root" setpriv --inh-caps=-all --bounding-set="-all$capabilities" \
    env -i PATH=/usr/local/bin:/usr/bin:/bin "$@"
"""


@dataclass(frozen=True)
class SmallRoot:
    """Folders that become a container's root, and what is mounted on it."""

    folder: Path

    def run(
        self, *command: str, capabilities: str = ",+chown,+setuid,+setgid", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a command behind the entry, with capabilities as `setpriv` names them."""
        given = [f"{name}={value}" for name, value in variables.items()]
        inside = [*given, "sh", "/usr/local/bin/entry", *command]
        space = ("unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", _SMALL_ROOT)
        return subprocess.run(
            [*space, "sh", str(self.folder / "root"), capabilities, *inside],
            capture_output=True,
            text=True,
            check=False,
        )

    def owner(self, name: str) -> tuple[int, int]:
        """User and group of a folder or file."""
        status = (self.folder / name).stat()
        return status.st_uid, status.st_gid


@pytest.fixture
def small_root(tmp_path: Path) -> SmallRoot:
    """A root as the image has it, with this machine's system programs."""
    tried = subprocess.run(
        ["unshare", "--mount", "--pid", "--fork", "mount", "-t", "tmpfs", "tmpfs", str(tmp_path)],
        capture_output=True,
        check=False,
    )
    if os.geteuid() != 0 or tried.returncode != 0:
        pytest.skip("this machine lets nobody make a mount namespace with other users in it")
    root = tmp_path / "root"
    for name in ("usr", "etc", "tmp", "dev", "proc", "opt", *(each[1:] for each in OWN), "media"):
        (root / name).mkdir(parents=True)
        if name not in ("usr", "tmp", "dev", "proc", "etc"):
            (tmp_path / name).mkdir()
    for link in ("bin", "sbin", "lib", "lib64"):
        (root / link).symlink_to(f"usr/{link}")
    for name, place in (("entry", "bin"), ("dubarr.toml", "share/dubarr")):
        folder = tmp_path / "local" / place
        folder.mkdir(parents=True)
        shutil.copy(IMAGE / name, folder)
    shutil.copy(IMAGE / "workspace.yaml", tmp_path / "local" / "share" / "dubarr")
    shipped = "dubarr_pipeline/defs/runtime/dagster.yaml"
    packages = tmp_path / "opt" / "dubarr" / "lib" / "python3.11" / "site-packages"
    (packages / shipped).parent.mkdir(parents=True)
    shutil.copy(ROOT / shipped, packages / shipped)
    (tmp_path / "media" / "film.mkv").write_bytes(b"a film")
    return SmallRoot(tmp_path)


_LOOK = """
echo user $(id -u) $(id -g) $(id -G)
echo umask $(umask) zone $(date -d 2026-07-01T12:00Z +%H)
grep -E '^(Cap(Prm|Eff|Amb)|NoNewPrivs)' /proc/self/status
touch /work/made /media/made 2>/dev/null; touch /tmp/made
touch /usr/made /made 2>/dev/null && echo the root is written
echo "$@"
"""


def test_the_entry_becomes_the_user_and_leaves_no_capability(small_root: SmallRoot) -> None:
    given = {"PUID": "4711", "PGID": "815", "UMASK": "002", "TZ": "Europe/Madrid"}
    done = small_root.run("sh", "-c", _LOOK, "sh", "two words", "*", **given)
    assert done.returncode == 0, done.stderr
    said = done.stdout.splitlines()
    assert said[:2] == ["user 4711 815 815", "umask 0002 zone 14"]
    assert {line.split()[1] for line in said[2:5]} == {"0" * 16}
    assert said[5].split() == ["NoNewPrivs:", "1"]
    assert said[6:] == ["two words *"]
    assert {small_root.owner(name) for name in ("config", "models", "work")} == {(4711, 815)}
    assert small_root.owner("work/made") == (4711, 815)
    assert (small_root.folder / "work" / "made").stat().st_mode & 0o777 == 0o664
    # The films are somebody else's: neither given away nor written, as rights have it.
    assert small_root.owner("media") == small_root.owner("media/film.mkv") == (0, 0)
    assert not (small_root.folder / "media" / "made").exists()


def test_a_user_of_the_container_needs_no_capability(small_root: SmallRoot) -> None:
    for name in ("config", "work"):
        os.chown(small_root.folder / name, 1234, 1234)
    as_user = ("setpriv", "--reuid", "1234", "--regid", "1234", "--clear-groups", "sh")
    done = subprocess.run(
        [
            *("unshare", "--mount", "--pid", "--fork", "sh", "-c", _SMALL_ROOT, "sh"),
            *(str(small_root.folder / "root"), ",+setuid,+setgid", *as_user),
            *("/usr/local/bin/entry", "id", "-u"),
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout) == (0, "1234\n"), done.stderr


def test_the_first_start_makes_what_it_needs_and_the_next_leaves_it(small_root: SmallRoot) -> None:
    url = "postgresql+psycopg2://dubarr:secret@postgres/dubarr"
    assert small_root.run("true", DUBARR_POSTGRES_URL=url).returncode == 0
    settings, store = (
        small_root.folder / name for name in ("config/dubarr.toml", "work/.dagster/dagster.yaml")
    )
    assert load_settings(settings).review.host == "0.0.0.0"
    kept = yaml.safe_load(store.read_text(encoding="utf-8"))
    assert kept["storage"] == {"postgres": {"postgres_url": {"env": "DUBARR_POSTGRES_URL"}}}
    assert kept["run_launcher"]["class"] == "WatchedRunLauncher"
    assert "secret" not in store.read_text(encoding="utf-8")
    for file in (settings, store):
        file.write_text("# mine\n", encoding="utf-8")
    assert small_root.run("true", DUBARR_POSTGRES_URL=url).returncode == 0
    assert {file.read_text(encoding="utf-8") for file in (settings, store)} == {"# mine\n"}
    assert sorted(path.name for path in settings.parent.iterdir()) == ["dubarr.toml"]


def test_settings_that_are_there_may_be_read_only(small_root: SmallRoot) -> None:
    """As a cluster's are, which nobody can be given either."""
    os.chown(small_root.folder / "work", 1000, 1000)
    (small_root.folder / "config" / "dubarr.toml").write_text("# mine\n", encoding="utf-8")
    done = small_root.run("cat", "/config/dubarr.toml", capabilities=",+setuid,+setgid")
    assert (done.returncode, done.stdout) == (0, "# mine\n"), done.stderr


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"PUID": "maria"}, "PUID=maria is not a number"),
        ({"UMASK": "9"}, "UMASK=9 is not an octal number"),
        ({"TZ": "Mars/Base"}, "TZ=Mars/Base is no time zone"),
        ({"PUID": "1000", "capabilities": ",+setuid,+setgid"}, "cannot be given to 1000:1000"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    given: dict[str, str], words: str, small_root: SmallRoot
) -> None:
    done = small_root.run("true", **given)
    assert done.returncode == 2
    assert words in done.stderr


@pytest.mark.parametrize("path", CONTAINERFILES, ids=lambda path: path.name)
def test_hadolint_finds_nothing(path: Path) -> None:
    linter = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([linter, path], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


@pytest.mark.parametrize("path", CONTAINERFILES, ids=lambda path: path.name)
def test_all_that_is_copied_is_there_and_not_ignored(path: Path) -> None:
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    shown = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    names = [
        name
        for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE)
        for name in line.split()[:-1]
    ]
    for name in names:
        assert (ROOT / name).exists(), name
        assert any(f"!{name}/".startswith(f"{each}/") for each in shown), name


@pytest.mark.parametrize("path", [*sorted(IMAGE.iterdir()), DEPLOY / "build"], ids=lambda p: p.name)
def test_scripts_can_be_read_and_started(path: Path) -> None:
    first = path.read_text(encoding="utf-8").partition("\n")[0]
    if first == "#!/bin/sh":
        assert subprocess.run(["sh", "-n", path], check=False).returncode == 0
    elif first.startswith("#!"):
        compile(path.read_text(encoding="utf-8"), path.name, "exec")
    assert first.startswith("#!") == os.access(path, os.X_OK)


def test_versions_in_the_image_are_ones_that_the_library_allows() -> None:
    lines = (IMAGE / "constraints.txt").read_text(encoding="utf-8").split("\n")
    pinned = dict(line.split("==") for line in lines if line and not line.startswith("#"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["laptop"]]
    for each in map(Requirement, wanted):
        assert each.specifier.contains(pinned[canonicalize_name(each.name)]), each


@pytest.mark.parametrize("name", ["dubarr.toml", "dubarr.studio.toml"])
def test_settings_of_an_image_are_read(name: str) -> None:
    settings = load_settings(IMAGE / name)
    assert settings.review.host == settings.webhooks.host == "0.0.0.0"
    if "studio" in name:
        assert settings.profile == "studio"
        prefix = settings.llm.executable.removesuffix("/bin/vllm")
        assert settings.llm.serve == "vllm"
        assert f"python3 -m venv {prefix} " in CONTAINERFILES[1].read_text(encoding="utf-8")


@pytest.mark.parametrize("name", OURS)
def test_a_service_may_do_no_more_than_it_must(name: str) -> None:
    service = OURS[name]
    assert service["read_only"] is True
    assert service["tmpfs"] == ["/tmp"]
    assert service["cap_drop"] == ["ALL"]
    assert set(service["cap_add"]) == {"CHOWN", "SETUID", "SETGID"}
    assert "privileged" not in service
    # Dagster's webserver and code server have no login.
    reached = [port for port in service.get("ports", ()) if not port.startswith("127.0.0.1:")]
    assert reached == (["8765:8765"] if name == "receiver" else [])
    assert {each.rpartition(":")[2] for each in service["volumes"]} == OWN | {"/media"}
    assert service["healthcheck"]["test"][:2] == ["CMD", "healthy"]
    assert set(service["depends_on"]) <= {*COMPOSE["services"]}
    program, *rest = service["command"]
    if program == "dubarr":
        assert CliRunner().invoke(main, [*rest, "--help"]).exit_code == 0
    else:
        assert find_spec(rest[1]) is not None
        files = [each.partition("=")[2] for each in rest if each.startswith("--workspace=")]
        assert files in ([], ["/usr/local/share/dubarr/workspace.yaml"])


def test_a_gpu_is_given_to_services_that_there_are() -> None:
    more = yaml.safe_load((DEPLOY / "compose.studio.yaml").read_text(encoding="utf-8"))["services"]
    assert set(more) == set(OURS)
    assert {name for name, each in more.items() if "deploy" in each} == {"code", "review"}
    assert {each["image"] for each in more.values()} == {"dubarr:studio-cuda"}


def test_what_compose_asks_for_is_in_its_file_of_values() -> None:
    text = (DEPLOY / "compose.yaml").read_text(encoding="utf-8")
    asked = dict(re.findall(r"\$\{(\w+)(:[-?])", text))
    values = re.findall(r"^(\w+)=", (DEPLOY / "compose.env").read_text(encoding="utf-8"), re.M)
    assert {name for name, kind in asked.items() if kind == ":?"} <= {*values}
    assert {*values} <= {*asked}
    server = yaml.safe_load((IMAGE / "workspace.yaml").read_text("utf-8"))["load_from"][0]
    address = server["grpc_server"]
    assert OURS[address["host"]]["expose"] == [str(address["port"])]
    assert f"--location-name={address['location_name']}" in OURS["code"]["command"]
