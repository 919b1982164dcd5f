"""Start an image's services as compose.yaml says, without Docker, and dub a film by their queue.

    deploy/build && python scripts/try_image.py dubarr

What Docker would give each container is given to all of them together: namespaces for mounts,
processes and network, the image as a read-only chroot, three capabilities. PostgreSQL is this
machine's (`scripts/install-system postgresql`) instead of its image. Needs root and buildah.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
_BUILDAH = ("buildah", "--storage-driver", os.environ.get("STORAGE_DRIVER", "vfs"))
_USER, _READY_S, _DUBBED_S = "4711", 400.0, 600.0
_LIBRARY = """
[libraries.films]
path = "/media/films"
target_langs = ["es"]
[libraries.films.publish]
mode = "beside"
"""
_NAMESPACES = ("unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc")


def main(image: str) -> None:
    """Bring the image's root here, and go on in namespaces of our own."""
    with _container(image) as (root, config), tempfile.TemporaryDirectory() as scratch:
        told = json.dumps({"root": root, "config": config, "scratch": scratch})
        inside = [*_NAMESPACES, sys.executable, __file__, "--inside", told]
        sys.exit(subprocess.run(inside, check=False).returncode)


@contextmanager
def _container(image: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    name = _said(*_BUILDAH, "from", image)
    try:
        found = json.loads(_said(*_BUILDAH, "inspect", "--type", "image", image))
        yield _said(*_BUILDAH, "mount", name), found["Docker"]["config"]
    finally:
        _said(*_BUILDAH, "rm", name)


@dataclass(frozen=True)
class Trial:
    """A root with all folders mounted, and what the image says of itself."""

    root: Path
    scratch: Path
    environment: Mapping[str, str]
    entry: Sequence[str]

    def mount(self) -> None:
        """Mount what a container has; the names of the services are this machine's."""
        names = " ".join(_services())
        (self.scratch / "hosts").write_text(f"127.0.0.1 localhost {names}\n", encoding="utf-8")
        _said("mount", "--bind", str(self.root), str(self.root))
        for name in ("config", "models", "work", "media"):
            (self.scratch / name).mkdir()
            _said("mount", "--bind", str(self.scratch / name), f"{self.root}/{name}")
        (self.root / "etc" / "hosts").touch()
        _said("mount", "--bind", str(self.scratch / "hosts"), f"{self.root}/etc/hosts")
        _said("mount", "-o", "remount,ro,bind", str(self.root))
        _said("mount", "-t", "tmpfs", "tmpfs", f"{self.root}/tmp")
        _said("mount", "-t", "proc", "proc", f"{self.root}/proc")
        _said("mount", "--rbind", "/dev", f"{self.root}/dev")

    def command(self, *words: str) -> list[str]:
        """Return a command that begins in the image as a container does."""
        variables = [f"{name}={value}" for name, value in self.environment.items()]
        few = ("setpriv", "--inh-caps=-all", "--bounding-set=-all,+chown,+setuid,+setgid")
        return ["chroot", str(self.root), *few, "env", "-i", *variables, *words]

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command behind the entry to its end."""
        command = self.command(*self.entry, *words)
        return subprocess.run(command, capture_output=True, text=True, check=False)


def _try_inside(root: str, config: Mapping[str, Any], scratch: str) -> None:
    begun = time.monotonic()
    _said("ip", "link", "set", "lo", "up")
    store = Path(scratch) / "postgres"
    store.mkdir()
    Path(scratch).chmod(0o755)
    _said(str(ROOT / "scripts" / "postgres"), "start", str(store), "5432")
    password = (store / "password").read_text(encoding="utf-8")
    url = f"postgresql+psycopg2://dubarr:{password}@postgres:5432/dubarr"
    environment = {
        **dict(each.split("=", 1) for each in config["Env"]),
        "PUID": _USER,
        "PGID": _USER,
        "UMASK": "002",
        "TZ": "Europe/Madrid",
        "DAGSTER_HOME": "/work/.dagster",
        "DUBARR_POSTGRES_URL": url,
    }
    trial = Trial(Path(root), Path(scratch), environment, config["Entrypoint"])
    trial.mount()
    running: list[subprocess.Popen[bytes]] = []
    try:
        _dub_a_film(trial, running)
    finally:
        for process in running:
            process.terminate()
        for process in running:
            process.wait()
        _said(str(ROOT / "scripts" / "postgres"), "stop", str(store))
    _tell(f"all of it: {time.monotonic() - begun:.0f} s")


def _dub_a_film(trial: Trial, running: list[subprocess.Popen[bytes]]) -> None:
    made = trial.run("dubarr", "demo", "--to", "ca", "--work-dir", "/work/alone")
    _must(made.returncode == 0, f"dubarr demo: {made.stdout}{made.stderr}")
    _tell(next(line.strip() for line in made.stdout.splitlines() if "placed" in line))
    films = trial.scratch / "media" / "films"
    films.mkdir()
    (film,) = (trial.scratch / "work" / "alone" / "demo").glob("*.mkv")
    (films / film.name).write_bytes(film.read_bytes())
    for each in (films, films / film.name):
        os.chown(each, int(_USER), int(_USER))
    with (trial.scratch / "config" / "dubarr.toml").open("a", encoding="utf-8") as settings:
        settings.write(_LIBRARY)
    for name, service in _services().items():
        if name == "postgres":
            continue
        log = (trial.scratch / f"{name}.log").open("wb")
        command = trial.command(*trial.entry, *service["command"])
        running.append(subprocess.Popen(command, stdout=log, stderr=log))
        if name == "code":
            _wait(trial, name, service)
    for name, service in _services().items():
        if name != "postgres":
            _wait(trial, name, service)
    queued = trial.run("dubarr", "backfill", "films")
    _must(queued.returncode == 0, f"backfill: {queued.stdout}{queued.stderr}")
    published = films / f"{film.stem} - dubbed.mkv"
    end = time.monotonic() + _DUBBED_S
    while not published.is_file() and time.monotonic() < end:
        time.sleep(2)
    status = trial.run("dubarr", "status")
    _must(published.is_file(), status.stdout + status.stderr)
    owner = published.stat()
    _tell(f"published by the queue: {published.name}, {owner.st_uid}:{owner.st_gid}")
    _must(owner.st_uid == int(_USER), "it belongs to somebody else")
    _tell(status.stdout.strip().splitlines()[0])


def _wait(trial: Trial, name: str, service: Mapping[str, Any]) -> None:
    """Wait until a service is healthy, as compose.yaml asks it."""
    begun = time.monotonic()
    _, *test = service["healthcheck"]["test"]
    while (
        asked := subprocess.run(trial.command(*test), capture_output=True, check=False)
    ).returncode:
        said = asked.stderr.decode() + (trial.scratch / f"{name}.log").read_text("utf-8")[-3000:]
        _must(time.monotonic() < begun + _READY_S, f"{name} is not healthy: {said}")
        time.sleep(1)
    _tell(f"{name}: healthy after {time.monotonic() - begun:.0f} s more")


def _services() -> dict[str, Any]:
    return yaml.safe_load((ROOT / "deploy" / "compose.yaml").read_text(encoding="utf-8"))[
        "services"
    ]


def _said(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    _must(done.returncode == 0, f"{' '.join(command)}: {done.stderr}")
    return done.stdout.strip()


def _must(holds: bool, words: str) -> None:
    if not holds:
        raise SystemExit(words)


def _tell(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    if sys.argv[1] == "--inside":
        _try_inside(**json.loads(sys.argv[2]))
    else:
        main(sys.argv[1])
